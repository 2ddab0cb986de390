//! Products against their definition, bit for bit.

use proptest::prelude::*;
use pulp::Arch;

use super::{super::packed_matrix::Layout, *};

fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// The chain of operations that every element is.
fn naive(x: &[f32], w: &[f32], k: usize, n: usize) -> Vec<f32> {
    let fused = Arch::new();
    let mut out = Vec::new();
    for row in x.chunks(k) {
        for column in 0..n {
            let step = |sum: f32, i: usize| match fused {
                Arch::Scalar => row[i] * w[i * n + column] + sum,
                _ => row[i].mul_add(w[i * n + column], sum),
            };
            out.push((0..k).fold(0.0, step));
        }
    }
    out
}

fn transposed(w: &[f32], k: usize, n: usize) -> Vec<f32> {
    (0..n)
        .flat_map(|column| (0..k).map(move |step| w[step * n + column]))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_are_exact_chains(m in 1usize..40, k in 1usize..70, n in 1usize..140, seed: u32) {
        let (x, w) = (noise(seed, m * k), noise(seed ^ 7, k * n));
        let expected = naive(&x, &w, k, n);
        for (weights, layout) in [(w.clone(), Layout::InOut), (transposed(&w, k, n), Layout::OutIn)] {
            let packed = PackedMatrix::pack(&weights, k, n, layout);
            let mut out = vec![f32::NAN; m * n];
            packed.matmul(&x, Epilogue::default(), &mut out);
            prop_assert_eq!(&out, &expected);
        }
    }

    #[test]
    fn a_row_does_not_see_its_neighbours(m in 1usize..700, row in 0usize..700, threads in 1usize..5) {
        let (k, n) = (24, 100);
        let row = row % m;
        let (x, w) = (noise(3, m * k), noise(4, k * n));
        let packed = PackedMatrix::pack(&w, k, n, Layout::InOut);
        let mut together = vec![0.0; m * n];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| packed.matmul(&x, Epilogue::default(), &mut together));
        let mut alone = vec![0.0; n];
        packed.matmul(&x[row * k..(row + 1) * k], Epilogue::default(), &mut alone);
        prop_assert_eq!(&together[row * n..(row + 1) * n], &alone[..]);
    }

    #[test]
    fn tiles_and_selections_are_parts_of_the_product(m in 1usize..30, n in 1usize..150, first in 0usize..5) {
        let k = 17;
        let (x, w) = (noise(5, m * k), noise(6, k * n));
        let packed = PackedMatrix::pack(&w, k, n, Layout::InOut);
        let expected = naive(&x, &w, k, n);
        let mut rows = PackedRows::default();
        rows.pack(&x, k);
        let first = first % packed.panels();
        let mut out = vec![f32::NAN; m * n];
        let columns = packed.tile(&rows, first..packed.panels(), Epilogue::default(), &mut out);
        for (row, values) in out.chunks(columns.len()).take(m).enumerate() {
            prop_assert_eq!(values, &expected[row * n..][columns.clone()]);
        }
        let chosen = [n as u32 - 1, 0, n as u32 / 2];
        let some = packed.select(&chosen);
        let mut out = vec![f32::NAN; m * 3];
        some.matmul(&x, Epilogue::default(), &mut out);
        for (row, values) in out.chunks(3).enumerate() {
            let picked: Vec<_> = chosen.iter().map(|&c| expected[row * n + c as usize]).collect();
            prop_assert_eq!(values, &picked[..]);
        }
    }
}

#[test]
fn column_groups_and_blocks_give_the_same() {
    let (k, n) = (130, 200);
    let w = noise(8, k * n);
    let packed = PackedMatrix::pack(&w, k, n, Layout::InOut);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    for m in [7, 31, 256, 257, 300, 1000] {
        let x = noise(9, m * k);
        let mut out = vec![0.0; m * n];
        pool.install(|| packed.matmul(&x, Epilogue::default(), &mut out));
        assert_eq!(out, naive(&x, &w, k, n), "{m} rows");
    }
}

#[test]
fn epilogues_follow_the_product() {
    let (m, k, n) = (5, 9, 45);
    let (x, w, up, bias) = (
        noise(1, m * k),
        noise(2, k * n),
        noise(3, k * n),
        noise(4, n),
    );
    let product = naive(&x, &w, k, n);
    let packed = PackedMatrix::pack(&w, k, n, Layout::InOut);
    let apply = |bias, then, start: f32| {
        let mut out = vec![start; m * n];
        packed.matmul(&x, Epilogue { bias, then }, &mut out);
        out
    };
    let with_bias = |i: usize| product[i] + bias[i % n];
    let added = apply(Some(&bias), Then::Add, 2.0);
    let gelu = apply(Some(&bias), Then::GeluTanh, f32::NAN);
    for i in 0..m * n {
        assert_eq!(added[i], 2.0 + with_bias(i));
        assert!((gelu[i] - super::super::math::gelu_tanh(with_bias(i))).abs() < 1e-6);
    }

    let gated = PackedMatrix::pack_gated(&w, &up, k, Layout::InOut);
    assert_eq!(gated.n(), n);
    let other = naive(&x, &up, k, n);
    let biases = PackedMatrix::pack_gated_bias(&bias, &bias);
    let mut out = vec![f32::NAN; m * n];
    gated.matmul(
        &x,
        Epilogue {
            bias: Some(&biases),
            then: Then::SiluGate,
        },
        &mut out,
    );
    for i in 0..m * n {
        let expected = super::super::math::silu(with_bias(i)) * (other[i] + bias[i % n]);
        assert!(
            (out[i] - expected).abs() < 1e-6,
            "{i}: {} {expected}",
            out[i]
        );
    }
}

#[test]
fn nothing_times_something_is_nothing() {
    let packed = PackedMatrix::pack(&[1.0, 2.0], 2, 1, Layout::InOut);
    packed.matmul(&[], Epilogue::default(), &mut []);
    assert_eq!(
        (packed.k(), packed.n(), packed.panels(), packed.bytes()),
        (2, 1, 1, 2 * 32 * 4)
    );
}
