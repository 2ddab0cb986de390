//! One explanation, or one score, with all that is known of it.

use std::time::SystemTime;

use latentd_client::{Explanation, Score, ScoreExample};

use super::super::{
    format::{ago, count, plural},
    interp::table::number,
    output::Output,
    table::{Table, pairs},
    tokens::{strongest, visible, warm},
};
use super::texts::Texts;

/// An explanation, where it comes from, and its scores.
pub(super) fn explanation(explanation: &Explanation, out: &Output, now: SystemTime) -> String {
    let from = &explanation.provenance;
    let mut rows = vec![
        ("explanation", explanation.name.clone()),
        ("latent", explanation.latent.to_string()),
        ("text", out.style.bold(&visible(&explanation.text))),
        ("by", by(explanation)),
        ("created", ago(explanation.created, now)),
    ];
    let known = [
        ("job", &from.job),
        ("prompt", &from.prompt_version),
        ("cache", &from.cache),
        ("SAE digest", &from.sae_digest),
        ("exchange", &from.exchange),
    ];
    rows.extend(
        known
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.clone())),
    );
    if !from.examples.is_empty() {
        let shown = plural(from.examples.len() as u64, "example");
        rows.push((
            "was shown",
            format!("{shown}, drawn with seed {}", from.seed),
        ));
    }
    let mut text = pairs(rows, out);
    if !explanation.scores.is_empty() {
        text.push('\n');
        text.push_str(&scores(&explanation.scores, out));
    }
    text
}

/// `default, openrouter (some/model)`, or `hand, Ada`
fn by(explanation: &Explanation) -> String {
    let from = &explanation.provenance;
    let mut by = explanation.explainer.clone();
    for part in [
        with_model(&from.provider, &from.provider_model),
        visible(&from.author),
    ] {
        if !part.is_empty() {
            by.push_str(", ");
            by.push_str(&part);
        }
    }
    by
}

/// Who was asked: a provider and what it calls its model, or a sentence encoder alone.
fn with_model(provider: &str, model: &str) -> String {
    match (provider, model) {
        ("", model) => model.to_owned(),
        (provider, "") => provider.to_owned(),
        (provider, model) => format!("{provider} ({model})"),
    }
}

fn scores(scores: &[Score], out: &Output) -> String {
    let mut table = Table::new([
        "scorer",
        ">value",
        "95 % interval",
        ">examples",
        ">failed",
        "score",
        "other measures",
    ]);
    for score in scores {
        table.row([
            score.scorer.clone(),
            out.style.bold(&number(score.value)),
            interval(score),
            count(score.n.into()),
            count(score.n_failed.into()),
            score.name.clone(),
            metrics(score),
        ]);
    }
    table.render(out.style, out.width)
}

/// Simulations alone are calibrated.
fn calibration(score: &Score) -> String {
    if score.scorer.starts_with("simulation") {
        score.calibration.clone()
    } else {
        String::new()
    }
}

fn interval(score: &Score) -> String {
    score.interval.map_or("-".to_owned(), |(low, high)| {
        format!("{low:.3} to {high:.3}")
    })
}

fn metrics(score: &Score) -> String {
    let metrics = score.metrics.iter();
    let metrics: Vec<String> = metrics
        .map(|(name, value)| match name.as_str() {
            "true_positives" | "false_positives" | "true_negatives" | "false_negatives" => {
                format!("{name} {value:.0}")
            }
            _ => format!("{name} {value:.3}"),
        })
        .collect();
    metrics.join(", ")
}

/// A score, and each example that it was judged by.
pub(super) fn score(score: &Score, texts: &Texts, out: &Output, now: SystemTime) -> String {
    let mut rows = vec![
        ("score", out.style.bold(&score.name)),
        ("scorer", score.scorer.clone()),
        ("value", number(score.value)),
        ("95 % interval", interval(score)),
        (
            "examples",
            format!(
                "{} scored, {} failed",
                count(score.n.into()),
                count(score.n_failed.into())
            ),
        ),
        ("latent", score.latent.to_string()),
        ("created", ago(score.created, now)),
    ];
    let known = [
        ("other measures", metrics(score)),
        ("explanation", score.explanation.clone()),
        ("by", with_model(&score.provider, &score.provider_model)),
        ("prompt", score.prompt_version.clone()),
        ("calibration", calibration(score)),
        ("job", score.job.clone()),
    ];
    rows.extend(known.into_iter().filter(|(_, value)| !value.is_empty()));
    let mut text = pairs(rows, out);
    if !score.examples.is_empty() {
        text.push('\n');
        text.push_str(&examples(&score.examples, texts, out));
    }
    text
}

fn examples(examples: &[ScoreExample], texts: &Texts, out: &Output) -> String {
    let columns = [
        "example",
        ">quantile",
        "label",
        "said",
        ">probability",
        ">value",
        ">choice",
        "failure",
    ];
    let with_text = (!texts.is_empty()).then_some("text");
    let mut table = Table::new(columns.into_iter().chain(with_text));
    for example in examples {
        let choice = match (example.choice, example.chosen) {
            (None, None) => "-".to_owned(),
            (truth, said) => format!("{} of {}", index(said), index(truth)),
        };
        let text = texts.get(&example.example).map(|window| {
            let max = strongest(&window.activations).map_or(0.0, |(_, max)| max);
            let peak = strongest(&window.activations).map(|(peak, _)| peak);
            warm(&window.tokens, &window.activations, max, peak, out.style)
        });
        let row = [
            example.example.clone(),
            index(example.quantile),
            yes_or_no(example.label),
            yes_or_no(example.prediction),
            number(example.probability),
            number(example.value),
            choice,
            out.style.bad(&example.failure),
        ];
        table.row(row.into_iter().chain(text));
    }
    table.render(out.style, out.width)
}

fn index(index: Option<u32>) -> String {
    index.map_or("-".to_owned(), |index| index.to_string())
}

fn yes_or_no(answer: Option<bool>) -> String {
    let answer = match answer {
        None => "-",
        Some(true) => "yes",
        Some(false) => "no",
    };
    answer.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use latentd_client::{Provenance, Window};

    use super::{super::super::style::Style, *};

    fn output() -> Output {
        let style = Style::new(false);
        Output {
            json: false,
            style,
            remarks: style,
            width: 120,
            interactive: false,
        }
    }

    fn detection() -> Score {
        let example = |label: bool, prediction, failure: &str| ScoreExample {
            example: "7:3+32".into(),
            quantile: label.then_some(2),
            label: Some(label),
            prediction,
            probability: None,
            value: None,
            choice: None,
            chosen: None,
            truth: vec![],
            predicted: vec![],
            marked: vec![],
            distance: None,
            failure: failure.into(),
            exchange: String::new(),
        };
        Score {
            name: "scores/a".into(),
            explanation: "models/m/saes/s/latents/7/explanations/e".into(),
            latent: 7,
            scorer: "detection".into(),
            value: Some(0.75),
            interval: Some((0.5, 0.9)),
            n: 1,
            n_failed: 1,
            metrics: BTreeMap::from([("f1".into(), 0.8), ("true_positives".into(), 1.0)]),
            job: "jobs/j".into(),
            provider: "providers/p".into(),
            provider_model: "some/model".into(),
            prompt_version: "detection/1".into(),
            calibration: "uncalibrated".into(),
            examples: vec![
                example(true, Some(true), ""),
                example(false, None, "ANSWER_NOT_PARSED"),
            ],
            created: None,
        }
    }

    #[test]
    fn an_explanation_says_where_it_comes_from() {
        let written = Explanation {
            name: "models/m/saes/s/latents/7/explanations/e".into(),
            latent: 7,
            text: "raises".into(),
            explainer: "hand".into(),
            provenance: Provenance {
                author: "Ada".into(),
                ..Provenance::default()
            },
            scores: vec![detection()],
            created: None,
            relevance: None,
        };
        assert_eq!(
            explanation(&written, &output(), SystemTime::UNIX_EPOCH),
            "\
explanation  models/m/saes/s/latents/7/explanations/e
latent       7
text         raises
by           hand, Ada
created      -

scorer     value  95 % interval   examples  failed  score     other measures
detection  0.750  0.500 to 0.900         1       1  scores/a  f1 0.800, true_positives 1
"
        );
    }

    #[test]
    fn a_score_shows_its_examples() {
        assert_eq!(
            score(
                &detection(),
                &Texts::new(),
                &output(),
                SystemTime::UNIX_EPOCH
            ),
            "\
score           scores/a
scorer          detection
value           0.750
95 % interval   0.500 to 0.900
examples        1 scored, 1 failed
latent          7
created         -
other measures  f1 0.800, true_positives 1
explanation     models/m/saes/s/latents/7/explanations/e
by              providers/p (some/model)
prompt          detection/1
job             jobs/j

example  quantile  label  said  probability  value  choice  failure
7:3+32          2  yes    yes             -      -       -
7:3+32          -  no     -               -      -       -  ANSWER_NOT_PARSED
"
        );
    }

    #[test]
    fn a_score_shows_the_text_of_its_examples() {
        let window = Window {
            id: "7:3+32".into(),
            document: 4,
            row: 7,
            start: 3,
            ids: vec![1, 2],
            tokens: vec!["a".into(), " tax\n".into()],
            activations: vec![0.0, 2.0],
        };
        let texts = Texts::from([(window.id.clone(), window)]);
        let text = score(&detection(), &texts, &output(), SystemTime::UNIX_EPOCH);
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        assert!(lines[2].ends_with("failure            text"), "{text}");
        assert!(lines[1].ends_with("a« tax↵»"), "{text}");
        assert!(lines[0].ends_with("ANSWER_NOT_PARSED  a« tax↵»"), "{text}");
    }
}
