//! Which encodes a shared pass needs: works that ask the same of the same SAE share one, and each takes its rows.
//!
//! Works of a batch are ordered so that those with equal demands are neighbours: the rows of a group are then one stretch.

use std::{cmp::Ordering, ops::Range};

use latentd_domain::{Scale, Selection, SparseActivations};

use crate::{catalog::SaeEntry, work::Encode};

/// The rows of one work in a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Index of the work in the batch.
    pub(crate) work: usize,
    /// Its rows of the pass.
    pub(crate) rows: Range<usize>,
}

/// One call of an SAE and who takes which rows of the result.
pub(crate) struct Group<'a> {
    pub(crate) sae: &'a SaeEntry,
    pub(crate) selection: Selection,
    pub(crate) scale: Scale,
    /// The rows of the pass that it spans.
    pub(crate) rows: Range<usize>,
    pub(crate) takers: Vec<Taker>,
}

/// One work's share in a group.
#[derive(Clone, Debug)]
pub(crate) struct Taker {
    /// Whose rows, and which of the pass.
    pub(crate) stretch: Stretch,
    /// Which of the work's SAEs this is.
    pub(crate) position: usize,
    /// How many latents of each row, if it asked for the strongest.
    top: Option<u32>,
}

/// The order that makes works with equal demands neighbours.
pub(crate) fn by_demand<'a>(a: &'a Encode, b: &'a Encode) -> Ordering {
    let saes = |work: &'a Encode| work.saes.iter().map(|sae| sae.serial);
    saes(a)
        .cmp(saes(b))
        .then_with(|| (a.scale as u8).cmp(&(b.scale as u8)))
        .then_with(|| selection_key(&a.selection).cmp(&selection_key(&b.selection)))
}

/// Equal for selections that one encode can serve: the strongest `k` begin with the strongest few of fewer.
fn selection_key(selection: &Selection) -> (u8, &[u32]) {
    match selection {
        Selection::AllFiring => (0, &[]),
        Selection::TopK(_) => (1, &[]),
        Selection::Latents(latents) => (2, latents),
    }
}

/// The groups that serve every SAE of every work that has rows in the pass.
pub(crate) fn groups<'a>(
    stretches: &[Stretch],
    work: impl Fn(usize) -> Option<&'a Encode>,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let present = stretches
        .iter()
        .filter_map(|stretch| Some((stretch, work(stretch.work)?)));
    for (stretch, encode) in present {
        for (position, sae) in encode.saes.iter().enumerate() {
            let found = groups.iter_mut().find(|group| {
                group.sae.serial == sae.serial
                    && group.scale == encode.scale
                    && selection_key(&group.selection) == selection_key(&encode.selection)
            });
            let taker = Taker {
                stretch: stretch.clone(),
                position,
                top: top(&encode.selection),
            };
            match found {
                Some(group) => group.add(taker),
                None => groups.push(Group {
                    sae,
                    selection: encode.selection.clone(),
                    scale: encode.scale,
                    rows: stretch.rows.clone(),
                    takers: vec![taker],
                }),
            }
        }
    }
    groups
}

fn top(selection: &Selection) -> Option<u32> {
    match selection {
        Selection::TopK(k) => Some(*k),
        Selection::AllFiring | Selection::Latents(_) => None,
    }
}

impl Group<'_> {
    fn add(&mut self, taker: Taker) {
        let rows = &taker.stretch.rows;
        self.rows = self.rows.start.min(rows.start)..self.rows.end.max(rows.end);
        if let (Selection::TopK(most), Some(k)) = (&mut self.selection, taker.top) {
            *most = k.max(*most);
        }
        self.takers.push(taker);
    }

    /// Gives each taker its rows of `encoded`, whose row 0 is the group's first. A lone taker gets it without a copy.
    pub(crate) fn share(self, encoded: SparseActivations) -> Vec<(Taker, SparseActivations)> {
        let lone = self.takers.len() == 1;
        if let Some(taker) = self.takers.first().filter(|_| lone) {
            return vec![(taker.clone(), encoded)];
        }
        let most = top(&self.selection);
        let start = self.rows.start;
        let one = |taker: Taker| {
            let rows = taker.stretch.rows.start - start..taker.stretch.rows.end - start;
            let k = taker.top.filter(|_| taker.top < most);
            let piece = match k {
                Some(k) => strongest(&encoded, rows, k as usize),
                None => cut(&encoded, rows),
            };
            (taker, piece)
        };
        self.takers.into_iter().map(one).collect()
    }
}

/// The rows `rows` on their own: three copies of memory, whatever their number.
fn cut(encoded: &SparseActivations, rows: Range<usize>) -> SparseActivations {
    let offsets = encoded
        .row_offsets
        .get(rows.start..=rows.end)
        .unwrap_or(&[0]);
    let first = offsets.first().copied().unwrap_or_default();
    let last = offsets.last().copied().unwrap_or_default();
    let entries = first as usize..last as usize;
    SparseActivations {
        row_offsets: offsets.iter().map(|offset| offset - first).collect(),
        latents: encoded
            .latents
            .get(entries.clone())
            .unwrap_or_default()
            .to_vec(),
        activations: encoded
            .activations
            .get(entries)
            .unwrap_or_default()
            .to_vec(),
    }
}

/// The first `k` entries of each of the rows, whose entries are in falling order.
fn strongest(encoded: &SparseActivations, rows: Range<usize>, k: usize) -> SparseActivations {
    let mut out = SparseActivations::with_capacity(rows.len(), k.min(64));
    for row in rows {
        let (latents, activations) = encoded.row(row);
        out.latents.extend(latents.iter().take(k));
        out.activations.extend(activations.iter().take(k));
        out.end_row();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[(u32, f32)]]) -> SparseActivations {
        let mut out = SparseActivations::default();
        for row in rows {
            row.iter()
                .for_each(|&(latent, activation)| out.push(latent, activation));
            out.end_row();
        }
        out
    }

    #[test]
    fn cutting_and_joining_gives_the_whole() {
        let whole = rows(&[&[(1, 2.0)], &[], &[(5, 1.0), (0, 0.5)], &[(2, 3.0)]]);
        for at in 0..=4 {
            let mut joined = cut(&whole, 0..at);
            assert_eq!(joined.rows(), at);
            joined.append(&cut(&whole, at..4));
            assert_eq!(joined, whole);
        }
        assert_eq!(cut(&whole, 1..3), rows(&[&[], &[(5, 1.0), (0, 0.5)]]));
    }

    #[test]
    fn the_strongest_are_the_first_of_each_row() {
        let whole = rows(&[&[(9, 3.0), (1, 2.0), (4, 1.0)], &[(2, 1.0)], &[]]);
        assert_eq!(
            strongest(&whole, 0..3, 2),
            rows(&[&[(9, 3.0), (1, 2.0)], &[(2, 1.0)], &[]])
        );
    }
}
