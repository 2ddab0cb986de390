//! Normalisation of rows.

use pulp::Arch;
use rayon::prelude::*;

/// Values that are worth a task of their own.
const TASK: usize = 1 << 15;
/// Partial sums that a row is added up in: enough to keep the adders busy, and the same number on every machine, so that the
/// order of additions is too.
const LANES: usize = 64;

/// `out = x / √(mean(x²) + eps) · weight`, row by row.
///
/// # Shapes
///
/// `x` and `out` `[rows, width]`, `weight` `[width]`.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    each_row(
        x,
        weight.len(),
        out,
        #[inline(always)]
        |x, out| {
            let scale = (sum(x, |value| value * value) / x.len() as f32 + eps)
                .sqrt()
                .recip();
            for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                *out = x * scale * weight;
            }
        },
    );
}

/// `out = (x - mean(x)) / √(var(x) + eps) · weight + bias`, row by row, with the biased variance.
///
/// # Shapes
///
/// `x` and `out` `[rows, width]`, `weight` and `bias` `[width]`.
pub(crate) fn layer_norm(x: &[f32], (weight, bias): (&[f32], &[f32]), eps: f32, out: &mut [f32]) {
    each_row(
        x,
        weight.len(),
        out,
        #[inline(always)]
        |x, out| {
            let mean = sum(x, |value| value) / x.len() as f32;
            let variance = sum(x, |value| (value - mean) * (value - mean)) / x.len() as f32;
            let scale = (variance + eps).sqrt().recip();
            for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = ((x - mean) * scale).mul_add(*weight, *bias);
            }
        },
    );
}

/// Calls `row` with each row of `x` and of `out`, in vector code, on several threads where there is enough to do.
pub(crate) fn each_row(
    x: &[f32],
    width: usize,
    out: &mut [f32],
    row: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    if width == 0 {
        return;
    }
    let arch = Arch::new();
    let some = |x: &[f32], out: &mut [f32]| {
        arch.dispatch(
            #[inline(always)]
            || {
                for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                    row(x, out);
                }
            },
        );
    };
    if x.len() < 2 * TASK {
        return some(x, out);
    }
    let chunk = (TASK / width).max(1) * width;
    x.par_chunks(chunk)
        .zip(out.par_chunks_mut(chunk))
        .for_each(|(x, out)| some(x, out));
}

/// `Σ f(x)`, in an order that depends on the length of `x` only.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f(value);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rows_by_hand() {
        let mut out = [0.0; 4];
        rms_norm(&[3.0, 4.0, 0.0, 0.0], &[1.0, 2.0], 0.0, &mut out);
        let scale = 12.5f32.sqrt().recip();
        assert_eq!(out[..2], [3.0 * scale, 8.0 * scale]);
        rms_norm(&[0.0, 0.0], &[1.0, 1.0], 1e-5, &mut out[..2]);
        assert_eq!(out[..2], [0.0, 0.0]);
        layer_norm(&[1.0, 3.0], (&[2.0, 2.0], &[0.5, 0.5]), 0.0, &mut out[..2]);
        assert_eq!(out[..2], [-1.5, 2.5]);
    }

    #[test]
    fn many_rows_are_normalised_as_one_is() {
        let (rows, width) = (700, 131);
        let x: Vec<f32> = (0..rows * width)
            .map(|i| ((i * 7919) % 1013) as f32 / 500.0 - 1.0)
            .collect();
        let weight: Vec<f32> = (0..width).map(|i| i as f32 / 100.0).collect();
        let mut together = vec![0.0; x.len()];
        rms_norm(&x, &weight, 1e-5, &mut together);
        let mut alone = vec![0.0; width];
        for row in [0, 1, 350, 699] {
            let x = &x[row * width..(row + 1) * width];
            rms_norm(x, &weight, 1e-5, &mut alone);
            assert_eq!(alone, together[row * width..(row + 1) * width]);
            let square = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / width as f64;
            for ((&out, &x), &weight) in alone.iter().zip(x).zip(&weight) {
                let exact = f64::from(x) / (square + 1e-5).sqrt() * f64::from(weight);
                assert!((f64::from(out) - exact).abs() < 1e-6);
            }
        }
    }
}
