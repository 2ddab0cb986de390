//! What a process writes for its items: answers of providers, and items with their results. Each waits for the commit it is part
//! of; what comes while one commit is under way goes into the next, so a busy process makes few of them.
//!
//! A database that is away or full is waited for, with everything in hand. Where it refuses a batch for good, the batch is split
//! until what it refuses stands alone: that item fails, and no other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use latentd_autointerp::Failure;
use latentd_domain::JobId;
use latentd_store::{
    exchanges::Answered,
    interp::{Completion, Outcome, Shown},
    leases::Owner,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    exchange::Trouble,
    under_way::{Calls, UnderWay},
};
use crate::{
    app::{App, Shared},
    grpc::error::Error,
    jobs::{Halt, Stop, runner::persist},
};

/// Items that may wait for the next commit; more wait where they are made.
const WAITING: usize = 1024;
/// Answers in hand, from which on no further call is made until some are stored.
const IN_HAND: usize = 1024;
/// Writes of one commit.
const BATCH: usize = 256;

type Written<T> = oneshot::Sender<Result<T, Trouble>>;

/// The way to the tasks that write; clones share it.
#[derive(Clone)]
pub(super) struct Writer {
    process: Owner,
    answers: mpsc::UnboundedSender<(Answered, InHand)>,
    items: mpsc::Sender<(Completion, Written<bool>)>,
    calls: Calls,
    room: Arc<Semaphore>,
    notes: Arc<Mutex<Notes>>,
}

/// What is written with the next items: that answers were taken from the store, and latents that had fewer examples than was asked
/// for.
#[derive(Default)]
struct Notes {
    reused: BTreeMap<JobId, u64>,
    reduced: BTreeMap<(JobId, u32), Shown>,
}

/// An answer that is not stored yet: the call that it settles, and who waits for it.
struct InHand {
    under_way: UnderWay,
    written: Written<()>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Writer {
    /// Starts the tasks.
    pub(super) fn start(app: &Shared, process: Owner) -> Self {
        let (answers, next_answers) = mpsc::unbounded_channel();
        let (items, next_items) = mpsc::channel(WAITING);
        app.life
            .spawn(write_answers(Arc::clone(app), process, next_answers));
        let writer = Self {
            process,
            answers,
            items,
            calls: Calls::default(),
            room: Arc::new(Semaphore::new(IN_HAND)),
            notes: Arc::default(),
        };
        let notes = Arc::clone(&writer.notes);
        app.life
            .spawn(write_items(Arc::clone(app), process, next_items, notes));
        writer
    }

    /// The process that writes.
    pub(super) fn process(&self) -> Owner {
        self.process
    }

    /// Takes a call for one item; `None` while another item of this process has it.
    pub(super) fn take(&self, app: &Shared, hash: &str) -> Option<UnderWay> {
        self.calls.take(app, self.process, hash)
    }

    /// Returns once few enough answers wait to be stored: nothing is asked for that may be lost in hand.
    pub(super) async fn room(&self) {
        // It is never closed.
        drop(self.room.acquire().await);
    }

    /// Keeps an answer, for good, and with it settles its call. The answer is handed over at once: it is also stored if nobody
    /// waits for it any more.
    pub(super) async fn answered(
        &self,
        answer: Answered,
        under_way: UnderWay,
    ) -> Result<(), Trouble> {
        let (written, done) = oneshot::channel();
        let in_hand = InHand {
            under_way,
            written,
            _room: Arc::clone(&self.room).try_acquire_owned().ok(),
        };
        // An error means that the server ends.
        let sent = self.answers.send((answer, in_hand)).is_ok();
        match done.await {
            Ok(written) if sent => written,
            _ => Err(Trouble::Stopped(Stop::Draining)),
        }
    }

    /// Ends an item with its results, both or neither. False if the item was given to someone else meanwhile.
    pub(super) async fn completed(&self, item: Completion) -> Result<bool, Trouble> {
        let (written, done) = oneshot::channel();
        match (self.items.send((item, written)).await, done.await) {
            (Ok(()), Ok(written)) => written,
            _ => Err(Trouble::Stopped(Stop::Draining)),
        }
    }

    /// Counts an exchange that was taken from the store.
    pub(super) fn reused(&self, job: &JobId) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        *notes.reused.entry(job.clone()).or_default() += 1;
    }

    /// Notes that a latent was shown with fewer examples than was asked for.
    pub(super) fn reduced(&self, job: &JobId, latent: u32, shown: Shown) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.reduced.insert((job.clone(), latent), shown);
    }
}

/// Writes the notes. Counts of reused answers are for information, so an outage may lose some; the others are kept for the next time.
async fn flush(app: &App, process: Owner, notes: &Mutex<Notes>) {
    let Notes { reused, reduced } =
        std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
    for (job, count) in reused {
        let written = app.store.exchanges().reused(&job, process, count).await;
        if let Err(error) = written {
            tracing::debug!(%error, "reused exchanges were not counted");
        }
    }
    let reduced: Vec<_> = reduced.into_iter().collect();
    if let Err(error) = app.store.interp().note_reduced(&reduced).await {
        tracing::debug!(%error, "latents with fewer examples were not noted yet");
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.reduced.extend(reduced);
    }
}

async fn write_answers(
    app: Shared,
    process: Owner,
    mut next: mpsc::UnboundedReceiver<(Answered, InHand)>,
) {
    let exchanges = app.store.exchanges();
    let mut batch = Vec::with_capacity(BATCH);
    while next.recv_many(&mut batch, BATCH).await > 0 {
        let mut parts = vec![std::mem::take(&mut batch)];
        while let Some(part) = parts.pop() {
            let (answers, waiting): (Vec<_>, Vec<_>) = part.into_iter().unzip();
            match persist(&app, || exchanges.answer(&answers, process)).await {
                Ok(()) => {
                    for in_hand in waiting {
                        in_hand.under_way.settle();
                        let _ = in_hand.written.send(Ok(()));
                    }
                }
                Err(Halt::Stopped(stop)) => {
                    for in_hand in waiting {
                        let _ = in_hand.written.send(Err(Trouble::Stopped(stop)));
                    }
                }
                Err(Halt::Failed(_)) if answers.len() > 1 => {
                    parts.extend(halves(answers.into_iter().zip(waiting).collect()));
                }
                Err(Halt::Failed(error)) => {
                    for (answer, in_hand) in answers.into_iter().zip(waiting) {
                        lose(&app, process, &answer, in_hand, &error).await;
                    }
                }
            }
        }
    }
}

/// Settles a call whose answer the database will not take: it has failed.
async fn lose(app: &App, process: Owner, answer: &Answered, in_hand: InHand, error: &Error) {
    tracing::error!(job = %answer.job, %error, "an answer cannot be stored");
    let detail = format!("the answer could not be stored: {error}");
    let why = (error.reason(), detail.as_str());
    let exchanges = app.store.exchanges();
    let failed = persist(app, || {
        exchanges.fail(&answer.hash, &answer.job, process, why)
    });
    if failed.await.is_ok() {
        in_hand.under_way.settle();
    }
    let failure = Failure::new(error.reason(), detail);
    let _ = in_hand.written.send(Err(Trouble::Failed(failure)));
}

async fn write_items(
    app: Shared,
    process: Owner,
    mut next: mpsc::Receiver<(Completion, Written<bool>)>,
    notes: Arc<Mutex<Notes>>,
) {
    let interp = app.store.interp();
    let mut batch = Vec::with_capacity(BATCH);
    while next.recv_many(&mut batch, BATCH).await > 0 {
        // First, so that they are there when the last item ends the job.
        flush(&app, process, &notes).await;
        let mut parts = vec![std::mem::take(&mut batch)];
        while let Some(part) = parts.pop() {
            let (items, waiting): (Vec<_>, Vec<_>) = part.into_iter().unzip();
            match persist(&app, || interp.complete(&items, process)).await {
                Ok(accepted) => {
                    for (written, accepted) in waiting.into_iter().zip(accepted) {
                        let _ = written.send(Ok(accepted));
                    }
                }
                Err(Halt::Stopped(stop)) => {
                    for written in waiting {
                        let _ = written.send(Err(Trouble::Stopped(stop)));
                    }
                }
                Err(Halt::Failed(_)) if items.len() > 1 => {
                    parts.extend(halves(items.into_iter().zip(waiting).collect()));
                }
                Err(Halt::Failed(error)) => {
                    for (item, written) in items.into_iter().zip(waiting) {
                        let _ = written.send(fail(&app, process, item, &error).await);
                    }
                }
            }
        }
    }
}

/// Ends an item whose results the database will not take: it has failed.
async fn fail(app: &App, process: Owner, item: Completion, error: &Error) -> Result<bool, Trouble> {
    tracing::error!(job = %item.item.job, ord = item.item.ord, %error, "results cannot be stored");
    let failed = Completion {
        outcome: Outcome::Failed {
            reason: error.reason(),
            detail: format!("the results could not be stored: {error}"),
        },
        ..item
    };
    let failed = [failed];
    let interp = app.store.interp();
    let accepted = persist(app, || interp.complete(&failed, process)).await?;
    Ok(accepted.first().copied().unwrap_or_default())
}

/// The two halves of a batch that was refused, the later one first: they are taken from the end.
fn halves<T>(mut batch: Vec<T>) -> [Vec<T>; 2] {
    let rest = batch.split_off(batch.len() / 2);
    [rest, batch]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_batch_is_split_down_to_what_is_refused() {
        let refused = 37;
        let (mut alone, mut stored) = (Vec::new(), Vec::new());
        let mut parts = vec![(0..100).collect::<Vec<_>>()];
        while let Some(part) = parts.pop() {
            if !part.contains(&refused) {
                stored.extend(part);
            } else if part.len() > 1 {
                parts.extend(halves(part));
            } else {
                alone.extend(part);
            }
        }
        assert_eq!(alone, [refused]);
        assert_eq!(stored.len(), 99);
        assert!(stored.is_sorted(), "in their order");
    }
}
