//! Long work: [`runner`] claims jobs and keeps their leases, each kind of job has a folder, [`progress`] tells how far it is.
//!
//! A cache is built by the process that has the job's lease. An auto-interpretation job is led by one process and worked on by
//! all: the leader makes the work items and ends the job, and the [`Workers`] of every process claim items.

mod build_cache;
mod interp;
mod progress;
mod runner;
mod running;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use latentd_files::Interrupt;
use tokio_util::sync::CancellationToken;

pub(crate) use build_cache::{forget_origin, remove_files};
pub(crate) use interp::Workers;
pub(crate) use runner::run;
pub(crate) use running::{RunningJobs, Uses};

use crate::grpc::error::Error;

/// Kind of the job that builds a cache.
pub(crate) const BUILD_CACHE: &str = "build_cache";

/// Why a job stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody asked it to.
    Cancelled,
    /// The server ends; the next one goes on with the job.
    Draining,
    /// Another process has the job now, or it has ended.
    LeaseLost,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "the job was cancelled",
            Self::Draining => "the server is shutting down",
            Self::LeaseLost => "the job has ended, or another server works on it",
        })
    }
}

/// How a job failed to reach its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It was stopped.
    Stopped(Stop),
    /// It cannot be done.
    Failed(Error),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stop) => stop.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

macro_rules! fails_with {
    ($($error:ty),*) => {
        $(impl From<$error> for Halt {
            fn from(error: $error) -> Self {
                Halt::Failed(error.into())
            }
        })*
    };
}

fails_with!(
    Error,
    latentd_cache::Error,
    latentd_engine::Error,
    latentd_store::Error
);

/// Tells a job to stop, and why. Clones share it; the first reason stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopper {
    token: CancellationToken,
    reason: Arc<OnceLock<Stop>>,
    interrupt: Interrupt,
}

impl Stopper {
    /// Asks the job to stop.
    pub(crate) fn stop(&self, reason: Stop) {
        let _ = self.reason.set(reason);
        self.interrupt.raise();
        self.token.cancel();
    }

    /// Fails if the job was asked to stop.
    pub(crate) fn check(&self) -> Result<(), Halt> {
        self.reason
            .get()
            .map_or(Ok(()), |&reason| Err(Halt::Stopped(reason)))
    }

    /// What work that blocks asks whether it shall go on.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Why work of the job was interrupted.
    pub(crate) fn halt(&self) -> Halt {
        Halt::Stopped(self.reason.get().copied().unwrap_or(Stop::Draining))
    }

    /// Completes when the job is asked to stop.
    pub(crate) async fn stopped(&self) -> Stop {
        self.token.cancelled().await;
        // The reason is set before the token is cancelled.
        self.reason.get().copied().unwrap_or(Stop::Draining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_to_stop_stays() {
        let stopper = Stopper::default();
        assert!(stopper.check().is_ok());
        stopper.stop(Stop::Cancelled);
        stopper.stop(Stop::Draining);
        assert_eq!(stopper.stopped().await, Stop::Cancelled);
        assert!(matches!(
            stopper.check(),
            Err(Halt::Stopped(Stop::Cancelled))
        ));
    }
}
