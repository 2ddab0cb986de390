//! The lines, against the field names that the other tools read.

use serde_json::{Value, json};

use super::*;

const NAME: &str = "models/m/saes/a/latents/3/explanations/e1";

fn row(quantile: Option<u32>, label: bool, prediction: Option<bool>) -> pb::ScoreExample {
    pb::ScoreExample {
        example: "7:0+3".to_owned(),
        quantile,
        label: Some(label),
        prediction,
        marked: vec![1, 2],
        ..pb::ScoreExample::default()
    }
}

fn score(scorer: &str, examples: Vec<pb::ScoreExample>) -> pb::Score {
    pb::Score {
        name: "scores/s1".to_owned(),
        explanation: NAME.to_owned(),
        scorer: scorer.to_owned(),
        latent: 3,
        value: Some(0.75),
        provider_model: "big".to_owned(),
        examples,
        ..pb::Score::default()
    }
}

fn windows() -> Windows {
    let window = Window {
        tokens: ["a", " b", " c"].map(str::to_owned).to_vec(),
        activations: vec![0.0, 1.0, 2.0],
    };
    HashMap::from([("7:0+3".to_owned(), window)])
}

#[test]
fn delphi_reads_back_a_detection() {
    let examples = vec![
        row(Some(2), true, Some(true)),
        pb::ScoreExample {
            distance: Some(0.5),
            ..row(None, false, None)
        },
    ];
    let line = delphi::score(&score("fuzzing", examples), &windows());
    assert_eq!(line["scorer"], "fuzz");
    assert_eq!(line["latent"], 3);
    assert_eq!(
        line["score"][0],
        json!({
            "str_tokens": ["a", " b", " c"], "activations": [0.0, 1.0, 2.0], "distance": 2.0, "activating": true,
            "prediction": true, "probability": null, "correct": true,
        })
    );
    let failed = &line["score"][1];
    assert_eq!(failed["distance"], -0.5);
    assert_eq!(failed["prediction"], Value::Null);
    assert_eq!(failed["correct"], Value::Null);
}

#[test]
fn a_simulation_is_grouped_by_quantile() {
    let simulated = |quantile: Option<u32>, predicted: [f32; 3]| pb::ScoreExample {
        truth: vec![0.0, 1.0, 2.0],
        predicted: predicted.to_vec(),
        ..row(quantile, true, None)
    };
    let failed = pb::ScoreExample {
        failure: "ANSWER_NOT_PARSED".to_owned(),
        ..row(Some(0), true, None)
    };
    let examples = vec![
        simulated(Some(0), [0.0, 2.0, 4.0]),
        simulated(Some(1), [2.0, 1.0, 0.0]),
        simulated(None, [1.0, 1.0, 1.0]),
        failed,
    ];
    let line = delphi::score(&score("simulation", examples), &windows());
    let groups = line["score"].as_array().unwrap();
    let summary: Vec<_> = groups
        .iter()
        .map(|group| {
            let sequences = group["scored_sequence_simulations"].as_array().unwrap();
            (group["distance"].as_u64().unwrap(), sequences.len())
        })
        .collect();
    assert_eq!(summary, [(0, 3), (1, 1), (2, 1)]);
    let of = |group: usize| groups[group]["ev_correlation_score"].as_f64().unwrap();
    assert!((of(1) - 1.0).abs() < 1e-12);
    assert!((of(2) + 1.0).abs() < 1e-12);
    let flat = &groups[0]["scored_sequence_simulations"][2];
    assert_eq!(flat["ev_correlation_score"], "nan");
}

#[test]
fn neuronpedia_gets_rows_of_its_tables() {
    let source = neuronpedia::Source::parse("gpt2-small/9-res-jb").unwrap();
    let explanation = pb::Explanation {
        name: NAME.to_owned(),
        latent: 3,
        text: "rivers".to_owned(),
        explainer: "max_act_logits".to_owned(),
        ..pb::Explanation::default()
    };
    let line = neuronpedia::explanation(&explanation, &source);
    let explained = &line["Explanation"];
    assert_eq!(
        (
            &explained["modelId"],
            &explained["layer"],
            &explained["index"]
        ),
        (&json!("gpt2-small"), &json!("9-res-jb"), &json!("3"))
    );
    assert_eq!(explained["typeName"], "np_max-act-logits");
    assert_eq!(explained["id"], "e1");

    let fuzzed = score("fuzzing", vec![row(Some(0), true, Some(true))]);
    let line = neuronpedia::score(&fuzzed, &windows()).unwrap();
    let scored = &line["ExplanationScore"];
    assert_eq!(scored["explanationScoreTypeName"], "eleuther_fuzz");
    assert_eq!(scored["explanationId"], "e1");
    let details: Value = serde_json::from_str(scored["jsonDetails"].as_str().unwrap()).unwrap();
    assert_eq!(details[0]["highlighted_text"], "a<< b c>>");
    assert_eq!(details[0]["ground_truth"], true);

    let undefined = pb::Score {
        value: None,
        ..fuzzed
    };
    assert_eq!(neuronpedia::score(&undefined, &windows()), None);
    assert_eq!(neuronpedia::Source::parse("gpt2-small"), None);
}

#[test]
fn a_line_is_one_line_even_if_the_text_is_not() {
    let explanation = pb::Explanation {
        text: "two\nlines".to_owned(),
        ..pb::Explanation::default()
    };
    assert!(!delphi::explanation(&explanation).to_string().contains('\n'));
}
