//! From the vectors of a text's tokens to the vector of the text.

use super::modules::Pooling;
use crate::packed::PackedTokens;

/// Shortest length that a vector is divided by, as PyTorch's `normalize` has it.
const SHORTEST: f32 = 1e-12;

/// One vector for each sequence of `tokens`, from `rows`, `[tokens, width]`. Sequences are not empty.
///
/// Sums run in the order of the tokens, so that a text's vector does not depend on its neighbours.
pub(super) fn pool(
    rows: &[f32],
    width: usize,
    tokens: &PackedTokens,
    (pooling, normalise): (Pooling, bool),
) -> Vec<f32> {
    let mut pooled = vec![0.0; tokens.sequences() * width];
    for (out, range) in pooled.chunks_exact_mut(width).zip(tokens.ranges()) {
        let length = range.len() as f32;
        let of_tokens = rows.chunks_exact(width).skip(range.start);
        match pooling {
            Pooling::First => of_tokens.take(1).for_each(|row| out.copy_from_slice(row)),
            Pooling::Mean => {
                for row in of_tokens.take(range.len()) {
                    for (sum, value) in out.iter_mut().zip(row) {
                        *sum += value;
                    }
                }
                for value in out.iter_mut() {
                    *value /= length;
                }
            }
        }
        if normalise {
            let square: f32 = out.iter().map(|value| value * value).sum();
            let length = square.sqrt().max(SHORTEST);
            for value in out.iter_mut() {
                *value /= length;
            }
        }
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_has_its_own_vector() {
        let tokens = PackedTokens::new([&[1, 2][..], &[3]]);
        let rows = [1.0, 0.0, 5.0, 8.0, 0.0, -2.0];
        let mean = pool(&rows, 2, &tokens, (Pooling::Mean, false));
        assert_eq!(mean, [3.0, 4.0, 0.0, -2.0]);
        let first = pool(&rows, 2, &tokens, (Pooling::First, false));
        assert_eq!(first, [1.0, 0.0, 0.0, -2.0]);
        let unit = pool(&rows, 2, &tokens, (Pooling::Mean, true));
        assert_eq!(unit, [0.6, 0.8, 0.0, -1.0]);
    }

    #[test]
    fn nothing_has_no_direction() {
        let tokens = PackedTokens::new([&[1][..]]);
        assert_eq!(
            pool(&[0.0, 0.0], 2, &tokens, (Pooling::Mean, true)),
            [0.0, 0.0]
        );
    }
}
