//! Area under the receiver operating characteristic.

/// The probability that a value with label `true` is over one with label `false`, ties counting half (Mann and Whitney 1947);
/// `None` unless both labels are there.
pub fn auc(values: &[(f64, bool)]) -> Option<f64> {
    Ranked::new(values).auc(&vec![1; values.len()])
}

/// Values in order, so that many samples of them are measured without being ordered each.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    /// Runs of equal values: the places and labels of each.
    ties: Vec<Vec<(usize, bool)>>,
}

impl Ranked {
    /// Puts values in order.
    pub(super) fn new(values: &[(f64, bool)]) -> Self {
        let mut sorted: Vec<(usize, &(f64, bool))> = values.iter().enumerate().collect();
        // `total_cmp` tells zeros apart by their sign, which are one value.
        sorted.sort_by(|a, b| (a.1.0 + 0.0).total_cmp(&(b.1.0 + 0.0)));
        let ties = sorted
            .chunk_by(|a, b| a.1.0 == b.1.0)
            .map(|tie| tie.iter().map(|(at, value)| (*at, value.1)).collect())
            .collect();
        Self { ties }
    }

    /// The area of a sample that holds each value so many times.
    pub(super) fn auc(&self, times: &[u32]) -> Option<f64> {
        let (mut below, mut positives, mut area) = (0.0, 0.0, 0.0);
        for tie in &self.ties {
            let (mut of_true, mut of_false) = (0.0, 0.0);
            for (at, label) in tie {
                let times = f64::from(times.get(*at).copied().unwrap_or_default());
                if *label {
                    of_true += times;
                } else {
                    of_false += times;
                }
            }
            area += of_true * (below + of_false / 2.0);
            below += of_false;
            positives += of_true;
        }
        (positives > 0.0 && below > 0.0).then(|| area / (positives * below))
    }
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
