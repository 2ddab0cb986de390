//! Where the database is, and the handle on it.

use std::{str::FromStr, sync::Arc, time::Duration};

use latentd_domain::JobId;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    Error, Signals, caches::Caches, events::Events, exchanges::Exchanges,
    explanations::Explanations, interp::Interp, jobs::Jobs, leases::Leases, models::Models,
    processes::Processes, providers::Providers, saes::Saes, scores::Scores, signals::Wakeups,
    work_items::WorkItems,
};

/// Every migration, compiled in.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Connections of one server. Each is a process of Postgres; a hundred are allowed by default, for all servers together.
const DEFAULT_CONNECTIONS: u32 = 12;
/// How long a call waits for a connection before it fails with [`Error::DatabaseUnavailable`].
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a database is and how to log in.
#[derive(Clone)]
pub struct Database {
    options: PgConnectOptions,
    max_connections: u32,
}

impl Database {
    /// A database by its address, `postgres://user:password@host:port/name`.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        // The driver's message may quote the address, and the address may hold a password.
        let address = || Error::Address {
            message: "expected postgres://user:password@host:port/name".into(),
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(address());
        }
        PgConnectOptions::from_str(url)
            .map(Self::new)
            .map_err(|_| address())
    }

    /// A database by the driver's options.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self {
            options: options.application_name("latentd"),
            max_connections: DEFAULT_CONNECTIONS,
        }
    }

    /// The same database with a pool of at most `connections` connections, at least 2.
    #[must_use]
    pub fn with_max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(2);
        self
    }

    #[cfg(any(test, feature = "test-support"))]
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

impl std::fmt::Display for Database {
    /// Host and name of the database; never the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.options.get_database().unwrap_or("postgres");
        match self.options.get_socket() {
            Some(socket) => write!(f, "{name} at {}", socket.display()),
            None => write!(
                f,
                "{name} at {}:{}",
                self.options.get_host(),
                self.options.get_port()
            ),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({self})")
    }
}

/// A handle on the database. Clones share one pool of connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>, Option<Arc<str>>);

struct Inner {
    pool: PgPool,
    options: PgConnectOptions,
    wakeups: Wakeups,
}

impl Store {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] if the database does not answer within 5 seconds, [`Error::SchemaNewer`] and
    /// [`Error::Migration`] if the schema cannot be used.
    pub async fn connect(database: &Database) -> Result<Self, Error> {
        // A migration may take as long as it needs, so it has a pool without the limits on statements.
        let migrating = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(database.options.clone())
            .await?;
        let migrated = MIGRATIONS.run(&migrating).await;
        migrating.close().await;
        migrated?;

        // A statement of the store touches few rows: one that takes so long waits for something that will not come.
        let options = database.options.clone().options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(database.max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self(
            Arc::new(Inner {
                pool,
                options: database.options.clone(),
                wakeups: Wakeups::new(),
            }),
            None,
        ))
    }

    /// The same, for a server whose files lie in the data folder of this id: it works on builds and deletes caches of that folder.
    #[must_use]
    pub fn of_data_folder(self, id: &str) -> Self {
        Self(self.0, Some(id.into()))
    }

    /// Id of the data folder of this server, if it has one.
    pub fn data_folder(&self) -> Option<&str> {
        self.1.as_deref()
    }

    /// The data folder that has something, if it is not the one of this server.
    pub fn is_elsewhere<'a>(&self, folder: Option<&'a str>) -> Option<&'a str> {
        folder.filter(|folder| self.data_folder().is_some_and(|own| own != *folder))
    }

    /// Asks the database for an answer; for health.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("select 1").execute(self.pool()).await?;
        Ok(())
    }

    /// Listens for changes of jobs that other processes make and passes them on to this store's [`Signals`], forever.
    ///
    /// Spawn it once. Nothing depends on it but latency: whoever waits for a change also looks every second.
    pub async fn listen(self) {
        self.0.wakeups.listen(&self.0.options).await;
    }

    /// Changes of jobs, from now on.
    pub fn signals(&self) -> Signals {
        self.0.wakeups.subscribe()
    }

    /// Closes every connection; calls that follow fail with [`Error::DatabaseUnavailable`].
    pub async fn close(&self) {
        self.0.pool.close().await;
    }

    /// Models that must be resident.
    pub fn models(&self) -> Models<'_> {
        Models(self)
    }

    /// SAEs that must be resident.
    pub fn saes(&self) -> Saes<'_> {
        Saes(self)
    }

    /// Caches and their shards.
    pub fn caches(&self) -> Caches<'_> {
        Caches(self)
    }

    /// Jobs as clients see them.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }

    /// Leases on jobs and work items, for the processes that do the work.
    pub fn leases(&self) -> Leases<'_> {
        Leases(self)
    }

    /// Events of jobs.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }

    /// Pieces of jobs.
    pub fn work_items(&self) -> WorkItems<'_> {
        WorkItems(self)
    }

    /// Server processes that are alive.
    pub fn processes(&self) -> Processes<'_> {
        Processes(self)
    }

    /// Providers of language models.
    pub fn providers(&self) -> Providers<'_> {
        Providers(self)
    }

    /// Calls of language models and their answers.
    pub fn exchanges(&self) -> Exchanges<'_> {
        Exchanges(self)
    }

    /// Auto-interpretation jobs and their work items.
    pub fn interp(&self) -> Interp<'_> {
        Interp(self)
    }

    /// Explanations of latents.
    pub fn explanations(&self) -> Explanations<'_> {
        Explanations(self)
    }

    /// Scores of explanations.
    pub fn scores(&self) -> Scores<'_> {
        Scores(self)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// Tells this process's watchers that a job changed. Call it after the commit.
    pub(crate) fn changed(&self, job: &JobId) {
        self.0.wakeups.job_changed(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_parsed_does_not_show_its_password() {
        for bad in [
            "",
            "mysql://a:secret@b/c",
            "postgres://a:secret@b:port/c",
            "postgres://[secret",
        ] {
            let error = Database::from_url(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let database = Database::from_url("postgres://a:secret@db.example:5433/latents").unwrap();
        assert_eq!(database.to_string(), "latents at db.example:5433");
        assert!(!format!("{database:?}").contains("secret"));
    }
}
