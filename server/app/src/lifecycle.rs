//! How the process ends: a soft token (finish what you have), a hard token (stop now), and the tasks that are waited for.
//!
//! Whoever works in the background is spawned here. A task that ends although nobody asked it to has crashed: the server then
//! drains as if it had been told to stop, and [`Lifecycle::crash`] tells the caller to exit with an error.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::FutureExt;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::TaskTracker,
};

/// Handle on the life of one server; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    crash: Arc<OnceLock<String>>,
}

impl Lifecycle {
    /// Asks for the end: no new work, queued work finishes.
    pub fn drain(&self) {
        self.soft.cancel();
    }

    /// Ends everything now.
    pub fn abort(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether the end was asked for.
    pub fn is_draining(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Completes when the end is asked for.
    pub fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.soft.cancelled()
    }

    /// Completes when everything has to stop at once.
    pub fn aborted(&self) -> WaitForCancellationFuture<'_> {
        self.hard.cancelled()
    }

    /// The soft token, for those that hand it on.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Runs `task` in the background. It must end soon after [`Lifecycle::draining`]; if it ends earlier, or panics, the
    /// server drains and counts as crashed.
    pub fn spawn_essential(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let life = self.clone();
        self.tasks.spawn(async move {
            let outcome = tokio::select! {
                () = life.aborted() => Ok(()),
                outcome = AssertUnwindSafe(task).catch_unwind() => outcome,
            };
            if outcome.is_err() || !life.is_draining() {
                let how = if outcome.is_err() {
                    "panicked"
                } else {
                    "ended unasked"
                };
                tracing::error!(task = name, "a background task {how}; the server stops");
                let _ = life.crash.set(format!("the task `{name}` {how}"));
                life.drain();
            }
        });
    }

    /// Runs `task` in the background, waited for at the end and dropped when everything has to stop at once.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let life = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = life.aborted() => {}
                () = task => {}
            }
        });
    }

    /// Waits until every task has ended. Only after [`Lifecycle::drain`] or [`Lifecycle::abort`].
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What crashed, if anything did.
    pub fn crash(&self) -> Option<&str> {
        self.crash.get().map(String::as_str)
    }
}

/// SIGTERM and Ctrl-C, as one sequence of requests to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes over the process's SIGTERM and SIGINT.
    pub fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_a_crash() {
        let life = Lifecycle::default();
        life.spawn_essential("idle", async {});
        life.draining().await;
        life.finished().await;
        assert!(life.crash().unwrap().contains("idle"));
    }

    #[tokio::test]
    async fn a_panic_is_a_crash() {
        let life = Lifecycle::default();
        life.spawn_essential("panics", async { panic!("on purpose") });
        life.draining().await;
        life.finished().await;
        assert!(life.crash().unwrap().contains("panicked"));
    }

    #[tokio::test]
    async fn a_drain_is_not_a_crash() {
        let life = Lifecycle::default();
        let soft = life.soft().clone();
        life.spawn_essential("waits", async move { soft.cancelled().await });
        life.drain();
        life.finished().await;
        assert_eq!(life.crash(), None);
    }

    #[tokio::test]
    async fn abort_ends_tasks_that_never_would() {
        let life = Lifecycle::default();
        life.spawn_essential("stuck", std::future::pending());
        life.spawn(std::future::pending());
        life.abort();
        life.finished().await;
        assert_eq!(life.crash(), None);
    }
}
