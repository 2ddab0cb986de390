//! The innermost loop of every product: one strip of rows times one panel of columns, in registers.

#![expect(
    clippy::indexing_slicing,
    reason = "indices are below the lengths of arrays"
)]

use pulp::Simd;

use super::rows::STRIP;

/// Columns in a panel: two AVX-512 vectors.
pub(crate) const PANEL: usize = 32;

/// Results of one strip and one panel: `[row][column]`.
pub(crate) type Tile = [[f32; PANEL]; STRIP];

/// `tile[row][column] = Σ strip[step][row] · panel[step][column]`, for a strip of `height` rows.
///
/// Each element is one chain of fused multiply-adds over the steps in order, whatever the height and the machine's vector
/// width: a row's result does not depend on which rows are computed beside it.
///
/// # Shapes
///
/// `strip` `[k, height]`, `panel` `[k, PANEL]`; `height` is one of [`super::rows::strip_height`].
#[inline(always)]
pub(crate) fn multiply<S: Simd>(
    simd: S,
    strip: &[f32],
    height: usize,
    panel: &[f32],
    tile: &mut Tile,
) {
    let (panel, _) = panel.as_chunks::<PANEL>();
    match height {
        1 => by_height::<S, 1, 1>(simd, strip, panel, tile),
        2 => by_height::<S, 2, 2>(simd, strip, panel, tile),
        4 => by_height::<S, 4, 4>(simd, strip, panel, tile),
        6 => by_height::<S, 6, 6>(simd, strip, panel, tile),
        8 => by_height::<S, 8, 4>(simd, strip, panel, tile),
        _ => by_height::<S, STRIP, 6>(simd, strip, panel, tile),
    }
}

/// `M` rows at once where 32 vector registers hold their accumulators, else `NARROW` of them.
#[inline(always)]
fn by_height<S: Simd, const M: usize, const NARROW: usize>(
    simd: S,
    strip: &[f32],
    panel: &[[f32; PANEL]],
    tile: &mut Tile,
) {
    let (strip, _) = strip.as_chunks::<M>();
    if S::F32_LANES == 16 {
        accumulate::<S, M, M>(simd, strip, panel, (0, 0), tile);
    } else {
        for row in (0..M).step_by(NARROW) {
            for column in (0..PANEL).step_by(2 * S::F32_LANES) {
                accumulate::<S, M, NARROW>(simd, strip, panel, (row, column), tile);
            }
        }
    }
}

/// `R` rows from `row` on, two vectors of columns from `column` on.
#[inline(always)]
fn accumulate<S: Simd, const M: usize, const R: usize>(
    simd: S,
    strip: &[[f32; M]],
    panel: &[[f32; PANEL]],
    (row, column): (usize, usize),
    tile: &mut Tile,
) {
    let mut sums = [[simd.splat_f32s(0.0); 2]; R];
    for (x, w) in strip.iter().zip(panel) {
        let (w, _) = S::as_simd_f32s(&w[column..]);
        let (low, high) = (w[0], w[1]);
        for r in 0..R {
            let x = simd.splat_f32s(x[row + r]);
            sums[r][0] = simd.mul_add_e_f32s(x, low, sums[r][0]);
            sums[r][1] = simd.mul_add_e_f32s(x, high, sums[r][1]);
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let (out, _) = S::as_mut_simd_f32s(&mut tile[row + r][column..]);
        out[0] = sums[0];
        out[1] = sums[1];
    }
}
