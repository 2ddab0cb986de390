//! Tells waiting tasks that a job changed, so that they need not ask the database all the time.
//!
//! Changes of this process arrive at once, those of others by LISTEN when a job is created, cancelled or finished. NOTIFY takes
//! a lock on the whole database at commit, so progress and work items never notify. A signal is a hint and may be lost: whoever
//! waits also looks after [`POLL`].

use std::time::Duration;

use latentd_domain::JobId;
use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{sync::broadcast, time};

use crate::Error;

/// Channel of the notifications; the payload is the job's id.
const CHANNEL: &str = "latentd_job";
/// Longest time between two looks at the database.
const POLL: Duration = Duration::from_secs(1);
/// Signals that a slow waiter may be behind; beyond that it looks once for all of them.
const BUFFER: usize = 256;

/// The sending end.
pub(crate) struct Wakeups(broadcast::Sender<Option<JobId>>);

impl Wakeups {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BUFFER))
    }

    pub(crate) fn subscribe(&self) -> Signals {
        Signals(self.0.subscribe())
    }

    pub(crate) fn job_changed(&self, job: &JobId) {
        // An error means that nobody waits.
        let _ = self.0.send(Some(job.clone()));
    }

    /// Passes on notifications of the database, through its outages, forever.
    pub(crate) async fn listen(&self, options: &PgConnectOptions) {
        loop {
            if let Err(error) = self.listen_once(options).await {
                tracing::debug!(%error, "lost the connection that listens for changes of jobs");
            }
            time::sleep(POLL).await;
        }
    }

    async fn listen_once(&self, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        // Something may have happened while nobody listened.
        let _ = self.0.send(None);
        while let Some(notification) = listener.try_recv().await? {
            let _ = self.0.send(notification.payload().parse().ok());
        }
        Ok(())
    }
}

/// Tells every listening process, when the transaction commits, that a job was created, cancelled or finished.
pub(crate) async fn notify(connection: &mut PgConnection, job: &JobId) -> Result<(), Error> {
    sqlx::query("select pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(job.id())
        .execute(connection)
        .await?;
    Ok(())
}

/// The receiving end: what changed since it was made.
pub struct Signals(broadcast::Receiver<Option<JobId>>);

impl Signals {
    /// Returns once `job` may have changed, or after a second at the latest.
    pub async fn job(&mut self, job: &JobId) {
        self.wait(|changed| changed == job).await;
    }

    /// Returns once any job may have changed, or after a second at the latest.
    pub async fn any(&mut self) {
        self.wait(|_| true).await;
    }

    async fn wait(&mut self, wanted: impl Fn(&JobId) -> bool) {
        let signal = async {
            loop {
                match self.0.recv().await {
                    Ok(Some(changed)) if !wanted(&changed) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    // The store is gone: there will be no signal, and nothing to look at either.
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // An error means that the time is up, which is the reason to look as well.
        let _ = time::timeout(POLL, signal).await;
    }
}
