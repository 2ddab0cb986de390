//! Commands of `latentd` in a process of their own, as somebody types them on a terminal of 80 columns.
//!
//! The process is this test binary again, as in [`super::process`].

use std::{
    ffi::OsString,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use latentd::config::Environment;

/// Holds the words of the command that this process shall be, as JSON.
const LINE: &str = "LATENTD_TEST_COMMAND";
/// Stands before what the command itself prints.
const BEGIN: &str = "latentd prints:\n";

/// Is the command, if this process was started as one.
#[test]
fn command_process() {
    let environment = Environment::of_process();
    let Some(line) = environment.get(LINE) else {
        return;
    };
    let words: Vec<OsString> = serde_json::from_str::<Vec<String>>(line)
        .unwrap()
        .into_iter()
        .map(OsString::from)
        .collect();
    let mut out = std::io::stdout().lock();
    write!(out, "\n{BEGIN}").unwrap();
    out.flush().unwrap();
    drop(out);
    let code = latentd::cli::main_of(words);
    std::process::exit(code.into());
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) remarks: String,
}

/// A command line, without the program's name, whose standard input is empty.
pub(crate) fn start(address: &str, home: &Path, words: &[String]) -> Child {
    start_with(Stdio::null(), address, home, words)
}

fn start_with(input: Stdio, address: &str, home: &Path, words: &[String]) -> Child {
    let program = [
        "latentd".to_owned(),
        "--address".to_owned(),
        address.to_owned(),
    ];
    let line: Vec<&String> = program.iter().chain(words).collect();
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "harness::command::command_process",
            "--nocapture",
        ])
        .env(LINE, serde_json::to_string(&line).unwrap())
        .env("COLUMNS", "80")
        .env("NO_COLOR", "1")
        .env("HOME", home)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end of a command.
pub(crate) fn end(child: Child) -> Done {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let out = text(output.stdout);
    Done {
        code: output.status.code().unwrap(),
        out: out.split_once(BEGIN).map_or("", |(_, out)| out).to_owned(),
        remarks: text(output.stderr),
    }
}

/// Runs a command on a thread of its own.
pub(crate) async fn run(address: &str, home: &Path, words: &[String]) -> Done {
    let child = start(address, home, words);
    tokio::task::spawn_blocking(move || end(child))
        .await
        .unwrap()
}

/// Runs a command whose standard input is `input`.
pub(crate) async fn pipe(input: String, address: &str, home: &Path, words: &[String]) -> Done {
    let mut child = start_with(Stdio::piped(), address, home, words);
    let mut stdin = child.stdin.take().unwrap();
    tokio::task::spawn_blocking(move || {
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        end(child)
    })
    .await
    .unwrap()
}

/// The words of a line as a shell splits them: by spaces, but not inside quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}
