//! Brings simulated activations to the scale of the latent (neuron_explainer/explanations/calibrated_simulator.py).

/// A line from predictions to true values, by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Slope.
    pub slope: f64,
    /// True value at prediction 0.
    pub intercept: f64,
}

impl Line {
    /// The line through pairs of true value and prediction; flat where all predictions are equal. `None` without pairs.
    pub fn fit(pairs: &[(f64, f64)]) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let n = pairs.len() as f64;
        let mean_truth = pairs.iter().map(|pair| pair.0).sum::<f64>() / n;
        let mean = pairs.iter().map(|pair| pair.1).sum::<f64>() / n;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (truth, predicted) in pairs {
            covariance += (truth - mean_truth) * (predicted - mean);
            variance += (predicted - mean) * (predicted - mean);
        }
        let slope = if variance > 1e-12 * n * (1.0 + mean * mean) {
            covariance / variance
        } else {
            0.0
        };
        Some(Self {
            slope,
            intercept: mean_truth - slope * mean,
        })
    }

    /// The calibrated prediction.
    pub fn apply(&self, predicted: f64) -> f64 {
        self.slope * predicted + self.intercept
    }
}

/// From the quantile of a prediction to the true value at that quantile.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(Vec<(f64, f64)>);

impl Percentiles {
    /// Learns from pairs of true value and prediction; `None` without pairs.
    ///
    /// Equal predictions are brought to the mean of the true values at their quantiles. (`np.interp`, which
    /// calibrated_simulator.py uses, takes the highest of them, so that a simulator that says 0 nearly everywhere is
    /// brought far over 0.)
    pub fn fit(pairs: &[(f64, f64)]) -> Option<Self> {
        let mut truths: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        let mut predictions: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
        truths.sort_by(f64::total_cmp);
        predictions.sort_by(f64::total_cmp);
        let both: Vec<(f64, f64)> = predictions.into_iter().zip(truths).collect();
        let knots: Vec<(f64, f64)> = both
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|tie| {
                let sum: f64 = tie.iter().map(|pair| pair.1).sum();
                Some((tie.first()?.0, sum / tie.len() as f64))
            })
            .collect();
        (!knots.is_empty()).then_some(Self(knots))
    }

    /// The calibrated prediction: linear between what was learned, and the nearest of it outside.
    pub fn apply(&self, predicted: f64) -> f64 {
        let after = self.0.partition_point(|knot| knot.0 < predicted);
        let right = self.0.get(after);
        let left = after.checked_sub(1).and_then(|before| self.0.get(before));
        match (left, right) {
            (Some(left), Some(right)) => {
                let share = (predicted - left.0) / (right.0 - left.0);
                left.1 + share * (right.1 - left.1)
            }
            (Some(only), None) | (None, Some(only)) => only.1,
            (None, None) => predicted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again() {
        let pairs: Vec<(f64, f64)> = (0..10)
            .map(|p| (3.0 * f64::from(p) - 1.0, f64::from(p)))
            .collect();
        let line = Line::fit(&pairs).unwrap();
        assert!((line.slope - 3.0).abs() < 1e-12 && (line.intercept + 1.0).abs() < 1e-12);
        assert!((line.apply(20.0) - 59.0).abs() < 1e-9);
        assert_eq!(
            Line::fit(&[(1.0, 2.0), (3.0, 2.0)]).unwrap().apply(9.0),
            2.0
        );
        assert_eq!(Line::fit(&[]), None);
    }

    #[test]
    fn percentiles_match() {
        let pairs = [(0.0, 1.0), (10.0, 2.0), (20.0, 3.0)];
        let percentiles = Percentiles::fit(&pairs).unwrap();
        assert_eq!(percentiles.apply(1.0), 0.0);
        assert_eq!(percentiles.apply(2.5), 15.0);
        assert_eq!(percentiles.apply(-4.0), 0.0);
        assert_eq!(percentiles.apply(9.0), 20.0);
        // What is predicted falsely matters as little as its order.
        let percentiles = Percentiles::fit(&[(0.0, 0.0), (0.0, 0.0), (6.0, 0.0)]).unwrap();
        assert_eq!(percentiles.apply(0.0), 2.0);
        assert_eq!(Percentiles::fit(&[]), None);
    }
}
