//! What a process writes for its items: answers of providers, and items with their results. Each waits for the commit it is part
//! of; what comes while one commit is under way goes into the next, so a busy process makes few of them.
//!
//! A database that is away or full is waited for, with everything in hand. Where it refuses a batch for good, the batch is split
//! until what it refuses stands alone: that item fails, and no other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use latentd_autointerp::{Failure, provider::limit::Slot};
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
    /// Its provider's: nothing is asked in its place before it is stored.
    _slot: Option<Slot>,
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
        slot: Option<Slot>,
    ) -> Result<(), Trouble> {
        let (written, done) = oneshot::channel();
        let in_hand = InHand {
            under_way,
            written,
            _room: Arc::clone(&self.room).try_acquire_owned().ok(),
            _slot: slot,
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

/// What a kind of writes does with a batch.
trait Sink {
    /// One write, and who waits for it.
    type Write: Send;

    /// Stores a batch and tells who waits. Gives it back if it is refused for good.
    fn store(
        &self,
        batch: Vec<Self::Write>,
    ) -> impl Future<Output = Result<(), Refused<Self::Write>>> + Send;

    /// Settles a write that is refused by itself.
    fn fail(&self, write: Self::Write, error: Error) -> impl Future<Output = ()> + Send;
}

/// A batch that the database will not take.
struct Refused<T> {
    batch: Vec<T>,
    error: Error,
}

/// Stores a batch, in parts where it is refused: what is refused in the end stands alone.
async fn store_in_parts<S: Sink>(sink: &S, batch: Vec<S::Write>) {
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        let Err(Refused { mut batch, error }) = sink.store(part).await else {
            continue;
        };
        if batch.len() > 1 {
            // The later half first: parts are taken from the end.
            let rest = batch.split_off(batch.len() / 2);
            parts.extend([rest, batch]);
        } else if let Some(write) = batch.pop() {
            sink.fail(write, error).await;
        }
    }
}

async fn write_answers(
    app: Shared,
    process: Owner,
    mut next: mpsc::UnboundedReceiver<(Answered, InHand)>,
) {
    let sink = Answers { app, process };
    let mut batch = Vec::with_capacity(BATCH);
    while next.recv_many(&mut batch, BATCH).await > 0 {
        store_in_parts(&sink, std::mem::take(&mut batch)).await;
    }
}

struct Answers {
    app: Shared,
    process: Owner,
}

impl Sink for Answers {
    type Write = (Answered, InHand);

    async fn store(&self, batch: Vec<Self::Write>) -> Result<(), Refused<Self::Write>> {
        let (answers, waiting): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let exchanges = self.app.store.exchanges();
        match persist(&self.app, || exchanges.answer(&answers, self.process)).await {
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
            Err(Halt::Failed(error)) => {
                let batch = answers.into_iter().zip(waiting).collect();
                return Err(Refused { batch, error });
            }
        }
        Ok(())
    }

    /// Settles a call whose answer the database will not take: it has failed.
    async fn fail(&self, (answer, in_hand): Self::Write, error: Error) {
        tracing::error!(job = %answer.job, %error, "an answer cannot be stored");
        let detail = format!("the answer could not be stored: {error}");
        let why = (error.reason(), detail.as_str());
        let exchanges = self.app.store.exchanges();
        let failed = persist(&self.app, || {
            exchanges.fail(&answer.hash, &answer.job, self.process, why)
        });
        if failed.await.is_ok() {
            in_hand.under_way.settle();
        }
        let failure = Failure::new(error.reason(), detail);
        let _ = in_hand.written.send(Err(Trouble::Failed(failure)));
    }
}

async fn write_items(
    app: Shared,
    process: Owner,
    mut next: mpsc::Receiver<(Completion, Written<bool>)>,
    notes: Arc<Mutex<Notes>>,
) {
    let sink = Items { app, process };
    let mut batch = Vec::with_capacity(BATCH);
    while next.recv_many(&mut batch, BATCH).await > 0 {
        // First, so that they are there when the last item ends the job.
        flush(&sink.app, process, &notes).await;
        store_in_parts(&sink, std::mem::take(&mut batch)).await;
    }
}

struct Items {
    app: Shared,
    process: Owner,
}

impl Sink for Items {
    type Write = (Completion, Written<bool>);

    async fn store(&self, batch: Vec<Self::Write>) -> Result<(), Refused<Self::Write>> {
        let (items, waiting): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let interp = self.app.store.interp();
        match persist(&self.app, || interp.complete(&items, self.process)).await {
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
            Err(Halt::Failed(error)) => {
                let batch = items.into_iter().zip(waiting).collect();
                return Err(Refused { batch, error });
            }
        }
        Ok(())
    }

    /// Ends an item whose results the database will not take: it has failed.
    async fn fail(&self, (item, written): Self::Write, error: Error) {
        tracing::error!(job = %item.item.job, ord = item.item.ord, %error, "results cannot be stored");
        let failed = [Completion {
            outcome: Outcome::Failed {
                reason: error.reason(),
                detail: format!("the results could not be stored: {error}"),
            },
            ..item
        }];
        let interp = self.app.store.interp();
        let accepted = persist(&self.app, || interp.complete(&failed, self.process)).await;
        let accepted = accepted.map(|accepted| accepted.first().copied().unwrap_or_default());
        let _ = written.send(accepted.map_err(Trouble::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes every batch that does not hold one number.
    struct Picky {
        refused: u32,
        stored: Mutex<Vec<u32>>,
        failed: Mutex<Vec<u32>>,
    }

    impl Sink for Picky {
        type Write = u32;

        async fn store(&self, batch: Vec<u32>) -> Result<(), Refused<u32>> {
            if batch.contains(&self.refused) {
                let error = Error::internal("refused");
                return Err(Refused { batch, error });
            }
            self.stored.lock().unwrap().extend(batch);
            Ok(())
        }

        async fn fail(&self, write: u32, _: Error) {
            self.failed.lock().unwrap().push(write);
        }
    }

    #[tokio::test]
    async fn a_refused_batch_is_split_down_to_what_is_refused() {
        let sink = Picky {
            refused: 37,
            stored: Mutex::default(),
            failed: Mutex::default(),
        };
        store_in_parts(&sink, (0..100).collect()).await;
        assert_eq!(sink.failed.into_inner().unwrap(), [37]);
        let stored = sink.stored.into_inner().unwrap();
        assert_eq!(stored.len(), 99);
        assert!(stored.is_sorted(), "in their order");
    }
}
