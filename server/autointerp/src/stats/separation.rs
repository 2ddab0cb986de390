//! Scores of scorers that give a number to each example.

use super::{Summary, auc::Ranked, interval};
use crate::Row;

/// How well `value` tells rows whose label is `true` from the others: AUC, and the difference of the means.
pub fn summarize(rows: &[Row], seed: u64) -> Summary {
    let values: Vec<(f64, bool)> = rows
        .iter()
        .filter(|row| row.failure.is_none())
        .filter_map(|row| row.value.zip(row.label))
        .collect();
    let mut summary = Summary::of(rows, values.len());
    let ranked = Ranked::new(&values);
    summary.value = ranked.auc(&vec![1; values.len()]);
    if summary.value.is_some() {
        summary.ci = interval(values.len(), seed, |drawn| {
            let mut times = vec![0; values.len()];
            for &at in drawn {
                if let Some(times) = times.get_mut(at) {
                    *times += 1;
                }
            }
            ranked.auc(&times)
        });
    }
    let mean = |label: bool| {
        let of: Vec<f64> = values
            .iter()
            .filter(|v| v.1 == label)
            .map(|v| v.0)
            .collect();
        (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
    };
    summary.put("auc", summary.value);
    summary.put("mean_activating", mean(true));
    summary.put("mean_non_activating", mean(false));
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_a_label_do_not_count() {
        let row = |value, label| Row {
            label,
            value,
            ..Row::default()
        };
        let rows = [
            row(Some(3.0), Some(true)),
            row(Some(1.0), Some(false)),
            row(Some(0.0), None),
            row(None, Some(true)),
        ];
        let summary = summarize(&rows, 0);
        assert_eq!(
            (summary.value, summary.n, summary.n_failed),
            (Some(1.0), 2, 2)
        );
        assert_eq!(summary.metrics["mean_activating"], 3.0);
        assert_eq!(summary.metrics["mean_non_activating"], 1.0);
    }
}
