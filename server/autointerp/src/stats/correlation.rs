//! Scores of simulations (Bills et al. 2023; neuron_explainer/explanations/scoring.py).

use std::collections::BTreeMap;

use latentd_domain::autointerp::Calibration;

use super::{Line, Percentiles, Summary, interval};
use crate::Row;

/// True value and prediction of a token.
type Pair = (f64, f64);

/// Sums over pairs of true value and prediction, from which their correlation follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    n: f64,
    truth: f64,
    predicted: f64,
    truth_squared: f64,
    predicted_squared: f64,
    product: f64,
}

impl Sums {
    /// The sums of `pairs`.
    pub fn of(pairs: &[Pair]) -> Self {
        let mut sums = Self::default();
        for &(truth, predicted) in pairs {
            sums.n += 1.0;
            sums.truth += truth;
            sums.predicted += predicted;
            sums.truth_squared += truth * truth;
            sums.predicted_squared += predicted * predicted;
            sums.product += truth * predicted;
        }
        sums
    }

    /// The sums of both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            n: self.n + other.n,
            truth: self.truth + other.truth,
            predicted: self.predicted + other.predicted,
            truth_squared: self.truth_squared + other.truth_squared,
            predicted_squared: self.predicted_squared + other.predicted_squared,
            product: self.product + other.product,
        }
    }

    /// Pearson's correlation; `None` where the true values or the predictions are all equal.
    pub fn correlation(&self) -> Option<f64> {
        let of_truth = self.n * self.truth_squared - self.truth * self.truth;
        let of_predicted = self.n * self.predicted_squared - self.predicted * self.predicted;
        // What rounding leaves of equal values is not a variance.
        let real = |variance: f64, squares: f64| variance > 1e-12 * self.n * squares;
        (real(of_truth, self.truth_squared) && real(of_predicted, self.predicted_squared)).then(
            || {
                let covariance = self.n * self.product - self.truth * self.predicted;
                (covariance / (of_truth.sqrt() * of_predicted.sqrt())).clamp(-1.0, 1.0)
            },
        )
    }
}

/// `1 − E(t − p)² / E t²`: the share of the squared activation that is explained.
pub fn rsquared(pairs: &[Pair]) -> Option<f64> {
    let squares: f64 = pairs.iter().map(|(t, _)| t * t).sum();
    let errors: f64 = pairs.iter().map(|(t, p)| (t - p) * (t - p)).sum();
    (squares > 0.0).then(|| 1.0 - errors / squares)
}

/// `1 − E|t − p| / E|t|`: the share of the activation that is explained.
pub fn absolute_dev(pairs: &[Pair]) -> Option<f64> {
    let sizes: f64 = pairs.iter().map(|(t, _)| t.abs()).sum();
    let errors: f64 = pairs.iter().map(|(t, p)| (t - p).abs()).sum();
    (sizes > 0.0).then(|| 1.0 - errors / sizes)
}

/// The correlation over the tokens of all rows (`ev_correlation`), and beside it rsquared, absolute_dev, and the correlation
/// over the rows of each quantile (`ev_correlation_q0`, …).
///
/// A calibration is fitted on every second of the rows that were scored, in their order, beginning with the first; everything
/// is then measured on the others. A line leaves a correlation as it is, so the correlation is that of the predictions before
/// it: an explanation that is the wrong way round is not turned.
pub fn summarize(rows: &[Row], calibration: Calibration, seed: u64) -> Summary {
    let scored: Vec<&Row> = rows
        .iter()
        .filter(|row| row.failure.is_none() && !row.predicted.is_empty())
        .filter(|row| row.predicted.len() == row.truth.len())
        .collect();
    let mut summary = Summary::of(rows, scored.len());
    let every_second = |from: usize| scored.iter().skip(from).step_by(2).copied();
    let (evaluated, calibrate) = match calibration {
        Calibration::Uncalibrated => (scored.clone(), Calibrator::None),
        Calibration::Linear | Calibration::Percentile => {
            let learned: Vec<Pair> = every_second(0).flat_map(pairs).collect();
            (
                every_second(1).collect(),
                Calibrator::fit(calibration, &learned),
            )
        }
    };
    let raw: Vec<Vec<Pair>> = evaluated.iter().map(|row| pairs(row)).collect();
    let calibrated: Vec<Vec<Pair>> = raw
        .iter()
        .map(|row| row.iter().map(|&(t, p)| (t, calibrate.apply(p))).collect())
        .collect();
    let correlated = match calibration {
        Calibration::Percentile => &calibrated,
        Calibration::Uncalibrated | Calibration::Linear => &raw,
    };
    let sums: Vec<Sums> = correlated.iter().map(|row| Sums::of(row)).collect();
    let over =
        |sums: &mut dyn Iterator<Item = &Sums>| sums.fold(Sums::default(), Sums::and).correlation();
    summary.value = over(&mut sums.iter());
    if summary.value.is_some() {
        summary.ci = interval(sums.len(), seed, |drawn| {
            over(&mut drawn.iter().filter_map(|&at| sums.get(at)))
        });
    }
    let all = calibrated.concat();
    summary.put("ev_correlation", summary.value);
    summary.put("rsquared", rsquared(&all));
    summary.put("absolute_dev", absolute_dev(&all));
    summary.put("n_evaluated", Some(evaluated.len() as f64));
    let mut quantiles: BTreeMap<u32, Sums> = BTreeMap::new();
    for (row, sums) in evaluated.iter().zip(&sums) {
        if let Some(quantile) = row.quantile {
            let total = quantiles.entry(quantile).or_default();
            *total = total.and(sums);
        }
    }
    for (quantile, sums) in quantiles {
        summary.put(format!("ev_correlation_q{quantile}"), sums.correlation());
    }
    summary
}

/// True value and prediction of each token of a row.
fn pairs(row: &Row) -> Vec<Pair> {
    row.truth
        .iter()
        .zip(&row.predicted)
        .map(|(&truth, &predicted)| (f64::from(truth), f64::from(predicted)))
        .collect()
}

/// What was learned.
enum Calibrator {
    None,
    Line(Line),
    Percentiles(Percentiles),
}

impl Calibrator {
    fn fit(calibration: Calibration, learned: &[Pair]) -> Self {
        match calibration {
            Calibration::Uncalibrated => Self::None,
            Calibration::Linear => Line::fit(learned).map_or(Self::None, Self::Line),
            Calibration::Percentile => {
                Percentiles::fit(learned).map_or(Self::None, Self::Percentiles)
            }
        }
    }

    fn apply(&self, predicted: f64) -> f64 {
        match self {
            Self::None => predicted,
            Self::Line(line) => line.apply(predicted),
            Self::Percentiles(percentiles) => percentiles.apply(predicted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(quantile: Option<u32>, truth: &[f32], predicted: &[f32]) -> Row {
        Row {
            quantile,
            truth: truth.to_vec(),
            predicted: predicted.to_vec(),
            ..Row::default()
        }
    }

    #[test]
    fn known_values() {
        let pairs = [(0.0, 0.0), (10.0, 8.0), (0.0, 1.0), (5.0, 5.0)];
        // numpy.corrcoef([0, 10, 0, 5], [0, 8, 1, 5])[0, 1]
        let r = Sums::of(&pairs).correlation().unwrap();
        assert!((r - 0.988_851_379_630_823_4).abs() < 1e-12, "{r}");
        assert_eq!(rsquared(&pairs), Some(1.0 - 5.0 / 125.0));
        assert_eq!(absolute_dev(&pairs), Some(1.0 - 3.0 / 15.0));
    }

    #[test]
    fn constants_have_no_correlation() {
        assert_eq!(
            Sums::of(&[(0.1, 1.0), (0.1, 2.0), (0.1, 3.0)]).correlation(),
            None
        );
        assert_eq!(
            Sums::of(&[(1.0, 0.3), (2.0, 0.3), (7.0, 0.3)]).correlation(),
            None
        );
        assert_eq!(Sums::of(&[]).correlation(), None);
        assert_eq!(rsquared(&[(0.0, 1.0)]), None);
    }

    #[test]
    fn quantiles_and_failures() {
        let rows = [
            row(Some(0), &[0.0, 9.0], &[0.0, 9.0]),
            row(Some(1), &[0.0, 2.0], &[2.0, 0.0]),
            row(None, &[0.0, 0.0], &[0.0, 1.0]),
            row(Some(1), &[0.0, 2.0], &[]),
        ];
        let summary = summarize(&rows, Calibration::Uncalibrated, 0);
        assert_eq!((summary.n, summary.n_failed), (3, 1));
        assert_eq!(summary.metrics["ev_correlation_q0"], 1.0);
        assert_eq!(summary.metrics["ev_correlation_q1"], -1.0);
        assert!(summary.value.unwrap() > 0.8);
    }

    #[test]
    fn calibrations_are_judged_on_what_they_did_not_see() {
        // The truth is twice the prediction and one more.
        let rows: Vec<Row> = (0..8)
            .map(|i| {
                let predicted = [i as f32, 2.0 * i as f32];
                let truth = predicted.map(|p| 2.0 * p + 1.0);
                row(Some(i / 2), &truth, &predicted)
            })
            .collect();
        let raw = summarize(&rows, Calibration::Uncalibrated, 0);
        let linear = summarize(&rows, Calibration::Linear, 0);
        assert!(raw.metrics["rsquared"] < 0.8);
        assert!((linear.metrics["rsquared"] - 1.0).abs() < 1e-9);
        assert!((linear.value.unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(linear.metrics["n_evaluated"], 4.0);
        let percentile = summarize(&rows, Calibration::Percentile, 0);
        assert!(percentile.metrics["rsquared"] > 0.95);
        // Only every second row is evaluated: one of them that is wrong shows, and does not spoil the fit.
        let mut wrong = rows.clone();
        wrong[1].truth = vec![0.0, 0.0];
        assert!(summarize(&wrong, Calibration::Linear, 0).metrics["rsquared"] < 0.999);
        wrong[1] = rows[1].clone();
        wrong[0].truth = vec![50.0, 50.0];
        assert!(summarize(&wrong, Calibration::Linear, 0).metrics["rsquared"] < 0.9);
    }

    #[test]
    fn an_explanation_the_wrong_way_round_is_not_turned() {
        let rows = vec![row(None, &[0.0, 5.0, 1.0], &[5.0, 0.0, 4.0]); 4];
        let summary = summarize(&rows, Calibration::Linear, 0);
        assert!((summary.value.unwrap() + 1.0).abs() < 1e-9);
    }
}
