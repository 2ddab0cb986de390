//! Attention of new tokens to those that a sequence has had: its keys and values are kept in the form that the microkernel
//! reads, so that a step over one token costs what its own products cost.
//!
//! Keys lie as panels of 32 tokens, values as panels of 32 elements. The queries of all heads that share a key head, and of
//! several tokens, are the rows of one strip: with one token and three heads a strip of four, in a prompt a full one.
//!
//! Every element is the same chain of operations as in [`super::attention`]: keys in order, elements in order. So a sequence
//! that is computed in pieces, whatever their sizes, has the bits of one that is computed at once.

#![expect(
    clippy::indexing_slicing,
    reason = "bounds follow from the shapes that the entry point asserts"
)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    attention::{Angles, SERIAL, rotate},
    math::exp,
    microkernel::{self, PANEL, Tile},
    rows::{STRIP, strip_height},
};
use crate::{
    kernels::{Continued, Heads},
    packed::PackedTokens,
};

/// Keys and values of one sequence in one layer.
#[derive(Debug)]
pub struct LayerPast {
    /// `[n_kv_heads, capacity / PANEL, d_head, PANEL]`, rotated.
    keys: Vec<f32>,
    /// `[n_kv_heads, d_head / PANEL rounded up, capacity, PANEL]`.
    values: Vec<f32>,
    heads: Heads,
    capacity: usize,
}

impl LayerPast {
    /// Room for `capacity` tokens. Memory that is not written to is not taken from the system.
    pub(crate) fn new(heads: Heads, capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(PANEL);
        let of_values = heads.d_head.next_multiple_of(PANEL);
        Self {
            keys: vec![0.0; heads.kv_width() * capacity],
            values: vec![0.0; heads.n_kv_heads * of_values * capacity],
            heads,
            capacity,
        }
    }

    /// Takes the first `tokens` tokens of another sequence over.
    pub(crate) fn copy_front(&mut self, other: &Self, tokens: usize) {
        let d_head = self.heads.d_head;
        let length = tokens.div_ceil(PANEL) * PANEL * d_head;
        let (to, from) = (self.capacity * d_head, other.capacity * d_head);
        for (to, from) in self
            .keys
            .chunks_exact_mut(to.max(1))
            .zip(other.keys.chunks_exact(from.max(1)))
        {
            to[..length].copy_from_slice(&from[..length]);
        }
        let length = tokens * PANEL;
        let (to, from) = (self.capacity * PANEL, other.capacity * PANEL);
        for (to, from) in self
            .values
            .chunks_exact_mut(to.max(1))
            .zip(other.values.chunks_exact(from.max(1)))
        {
            to[..length].copy_from_slice(&from[..length]);
        }
    }

    /// Writes the keys and values of the tokens from `length` on; `qkv` holds their rows.
    fn append(&mut self, qkv: &[f32], length: usize, angles: Option<&Angles>) {
        let (heads, capacity) = (self.heads, self.capacity);
        let d_head = heads.d_head;
        let panels = d_head.div_ceil(PANEL);
        let mut key = vec![0.0; d_head];
        for (row, position) in qkv.chunks_exact(heads.qkv_width()).zip(length..) {
            let (keys, values) = row[heads.z_width()..].split_at(heads.kv_width());
            for (head, x) in keys.chunks_exact(d_head).enumerate() {
                rotate(x, angles, position, &mut key);
                let panel = (head * capacity + position / PANEL * PANEL) * d_head;
                let (steps, _) = self.keys[panel..panel + d_head * PANEL].as_chunks_mut::<PANEL>();
                for (step, &value) in steps.iter_mut().zip(&key) {
                    step[position % PANEL] = value;
                }
            }
            for (head, x) in values.chunks_exact(d_head).enumerate() {
                for (panel, part) in x.chunks(PANEL).enumerate() {
                    let at = ((head * panels + panel) * capacity + position) * PANEL;
                    self.values[at..at + part.len()].copy_from_slice(part);
                }
            }
        }
    }
}

/// As [`super::attention::attention`], for sequences that go on: the new tokens' keys and values are added to what is kept,
/// and each new token sees all that came before it.
///
/// # Shapes
///
/// `qkv` `[tokens, heads.qkv_width()]`, `out` `[tokens, heads.z_width()]`; one of `sequences` for each of `tokens`, with room
/// for its new tokens.
pub(crate) fn attention_past(
    qkv: &[f32],
    (heads, angles): (Heads, Option<&Angles>),
    tokens: &PackedTokens,
    sequences: &mut [Continued<'_, LayerPast>],
    out: &mut [f32],
) {
    let (width, z_width) = (heads.qkv_width(), heads.z_width());
    assert_eq!(qkv.len(), tokens.tokens() * width, "queries, keys, values");
    assert_eq!(out.len(), tokens.tokens() * z_width, "outputs of the heads");
    assert_eq!(tokens.sequences(), sequences.len(), "sequences");
    let mut work = 0;
    for (rows, Continued { past, length }) in tokens.ranges().zip(&mut *sequences) {
        assert!(*length + rows.len() <= past.capacity, "room for the tokens");
        work += rows.len() * (*length + rows.len()) * z_width;
        past.append(&qkv[rows.start * width..rows.end * width], *length, angles);
    }
    let arch = Arch::new();
    let mut blocks = Vec::new();
    let mut rest = out;
    for (rows, Continued { past, length }) in tokens.ranges().zip(&*sequences) {
        let (here, after) = rest.split_at_mut(rows.len() * z_width);
        rest = after;
        let sequence = Sequence {
            qkv: &qkv[rows.start * width..rows.end * width],
            angles,
            past,
            length: *length,
        };
        sequence.blocks(here, &mut blocks);
    }
    if work >= SERIAL {
        // The last blocks see the most keys: begun first, they do not keep the others waiting at the end.
        blocks
            .into_par_iter()
            .rev()
            .with_max_len(1)
            .for_each(|block| arch.dispatch(block));
    } else {
        for block in blocks {
            arch.dispatch(block);
        }
    }
}

#[derive(Clone, Copy)]
struct Sequence<'a> {
    /// The rows of its new tokens.
    qkv: &'a [f32],
    angles: Option<&'a Angles>,
    past: &'a LayerPast,
    /// Tokens before the new ones.
    length: usize,
}

impl<'a> Sequence<'a> {
    /// Cuts the queries of each key head into strips.
    fn blocks(self, out: &'a mut [f32], blocks: &mut Vec<Block<'a>>) {
        let heads = self.past.heads;
        let group = heads.n_heads / heads.n_kv_heads;
        let mut of_heads: Vec<Vec<&mut [f32]>> = Vec::new();
        of_heads.resize_with(heads.n_kv_heads, Vec::new);
        for row in out.chunks_exact_mut(heads.z_width()) {
            for (of_head, parts) in of_heads
                .iter_mut()
                .zip(row.chunks_exact_mut(group * heads.d_head))
            {
                of_head.extend(parts.chunks_exact_mut(heads.d_head));
            }
        }
        for (head, mut out) in of_heads.into_iter().enumerate() {
            let mut first = 0;
            while !out.is_empty() {
                let rest = out.split_off(out.len().min(STRIP));
                let queries = out.len();
                blocks.push(Block {
                    sequence: self,
                    head,
                    first,
                    out,
                });
                first += queries;
                out = rest;
            }
        }
    }
}

/// Up to [`STRIP`] queries that read one key head. Query `q` is head `q % group` of that key head's, of new token
/// `q / group`.
struct Block<'a> {
    sequence: Sequence<'a>,
    /// The key head.
    head: usize,
    /// The first query.
    first: usize,
    out: Vec<&'a mut [f32]>,
}

impl Block<'_> {
    /// Keys that query `query` of the block sees.
    #[inline(always)]
    fn seen(&self, query: usize, group: usize) -> usize {
        self.sequence.length + (self.first + query) / group + 1
    }

    /// The queries, rotated, as a strip `[d_head, height]`.
    #[inline(always)]
    fn query_strip(&self, height: usize, group: usize) -> Vec<f32> {
        let Sequence {
            qkv,
            angles,
            past: LayerPast { heads, .. },
            length,
        } = self.sequence;
        let mut query = vec![0.0; heads.d_head];
        let mut strip = vec![0.0; heads.d_head * height];
        for within in 0..self.out.len() {
            let (token, of_group) = ((self.first + within) / group, (self.first + within) % group);
            let at = token * heads.qkv_width() + (self.head * group + of_group) * heads.d_head;
            rotate(
                &qkv[at..at + heads.d_head],
                angles,
                length + token,
                &mut query,
            );
            for (step, &value) in strip.chunks_exact_mut(height).zip(&query) {
                step[within] = value;
            }
        }
        strip
    }
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let LayerPast {
            keys,
            values,
            heads,
            capacity,
        } = self.sequence.past;
        let (d_head, capacity) = (heads.d_head, *capacity);
        let group = heads.n_heads / heads.n_kv_heads;
        let (queries, height) = (self.out.len(), strip_height(self.out.len()));
        let most = self.seen(queries - 1, group);
        let panels = most.div_ceil(PANEL);
        let strip = self.query_strip(height, group);

        let mut scores = vec![0.0; queries * panels * PANEL];
        let keys = &keys[self.head * capacity * d_head..][..panels * PANEL * d_head];
        let mut tile: Tile = [[0.0; PANEL]; STRIP];
        for (panel, keys) in keys.chunks_exact(PANEL * d_head).enumerate() {
            microkernel::multiply(simd, &strip, height, keys, &mut tile);
            for (row, tile) in scores.chunks_exact_mut(panels * PANEL).zip(&tile) {
                row[panel * PANEL..(panel + 1) * PANEL].copy_from_slice(tile);
            }
        }
        let scale = (d_head as f32).sqrt().recip();
        for (query, row) in scores.chunks_exact_mut(panels * PANEL).enumerate() {
            let (seen, unseen) = row.split_at_mut(self.seen(query, group));
            exponentials(seen, scale);
            unseen.fill(0.0);
        }
        // The sums are taken here because their order is that of the keys: one chain a query, side by side.
        let mut sums = [0.0; STRIP];
        let mut weights = vec![0.0; most * height];
        for (key, weights) in weights.chunks_exact_mut(height).enumerate() {
            for (query, (weight, sum)) in
                weights.iter_mut().zip(&mut sums).take(queries).enumerate()
            {
                *weight = scores[query * panels * PANEL + key];
                *sum += *weight;
            }
        }
        let of_head = d_head.div_ceil(PANEL) * capacity * PANEL;
        let values = &values[self.head * of_head..][..of_head];
        for (panel, values) in values.chunks_exact(capacity * PANEL).enumerate() {
            microkernel::multiply(simd, &weights, height, &values[..most * PANEL], &mut tile);
            let from = panel * PANEL;
            let wide = (d_head - from).min(PANEL);
            for ((out, row), sum) in self.out.iter_mut().zip(&tile).zip(&sums) {
                for (value, x) in out[from..from + wide].iter_mut().zip(row) {
                    *value = x / sum;
                }
            }
        }
    }
}

/// Replaces scores by `e^(scale · (score - greatest))`.
#[inline(always)]
fn exponentials(scores: &mut [f32], scale: f32) {
    let mut greatest = f32::NEG_INFINITY;
    for &score in &*scores {
        greatest = if score > greatest { score } else { greatest };
    }
    for score in scores {
        *score = exp((*score - greatest) * scale);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::attention::{Scratch, attention},
        *,
    };

    fn noise(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) * 7919 + 13) % 1009) as f32 / 300.0 - 1.6)
            .collect()
    }

    fn angles(positions: usize, half: usize) -> Angles {
        let angle = |i: usize| (i / half) as f32 * 0.3f32.powi((i % half) as i32);
        let all = || (0..positions * half).map(angle);
        Angles {
            cos: all().map(f32::cos).collect(),
            sin: all().map(f32::sin).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Several sequences, each in pieces of its own sizes, and one of them begun from a copy of its own front.
        #[test]
        fn pieces_have_the_bits_of_the_whole(
            lengths in prop::collection::vec(1usize..110, 1..4),
            piece in 1usize..50,
            copied in 0usize..40,
            kv in 1usize..3,
            group in 1usize..6,
            d in 1usize..40,
            turn: bool,
        ) {
            let heads = Heads { n_heads: kv * group, n_kv_heads: kv, d_head: 2 * d };
            let (width, z) = (heads.qkv_width(), heads.z_width());
            let angles = turn.then(|| angles(110, d));
            let all: Vec<Vec<f32>> = lengths.iter().map(|&n| noise(n * width, n)).collect();
            let mut found: Vec<Vec<f32>> = vec![Vec::new(); all.len()];
            let mut pasts: Vec<LayerPast> = lengths.iter().map(|&n| LayerPast::new(heads, n)).collect();
            let mut done = vec![0; all.len()];
            while done != lengths {
                let ends: Vec<usize> = (0..all.len()).map(|i| (done[i] + piece + i).min(lengths[i])).collect();
                let qkv: Vec<f32> = (0..all.len()).flat_map(|i| all[i][done[i] * width..ends[i] * width].to_vec()).collect();
                let ids = [0u32; 110];
                let tokens = PackedTokens::new((0..all.len()).map(|i| &ids[..ends[i] - done[i]]));
                let mut out = vec![f32::NAN; tokens.tokens() * z];
                let mut continued: Vec<_> = pasts.iter_mut().zip(&done).map(|(past, &length)| Continued { past, length }).collect();
                attention_past(&qkv, (heads, angles.as_ref()), &tokens, &mut continued, &mut out);
                for (i, rows) in tokens.ranges().enumerate() {
                    found[i].extend(&out[rows.start * z..rows.end * z]);
                }
                done = ends;
                if done[0] >= copied && done[0] < lengths[0] {
                    let mut copy = LayerPast::new(heads, lengths[0] + 70);
                    copy.copy_front(&pasts[0], done[0]);
                    pasts[0] = copy;
                }
            }
            for (i, qkv) in all.iter().enumerate() {
                let ids = vec![0; lengths[i]];
                let mut out = vec![f32::NAN; lengths[i] * z];
                let tokens = PackedTokens::new([&ids[..]]);
                attention(qkv, (heads, angles.as_ref()), &tokens, &mut Scratch::default(), &mut out);
                prop_assert_eq!(&found[i], &out);
            }
        }
    }
}
