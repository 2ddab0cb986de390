//! Area under the receiver operating characteristic.

/// The probability that a value with label `true` is over one with label `false`, ties counting half (Mann and Whitney 1947);
/// `None` unless both labels are there.
pub fn auc(values: &[(f64, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = values.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut area) = (0usize, 0.0);
    for tie in sorted.chunk_by(|a, b| a.0 == b.0) {
        let positives = tie.iter().filter(|(_, label)| *label).count();
        let negatives = tie.len() - positives;
        area += positives as f64 * (below as f64 + negatives as f64 / 2.0);
        below += negatives;
    }
    let positives = sorted.len() - below;
    (positives > 0 && below > 0).then(|| area / (positives as f64 * below as f64))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn known_areas() {
        assert_eq!(
            auc(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]),
            Some(0.75)
        );
        assert_eq!(auc(&[(1.0, true), (1.0, false)]), Some(0.5));
        assert_eq!(auc(&[(1.0, true)]), None);
        assert_eq!(auc(&[]), None);
        // Zeros of both signs are one value.
        assert_eq!(auc(&[(0.0, true), (-0.0, false)]), Some(0.5));
    }

    proptest! {
        #[test]
        fn it_is_the_share_of_pairs_in_order(values in vec((0u8..6, any::<bool>()), 0..30)) {
            let values: Vec<(f64, bool)> = values.into_iter().map(|(v, l)| (f64::from(v), l)).collect();
            let (mut wins, mut pairs) = (0.0, 0.0);
            for (positive, _) in values.iter().filter(|v| v.1) {
                for (negative, _) in values.iter().filter(|v| !v.1) {
                    pairs += 1.0;
                    wins += if positive > negative { 1.0 } else if positive == negative { 0.5 } else { 0.0 };
                }
            }
            match auc(&values) {
                None => prop_assert_eq!(pairs, 0.0),
                Some(area) => prop_assert!((area - wins / pairs).abs() < 1e-12),
            }
        }
    }
}
