//! The process that has the lease of an auto-interpretation job: it makes the work items, tells how far the job is, and ends it.
//! The work itself is done by the [`super::Workers`] of every process on the database.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use latentd_domain::{JobId, Reason, autointerp::AutointerpSpec};
use latentd_store::{
    interp::{Counts, ItemReason, JobSummary},
    jobs::{JobFailure, Progress},
    leases::Outcome,
};

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
        let mut reasons = Reasons::default();
        loop {
            self.stopper.check()?;
            if looked.elapsed() > LOOK {
                self.somebody_can().await?;
                looked = Instant::now();
            }
            let found = persist(&self.app, || interp.progress(&self.job)).await?;
            self.tracker.set(found.counts.done);
            let over = found.counts.done >= found.counts.total;
            let summary = if over {
                let summary = persist(&self.app, || interp.summary(&self.job)).await?;
                reasons.found.clone_from(&summary.reasons);
                Some(summary)
            } else {
                self.look_up(&mut reasons, found.counts).await?;
                None
            };
            self.tracker.tell(Progress {
                failed: found.counts.failed,
                skipped: found.counts.skipped,
                spent: Some(found.spent),
                reasons: reasons.found.clone(),
                ..Progress::default()
            });
            if let Some(summary) = summary {
                return Ok(outcome(&summary));
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                stop = self.stopper.stopped() => return Err(Halt::Stopped(stop)),
            }
        }
    }

    /// Finds out why items failed or were left out, when there are more of them, now and then.
    async fn look_up(&self, reasons: &mut Reasons, counts: Counts) -> Result<(), Halt> {
        let ended = counts.failed + counts.skipped;
        let fresh = reasons.when.is_some_and(|when| when.elapsed() < LOOK);
        if ended > reasons.ended && !fresh {
            let interp = self.app.store.interp();
            reasons.found = persist(&self.app, || interp.reasons(&self.job, &self.spec)).await?;
            (reasons.ended, reasons.when) = (ended, Some(Instant::now()));
        }
        Ok(())
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

/// How a job whose items are all over ends: as failed, if it has nothing to show for it and something failed.
fn outcome(summary: &JobSummary) -> Outcome {
    for reason in &summary.reasons {
        let (what, items) = (
            if reason.failed { "failed" } else { "left out" },
            reason.items,
        );
        let latents: Vec<String> = reason.latents.iter().map(u32::to_string).collect();
        let (latents, detail) = (latents.join(" "), &reason.detail);
        tracing::warn!(reason = %reason.reason, items, latents, detail, "items {what}");
    }
    let failed = summary.counts.failed;
    if let Some(failure) = nothing_succeeded(summary) {
        return Outcome::Failed(failure);
    }
    if failed > 0 {
        tracing::warn!(
            failed,
            items = summary.counts.total,
            "the job succeeded in part"
        );
    }
    Outcome::Succeeded
}

/// Why items failed or were left out, as it was looked up last.
#[derive(Default)]
struct Reasons {
    found: Vec<ItemReason>,
    /// Items that had failed or were left out then.
    ended: u64,
    when: Option<Instant>,
}

/// Why a job failed that has nothing to show, if something of it failed: one whose latents were all left out has succeeded.
fn nothing_succeeded(summary: &JobSummary) -> Option<JobFailure> {
    let examples: u64 = summary.scorers.iter().map(|scorer| scorer.n_failed).sum();
    let failed = summary.counts.failed;
    if summary.has_results() || failed + examples == 0 {
        return None;
    }
    let of_items = summary.reasons.iter().find(|reason| reason.failed);
    let of_examples = summary.scorers.iter().flat_map(|scorer| &scorer.reasons);
    let worst = of_items
        .map(|item| (item.reason, &item.detail))
        .or_else(|| {
            of_examples
                .map(|example| (example.reason, &example.detail))
                .next()
        });
    let mut message = format!(
        "nothing succeeded: {failed} items and {examples} examples failed, {} items were left out",
        summary.counts.skipped
    );
    let mut metadata = BTreeMap::new();
    if let Some((reason, detail)) = worst {
        let _ = write!(message, "; most often {reason}: {detail}");
        metadata.insert("reason".to_owned(), reason.to_string());
    }
    Some(JobFailure {
        reason: Reason::NothingSucceeded,
        message,
        metadata,
    })
}
