//! Confidence intervals by bootstrap.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often rows are drawn anew.
pub const RESAMPLES: usize = 1000;

/// 95 % confidence interval of `statistic` of `n` rows, given by their indexes: the percentile method (Efron 1979).
///
/// `None` for fewer than two rows, and where the statistic is not defined for most of what is drawn.
pub fn interval(
    n: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<(f64, f64)> {
    if n < 2 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = vec![0; n];
    let mut values = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        for at in &mut drawn {
            *at = rng.random_range(0..n);
        }
        values.extend(statistic(&drawn).filter(|value| value.is_finite()));
    }
    if values.len() < RESAMPLES / 2 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (share * (values.len() - 1) as f64).round() as usize;
        values.get(index).copied()
    };
    at(0.025).zip(at(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_coins() {
        let mean = |drawn: &[usize]| {
            Some(drawn.iter().filter(|&&at| at % 2 == 0).count() as f64 / drawn.len() as f64)
        };
        let (low, high) = interval(100, 1, mean).unwrap();
        // The standard error is 0.05.
        assert!((0.38..0.42).contains(&low), "{low}");
        assert!((0.58..0.62).contains(&high), "{high}");
        assert_eq!(interval(100, 1, mean), Some((low, high)));
        assert_eq!(interval(1, 1, mean), None);
        assert_eq!(interval(10, 1, |_| None), None);
    }
}
