//! Claims work items of every running job and works on them, many at once: most of them wait for a provider.
//!
//! A process that drains finishes the calls that are under way, since they are paid for, and gives back what it did not finish.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt;
use latentd_autointerp::{
    Failure,
    provider::{Again, limit::Share},
};
use latentd_domain::{JobId, Reason};
use latentd_store::{
    interp::{Completion, Outcome},
    leases::Owner,
    processes::Alive,
    work_items::WorkItem,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use super::{
    exchange::Trouble,
    held::{Held, Holding},
    item,
    work::Work,
    writer::Writer,
};
use crate::{
    app::Shared,
    grpc::error::Error,
    jobs::{Stop, runner::persist},
};

/// How long a process gives no sign of life before it counts as dead. What a killed process had goes on this much later.
const LEASE: Duration = Duration::from_secs(15);
/// Time between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Pause after the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Items that are claimed at once.
const CLAIM: usize = 128;
/// Longest time that items that may have killed servers wait while others are at work.
const SUSPECTS_WAIT: Duration = Duration::from_mins(1);
/// How long an item waits when the server itself or its database is the trouble.
const OWN_TROUBLE: Duration = Duration::from_secs(5);
/// How long a job is let alone that this process lacks something for.
const UNABLE: Duration = Duration::from_secs(30);
/// Longest time that an item waits in the queue after trouble.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// The part of a process that works on items.
#[derive(Clone)]
pub(crate) struct Workers {
    app: Shared,
    owner: Owner,
    writer: Writer,
    jobs: Arc<Mutex<HashMap<JobId, Arc<Work>>>>,
    /// Jobs that this process lacks something for, and when it found out.
    unable: Arc<Mutex<HashMap<JobId, Instant>>>,
    room: Arc<Semaphore>,
    /// Items that are at work.
    held: Held,
    /// Held while items are claimed, so that none is given back that is just arriving; and since when suspects had no turn.
    claiming: Arc<tokio::sync::Mutex<Instant>>,
    /// An item ended: others may wait for it, or for its room.
    ended: Arc<Notify>,
}

impl Workers {
    /// Works until the server drains, and then ends what is under way.
    pub(crate) async fn run(app: Shared) {
        let owner = Owner::new();
        let workers = Self {
            writer: Writer::start(&app, owner),
            owner,
            jobs: Arc::default(),
            unable: Arc::default(),
            room: Arc::new(Semaphore::new(app.config.interp.max_items)),
            held: Held::default(),
            claiming: Arc::new(tokio::sync::Mutex::new(Instant::now())),
            ended: Arc::default(),
            app,
        };
        let life = workers.app.life.clone();
        tokio::select! {
            () = life.draining() => {}
            () = workers.claim_forever() => {}
            () = workers.beat_forever() => {}
        }
        workers.drain().await;
    }

    async fn claim_forever(&self) {
        let mut signals = self.app.store.signals();
        // Nothing is claimed before the first sign of life: exchanges belong to processes that are alive.
        while self.beat().await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            let ended = self.ended.notified();
            match self.claim().await {
                Ok(0) => {
                    tokio::select! {
                        () = signals.any() => {}
                        () = ended => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "work items cannot be claimed for now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Claims as many items as there is room for. Returns how many.
    async fn claim(&self) -> Result<usize, latentd_store::Error> {
        let mut last_turn = self.claiming.lock().await;
        let most = self.room.available_permits().min(CLAIM);
        if most == 0 || self.held.has_suspects() {
            return Ok(0);
        }
        let interp = self.app.store.interp();
        let unable = self.unable();
        let overdue = last_turn.elapsed() > SUSPECTS_WAIT && interp.suspects_wait(&unable).await?;
        if !overdue {
            let items = interp
                .claim_except(self.owner, most as u32, &unable)
                .await?;
            if !items.is_empty() {
                return Ok(self.begin(items, false).await);
            }
        }
        // Items that may have killed servers, with nothing else at work: should the server die again, they are known.
        if !self.held.is_empty() {
            return Ok(0);
        }
        *last_turn = Instant::now();
        let items = interp.claim_suspects(self.owner, &unable).await?;
        if !items.is_empty() {
            let (count, first) = (items.len(), items.first().map(|item| item.ord));
            tracing::warn!(
                items = count,
                first,
                "servers died while they worked on these items: nothing else is at work"
            );
        }
        Ok(self.begin(items, true).await)
    }

    /// Begins to work on items that were claimed. Returns how many.
    async fn begin(&self, items: Vec<WorkItem>, suspects: bool) -> usize {
        let count = items.len();
        let hold = |item: &WorkItem| self.held.hold(item.clone(), suspects);
        let held: Vec<Holding> = items.iter().map(hold).collect();
        for (item, holding) in items.into_iter().zip(held) {
            // Only this task takes permits, so there is one for each item.
            let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
                self.give_back(&item).await;
                continue;
            };
            let this = self.clone();
            let span = tracing::info_span!("item", job = %item.job, ord = item.ord);
            self.app.life.spawn(
                async move {
                    this.work(item, permit, holding).await;
                }
                .instrument(span),
            );
        }
        count
    }

    async fn work(&self, claimed: WorkItem, permit: OwnedSemaphorePermit, holding: Holding) {
        if let Err(trouble) = survive(self.see_through(&claimed)).await {
            self.put_back(&claimed, trouble).await;
        }
        drop((holding, permit));
        self.ended.notify_one();
    }

    /// Works on an item and stores what came of it.
    async fn see_through(&self, claimed: &WorkItem) -> Result<(), Trouble> {
        let work = self.job(&claimed.job).await?;
        let (latent, stage) = work
            .spec
            .item(claimed.ord)
            .ok_or_else(|| Error::internal(format!("the job has no item {}", claimed.ord)))?;
        let outcome = tokio::select! {
            outcome = item::run(&work, latent, stage) => outcome?,
            stop = work.stopper.stopped() => return Err(Trouble::Stopped(stop)),
        };
        let completion = Completion {
            item: claimed.clone(),
            outcome,
        };
        if self.writer.completed(completion).await? {
            Ok(())
        } else {
            Err(Trouble::Stopped(Stop::LeaseLost))
        }
    }

    /// What becomes of an item that could not be done now.
    async fn put_back(&self, claimed: &WorkItem, trouble: Trouble) {
        match trouble {
            // Whoever has it now goes on with it.
            Trouble::Stopped(Stop::LeaseLost | Stop::Cancelled) => {}
            Trouble::Unable => {
                self.let_alone(&claimed.job);
                self.give_back(claimed).await;
            }
            Trouble::Stopped(Stop::Draining) | Trouble::Paused => self.give_back(claimed).await,
            Trouble::Elsewhere => {
                // Not at once again: others have the turn now.
                tokio::time::sleep(HEARTBEAT).await;
                self.give_back(claimed).await;
            }
            Trouble::Failed(failure) => self.end(claimed, item::failed(failure)).await,
            Trouble::Later(error) if is_own(error.reason) => {
                tracing::debug!(reason = %error.reason, detail = error.detail, "an item waits for the server");
                tokio::select! {
                    () = tokio::time::sleep(OWN_TROUBLE) => {}
                    () = self.app.life.draining() => {}
                }
                self.give_back(claimed).await;
            }
            Trouble::Later(error) => {
                let after = wait(claimed.attempt, error.again);
                tracing::debug!(reason = %error.reason, detail = error.detail, after_seconds = after.as_secs_f64(), "an item waits");
                let outcome = Outcome::Again {
                    after,
                    reason: error.reason,
                    detail: error.detail,
                };
                self.end(claimed, outcome).await;
            }
        }
    }

    /// Lets others have an item; if that fails its lease runs out.
    async fn give_back(&self, claimed: &WorkItem) {
        let items = [claimed.clone()];
        let interp = self.app.store.interp();
        if let Err(halt) = persist(&self.app, || interp.give_back(&items, self.owner)).await {
            tracing::debug!(%halt, "an item was not given back");
        }
    }

    /// Records what became of an item that gave no result. If that fails its lease runs out.
    async fn end(&self, claimed: &WorkItem, outcome: Outcome) {
        let completion = Completion {
            item: claimed.clone(),
            outcome,
        };
        let _ = self.writer.completed(completion).await;
    }

    /// The job of an item, opened if it is not.
    async fn job(&self, id: &JobId) -> Result<Arc<Work>, Trouble> {
        if let Some(work) = self.known(id) {
            return Ok(work);
        }
        let jobs = self.app.store.jobs();
        let job = persist(&self.app, || jobs.get(id)).await?;
        let spec = serde_json::from_value(job.spec)
            .map_err(|error| Error::internal(format!("the spec cannot be read: {error}")))?;
        let work = Work::open(&self.app, id.clone(), spec, self.writer.clone())
            .await
            .map_err(|error| {
                tracing::warn!(job = %id, %error, "this server cannot work on the job; others may");
                Trouble::Unable
            })?;
        let mut known = self.lock();
        // Another item may have opened it meanwhile.
        Ok(Arc::clone(
            known.entry(id.clone()).or_insert_with(|| Arc::new(work)),
        ))
    }

    /// Claims no items of a job for a while: this process lacks something for it. Others have it, or the job's leader ends it.
    fn let_alone(&self, id: &JobId) {
        let mut unable = self.unable.lock().unwrap_or_else(PoisonError::into_inner);
        unable.insert(id.clone(), Instant::now());
    }

    /// The jobs that are let alone.
    fn unable(&self) -> Vec<JobId> {
        let mut unable = self.unable.lock().unwrap_or_else(PoisonError::into_inner);
        unable.retain(|_, found| found.elapsed() < UNABLE);
        unable.keys().cloned().collect()
    }

    fn known(&self, id: &JobId) -> Option<Arc<Work>> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<Work>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn beat_forever(&self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            if let Err(error) = self.beat().await {
                // Leases may outlast the outage; if they do not, the commit of an item says so.
                tracing::debug!(%error, "no sign of life could be given");
            }
        }
    }

    /// Gives a sign of life, and takes note of what others did: how many share the limits, what jobs spent, which were stopped.
    async fn beat(&self) -> Result<(), latentd_store::Error> {
        let alive = self.stay_alive().await?;
        self.app.providers.set_share(Share {
            index: Some(alive.rank),
            of: alive.count,
        });
        if self.lock().is_empty() {
            return Ok(());
        }
        let interp = self.app.store.interp();
        let running = interp.running().await?;
        let known: Vec<(JobId, Arc<Work>)> = self
            .lock()
            .iter()
            .map(|(id, work)| (id.clone(), Arc::clone(work)))
            .collect();
        for (id, work) in known {
            match running.iter().find(|running| running.job == id) {
                Some(running) => {
                    let mark = work.ledger.mark();
                    let spent = interp.progress(&id).await?.spent;
                    work.ledger.refresh(mark, running.budget, spent);
                }
                None => self.ended_elsewhere(&id, &work).await?,
            }
        }
        Ok(())
    }

    /// Renews the sign of life, and gives back what the database takes for this process's work and nobody works on.
    async fn stay_alive(&self) -> Result<Alive, latentd_store::Error> {
        let alive = self.app.store.processes().heartbeat(self.owner, LEASE);
        let alive = alive.await?;
        // Not while a claim is on its way: its items are not held yet. The next time will do.
        if let Ok(_claiming) = self.claiming.try_lock() {
            let held = self.held.items();
            self.app.store.interp().keep(&held, self.owner).await?;
        }
        Ok(alive)
    }

    /// Lets go of a job that runs no more. Items of one that is paused are finished; those of one that ended are dropped.
    async fn ended_elsewhere(&self, id: &JobId, work: &Work) -> Result<(), latentd_store::Error> {
        let job = self.app.store.jobs().get(id).await?;
        if job.state.has_ended() || job.cancel_requested {
            work.stopper.stop(Stop::Cancelled);
        }
        self.lock().remove(id);
        Ok(())
    }

    /// Waits for what is under way, and says that this process is no more.
    async fn drain(&self) {
        self.app.providers.close();
        let all = self.app.config.interp.max_items as u32;
        let mut beat = tokio::time::interval(HEARTBEAT);
        let last = self.room.acquire_many(all);
        tokio::pin!(last);
        loop {
            tokio::select! {
                _ = &mut last => break,
                _ = beat.tick() => {
                    let _ = self.stay_alive().await;
                }
            }
        }
        let _ = self.app.store.leases().release(self.owner).await;
        if let Err(error) = self.app.store.processes().leave(self.owner).await {
            tracing::debug!(%error, "the process is taken for alive a while longer");
        }
    }
}

/// Works on an item. If that panics the item has failed: it would panic again.
async fn survive(work: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("nothing was said");
            tracing::error!(panic = said, "the work on an item panicked");
            let detail = "the work on it panicked; the server's log says more";
            Err(Trouble::Failed(Failure::new(Reason::Internal, detail)))
        })
}

/// Whether the trouble is the server's or its database's: it says nothing about the item, so the attempt does not count.
fn is_own(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DatabaseUnavailable | Reason::DiskFull | Reason::QueueFull | Reason::ShuttingDown
    )
}

/// How long an item waits before its next attempt: twice as long each time, or as long as was asked for.
fn wait(attempt: u32, again: Again) -> Duration {
    let grown = Duration::from_secs(1) * 2u32.saturating_pow(attempt.min(16));
    let asked = match again {
        Again::After(asked) => asked,
        Again::Soon | Again::Never => Duration::ZERO,
    };
    let jitter = Duration::from_millis(fastrand::u64(0..1000));
    grown.min(LONGEST_WAIT).max(asked) + jitter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_item_whose_work_panics_has_failed_and_is_let_go() {
        let held = Held::default();
        let room = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&room).try_acquire_owned().unwrap();
        let trouble = survive(async move {
            let _permit = permit;
            panic!("on purpose")
        });
        let Err(Trouble::Failed(failure)) = trouble.await else {
            panic!("it has not failed")
        };
        assert_eq!(failure.reason, Reason::Internal);
        assert_eq!(room.available_permits(), 1);
        assert_eq!(held.items(), []);
    }

    #[test]
    fn waits_grow_to_a_limit_and_honour_what_was_asked() {
        let second = Duration::from_secs(1);
        let first = wait(1, Again::Soon);
        assert!((2 * second..3 * second).contains(&first), "{first:?}");
        let late = wait(30, Again::Soon);
        assert!((LONGEST_WAIT..LONGEST_WAIT + second).contains(&late));
        assert!(wait(1, Again::After(40 * second)) >= 40 * second);
    }
}
