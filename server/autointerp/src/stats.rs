//! Statistics of scores, from rows alone.

use std::collections::BTreeMap;

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
