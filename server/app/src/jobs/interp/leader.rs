//! The process that has the lease of an auto-interpretation job: it makes the work items, tells how far the job is, and ends it.
//! The work itself is done by the [`super::Workers`] of every process on the database.

use std::time::{Duration, Instant};

use latentd_domain::{JobId, autointerp::AutointerpSpec};
use latentd_store::{jobs::Progress, leases::Outcome};

use super::subject::Reader;
use crate::{
    app::Shared,
    jobs::{Halt, Stopper, progress::Tracker, runner::persist},
    residency,
};

/// Time between two looks at whether anybody can work on the job.
const LOOK: Duration = Duration::from_secs(10);
/// Time between two looks at the counters.
const INTERVAL: Duration = Duration::from_millis(250);

/// One attempt at leading a job.
pub(in crate::jobs) struct Leader {
    pub(in crate::jobs) app: Shared,
    pub(in crate::jobs) job: JobId,
    pub(in crate::jobs) spec: AutointerpSpec,
    pub(in crate::jobs) stopper: Stopper,
    pub(in crate::jobs) tracker: Tracker,
}

impl Leader {
    /// Sees the job through to its end.
    pub(in crate::jobs) async fn run(self) -> Result<Outcome, Halt> {
        self.somebody_can().await?;
        let mut looked = Instant::now();
        let interp = self.app.store.interp();
        self.tracker.begin("preparing", 0, self.spec.items() as u64);
        persist(&self.app, || interp.insert_items(&self.job, &self.spec)).await?;
        let first = persist(&self.app, || interp.progress(&self.job)).await?;
        self.tracker
            .begin("interpreting", first.counts.done, first.counts.total);
        loop {
            self.stopper.check()?;
            if looked.elapsed() > LOOK {
                self.somebody_can().await?;
                looked = Instant::now();
            }
            let found = persist(&self.app, || interp.progress(&self.job)).await?;
            self.tracker.set(found.counts.done);
            self.tracker.tell(Progress {
                failed: found.counts.failed,
                skipped: found.counts.skipped,
                spent: Some(found.spent),
                ..Progress::default()
            });
            if found.counts.done >= found.counts.total {
                return Ok(Outcome::Succeeded);
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                stop = self.stopper.stopped() => return Err(Halt::Stopped(stop)),
            }
        }
    }

    /// Fails if nobody can work on the job: this process lacks the SAE or the cache, and there is no other. A leader that lacks
    /// them leads all the same.
    async fn somebody_can(&self) -> Result<(), Halt> {
        let saes = std::slice::from_ref(&self.spec.sae);
        let can = match residency::ensure(&self.app, saes).await {
            Ok(()) => Reader::open(&self.app, &self.spec).await.map(drop),
            Err(error) => Err(error),
        };
        let Err(error) = can else { return Ok(()) };
        let processes = self.app.store.processes();
        if persist(&self.app, || processes.alive()).await? > 1 {
            return Ok(());
        }
        Err(error.into())
    }
}
