//! Neuronpedia's form: rows of its tables `Explanation` and `ExplanationScore` (webapp `prisma/schema.prisma`), each in an object
//! whose one key is the table. Scorers that Neuronpedia has no type for are named `latentd_…`.

use latentd_proto::v1 as pb;
use serde_json::{Value, json};

use super::{Shown, Windows};

/// How Neuronpedia names an SAE: its latents are `{model}/{layer}/{index}`, with a layer such as `9-res-jb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Source {
    pub(in super::super) model: String,
    pub(in super::super) layer: String,
}

impl Source {
    /// Reads a `neuronpedia_id` such as `gpt2-small/9-res-jb`.
    pub(in super::super) fn parse(id: &str) -> Option<Self> {
        let (model, layer) = id.split_once('/')?;
        (!model.is_empty() && !layer.is_empty() && !layer.contains('/')).then(|| Self {
            model: model.to_owned(),
            layer: layer.to_owned(),
        })
    }
}

/// The row of an explanation.
pub(in super::super) fn explanation(explanation: &pb::Explanation, source: &Source) -> Value {
    let provenance = explanation.provenance.as_ref();
    let model = provenance.map_or("", |provenance| provenance.provider_model.as_str());
    let row = json!({
        "id": id(&explanation.name),
        "modelId": source.model,
        "layer": source.layer,
        "index": explanation.latent.to_string(),
        "description": explanation.text,
        "typeName": type_name(&explanation.explainer),
        "explanationModelName": (!model.is_empty()).then_some(model),
        "notes": explanation.name,
        "createdAt": time(explanation.create_time.as_ref()),
    });
    json!({ "Explanation": row })
}

/// The row of a score; `score.examples` are there. `None` where there is no value: the table demands one.
pub(in super::super) fn score(score: &pb::Score, windows: &Windows) -> Option<Value> {
    let value = score.value?;
    let details: Vec<Value> = Shown::all(score, windows)
        .iter()
        .map(|shown| breakdown(&score.scorer, shown))
        .collect();
    let row = json!({
        "id": id(&score.name),
        "value": value,
        "explanationId": (!score.explanation.is_empty()).then(|| id(&score.explanation)),
        "explanationScoreTypeName": score_type(&score.scorer),
        "explanationScoreModelName": score.provider_model,
        "jsonDetails": Value::from(details).to_string(),
        "createdAt": time(score.create_time.as_ref()),
    });
    Some(json!({ "ExplanationScore": row }))
}

/// An item of `jsonDetails`, as Neuronpedia's scorers of the same name write it.
fn breakdown(scorer: &str, shown: &Shown<'_>) -> Value {
    match scorer {
        "embedding" => json!({
            "text": shown.text(),
            "distance": shown.distance(),
            "similarity": shown.row.value,
        }),
        _ => json!({
            "str_tokens": shown.tokens(),
            "activations": shown.activations(),
            "distance": shown.distance(),
            "ground_truth": shown.row.label,
            "prediction": shown.row.prediction,
            "highlighted": !shown.row.marked.is_empty(),
            "highlighted_text": (!shown.row.marked.is_empty()).then(|| shown.highlighted()),
            "probability": shown.row.probability,
            "correct": shown.correct(),
        }),
    }
}

/// Names in Neuronpedia's table `ExplanationType`; null for what a person wrote.
fn type_name(explainer: &str) -> Option<String> {
    match explainer {
        "hand" => None,
        "default" => Some("eleuther_acts_top20".to_owned()),
        "max_act_logits" => Some("np_max-act-logits".to_owned()),
        other => Some(format!("latentd_{other}")),
    }
}

/// Names in Neuronpedia's table `ExplanationScoreType`.
fn score_type(scorer: &str) -> String {
    match scorer {
        "detection" => "eleuther_recall".to_owned(),
        "fuzzing" => "eleuther_fuzz".to_owned(),
        "embedding" => "eleuther_embedding".to_owned(),
        other => format!("latentd_{other}"),
    }
}

/// The last part of a resource name.
fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}
