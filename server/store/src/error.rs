//! What can go wrong with the database, told apart by what a client can do about it.

use latentd_domain::{
    CacheId, ExplanationId, HasReason, JobId, ModelId, ProviderId, Reason, SaeName, ScoreId,
};

/// A failed call of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, is starting or stopping, or takes no more connections. Trying again later helps.
    #[error("the database does not answer")]
    DatabaseUnavailable(#[source] sqlx::Error),
    /// The database has no space left.
    #[error("the database's disk is full")]
    DiskFull(#[source] sqlx::Error),
    /// The address of the database cannot be parsed.
    #[error("not the address of a database: {message}")]
    Address {
        /// What is wrong with it; never holds the password.
        message: String,
    },
    /// A server of a newer version migrated the database.
    #[error(
        "the database was migrated by a newer version of latentd: it has migration {migration}, which this one lacks"
    )]
    SchemaNewer {
        /// Number of the migration.
        migration: i64,
    },
    /// A migration failed.
    #[error("cannot bring the database up to date")]
    Migration(#[source] Box<sqlx::migrate::MigrateError>),
    /// The id is taken.
    #[error("{resource} exists already")]
    AlreadyExists {
        /// Full resource name.
        resource: String,
    },
    /// No such model.
    #[error("no model `{0:#}` is loaded")]
    UnknownModel(ModelId),
    /// No such SAE.
    #[error("no SAE `{0:#}` is loaded")]
    UnknownSae(SaeName),
    /// No such cache.
    #[error("there is no cache `{0:#}`")]
    UnknownCache(CacheId),
    /// No such job.
    #[error("there is no job `{0:#}`")]
    UnknownJob(JobId),
    /// The job has ended.
    #[error("{0} has ended")]
    JobEnded(JobId),
    /// Only auto-interpretation jobs can be paused.
    #[error("{0} is not a job that can be paused")]
    JobNotPausable(JobId),
    /// Another data folder has the files of the cache.
    #[error(
        "the files of {cache} are in another data folder, {data_folder}: ask a server on that folder"
    )]
    CacheElsewhere {
        /// The cache.
        cache: CacheId,
        /// Id of the folder.
        data_folder: String,
    },
    /// There is nothing to resume.
    #[error("{0} is not paused")]
    JobNotPaused(JobId),
    /// No such provider.
    #[error("there is no provider `{0:#}`")]
    UnknownProvider(ProviderId),
    /// No such explanation.
    #[error("there is no explanation `{0:#}`")]
    UnknownExplanation(ExplanationId),
    /// No such score.
    #[error("there is no score `{0:#}`")]
    UnknownScore(ScoreId),
    /// The request id was used with another request.
    #[error("the request id `{request_id}` was used before with another request")]
    RequestIdReused {
        /// The id.
        request_id: String,
    },
    /// It cannot be removed yet.
    #[error("{resource} is in use by {user}")]
    ResourceInUse {
        /// Full resource name.
        resource: String,
        /// What uses it.
        user: String,
    },
    /// A page token that this server did not give out for this list.
    #[error("the page token was not given out for this list")]
    InvalidPageToken,
    /// Text that Postgres cannot store: it holds a NUL character.
    #[error("text holds a character that the database cannot store")]
    Unstorable(#[source] sqlx::Error),
    /// Someone else holds the lease now, or the job has ended: what this worker did no longer counts.
    #[error("the lease on {job} was lost")]
    LeaseLost {
        /// The job, or the job of the work item.
        job: JobId,
    },
    /// A row that this version cannot read.
    #[error("cannot read a row of table {table}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database refused a statement: a defect.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
}

impl HasReason for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::DatabaseUnavailable(_) => Reason::DatabaseUnavailable,
            Self::DiskFull(_) => Reason::DiskFull,
            Self::AlreadyExists { .. } => Reason::AlreadyExists,
            Self::UnknownModel(_) => Reason::UnknownModel,
            Self::UnknownSae(_) => Reason::UnknownSae,
            Self::UnknownCache(_) => Reason::UnknownCache,
            Self::UnknownJob(_) => Reason::UnknownJob,
            Self::JobEnded(_) => Reason::JobEnded,
            Self::JobNotPausable(_) => Reason::JobNotPausable,
            Self::CacheElsewhere { .. } => Reason::CacheElsewhere,
            Self::JobNotPaused(_) => Reason::JobNotPaused,
            Self::UnknownProvider(_) => Reason::UnknownProvider,
            Self::UnknownExplanation(_) => Reason::UnknownExplanation,
            Self::UnknownScore(_) => Reason::UnknownScore,
            Self::RequestIdReused { .. } => Reason::RequestIdReused,
            Self::ResourceInUse { .. } => Reason::ResourceInUse,
            Self::InvalidPageToken | Self::Unstorable(_) => Reason::InvalidRequest,
            Self::LeaseLost { .. } => Reason::Cancelled,
            Self::Address { .. }
            | Self::SchemaNewer { .. }
            | Self::Migration(_)
            | Self::Unreadable { .. }
            | Self::Refused(_) => Reason::Internal,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match Cause::of(&error) {
            Cause::Unavailable => Self::DatabaseUnavailable(error),
            Cause::DiskFull => Self::DiskFull(error),
            Cause::Text => Self::Unstorable(error),
            Cause::Other => Self::Refused(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) => error.into(),
            MigrateError::ExecuteMigration(error, _) if Cause::of(&error) != Cause::Other => {
                error.into()
            }
            MigrateError::VersionMissing(migration) => Self::SchemaNewer { migration },
            error => Self::Migration(Box::new(error)),
        }
    }
}

impl Error {
    /// Whether trying again later helps: the database is away, or its disk is full.
    pub fn passes(&self) -> bool {
        matches!(self, Self::DatabaseUnavailable(_) | Self::DiskFull(_))
    }

    /// Turns the violation of `constraint` into `domain`, and anything else into what it is.
    pub(crate) fn on_constraint(
        error: sqlx::Error,
        constraint: &str,
        domain: impl FnOnce() -> Self,
    ) -> Self {
        let violated = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::constraint);
        if violated == Some(constraint) {
            domain()
        } else {
            error.into()
        }
    }

    /// A column of `table` that does not hold what this version writes there.
    pub(crate) fn unreadable(
        table: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreadable {
            table,
            source: source.into(),
        }
    }
}

/// What lies behind an error of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Unavailable,
    DiskFull,
    Text,
    Other,
}

impl Cause {
    fn of(error: &sqlx::Error) -> Self {
        match error {
            // The driver reports a connection that was cut inside a message as a protocol error.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable,
            sqlx::Error::Database(error) => error
                .code()
                .map_or(Self::Other, |code| Self::of_state(&code)),
            _ => Self::Other,
        }
    }

    /// The cause of an SQLSTATE (PostgreSQL documentation, appendix A).
    fn of_state(code: &str) -> Self {
        match code {
            // disk_full
            "53100" => Self::DiskFull,
            // untranslatable_character, character_not_in_repertoire
            "22P05" | "22021" => Self::Text,
            // insufficient_resources, out_of_memory, too_many_connections, configuration_limit_exceeded; admin_shutdown,
            // crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout; query_canceled (the statement
            // timeout), lock_not_available; deadlock and serialization; read_only_sql_transaction, as of a standby that takes over
            "53000" | "53200" | "53300" | "53400" | "57P01" | "57P02" | "57P03" | "57P04"
            | "57P05" | "57014" | "55P03" | "40P01" | "40001" | "25006" => Self::Unavailable,
            // connection exceptions; system errors, such as an I/O error
            _ if code.starts_with("08") || code.starts_with("58") => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_unavailable_and_a_defect_is_not() {
        for code in [
            "08006", "57P01", "57P02", "57P03", "53300", "57014", "40P01", "25006",
        ] {
            assert_eq!(Cause::of_state(code), Cause::Unavailable, "{code}");
        }
        for code in ["42601", "23505", "42P01", "22003", ""] {
            assert_eq!(Cause::of_state(code), Cause::Other, "{code}");
        }
        assert_eq!(Cause::of_state("53100"), Cause::DiskFull);
        assert_eq!(
            Error::from(sqlx::Error::PoolTimedOut).reason(),
            Reason::DatabaseUnavailable
        );
        assert_eq!(
            Error::from(sqlx::Error::RowNotFound).reason(),
            Reason::Internal
        );
    }
}
