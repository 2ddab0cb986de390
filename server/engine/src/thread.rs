//! The device thread: takes a batch, computes it, answers; nothing else touches a tensor.

use std::{cell::Cell, mem, rc::Rc, sync::Arc, thread, time::Instant};

use latentd_domain::DeviceKind;
use latentd_nn::pause;

use crate::{
    Error, Lane,
    batch::{EncodeBatch, Member},
    contain::contain,
    cost::millis,
    engine::Shared,
    generate::{Running, Turns},
    queue::{Batch, Beside, End},
    work::{Decode, Dense, Latent, Request, SelfTest, Work},
};

/// Name of the thread.
pub(crate) const NAME: &str = "latentd-device";

/// What was interrupted goes on for at least this part of the time that light works took, before others interrupt it.
const LONG_SHARE: u32 = 3;

/// Works through the queue until it is closed and empty. Blocks; the calling thread is the device thread.
pub(crate) fn serve(shared: &Arc<Shared>) {
    let _last = Last(shared);
    let mut running = Running::new(shared.past_bytes);
    let mut turns = Turns::default();
    loop {
        let lane = running.lane();
        let beside = Beside {
            busy: lane.is_some(),
            bulk: turns.bulk_may_run(lane),
            room: running.room(),
        };
        let Some(batch) = shared.queue.next(beside) else {
            break;
        };
        let lane = batch.lane;
        take(shared, batch, (&mut running, &mut turns));
        running.drop_late(Instant::now());
        if running
            .lane()
            .is_some_and(|of_running| turns.may_step(of_running, lane))
        {
            let started = Instant::now();
            shared
                .compute
                .on_device(&mut || with_pauses(shared, || running.step(&shared.health)));
            turns.step(started.elapsed());
        }
    }
    let end = shared.queue.end().unwrap_or(End::ShutDown);
    running.refuse(|| end.error());
}

/// Computes a batch and lets sequences in.
fn take(shared: &Arc<Shared>, batch: Batch, (running, turns): (&mut Running, &mut Turns)) {
    for work in batch.expired {
        tracing::debug!(parent: &work.span, waited_ms = millis(work.waited(Instant::now())), "expired in the queue");
        work.request.refuse(Error::DeadlineExceeded);
    }
    let mut works = Vec::with_capacity(batch.works.len());
    for work in batch.works {
        works.extend(running.admit(work));
    }
    running.forget_unloaded(&shared.residency.snapshot());
    if let (Some(lane), false) = (batch.lane, works.is_empty()) {
        let started = Instant::now();
        let tokens = works.iter().map(Work::tokens).sum();
        let encodes = works
            .iter()
            .all(|work| matches!(work.request, Request::Encode(_)));
        let light = lane == Lane::Interactive && tokens <= shared.queue.light_tokens();
        shared.compute.on_device(&mut || {
            let works = mem::take(&mut works);
            if light {
                compute(shared, works);
            } else {
                with_pauses(shared, || compute(shared, works));
            }
        });
        turns.batch(lane, started.elapsed());
        if light && encodes {
            shared.queue.took(tokens, started.elapsed());
        }
    }
}

/// Does long work; at its pauses light works go first. On a GPU there are none: its batches are short, and it is told what to
/// do long before it does it.
fn with_pauses(shared: &Arc<Shared>, work: impl FnOnce()) {
    if shared.info.kind == DeviceKind::Gpu {
        return work();
    }
    let at_pauses = Arc::clone(shared);
    let not_before = Cell::new(Instant::now());
    let pause = move || {
        let started = Instant::now();
        if started < not_before.get() {
            return;
        }
        let works = at_pauses.queue.take_light();
        if works.is_empty() {
            return;
        }
        let tokens = works.iter().map(Work::tokens).sum();
        compute(&at_pauses, works);
        let took = started.elapsed();
        at_pauses.queue.took(tokens, took);
        not_before.set(Instant::now() + took / LONG_SHARE);
    };
    pause::within(Rc::new(pause), work);
}

/// Tells callers why there are no more answers, however the thread ends.
struct Last<'a>(&'a Shared);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        let (end, detail) = if thread::panicking() {
            (End::Failed, "the device thread panicked")
        } else {
            (End::ShutDown, "shut down")
        };
        self.0.queue.close_and_refuse(end);
        self.0.health.stopped(detail);
    }
}

/// Computes one batch of the planner's: encodes that share a pass, or one other request.
fn compute(shared: &Shared, works: Vec<Work>) {
    let mut members = Vec::with_capacity(works.len());
    for work in works {
        match Member::try_from(work) {
            Ok(member) => members.push(member),
            Err(work) => answer(shared, work),
        }
    }
    EncodeBatch::new(members, &shared.health).run(shared.pass_tokens);
}

/// Answers a request that shares with nothing. A caller that has left meanwhile is no one's concern.
fn answer(shared: &Shared, work: Work) {
    let _entered = work.span.enter();
    match work.request {
        Request::Decode(Decode {
            sae,
            activations,
            scale,
            reply,
        }) => {
            let computed = contain(|| {
                let values = sae.resident.decode(&activations, scale)?;
                Ok(Dense {
                    rows: activations.rows(),
                    width: sae.info.d_in,
                    values,
                })
            });
            drop(reply.send(shared.health.observe(computed)));
        }
        Request::Latent(Latent {
            sae,
            index,
            lists,
            reply,
        }) => {
            let computed = contain(|| Ok(sae.resident.latent(index, lists)?));
            drop(reply.send(shared.health.observe(computed)));
        }
        Request::SelfTest(SelfTest { mut sae, reply }) => {
            let computed = contain(move || {
                sae.self_test()?;
                Ok(sae)
            });
            drop(reply.send(shared.health.observe(computed)));
        }
        Request::Embed(embed) => embed.answer(work.queued_at, &shared.health),
        Request::Encode(_) | Request::Continue(_) => {}
    }
}
