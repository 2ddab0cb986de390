//! What a process writes for its items: answers of providers, and items with their results. Each waits for the commit it is part
//! of; what comes while one commit is under way goes into the next, so a busy process makes few of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use latentd_domain::JobId;
use latentd_store::{exchanges::Answered, interp::Completion, leases::Owner};
use tokio::sync::{mpsc, oneshot};

use super::exchange::Trouble;
use crate::{
    app::{App, Shared},
    jobs::{Halt, Stop, runner::persist},
};

/// Writes that may wait for the next commit; more wait where they are made.
const WAITING: usize = 1024;
/// Writes of one commit.
const BATCH: usize = 256;

type Written<T> = oneshot::Sender<Result<T, Stop>>;

/// The way to the tasks that write; clones share it.
#[derive(Clone)]
pub(super) struct Writer {
    process: Owner,
    answers: mpsc::Sender<(Answered, Written<()>)>,
    items: mpsc::Sender<(Completion, Written<bool>)>,
    reused: Arc<Mutex<BTreeMap<JobId, u64>>>,
}

impl Writer {
    /// Starts the tasks.
    pub(super) fn start(app: &Shared, process: Owner) -> Self {
        let (answers, next_answers) = mpsc::channel(WAITING);
        let (items, next_items) = mpsc::channel(WAITING);
        app.life
            .spawn(write_answers(Arc::clone(app), process, next_answers));
        let writer = Self {
            process,
            answers,
            items,
            reused: Arc::default(),
        };
        let counts = Reused(Arc::clone(&writer.reused));
        app.life
            .spawn(write_items(Arc::clone(app), process, next_items, counts));
        writer
    }

    /// The process that writes.
    pub(super) fn process(&self) -> Owner {
        self.process
    }

    /// Keeps an answer, for good.
    pub(super) async fn answered(&self, answer: Answered) -> Result<(), Trouble> {
        let (written, done) = oneshot::channel();
        // An error means that the server ends.
        let sent = self.answers.send((answer, written)).await;
        let stopped = Trouble::Stopped(Stop::Draining);
        match (sent, done.await) {
            (Ok(()), Ok(Ok(()))) => Ok(()),
            (Ok(()), Ok(Err(stop))) => Err(Trouble::Stopped(stop)),
            _ => Err(stopped),
        }
    }

    /// Ends an item with its results, both or neither. False if the item was given to someone else meanwhile.
    pub(super) async fn completed(&self, item: Completion) -> Result<bool, Stop> {
        let (written, done) = oneshot::channel();
        match (self.items.send((item, written)).await, done.await) {
            (Ok(()), Ok(written)) => written,
            _ => Err(Stop::Draining),
        }
    }

    /// Counts an exchange that was taken from the store.
    pub(super) fn reused(&self, job: &JobId) {
        let mut counts = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(job.clone()).or_default() += 1;
    }
}

/// Exchanges that were taken from the store, by job, since they were last written down.
struct Reused(Arc<Mutex<BTreeMap<JobId, u64>>>);

impl Reused {
    /// Writes the counts. They are for information, so an outage may lose some.
    async fn flush(&self, app: &App, process: Owner) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (job, count) in counts {
            let written = app.store.exchanges().reused(&job, process, count).await;
            if let Err(error) = written {
                tracing::debug!(%error, "reused exchanges were not counted");
            }
        }
    }
}

async fn write_answers(
    app: Shared,
    process: Owner,
    mut next: mpsc::Receiver<(Answered, Written<()>)>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while next.recv_many(&mut batch, BATCH).await > 0 {
        let (answers, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let exchanges = app.store.exchanges();
        let written = persist(&app, || exchanges.answer(&answers, process)).await;
        let outcome = written.map_err(stop);
        for waiting in waiting {
            let _ = waiting.send(outcome);
        }
    }
}

async fn write_items(
    app: Shared,
    process: Owner,
    mut next: mpsc::Receiver<(Completion, Written<bool>)>,
    reused: Reused,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while next.recv_many(&mut batch, BATCH).await > 0 {
        let (items, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        // First, so that they are there when the last item ends the job.
        reused.flush(&app, process).await;
        let interp = app.store.interp();
        match persist(&app, || interp.complete(&items, process)).await {
            Ok(accepted) => {
                for (waiting, accepted) in waiting.into_iter().zip(accepted) {
                    let _ = waiting.send(Ok(accepted));
                }
            }
            Err(halt) => {
                let stop = stop(halt);
                for waiting in waiting {
                    let _ = waiting.send(Err(stop));
                }
            }
        }
    }
}

/// A write that failed for good is a defect: it is logged, and the leases run out.
fn stop(halt: Halt) -> Stop {
    match halt {
        Halt::Stopped(stop) => stop,
        Halt::Failed(error) => {
            tracing::error!(%error, "results cannot be written");
            Stop::LeaseLost
        }
    }
}
