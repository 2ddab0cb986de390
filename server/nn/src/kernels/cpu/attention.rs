//! Attention over packed sequences, with grouped queries: causal, or over the whole sequence.
//!
//! Per token and head attention needs `4 · d_head` operations for each token before it: with 256 tokens of context a
//! twentieth of a small model's forward pass, if it runs at the speed of the products. So it is made of the same
//! microkernel. Scores are computed transposed, `[keys, 32 queries]`: keys are the strips and queries the panel. The softmax
//! then runs down columns, 32 queries side by side in vectors, and its result is the panel of the second product, whose
//! strips are the values. Nothing but keys and values is rearranged, and that once for all queries.
//!
//! A query's result depends on its own sequence and its place in it only: blocks of queries begin at the sequence's start,
//! and what a block computes beyond a query's own past is multiplied by an exact zero.

#![expect(
    clippy::indexing_slicing,
    reason = "bounds follow from the shapes that the entry point asserts"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    math::exp,
    microkernel::{self, PANEL, Tile},
    rows::{STRIP, strip_height},
};
use crate::{kernels::Heads, packed::PackedTokens};

/// Multiplications below which other threads cost more than they bring.
pub(super) const SERIAL: usize = 1 << 18;

/// Cosines and sines by which queries and keys are rotated.
#[derive(Debug)]
pub(crate) struct Angles {
    /// `[positions, d_head / 2]`.
    pub(crate) cos: Vec<f32>,
    /// `[positions, d_head / 2]`.
    pub(crate) sin: Vec<f32>,
}

/// Memory for rearranged keys and values, kept from one layer to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// `out = softmax(q kᵀ / √d_head) v` for each sequence and head, each token seeing itself and those before it.
///
/// Pairs `(i, i + d_head/2)` of a query's and a key's elements are rotated by the angles of the token's position, as
/// `rotate_half` in transformers' `modeling_llama.py`.
///
/// # Shapes
///
/// `qkv` `[tokens, heads.qkv_width()]`: queries, keys, values side by side; `out` `[tokens, heads.z_width()]`.
pub(crate) fn attention(
    qkv: &[f32],
    (heads, angles): (Heads, Option<&Angles>),
    tokens: &PackedTokens,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let pass = Pass {
        qkv,
        heads,
        angles,
        causal: true,
        arch: Arch::new(),
    };
    compute(pass, tokens, scratch, out);
}

/// As [`attention`], each token seeing the whole of its sequence: BERT's.
pub(crate) fn full_attention(
    qkv: &[f32],
    heads: Heads,
    tokens: &PackedTokens,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let pass = Pass {
        qkv,
        heads,
        angles: None,
        causal: false,
        arch: Arch::new(),
    };
    compute(pass, tokens, scratch, out);
}

fn compute(pass: Pass<'_>, tokens: &PackedTokens, scratch: &mut Scratch, out: &mut [f32]) {
    let Pass { qkv, heads, .. } = pass;
    assert_eq!(
        qkv.len(),
        tokens.tokens() * heads.qkv_width(),
        "queries, keys and values"
    );
    assert_eq!(
        out.len(),
        tokens.tokens() * heads.z_width(),
        "outputs of the heads"
    );
    let work: usize = tokens
        .ranges()
        .map(|rows| rows.len() * rows.len())
        .sum::<usize>()
        * heads.z_width();
    let parallel = work >= SERIAL;
    let shelves = pass.arrange(tokens, scratch, parallel);

    let mut rest = out;
    let mut blocks = Vec::new();
    for (sequence, rows) in tokens.ranges().enumerate() {
        for first in rows.clone().step_by(PANEL) {
            let last = (first + PANEL).min(rows.end);
            let (here, after) = rest.split_at_mut((last - first) * heads.z_width());
            rest = after;
            let mut of_heads: Vec<Vec<&mut [f32]>> = Vec::new();
            of_heads.resize_with(heads.n_heads, || Vec::with_capacity(PANEL));
            for row in here.chunks_exact_mut(heads.z_width()) {
                for (of_head, part) in of_heads.iter_mut().zip(row.chunks_exact_mut(heads.d_head)) {
                    of_head.push(part);
                }
            }
            for (head, out) in of_heads.into_iter().enumerate() {
                let shelf = sequence * heads.n_kv_heads + head * heads.n_kv_heads / heads.n_heads;
                blocks.push(Block {
                    pass,
                    shelf: &shelves[shelf],
                    head,
                    queries: first..last,
                    rows: rows.clone(),
                    out,
                });
            }
        }
    }
    // The last blocks of a sequence have the most keys: begun first, they do not keep the others waiting at the end.
    if parallel {
        blocks
            .into_par_iter()
            .rev()
            .with_max_len(1)
            .for_each(|block| block.arch().dispatch(block));
    } else {
        for block in blocks {
            block.arch().dispatch(block);
        }
    }
}

#[derive(Clone, Copy)]
struct Pass<'a> {
    qkv: &'a [f32],
    heads: Heads,
    angles: Option<&'a Angles>,
    /// A token sees itself and those before it only.
    causal: bool,
    arch: Arch,
}

/// Keys and values of one sequence and head, as strips.
struct Shelf<'a> {
    /// Strips of [`STRIP`] keys, `[d_head, STRIP]`; keys past the end are zero.
    keys: &'a [f32],
    /// Strips of [`STRIP`] elements, `[keys, STRIP]`, then the rest as one strip.
    values: &'a [f32],
}

impl Pass<'_> {
    /// Rearranges the keys and values of every sequence and head.
    fn arrange<'s>(
        self,
        tokens: &PackedTokens,
        scratch: &'s mut Scratch,
        parallel: bool,
    ) -> Vec<Shelf<'s>> {
        let (heads, d_head) = (self.heads, self.heads.d_head);
        let key_size = |rows: &Range<usize>| rows.len().next_multiple_of(STRIP) * d_head;
        let value_size = |rows: &Range<usize>| rows.len() * value_width(d_head);
        let total = |size: &dyn Fn(&Range<usize>) -> usize| {
            tokens.ranges().map(|rows| size(&rows)).sum::<usize>() * heads.n_kv_heads
        };
        grow(&mut scratch.keys, total(&key_size));
        grow(&mut scratch.values, total(&value_size));
        let (mut keys, mut values) = (&mut scratch.keys[..], &mut scratch.values[..]);
        let mut tasks = Vec::with_capacity(tokens.sequences() * heads.n_kv_heads);
        for rows in tokens.ranges() {
            for head in 0..heads.n_kv_heads {
                let (these_keys, more_keys) = keys.split_at_mut(key_size(&rows));
                let (these_values, more_values) = values.split_at_mut(value_size(&rows));
                (keys, values) = (more_keys, more_values);
                tasks.push((rows.clone(), head, these_keys, these_values));
            }
        }
        let arrange =
            |(rows, head, keys, values): (Range<usize>, usize, &'s mut [f32], &'s mut [f32])| {
                self.arrange_keys(rows.clone(), head, keys);
                self.arrange_values(rows, head, values);
                Shelf { keys, values }
            };
        if parallel {
            tasks.into_par_iter().map(arrange).collect()
        } else {
            tasks.into_iter().map(arrange).collect()
        }
    }

    fn arrange_keys(self, rows: Range<usize>, head: usize, out: &mut [f32]) {
        let d_head = self.heads.d_head;
        let column = self.heads.z_width() + head * d_head;
        let mut key = vec![0.0; d_head];
        let length = rows.len();
        for (strip, out) in out.chunks_exact_mut(STRIP * d_head).enumerate() {
            let (steps, _) = out.as_chunks_mut::<STRIP>();
            for within in 0..STRIP {
                let position = strip * STRIP + within;
                if position < length {
                    self.rotated(rows.start + position, position, column, &mut key);
                } else {
                    key.fill(0.0);
                }
                for (step, &value) in steps.iter_mut().zip(&key) {
                    step[within] = value;
                }
            }
        }
    }

    fn arrange_values(self, rows: Range<usize>, head: usize, out: &mut [f32]) {
        let (d_head, width) = (self.heads.d_head, self.heads.qkv_width());
        let column = self.heads.z_width() + self.heads.kv_width() + head * d_head;
        let length = rows.len();
        for (position, row) in self.qkv[rows.start * width..rows.end * width]
            .chunks_exact(width)
            .enumerate()
        {
            let value = &row[column..column + d_head];
            for (strip, part) in value.chunks(STRIP).enumerate() {
                let height = if part.len() == STRIP {
                    STRIP
                } else {
                    strip_height(part.len())
                };
                let at = strip * STRIP * length + position * height;
                out[at..at + part.len()].copy_from_slice(part);
                out[at + part.len()..at + height].fill(0.0);
            }
        }
    }

    /// Writes the query or key at `column` of row `row`, rotated as a token at `position` is.
    #[inline(always)]
    fn rotated(self, row: usize, position: usize, column: usize, out: &mut [f32]) {
        let d_head = self.heads.d_head;
        let start = row * self.heads.qkv_width() + column;
        rotate(&self.qkv[start..start + d_head], self.angles, position, out);
    }
}

/// Writes the query or key `x` rotated as a token at `position` is.
#[inline(always)]
pub(super) fn rotate(x: &[f32], angles: Option<&Angles>, position: usize, out: &mut [f32]) {
    let Some(angles) = angles else {
        out.copy_from_slice(x);
        return;
    };
    let half = x.len() / 2;
    let (cos, sin) = (
        &angles.cos[position * half..][..half],
        &angles.sin[position * half..][..half],
    );
    let ((low, high), (out_low, out_high)) = (x.split_at(half), out.split_at_mut(half));
    for i in 0..half {
        out_low[i] = low[i] * cos[i] - high[i] * sin[i];
        out_high[i] = high[i] * cos[i] + low[i] * sin[i];
    }
}

/// Up to [`PANEL`] queries of one head.
struct Block<'a> {
    pass: Pass<'a>,
    shelf: &'a Shelf<'a>,
    head: usize,
    queries: Range<usize>,
    /// The rows of the sequence.
    rows: Range<usize>,
    out: Vec<&'a mut [f32]>,
}

impl Block<'_> {
    fn arch(&self) -> Arch {
        self.pass.arch
    }

    /// The queries, rotated, as a panel `[d_head, PANEL]`.
    #[inline(always)]
    fn query_panel(&self, panel: &mut [[f32; PANEL]]) {
        let mut query = vec![0.0; panel.len()];
        for (c, row) in self.queries.clone().enumerate() {
            self.pass.rotated(
                row,
                row - self.rows.start,
                self.head * self.pass.heads.d_head,
                &mut query,
            );
            for (step, &value) in panel.iter_mut().zip(&query) {
                step[c] = value;
            }
        }
    }
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let d_head = self.pass.heads.d_head;
        let first = self.queries.start - self.rows.start;
        let keys = if self.pass.causal {
            self.queries.end - self.rows.start
        } else {
            self.rows.len()
        };
        let strips = keys.div_ceil(STRIP);
        let mut memory = vec![[0.0; PANEL]; d_head + strips * STRIP];
        let (panel, scores) = memory.split_at_mut(d_head);
        self.query_panel(panel);

        let (tiles, _) = scores.as_chunks_mut::<STRIP>();
        for (strip, tile) in self.shelf.keys.chunks_exact(STRIP * d_head).zip(tiles) {
            microkernel::multiply(simd, strip, STRIP, panel.as_flattened(), tile);
        }
        let scores = &mut scores[..keys];
        if self.pass.causal {
            hide_later_keys(scores, first);
        }
        let sums = softmax_columns(scores, (d_head as f32).sqrt().recip());

        let length = self.rows.len();
        let mut tile: Tile = [[0.0; PANEL]; STRIP];
        for from in (0..d_head).step_by(STRIP) {
            let wide = (d_head - from).min(STRIP);
            let height = if wide == STRIP {
                STRIP
            } else {
                strip_height(wide)
            };
            let strip = &self.shelf.values[from * length..][..keys * height];
            microkernel::multiply(simd, strip, height, scores.as_flattened(), &mut tile);
            for (c, out) in self.out.iter_mut().enumerate() {
                for (value, row) in out[from..from + wide].iter_mut().zip(&tile) {
                    *value = row[c] / sums[c];
                }
            }
        }
    }
}

/// Takes away the scores of keys that come after the query of a column, which is key `first + column`.
#[inline(always)]
fn hide_later_keys(scores: &mut [[f32; PANEL]], first: usize) {
    for (behind, row) in scores[first..].iter_mut().enumerate() {
        for (c, score) in row.iter_mut().enumerate() {
            *score = if c < behind {
                f32::NEG_INFINITY
            } else {
                *score
            };
        }
    }
}

/// Replaces scores by `e^(scale · (score - greatest of the column))` and returns the sums of the columns.
#[inline(always)]
fn softmax_columns(scores: &mut [[f32; PANEL]], scale: f32) -> [f32; PANEL] {
    let mut greatest = [f32::NEG_INFINITY; PANEL];
    for row in &*scores {
        for (greatest, &score) in greatest.iter_mut().zip(row) {
            *greatest = if score > *greatest { score } else { *greatest };
        }
    }
    let mut sums = [0.0; PANEL];
    for row in scores {
        for ((score, greatest), sum) in row.iter_mut().zip(&greatest).zip(&mut sums) {
            *score = exp((*score - greatest) * scale);
            *sum += *score;
        }
    }
    sums
}

/// Width of the strips of a value together.
fn value_width(d_head: usize) -> usize {
    d_head / STRIP * STRIP + strip_height(d_head % STRIP)
}

fn grow(buffer: &mut Vec<f32>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    /// Who is seen: those before and the angles of their positions, or everyone.
    #[derive(Clone, Copy)]
    enum Seen<'a> {
        Before(Option<&'a Angles>),
        All,
    }

    impl<'a> Seen<'a> {
        fn angles(self) -> Option<&'a Angles> {
            match self {
                Self::Before(angles) => angles,
                Self::All => None,
            }
        }
    }

    fn run(qkv: &[f32], heads: Heads, seen: Seen<'_>, lengths: &[usize]) -> Vec<f32> {
        let ids = vec![0u32; lengths.iter().sum()];
        let mut at = 0;
        let sequences: Vec<_> = lengths
            .iter()
            .map(|&length| {
                at += length;
                &ids[at - length..at]
            })
            .collect();
        let tokens = PackedTokens::new(sequences);
        let mut out = vec![f32::NAN; ids.len() * heads.z_width()];
        let mut scratch = Scratch::default();
        match seen {
            Seen::Before(angles) => {
                attention(qkv, (heads, angles), &tokens, &mut scratch, &mut out);
            }
            Seen::All => full_attention(qkv, heads, &tokens, &mut scratch, &mut out),
        }
        out
    }

    /// The definition, in f64, one query after the other.
    fn naive(qkv: &[f32], heads: Heads, seen: Seen<'_>, length: usize) -> Vec<f64> {
        let (d, half) = (heads.d_head, heads.d_head / 2);
        let at = |row: usize, column: usize| {
            let x: Vec<f64> = qkv[row * heads.qkv_width() + column..][..d]
                .iter()
                .map(|&v| f64::from(v))
                .collect();
            let turned = column < heads.z_width() + heads.kv_width();
            match seen.angles().filter(|_| turned) {
                None => x,
                Some(angles) => (0..d)
                    .map(|i| {
                        let (c, s) = (
                            angles.cos[row * half + i % half],
                            angles.sin[row * half + i % half],
                        );
                        let other = if i < half { -x[i + half] } else { x[i - half] };
                        x[i] * f64::from(c) + other * f64::from(s)
                    })
                    .collect(),
            }
        };
        let mut out = Vec::new();
        for query in 0..length {
            let last = match seen {
                Seen::Before(_) => query,
                Seen::All => length - 1,
            };
            for head in 0..heads.n_heads {
                let kv = head / (heads.n_heads / heads.n_kv_heads);
                let q = at(query, head * d);
                let scores: Vec<f64> = (0..=last)
                    .map(|key| {
                        let k = at(key, heads.z_width() + kv * d);
                        q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() / (d as f64).sqrt()
                    })
                    .collect();
                let greatest = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - greatest).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for i in 0..d {
                    let value =
                        |key: usize| at(key, heads.z_width() + heads.kv_width() + kv * d)[i];
                    out.push(
                        weights
                            .iter()
                            .enumerate()
                            .map(|(key, w)| w * value(key))
                            .sum::<f64>()
                            / sum,
                    );
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn equals_the_definition(length in 1usize..90, kv in 1usize..3, group in 1usize..4, d in 1usize..20, how in 0usize..3) {
            let heads = Heads { n_heads: kv * group, n_kv_heads: kv, d_head: 2 * d };
            let qkv = noise(length * heads.qkv_width(), length);
            let angles = angles(length, d);
            let seen = [Seen::Before(None), Seen::Before(Some(&angles)), Seen::All][how];
            let out = run(&qkv, heads, seen, &[length]);
            for (value, exact) in out.iter().zip(naive(&qkv, heads, seen, length)) {
                prop_assert!((f64::from(*value) - exact).abs() < 1e-5, "{value} {exact}");
            }
        }

        #[test]
        fn neighbours_change_no_bit(lengths in prop::collection::vec(0usize..80, 1..6), all: bool) {
            let heads = Heads { n_heads: 6, n_kv_heads: 2, d_head: 16 };
            let qkv = noise(lengths.iter().sum::<usize>() * heads.qkv_width(), 5);
            let angles = angles(80, 8);
            let seen = if all { Seen::All } else { Seen::Before(Some(&angles)) };
            let together = run(&qkv, heads, seen, &lengths);
            let mut from = 0;
            for length in lengths {
                let rows = &qkv[from * heads.qkv_width()..(from + length) * heads.qkv_width()];
                let alone = run(rows, heads, seen, &[length]);
                prop_assert_eq!(&together[from * heads.z_width()..(from + length) * heads.z_width()], &alone[..]);
                from += length;
            }
        }
    }
}
