//! A step: what every sequence of one model needs next, in one pass.
//!
//! Where the device runs out of memory the pass is halved, and where it fails each work goes alone, as a batch of encodes does.
//! A pass that failed has changed no sequence, so that it can be tried again.

use std::{mem, time::Instant};

use latentd_domain::{HasReason, Reason};
use latentd_nn::{
    Extension, Past,
    logits::Answer,
    past::{Answers, common_front},
};

use super::{
    pool::WORTH,
    running::{Active, Running},
    task::Piece,
};
use crate::{Error, Lane, contain::contain, health::Reporter};

/// Tokens of a step, unless more sequences than that run. The tokens of a prompt cost as much each whether there are 256 or
/// 4096, and whoever else waits for the device waits for one step.
const STEP_TOKENS: usize = 256;

/// A sequence's part of a step.
struct Share {
    /// Number of its work.
    owner: u64,
    /// Number of the sequence.
    serial: u64,
    /// Its new tokens.
    ids: Vec<u32>,
    piece: Piece,
}

impl Running {
    /// Takes one step: the next model's, if several have sequences. Answers works that end with it.
    pub(crate) fn step(&mut self, health: &Reporter) {
        self.start();
        let Some(model) = self.next_model() else {
            return;
        };
        self.last_model = model;
        let started = Instant::now();
        let shares = self.shares(model);
        let mut owners: Vec<u64> = shares.iter().map(|share| share.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        let tokens = shares.iter().map(|share| share.ids.len()).sum();
        let mut answered = Vec::new();
        self.solve(shares, health, &mut answered);
        let took = started.elapsed();
        for owner in &owners {
            if let Some(member) = self.members.get_mut(owner) {
                let cost = &mut member.cost;
                cost.compute += took;
                cost.batch_tokens = cost.batch_tokens.max(tokens);
                cost.batch_requests = cost.batch_requests.max(owners.len());
            }
        }
        self.read(answered);
    }

    /// The next model in turn that has sequences.
    fn next_model(&self) -> Option<u64> {
        let models = || {
            self.active
                .iter()
                .filter_map(|active| self.model_of(active))
        };
        let after = models().filter(|&model| model > self.last_model).min();
        after.or_else(|| models().min())
    }

    fn model_of(&self, active: &Active) -> Option<u64> {
        let member = self.members.get(&active.owner)?;
        Some(member.model.serial)
    }

    /// What each sequence of the model gets of a step: one token for those that need one, then prompts, those of interactive
    /// works first and older ones before younger ones.
    fn shares(&mut self, model: u64) -> Vec<Share> {
        let order = |(index, active): (usize, &Active)| {
            let waiting = active.progress.waiting(active.past.length());
            let lane = self.members.get(&active.owner)?.lane;
            let of_model = self.model_of(active) == Some(model);
            of_model.then_some((waiting > 1, lane == Lane::Bulk, index))
        };
        let mut order: Vec<_> = self.active.iter().enumerate().filter_map(order).collect();
        order.sort_unstable();
        let mut left = STEP_TOKENS;
        let mut shares = Vec::new();
        for (_, _, index) in order {
            if left == 0 {
                break;
            }
            self.begin(model, index);
            if let Some(share) = self.share(index, left) {
                left = left.saturating_sub(share.ids.len());
                shares.push(share);
            }
        }
        shares.sort_unstable_by_key(|share| share.serial);
        shares
    }

    fn share(&self, index: usize, most: usize) -> Option<Share> {
        let active = self.active.get(index)?;
        let piece = active.progress.piece(active.past.length(), most);
        Some(Share {
            owner: active.owner,
            serial: active.serial,
            ids: active.progress.ids().get(piece.tokens.clone())?.to_vec(),
            piece,
        })
    }

    /// Lets a sequence that has no token yet begin like the one, ended or running, that begins most like it.
    fn begin(&mut self, model: u64, index: usize) {
        let Some(active) = self.active.get_mut(index) else {
            return;
        };
        if mem::replace(&mut active.begun, true) {
            return;
        }
        let mut past = mem::replace(&mut active.past, Past::of_ids(0));
        let Some(active) = self.active.get(index) else {
            return;
        };
        let ids = active.progress.task().unasked();
        let of_model = |other: &&Active| self.model_of(other) == Some(model);
        let running = self
            .active
            .iter()
            .filter(of_model)
            .map(|other| (&other.past, common_front(other.past.ids(), ids)))
            .max_by_key(|(_, common)| *common)
            .filter(|(_, common)| *common >= WORTH);
        let ended = self.pool.like(model, ids);
        let longest = [running, ended]
            .into_iter()
            .flatten()
            .max_by_key(|(_, common)| *common);
        if let Some((like, _)) = longest {
            past.begin_like(like, ids);
        }
        if let Some(active) = self.active.get_mut(index) {
            active.past = past;
        }
    }

    /// Answers to the shares, in fewer and fewer at a time where that helps.
    fn solve(
        &mut self,
        mut shares: Vec<Share>,
        health: &Reporter,
        answered: &mut Vec<(Share, Answers)>,
    ) {
        // A work that failed in another part of the step has no sequences any more.
        shares.retain(|share| self.place(share).is_some());
        let Some(first) = shares.first() else {
            return;
        };
        match health.observe(contain(|| self.pass(&shares))) {
            Ok(answers) => answered.extend(shares.into_iter().zip(answers)),
            Err(error) if shares.len() == 1 => {
                let (owner, tokens) = (first.owner, first.piece.tokens.end);
                let out_of_memory = error.reason() == Reason::OutOfDeviceMemory;
                let error = if out_of_memory {
                    Error::OutOfDeviceMemory { tokens }
                } else {
                    error
                };
                self.fail(owner, error);
            }
            Err(error) => {
                let alone = error.reason() != Reason::OutOfDeviceMemory;
                let size = if alone { 1 } else { shares.len().div_ceil(2) };
                while !shares.is_empty() {
                    let rest = shares.split_off(size.min(shares.len()));
                    self.solve(shares, health, answered);
                    shares = rest;
                }
            }
        }
    }

    /// Where the sequence of a share is among the active ones; nowhere once it has ended.
    fn place(&self, share: &Share) -> Option<usize> {
        let by_serial = |active: &Active| active.serial.cmp(&share.serial);
        self.active.binary_search_by(by_serial).ok()
    }

    /// One pass; changes nothing if it fails.
    fn pass(&mut self, shares: &[Share]) -> Result<Vec<Answers>, Error> {
        let resident = shares
            .first()
            .and_then(|share| self.members.get(&share.owner));
        let Some(resident) = resident.map(|member| &member.resident) else {
            return Ok(Vec::new());
        };
        // Both are in the order of their numbers.
        let mut rest = shares.iter().peekable();
        let mut extensions = Vec::with_capacity(shares.len());
        for active in &mut self.active {
            if let Some(share) = rest.next_if(|share| share.serial == active.serial) {
                extensions.push(Extension {
                    past: &mut active.past,
                    ids: &share.ids,
                    questions: &share.piece.questions,
                });
            }
        }
        Ok(resident.extend(&mut extensions)?)
    }

    /// Hands answers to their sequences and ends those that have all they need.
    fn read(&mut self, answered: Vec<(Share, Answers)>) {
        for (share, answers) in answered {
            let Some(place) = self.place(&share) else {
                continue;
            };
            let answers: Result<Vec<Answer>, _> = answers.into_iter().collect();
            match (self.active.get_mut(place), answers) {
                (Some(active), Ok(answers)) => {
                    if let Some(finish) = active.progress.read(answers) {
                        self.finish(place, finish);
                    }
                }
                (_, Err(error)) => self.fail(share.owner, error.into()),
                (None, _) => {}
            }
        }
    }
}
