//! Long work: [`runner`] claims jobs and keeps their leases, each kind of job has a file, [`progress`] tells how far it is.

mod build_cache;
mod origin;
mod progress;
mod runner;
mod shards;
mod tokenize;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use latentd_domain::{BuildCacheSpec, JobId};
use tokio_util::sync::CancellationToken;

pub(crate) use origin::forget as forget_origin;
pub(crate) use runner::run;

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

/// How a job failed to reach its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It was stopped.
    Stopped(Stop),
    /// It cannot be done.
    Failed(Error),
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
}

impl Stopper {
    /// Asks the job to stop.
    pub(crate) fn stop(&self, reason: Stop) {
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Fails if the job was asked to stop.
    pub(crate) fn check(&self) -> Result<(), Halt> {
        self.reason
            .get()
            .map_or(Ok(()), |&reason| Err(Halt::Stopped(reason)))
    }

    /// Completes when the job is asked to stop.
    pub(crate) async fn stopped(&self) -> Stop {
        self.token.cancelled().await;
        // The reason is set before the token is cancelled.
        self.reason.get().copied().unwrap_or(Stop::Draining)
    }
}

/// Jobs that this process works on, for those who stop them or ask what is in use.
#[derive(Default)]
pub(crate) struct RunningJobs(Mutex<BTreeMap<JobId, Running>>);

struct Running {
    stopper: Stopper,
    spec: Option<Arc<BuildCacheSpec>>,
}

impl RunningJobs {
    /// The job whose spec `uses` something, if there is one.
    pub(crate) fn user_of(&self, uses: impl Fn(&BuildCacheSpec) -> bool) -> Option<JobId> {
        let jobs = self.lock();
        let user = jobs
            .iter()
            .find(|(_, job)| job.spec.as_deref().is_some_and(&uses));
        user.map(|(id, _)| id.clone())
    }

    fn begin(&self, id: JobId, stopper: Stopper) {
        self.lock().insert(
            id,
            Running {
                stopper,
                spec: None,
            },
        );
    }

    fn describe(&self, id: &JobId, spec: Arc<BuildCacheSpec>) {
        if let Some(job) = self.lock().get_mut(id) {
            job.spec = Some(spec);
        }
    }

    fn end(&self, id: &JobId) {
        self.lock().remove(id);
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    fn each(&self, visit: impl FnMut(&Stopper)) {
        self.lock().values().map(|job| &job.stopper).for_each(visit);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
