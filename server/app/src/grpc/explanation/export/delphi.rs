//! delphi's form: what its files `explanations/…_latent{i}.txt` and `scores/{scorer}/…_latent{i}.txt` hold, with the latent and
//! the scorer, which delphi has in the names of the files. Fields are those of its `ClassifierOutput` and so on.

use std::collections::BTreeMap;

use latentd_autointerp::stats::{Sums, absolute_dev, rsquared};
use latentd_proto::v1 as pb;
use serde_json::{Value, json};

use super::{Shown, Windows, pairs};

/// The line of an explanation.
pub(in super::super) fn explanation(explanation: &pb::Explanation) -> Value {
    json!({
        "latent": explanation.latent,
        "explanation": explanation.text,
        "name": explanation.name,
    })
}

/// The line of a score; `score.examples` are there.
pub(in super::super) fn score(score: &pb::Score, windows: &Windows) -> Value {
    let rows = Shown::all(score, windows);
    let list = match score.scorer.as_str() {
        "simulation" | "simulation_json" => simulations(&rows),
        "surprisal" => each(&rows, surprisal),
        "embedding" => each(&rows, embedding),
        "example_embedding" => each(&rows, example_embedding),
        "intruder" => each(&rows, intruder),
        _ => each(&rows, classified),
    };
    json!({
        "latent": score.latent,
        "scorer": folder(&score.scorer),
        "explanation": score.explanation,
        "score": list,
    })
}

/// What delphi calls a scorer, in the name of its folder.
fn folder(scorer: &str) -> &str {
    match scorer {
        "fuzzing" => "fuzz",
        "fuzzing_active" => "fuzz_active",
        other => other,
    }
}

fn each(rows: &[Shown<'_>], line: impl Fn(&Shown<'_>) -> Value) -> Value {
    rows.iter().map(line).collect()
}

/// `ClassifierOutput`.
fn classified(shown: &Shown<'_>) -> Value {
    json!({
        "str_tokens": shown.tokens(),
        "activations": shown.activations(),
        "distance": shown.distance(),
        "activating": shown.row.label,
        "prediction": shown.row.prediction,
        "probability": shown.row.probability,
        "correct": shown.correct(),
    })
}

/// `SurprisalOutput`.
fn surprisal(shown: &Shown<'_>) -> Value {
    json!({
        "text": shown.text(),
        "distance": shown.distance(),
        "no_explanation": shown.row.truth,
        "explanation": shown.row.predicted,
        "activations": shown.activations(),
    })
}

/// `EmbeddingOutput` of embedding.
fn embedding(shown: &Shown<'_>) -> Value {
    json!({
        "text": shown.text(),
        "distance": shown.distance(),
        "similarity": shown.row.value,
    })
}

/// `EmbeddingOutput` of example embedding. delphi pairs a query on which the latent fires with one on which it does not; here
/// each is a row of its own, and the other's difference is null.
fn example_embedding(shown: &Shown<'_>) -> Value {
    let fires = shown.row.label == Some(true);
    let value = shown.row.value;
    json!({
        "query": shown.text(),
        "distance": shown.distance(),
        "delta_plus": value.filter(|_| fires),
        "delta_minus": value.filter(|_| !fires),
    })
}

/// `IntruderResult`, with the intruder alone of its `sample`.
fn intruder(shown: &Shown<'_>) -> Value {
    let (choice, chosen) = (shown.row.choice, shown.row.chosen);
    json!({
        "sample": {
            "intruder_index": choice,
            "intruder_text": shown.text(),
            "intruder_distance": shown.distance(),
            "chosen_quantile": shown.row.quantile,
        },
        "prediction": chosen,
        "correct_index": choice,
        "correct": choice.zip(chosen).map(|(choice, chosen)| choice == chosen),
    })
}

/// A list of `ScoredSimulation`: all examples with `distance` 0, then those of quantile q with `distance` q + 1. What is not
/// defined is "nan", as delphi writes it; where delphi writes 0 for two of the measures, they are computed.
fn simulations(rows: &[Shown<'_>]) -> Value {
    let scored: Vec<&Shown<'_>> = rows
        .iter()
        .filter(|shown| shown.row.failure.is_empty())
        .collect();
    let mut quantiles: BTreeMap<u32, Vec<&Shown<'_>>> = BTreeMap::new();
    for shown in &scored {
        if let Some(quantile) = shown.row.quantile {
            quantiles.entry(quantile).or_default().push(shown);
        }
    }
    let groups = quantiles
        .iter()
        .map(|(quantile, rows)| simulation(quantile + 1, rows));
    std::iter::once(simulation(0, &scored))
        .chain(groups)
        .collect()
}

fn simulation(distance: u32, rows: &[&Shown<'_>]) -> Value {
    let sequences: Value = rows.iter().map(|shown| sequence(shown)).collect();
    with_measures(
        json!({
            "distance": distance,
            "scored_sequence_simulations": sequences,
        }),
        rows,
    )
}

fn sequence(shown: &Shown<'_>) -> Value {
    with_measures(
        json!({
            "distance": shown.distance(),
            "simulation": {
                "tokens": shown.tokens(),
                "expected_activations": shown.row.predicted,
                "activation_scale": "simulated_normalized_activations",
            },
            "true_activations": shown.row.truth,
        }),
        &[shown],
    )
}

/// Adds the measures of some rows, all their tokens together.
fn with_measures(mut line: Value, rows: &[&Shown<'_>]) -> Value {
    let pairs = pairs(rows);
    let measures = [
        ("ev_correlation_score", Sums::of(&pairs).correlation()),
        ("rsquared_score", rsquared(&pairs)),
        ("absolute_dev_explained_score", absolute_dev(&pairs)),
    ];
    if let Value::Object(fields) = &mut line {
        for (name, measure) in measures {
            let value = measure.map_or_else(|| json!("nan"), |value| json!(value));
            fields.insert(name.to_owned(), value);
        }
    }
    line
}
