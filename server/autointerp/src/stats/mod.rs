//! Statistics of scores, from rows alone.

use std::collections::BTreeMap;

mod auc;
mod bootstrap;
mod calibration;
mod classification;
mod correlation;
mod separation;

pub use auc::auc;
pub use bootstrap::{RESAMPLES, interval};
pub use calibration::{Line, Percentiles};
pub use classification::{Confusion, summarize as classification};
pub use correlation::{Sums, absolute_dev, rsquared, summarize as simulation};
pub use separation::summarize as separation;

use crate::Row;

/// A score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The score; `None` if it is not defined for what could be scored.
    pub value: Option<f64>,
    /// Rows that were scored.
    pub n: u32,
    /// Rows that could not be.
    pub n_failed: u32,
    /// 95 % confidence interval of `value`, by bootstrap over rows.
    pub ci: Option<(f64, f64)>,
    /// Other measures by name.
    pub metrics: BTreeMap<String, f64>,
}

impl Summary {
    /// A summary of `rows`, of which `scored` were scored.
    fn of(rows: &[Row], scored: usize) -> Self {
        Self {
            n: scored as u32,
            n_failed: (rows.len() - scored.min(rows.len())) as u32,
            ..Self::default()
        }
    }

    /// Adds a measure, if it is defined.
    fn put(&mut self, name: impl Into<String>, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.metrics.insert(name.into(), value);
        }
    }
}

/// Which option was named, against which was right: the accuracy of scorers that offer several options in one prompt.
pub fn choice(rows: &[Row], seed: u64) -> Summary {
    let right: Vec<bool> = rows
        .iter()
        .filter(|row| row.failure.is_none())
        .filter_map(|row| Some(row.choice? == row.chosen?))
        .collect();
    let mut summary = Summary::of(rows, right.len());
    let accuracy = |drawn: &[usize]| {
        let hits = drawn
            .iter()
            .filter(|&&at| right.get(at) == Some(&true))
            .count();
        (!drawn.is_empty()).then(|| hits as f64 / drawn.len() as f64)
    };
    let all: Vec<usize> = (0..right.len()).collect();
    summary.value = accuracy(&all);
    summary.ci = interval(right.len(), seed, accuracy);
    summary.put("accuracy", summary.value);
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_that_failed_is_neither_right_nor_wrong() {
        let row = |choice, chosen| Row {
            choice: Some(choice),
            chosen,
            ..Row::default()
        };
        let summary = choice(&[row(1, Some(1)), row(2, Some(0)), row(0, None)], 0);
        assert_eq!(
            (summary.value, summary.n, summary.n_failed),
            (Some(0.5), 2, 1)
        );
        assert_eq!(choice(&[], 0), Summary::default());
    }
}
