//! Encodes a batch: packs the sequences of all works into forward passes, runs every SAE asked for, and splits the rows.
//!
//! One pass is the rule. More are made where a work alone is over the token budget, where the device runs out of memory
//! (the pass is halved, down to one sequence), and where a pass fails (each work then goes alone, so that one caller's
//! failure is not another's). None of it changes a result: nn computes each row the same whatever it is packed with.

use std::{collections::BTreeMap, iter, time::Instant};

use latentd_domain::{HasReason, HookPoint, Reason, SparseActivations};
use latentd_nn::{ComputeError, PackedTokens, pause, sae::Wanted};
use tracing::Span;

use crate::{
    Cost, Error,
    contain::contain,
    cost::millis,
    group::{self, Stretch, Taker},
    health::Reporter,
    work::{Encode, EncodeOutput, Request, Sequence, Work},
};

/// A work of the batch, what it has so far, and whether it failed.
pub(crate) struct Member {
    encode: Encode,
    queued_at: Instant,
    span: Span,
    /// For each SAE, the rows of the passes so far.
    activations: Vec<SparseActivations>,
    failure: Option<Error>,
}

impl Member {
    /// `encode` with what its work carried.
    pub(crate) fn new(encode: Encode, queued_at: Instant, span: Span) -> Self {
        let activations = iter::repeat_with(SparseActivations::default)
            .take(encode.saes.len())
            .collect();
        Self {
            encode,
            queued_at,
            span,
            activations,
            failure: None,
        }
    }

    /// Room for more activations.
    fn room(&self) -> usize {
        let kept = self.activations.iter().map(SparseActivations::entries);
        self.encode.max_entries.saturating_sub(kept.sum())
    }

    /// The failure of having more activations than there is room for.
    fn too_many(&self) -> Error {
        let limit = self.encode.max_entries;
        ComputeError::TooManyActivations { limit }.into()
    }

    /// Whether there is use in computing more for it.
    fn wants_more(&self) -> bool {
        self.failure.is_none() && !self.encode.reply.is_closed()
    }
}

/// One sequence of one work.
#[derive(Clone, Copy, Debug)]
struct Slot {
    work: usize,
    sequence: usize,
    tokens: usize,
}

/// The rows that one pass computed for one SAE of one work.
struct Piece {
    work: usize,
    position: usize,
    rows: SparseActivations,
}

/// Works of one model that are computed together.
pub(crate) struct EncodeBatch<'a> {
    members: Vec<Member>,
    health: &'a Reporter,
}

impl<'a> EncodeBatch<'a> {
    /// The batch of `members`, which need the same model.
    pub(crate) fn new(mut members: Vec<Member>, health: &'a Reporter) -> Self {
        members.sort_by(|a, b| group::by_demand(&a.encode, &b.encode));
        Self { members, health }
    }

    /// Computes it, in passes of at most `pass_tokens` where sequences allow, and answers every work.
    pub(crate) fn run(mut self, pass_tokens: usize) {
        let Some(first) = self.members.first() else {
            return;
        };
        let started = Instant::now();
        let (requests, tokens) = (self.members.len(), self.tokens());
        let span = shared_span(&self.members, tokens).unwrap_or_else(|| first.span.clone());
        let entered = span.entered();
        let slots: Vec<Slot> = self.slots().collect();
        for pass in passes(&slots, pass_tokens) {
            pause::point();
            self.solve(pass);
        }
        let compute = started.elapsed();
        tracing::debug!(
            requests,
            tokens,
            compute_ms = millis(compute),
            "computed a batch"
        );
        drop(entered);
        for member in self.members {
            let cost = Cost {
                queue: started.saturating_duration_since(member.queued_at),
                compute,
                tokens: member.encode.tokens(),
                batch_tokens: tokens,
                batch_requests: requests,
            };
            let output = match member.failure {
                None => Ok(EncodeOutput {
                    activations: member.activations,
                    cost,
                }),
                Some(error) => Err(error),
            };
            // A caller that has left meanwhile is no one's concern.
            drop(member.encode.reply.send(output));
        }
    }

    fn tokens(&self) -> usize {
        self.members
            .iter()
            .map(|member| member.encode.tokens())
            .sum()
    }

    /// Every sequence of every work, a work's own one after another.
    fn slots(&self) -> impl Iterator<Item = Slot> {
        self.members.iter().enumerate().flat_map(|(work, member)| {
            let lengths = member
                .encode
                .sequences
                .iter()
                .map(|sequence| sequence.ids.len());
            lengths.enumerate().map(move |(sequence, tokens)| Slot {
                work,
                sequence,
                tokens,
            })
        })
    }

    /// Computes `slots` in one pass, or in several smaller ones if that fails.
    fn solve(&mut self, slots: &[Slot]) {
        let wanted = |slot: &&Slot| self.members.get(slot.work).is_some_and(Member::wants_more);
        let slots: Vec<Slot> = slots.iter().filter(wanted).copied().collect();
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            return;
        };
        match self.health.observe(contain(|| self.pass(&slots))) {
            Ok(pieces) => self.keep(pieces),
            Err(error) if error.reason() == Reason::OutOfDeviceMemory => {
                if slots.len() == 1 {
                    let error = Error::OutOfDeviceMemory {
                        tokens: first.tokens,
                    };
                    return self.fail(first.work, error);
                }
                tracing::warn!(
                    sequences = slots.len(),
                    "out of device memory; the batch is split"
                );
                let (front, back) = slots.split_at(slots.len() / 2);
                self.solve(front);
                self.solve(back);
            }
            Err(error) => {
                if first.work == last.work {
                    // What had no room in this pass has none in the work, whose limit says more to its caller.
                    let over = error.reason() == Reason::BatchTooLarge;
                    let member = self.members.get(first.work).filter(|_| over);
                    let error = member.map_or(error, Member::too_many);
                    return self.fail(first.work, error);
                }
                slots
                    .chunk_by(|a, b| a.work == b.work)
                    .for_each(|own| self.solve(own));
            }
        }
    }

    fn fail(&mut self, work: usize, error: Error) {
        if let Some(member) = self.members.get_mut(work) {
            member.failure = Some(error);
        }
    }

    fn keep(&mut self, pieces: Vec<Piece>) {
        for Piece {
            work,
            position,
            rows,
        } in pieces
        {
            let member = self.members.get_mut(work);
            if let Some(kept) = member.and_then(|member| member.activations.get_mut(position)) {
                if kept.rows() == 0 {
                    *kept = rows;
                } else {
                    kept.append(&rows);
                }
            }
        }
    }

    fn encode(&self, work: usize) -> Option<&Encode> {
        self.members.get(work).map(|member| &member.encode)
    }

    fn sequence(&self, slot: &Slot) -> Option<&Sequence> {
        self.encode(slot.work)?.sequences.get(slot.sequence)
    }

    /// One forward pass and every SAE that the works with rows in it asked for. Changes nothing.
    fn pass(&self, slots: &[Slot]) -> Result<Vec<Piece>, Error> {
        let model = slots
            .first()
            .and_then(|slot| self.encode(slot.work))
            .map(|encode| &encode.model);
        let Some(model) = model else {
            return Ok(Vec::new());
        };
        let sequences = || slots.iter().filter_map(|slot| self.sequence(slot));
        let tokens = PackedTokens::new(sequences().map(|sequence| sequence.ids.as_slice()));
        let mask: Vec<bool> = sequences()
            .flat_map(|sequence| sequence.mask.iter().copied())
            .collect();
        let groups = group::groups(&stretches(slots), |work| self.encode(work));
        let mut hook_points: Vec<HookPoint> = Vec::new();
        for group in &groups {
            let hook_point = group.sae.info.hook_point;
            if !hook_points.contains(&hook_point) {
                hook_points.push(hook_point);
            }
        }
        let captured = model.language()?.forward(&tokens, &hook_points)?;
        let mut rooms = self.rooms(slots);
        let mut pieces = Vec::new();
        for group in groups {
            let hook_point = group.sae.info.hook_point;
            let mut found = hook_points.iter().zip(&captured);
            let Some((_, captured)) = found.find(|(candidate, _)| **candidate == hook_point) else {
                return Err(ComputeError::Failed {
                    detail: format!("no value at {hook_point}"),
                }
                .into());
            };
            let rows = group.rows.clone();
            let group_mask = mask.get(rows.clone()).unwrap_or_default();
            let whole = rows.len() == mask.len();
            let part = (!whole).then(|| captured.clone().narrow(0, rows.start, rows.len()));
            let input = part.as_ref().unwrap_or(captured);
            let room = |taker: &Taker| rooms.get(&taker.stretch.work).copied().unwrap_or_default();
            let wanted = Wanted {
                selection: &group.selection,
                scale: group.scale,
                // One that shares may take room from the others here, but not when its own rows are counted.
                max_entries: group.takers.iter().map(room).fold(0, usize::saturating_add),
            };
            let encoded = group.sae.resident.encode(input, group_mask, wanted)?;
            if encoded.rows() != rows.len() {
                let detail = format!("{} rows encoded of {}", encoded.rows(), rows.len());
                return Err(ComputeError::Failed { detail }.into());
            }
            for (taker, rows) in group.share(encoded) {
                let work = taker.stretch.work;
                if let Some(room) = rooms.get_mut(&work) {
                    let limit = *room;
                    *room = limit
                        .checked_sub(rows.entries())
                        .ok_or(ComputeError::TooManyActivations { limit })?;
                }
                let position = taker.position;
                pieces.push(Piece {
                    work,
                    position,
                    rows,
                });
            }
        }
        Ok(pieces)
    }

    /// The room for activations that each work in a pass has, before the pass.
    fn rooms(&self, slots: &[Slot]) -> BTreeMap<usize, usize> {
        let room = |slot: &Slot| Some((slot.work, self.members.get(slot.work)?.room()));
        slots.iter().filter_map(room).collect()
    }
}

impl TryFrom<Work> for Member {
    type Error = Work;

    /// Any other request than an encode comes back.
    fn try_from(work: Work) -> Result<Self, Work> {
        match work {
            Work {
                request: Request::Encode(encode),
                queued_at,
                span,
                ..
            } => Ok(Self::new(encode, queued_at, span)),
            other => Err(other),
        }
    }
}

/// The span of a batch that several callers share, which follows from each of theirs; a lone caller's own is entered.
fn shared_span(members: &[Member], tokens: usize) -> Option<Span> {
    (members.len() > 1).then(|| {
        let span = tracing::info_span!(parent: None, "batch", requests = members.len(), tokens);
        for member in members {
            span.follows_from(member.span.id());
        }
        span
    })
}

/// Cuts slots into passes of at most `tokens` tokens, each of at least one sequence.
fn passes(slots: &[Slot], tokens: usize) -> impl Iterator<Item = &[Slot]> {
    let mut rest = slots;
    iter::from_fn(move || {
        let mut sum = 0;
        let fits = |slot: &&Slot| {
            sum += slot.tokens;
            sum <= tokens
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (pass, after) = rest.split_at(count);
        rest = after;
        (!pass.is_empty()).then_some(pass)
    })
}

/// The rows of each work in a pass of `slots`.
fn stretches(slots: &[Slot]) -> Vec<Stretch> {
    let mut start = 0;
    let one = |own: &[Slot]| {
        let end = start + own.iter().map(|slot| slot.tokens).sum::<usize>();
        let rows = start..end;
        start = end;
        own.first().map(|slot| Stretch {
            work: slot.work,
            rows,
        })
    };
    slots
        .chunk_by(|a, b| a.work == b.work)
        .filter_map(one)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(lengths: &[usize]) -> Vec<Slot> {
        lengths
            .iter()
            .enumerate()
            .map(|(sequence, &tokens)| Slot {
                work: 0,
                sequence,
                tokens,
            })
            .collect()
    }

    fn lengths(lengths: &[usize], tokens: usize) -> Vec<usize> {
        passes(&slots(lengths), tokens).map(<[Slot]>::len).collect()
    }

    #[test]
    fn passes_hold_the_budget_and_at_least_one_sequence() {
        assert_eq!(lengths(&[], 10), [0usize; 0]);
        assert_eq!(lengths(&[4, 4, 4], 10), [2, 1]);
        assert_eq!(lengths(&[40, 4, 6, 1], 10), [1, 2, 1]);
        assert_eq!(lengths(&[5, 5], 0), [1, 1]);
    }

    #[test]
    fn rows_of_a_work_are_one_stretch() {
        let mut slots = slots(&[3, 2, 4]);
        slots[2].work = 1;
        let expected = [
            Stretch {
                work: 0,
                rows: 0..5,
            },
            Stretch {
                work: 1,
                rows: 5..9,
            },
        ];
        assert_eq!(stretches(&slots), expected);
    }
}
