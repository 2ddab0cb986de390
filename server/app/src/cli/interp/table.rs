//! Explanations as a table, a column for each scorer.

use latentd_client::{Explanation, ScorerKind};

use super::super::{output::Output, table::Table, tokens::visible};

/// Narrower terminals have no room for ids beside the explanations.
const WIDTH_WITH_IDS: usize = 130;

/// Explanations with the newest value of each of their scores. Ids are left out where they would take the explanations' room;
/// what is read by a program always has them.
pub(in crate::cli) fn explanations(explanations: &[Explanation], out: &Output) -> String {
    let scored = |kind: &ScorerKind| explanations.iter().any(|e| e.score(*kind).is_some());
    let kinds: Vec<ScorerKind> = ScorerKind::ALL.into_iter().filter(scored).collect();
    let found = explanations.iter().any(|e| e.relevance.is_some());
    let mut headings = vec![">latent".to_owned()];
    if found {
        headings.push(">relevance".to_owned());
    }
    headings.extend(kinds.iter().map(|kind| format!(">{}", kind.as_str())));
    let ids = out.width >= WIDTH_WITH_IDS;
    headings.push("by".to_owned());
    if ids {
        headings.push("id".to_owned());
    }
    headings.push("explanation".to_owned());
    let mut table = Table::new(headings);
    for explanation in explanations {
        let mut cells = vec![out.style.bold(&explanation.latent.to_string())];
        if found {
            cells.push(number(explanation.relevance));
        }
        cells.extend(
            kinds
                .iter()
                .map(|kind| number(explanation.score(*kind).and_then(|score| score.value))),
        );
        cells.push(explanation.explainer.clone());
        if ids {
            cells.push(id(&explanation.name).to_owned());
        }
        cells.push(visible(&explanation.text));
        table.row(cells);
    }
    table.render(out.style, out.width)
}

/// The last part of a resource name, by which an explanation can be named too.
fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A score, or a sign that there is none.
pub(in crate::cli) fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use latentd_client::{Provenance, Score};

    use super::{super::super::style::Style, *};

    /// An explanation with one score.
    fn explanation(latent: u32, scorer: &str, value: Option<f64>) -> Explanation {
        let score = Score {
            name: "scores/s".into(),
            explanation: String::new(),
            latent,
            scorer: scorer.into(),
            value,
            interval: None,
            n: 10,
            n_failed: 0,
            metrics: std::collections::BTreeMap::new(),
            job: String::new(),
            provider: String::new(),
            provider_model: String::new(),
            prompt_version: String::new(),
            calibration: String::new(),
            examples: Vec::new(),
            created: None,
        };
        Explanation {
            name: format!("models/m/saes/s/latents/{latent}/explanations/e{latent}"),
            latent,
            text: "raises\nand taxes".into(),
            explainer: "default".into(),
            provenance: Provenance::default(),
            scores: vec![score],
            created: None,
            relevance: None,
        }
    }

    #[test]
    fn each_scorer_has_a_column() {
        let style = Style::new(false);
        let mut out = Output {
            json: false,
            style,
            remarks: style,
            width: 130,
            interactive: false,
        };
        let rows = [
            explanation(7, "fuzzing", Some(0.625)),
            explanation(12, "detection", None),
        ];
        assert_eq!(
            explanations(&rows, &out),
            "\
latent  detection  fuzzing  by       id   explanation
     7          -    0.625  default  e7   raises↵and taxes
    12          -        -  default  e12  raises↵and taxes
"
        );
        out.width = 80;
        let narrow = explanations(&rows, &out);
        assert!(
            narrow.starts_with("latent  detection  fuzzing  by       explanation\n"),
            "{narrow}"
        );
    }
}
