//! latentd in a process of its own, with a private Postgres, that a test can kill.
//!
//! The process is this test binary again: it runs the one test `server_process`, which serves when it is told to by a
//! variable and otherwise returns at once. No second binary has to be built and found.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use latentd::config::{Config, Environment, Flags};
use latentd_client::Client;
use latentd_store::test_support;
use rustix::process::{Pid, Signal, kill_process};

use super::wait::until;

/// Names the data folder of the server that this process shall be.
const ROLE: &str = "LATENTD_TEST_SERVER";
/// Names the database of the server; without it the server starts a private one.
const DATABASE: &str = "LATENTD_TEST_DATABASE";

/// Serves until it is killed, if this process was started as a server.
#[test]
fn server_process() {
    let environment = Environment::of_process();
    let Some(dir) = environment.get(ROLE) else {
        return;
    };
    let flags = Flags::default()
        .with("data_dir", Some(dir))
        .with("listen", Some("127.0.0.1:0"))
        .with(
            "database.binaries",
            Some(test_support::binaries().display()),
        )
        .with("log.format", Some("json"))
        .with("database.url", environment.get(DATABASE));
    let config = Config::load(&flags, &Environment::default()).unwrap();
    latentd::observability::init(&config.log);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(latentd::server::run(config)).unwrap();
}

/// A server in another process.
pub(crate) struct ServerProcess {
    child: Child,
    dir: PathBuf,
    pub(crate) client: Client,
}

impl ServerProcess {
    /// Starts a server on `dir`, with a private Postgres there, and waits until it answers.
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, None).await
    }

    /// Starts a server on `dir` and a database that exists, and waits until it answers.
    pub(crate) async fn start_on(dir: &Path, database_url: &str) -> Self {
        Self::start_with(dir, Some(database_url)).await
    }

    async fn start_with(dir: &Path, database_url: Option<&str>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "harness::process::server_process", "--nocapture"])
            .env(ROLE, dir)
            .envs(database_url.map(|url| (DATABASE, url)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| listening(&line));
        let address = address.expect("the server says where it listens");
        // Keep reading, or the server blocks on a full pipe.
        std::thread::Builder::new()
            .name("server output".into())
            .spawn(move || lines.map_while(Result::ok).for_each(drop))
            .unwrap();
        let client = Client::connect(&address).await.unwrap();
        Self {
            child,
            dir: dir.to_owned(),
            client,
        }
    }

    /// Process id of the private Postgres.
    pub(crate) fn postmaster(&self) -> Option<Pid> {
        let text = fs_err::read_to_string(self.find("postmaster.pid")?).ok()?;
        Pid::from_raw(text.lines().next()?.parse().ok()?)
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let mut folders = vec![self.dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).ok()?.flatten() {
                if entry.file_name() == name {
                    return Some(entry.path());
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
        }
        None
    }

    /// Sends the server a signal, such as SIGSTOP, after which it does nothing until SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// kill -9 of the server.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// kill -9 of the postmaster; the server lives on.
    pub(crate) fn kill_postgres(&self) {
        kill_process(
            self.postmaster().expect("a private Postgres runs"),
            Signal::KILL,
        )
        .unwrap();
    }

    /// kill -9 of both.
    pub(crate) fn kill_both(self) {
        self.kill_postgres();
        self.kill();
    }

    /// SIGTERM, then waits for the end.
    pub(crate) async fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let mut child = std::mem::replace(&mut self.child, Command::new("true").spawn().unwrap());
        until("the server has stopped", || {
            let ended = child.try_wait().unwrap().is_some();
            async move { ended }
        })
        .await;
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the log line that says that the server listens.
fn listening(line: &str) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    let fields = record.get("fields").unwrap_or(&record);
    (fields["message"] == "listening").then(|| fields["address"].as_str().map(str::to_owned))?
}
