//! Scores of scorers that say yes or no.

use super::{Summary, auc, interval};
use crate::Row;

/// What was said against what is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Yes, rightly.
    pub true_positives: u32,
    /// No, rightly.
    pub true_negatives: u32,
    /// Yes, wrongly.
    pub false_positives: u32,
    /// No, wrongly.
    pub false_negatives: u32,
}

impl Confusion {
    /// Counts pairs of label and prediction.
    pub fn count(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for (label, prediction) in pairs {
            *match (label, prediction) {
                (true, true) => &mut counts.true_positives,
                (false, false) => &mut counts.true_negatives,
                (false, true) => &mut counts.false_positives,
                (true, false) => &mut counts.false_negatives,
            } += 1;
        }
        counts
    }

    /// Share of what is true that was found: recall, sensitivity.
    pub fn true_positive_rate(&self) -> Option<f64> {
        ratio(
            self.true_positives,
            self.true_positives + self.false_negatives,
        )
    }

    /// Share of what is false that was found: specificity.
    pub fn true_negative_rate(&self) -> Option<f64> {
        ratio(
            self.true_negatives,
            self.true_negatives + self.false_positives,
        )
    }

    /// Mean of both rates; `None` unless there is something true and something false.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some(f64::midpoint(
            self.true_positive_rate()?,
            self.true_negative_rate()?,
        ))
    }

    /// Share of what was said yes to that is true; `None` if yes was never said.
    pub fn precision(&self) -> Option<f64> {
        ratio(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// Harmonic mean of precision and recall; 0 if nothing that is true was found, and `None` if there is nothing true.
    pub fn f1(&self) -> Option<f64> {
        self.true_positive_rate()?;
        ratio(
            2 * self.true_positives,
            2 * self.true_positives + self.false_positives + self.false_negatives,
        )
    }

    /// Share that is right.
    pub fn accuracy(&self) -> Option<f64> {
        let right = self.true_positives + self.true_negatives;
        ratio(right, right + self.false_positives + self.false_negatives)
    }
}

fn ratio(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

/// Balanced accuracy, and what is usual beside it, of rows with `label` and `prediction`. AUC where there are probabilities.
pub fn summarize(rows: &[Row], seed: u64) -> Summary {
    let pairs: Vec<(bool, bool)> = rows
        .iter()
        .filter(|row| row.failure.is_none())
        .filter_map(|row| row.label.zip(row.prediction))
        .collect();
    let mut summary = Summary::of(rows, pairs.len());
    let counts = Confusion::count(pairs.iter().copied());
    summary.value = counts.balanced_accuracy();
    if summary.value.is_some() {
        summary.ci = interval(pairs.len(), seed, |drawn| {
            let drawn = drawn.iter().filter_map(|&at| pairs.get(at).copied());
            Confusion::count(drawn).balanced_accuracy()
        });
    }
    summary.put("balanced_accuracy", summary.value);
    summary.put("accuracy", counts.accuracy());
    summary.put("precision", counts.precision());
    summary.put("recall", counts.true_positive_rate());
    summary.put("f1", counts.f1());
    summary.put("tpr", counts.true_positive_rate());
    summary.put("tnr", counts.true_negative_rate());
    summary.put("fpr", counts.true_negative_rate().map(|rate| 1.0 - rate));
    summary.put("fnr", counts.true_positive_rate().map(|rate| 1.0 - rate));
    for (name, count) in [
        ("true_positives", counts.true_positives),
        ("true_negatives", counts.true_negatives),
        ("false_positives", counts.false_positives),
        ("false_negatives", counts.false_negatives),
    ] {
        summary.put(name, Some(f64::from(count)));
    }
    let probabilities: Vec<(f64, bool)> = rows
        .iter()
        .filter(|row| row.failure.is_none())
        .filter_map(|row| Some((f64::from(row.probability?), row.label?)))
        .collect();
    summary.put("auc", auc(&probabilities));
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;
    use latentd_domain::Reason;

    fn row(label: bool, prediction: Option<bool>) -> Row {
        Row {
            label: Some(label),
            prediction,
            failure: prediction
                .is_none()
                .then(|| Failure::new(Reason::AnswerNotParsed, "")),
            ..Row::default()
        }
    }

    #[test]
    fn known_rates() {
        let mut rows = vec![row(true, Some(true)); 3];
        rows.push(row(true, Some(false)));
        rows.extend(vec![row(false, Some(false)); 1]);
        rows.extend(vec![row(false, Some(true)); 1]);
        rows.push(row(true, None));
        let summary = summarize(&rows, 0);
        assert_eq!((summary.n, summary.n_failed), (6, 1));
        assert_eq!(summary.value, Some(0.625));
        let metric = |name: &str| summary.metrics[name];
        assert_eq!(metric("recall"), 0.75);
        assert_eq!(metric("precision"), 0.75);
        assert_eq!(metric("f1"), 0.75);
        assert_eq!(metric("tnr"), 0.5);
        assert_eq!(metric("fpr"), 0.5);
        assert_eq!(metric("fnr"), 0.25);
        assert_eq!(metric("true_positives"), 3.0);
        assert!(!summary.metrics.contains_key("auc"));
        let (low, high) = summary.ci.unwrap();
        assert!(low <= 0.625 && 0.625 <= high);
    }

    #[test]
    fn what_is_not_defined_is_left_out() {
        let summary = summarize(&[row(true, Some(false))], 0);
        assert_eq!(summary.value, None);
        assert_eq!(summary.metrics.get("f1"), Some(&0.0));
        assert!(!summary.metrics.contains_key("precision"));
        assert!(!summary.metrics.contains_key("tnr"));
        let summary = summarize(&[row(true, None)], 0);
        assert_eq!((summary.value, summary.n, summary.n_failed), (None, 0, 1));
    }
}
