//! A data directory of Postgres: making it, what is known of it, and whether a Postgres runs in it.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::process::{Pid, test_kill_process};
use uuid::Uuid;

use super::{
    Error, NAME,
    account::Account,
    binaries::{Binaries, remove_tree},
    place::Place,
};

/// A log larger than this is put aside when Postgres starts; one older log is kept.
const LOG_MAX: u64 = 16 * 1024 * 1024;
/// How much of the log an error shows.
const LOG_TAIL: u64 = 2000;

/// Files of one Postgres.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    base: PathBuf,
    socket_dir: PathBuf,
}

/// Whether a Postgres runs in a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Postmaster {
    /// None does. A pid file of a process that is gone is Postgres' own business.
    None,
    /// The pid file names a process that is no Postgres, or one that is dead and was not collected by its parent. Postgres
    /// would take it for alive.
    Mistaken,
    /// This process does.
    Live(Pid),
}

impl Cluster {
    /// The cluster at `place`, which may have to be made.
    pub(super) fn new(place: &Place) -> Self {
        Self {
            base: place.base().to_owned(),
            socket_dir: place.socket_dir().to_owned(),
        }
    }

    /// The data directory.
    pub(super) fn directory(&self) -> PathBuf {
        directory(&self.base)
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    fn log_file(&self) -> PathBuf {
        self.base.join("postgres.log")
    }

    fn password_file(&self) -> PathBuf {
        password_file(&self.base)
    }

    fn pid_file(&self) -> PathBuf {
        self.directory().join("postmaster.pid")
    }

    /// Password of the role.
    pub(super) fn password(&self) -> io::Result<String> {
        password(&self.base)
    }

    /// The version that made the data directory, if it is made.
    pub(super) fn major(&self) -> Result<Option<u32>, Error> {
        major(&self.base)
    }

    /// Makes the data directory: beside its place, then moved there, so that a crash leaves none or a whole one.
    pub(super) fn create(
        &self,
        binaries: &Binaries,
        place: &Place,
        durable: bool,
    ) -> Result<(), Error> {
        self.write_password(place)?;
        let partial = self.base.join("cluster.partial");
        remove_tree(&partial)?;
        // Made here, not by initdb: the account need not be able to write in the folder around it.
        fs_err::create_dir(&partial)?;
        place.give(&partial)?;
        let mut command = Command::new(binaries.program("initdb"));
        command
            .arg("-D")
            .arg(&partial)
            .args([
                "-U",
                NAME,
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-instructions",
            ])
            .arg(format!("--pwfile={}", self.password_file().display()));
        if !durable {
            command.arg("--no-sync");
        }
        let program = binaries.program("initdb");
        let output = run_as(&mut command, place.account())
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Program { program, source })?;
        if !output.status.success() {
            let printed = [output.stdout, output.stderr].concat();
            return Err(Error::Initdb {
                output: String::from_utf8_lossy(&printed).trim().to_owned(),
            });
        }
        Ok(latentd_files::rename(&partial, &self.directory())?)
    }

    /// Writes a random password, readable by the owner alone, unless there is one.
    fn write_password(&self, place: &Place) -> Result<(), Error> {
        let path = self.password_file();
        if path.exists() {
            return Ok(());
        }
        let partial = path.with_extension("partial");
        remove_file(&partial)?;
        let mut file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        writeln!(
            file,
            "{}{}",
            Uuid::new_v4().simple(),
            Uuid::new_v4().simple()
        )?;
        file.sync_all()?;
        place.give(&partial)?;
        Ok(latentd_files::rename(&partial, &path)?)
    }

    /// Looks for a Postgres that runs in the data directory.
    pub(super) fn postmaster(&self) -> Postmaster {
        let Ok(content) = fs_err::read_to_string(self.pid_file()) else {
            return Postmaster::None;
        };
        let pid = content
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else {
            return Postmaster::None;
        };
        match test_kill_process(pid) {
            Err(rustix::io::Errno::SRCH) => Postmaster::None,
            _ if is_postgres(pid) => Postmaster::Live(pid),
            _ => Postmaster::Mistaken,
        }
    }

    /// Deletes a pid file that names a process that is no Postgres. Only for who holds the lock.
    pub(super) fn forget_postmaster(&self) -> Result<(), Error> {
        tracing::warn!(
            "{} names a process that is no PostgreSQL: deleting it",
            self.pid_file().display()
        );
        remove_file(&self.pid_file())?;
        Ok(())
    }

    /// Opens the lock that the server that starts Postgres holds.
    pub(super) fn open_lock(&self, place: &Place) -> io::Result<fs_err::File> {
        open(&self.base.join("lock"), place)
    }

    /// Opens the log, to be written at its end.
    pub(super) fn open_log(&self, place: &Place) -> io::Result<fs_err::File> {
        let path = self.log_file();
        if path
            .metadata()
            .is_ok_and(|metadata| metadata.len() > LOG_MAX)
        {
            fs_err::rename(&path, path.with_extension("log.old"))?;
        }
        open(&path, place)
    }

    /// The last lines of the log.
    pub(super) fn log_tail(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = fs_err::File::open(self.log_file())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
            let mut tail = Vec::new();
            file.take(LOG_TAIL).read_to_end(&mut tail)?;
            Ok(String::from_utf8_lossy(&tail).trim().to_owned())
        };
        read().unwrap_or_else(|error| format!("({error})"))
    }
}

fn password_file(base: &Path) -> PathBuf {
    base.join("password")
}

/// Password of the role.
pub(super) fn password(base: &Path) -> io::Result<String> {
    Ok(fs_err::read_to_string(password_file(base))?
        .trim_end()
        .to_owned())
}

pub(super) fn directory(base: &Path) -> PathBuf {
    base.join("cluster")
}

/// The version of the data directory whose files are in `base`, if there is one.
pub(super) fn major(base: &Path) -> Result<Option<u32>, Error> {
    match fs_err::read_to_string(directory(base).join("PG_VERSION")) {
        Ok(version) => version.trim().parse().map(Some).map_err(|_| {
            let message = format!(
                "{} holds no PostgreSQL data directory",
                directory(base).display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message).into()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a file of ours to be written at its end. Root gives what it makes to the account of Postgres: if that is a user,
/// the user can run latentd here, too.
fn open(path: &Path, place: &Place) -> io::Result<fs_err::File> {
    let file = fs_err::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    place.give(path)?;
    Ok(file)
}

/// Has the program run as `account`, in its own process group: a Ctrl-C in a terminal is for the server, which stops Postgres
/// after it has drained.
pub(super) fn run_as<'a>(command: &'a mut Command, account: Option<&Account>) -> &'a mut Command {
    // The environment may hold the keys of providers, and any client of the database can read what Postgres was given.
    command
        .current_dir("/")
        .env_clear()
        .env("LC_ALL", "C")
        .process_group(0);
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Whether a live process is a Postgres, where /proc can tell; elsewhere it is taken for one.
fn is_postgres(pid: Pid) -> bool {
    let Ok(stat) = fs_err::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else {
        return !Path::new("/proc/self/stat").exists();
    };
    // `pid (name) state …`; the name may hold anything, so the last parenthesis ends it.
    let Some((start, rest)) = stat.rsplit_once(')') else {
        return false;
    };
    let name = start.split_once('(').map_or("", |(_, name)| name);
    let dead = rest.trim_start().starts_with(['Z', 'X']);
    !dead && (name.starts_with("postgres") || name.starts_with("postmaster"))
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
