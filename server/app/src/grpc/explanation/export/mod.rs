//! Explanations and scores in the forms of other tools, as JSON. Pure: what an example shows is handed in.

pub(super) mod delphi;
pub(super) mod neuronpedia;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use latentd_proto::v1 as pb;

/// What an example shows: the text of its tokens, and the activation of the latent on each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window {
    pub(super) tokens: Vec<String>,
    pub(super) activations: Vec<f32>,
}

/// Windows by the name of their example. A cache that was deleted, or whose tokenizer is not resident, leaves them out.
pub(super) type Windows = HashMap<String, Window>;

/// A row of a score, and what its example shows.
struct Shown<'a> {
    row: &'a pb::ScoreExample,
    window: Option<&'a Window>,
}

impl<'a> Shown<'a> {
    fn all(score: &'a pb::Score, windows: &'a Windows) -> Vec<Self> {
        let shown = |row: &'a pb::ScoreExample| Self {
            row,
            window: windows.get(&row.example),
        };
        score.examples.iter().map(shown).collect()
    }

    fn tokens(&self) -> &[String] {
        self.window.map_or(&[], |window| &window.tokens)
    }

    fn activations(&self) -> &[f32] {
        self.window.map_or(&[], |window| &window.activations)
    }

    fn text(&self) -> String {
        self.tokens().concat()
    }

    /// The tokens with `<<` and `>>` around runs of marked ones, as both tools show them.
    fn highlighted(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        // A token without text is a part of the character that the next one shows.
        let mut carried = false;
        for (index, token) in self.tokens().iter().enumerate() {
            let marked = self.row.marked.contains(&(index as u32)) || carried;
            carried = marked && token.is_empty();
            if token.is_empty() {
                continue;
            }
            if marked != inside {
                text.push_str(if marked { "<<" } else { ">>" });
                inside = marked;
            }
            text.push_str(token);
        }
        if inside {
            text.push_str(">>");
        }
        text
    }

    /// delphi's `distance`: the quantile where the latent fires, else what chose the example, smaller for nearer ones;
    /// -1 where nothing did.
    fn distance(&self) -> f64 {
        let chosen = || self.row.distance.map_or(-1.0, |similarity| -similarity);
        self.row.quantile.map_or_else(chosen, f64::from)
    }

    /// Whether the prediction is right, where there is one.
    fn correct(&self) -> Option<bool> {
        Some(self.row.label? == self.row.prediction?)
    }
}

/// True value and prediction of every token of some rows.
fn pairs(rows: &[&Shown<'_>]) -> Vec<(f64, f64)> {
    let tokens = rows.iter().flat_map(|shown| {
        let (truth, predicted) = (&shown.row.truth, &shown.row.predicted);
        truth.iter().zip(predicted)
    });
    tokens
        .map(|(&truth, &predicted)| (f64::from(truth), f64::from(predicted)))
        .collect()
}
