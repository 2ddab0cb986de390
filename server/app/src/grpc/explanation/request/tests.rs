//! What is read, what is filled in, and what is refused.

use latentd_domain::autointerp::{Calibration, NonActivatingSource, ScorerKind, TrainSampler};
use pb::{example_plan, explainer::Kind, scorer};
use tonic_types::StatusExt;

use super::*;
use crate::config::Config;

fn limits() -> Limits {
    Config::with_data_dir(std::path::Path::new("/nowhere"))
        .unwrap()
        .limits
}

fn scorer(kind: scorer::Kind) -> pb::Scorer {
    pb::Scorer {
        kind: kind.into(),
        ..pb::Scorer::default()
    }
}

fn minimal() -> pb::ExplainLatentsRequest {
    pb::ExplainLatentsRequest {
        sae: "m/a".to_owned(),
        selector: Some(ExplainSelector::Range(pb::LatentRange {
            start: 0,
            end: 50,
        })),
        explainer: Some(pb::Explainer {
            provider: "p".to_owned(),
            ..pb::Explainer::default()
        }),
        ..pb::ExplainLatentsRequest::default()
    }
}

fn fields(error: Error) -> Vec<String> {
    let details = tonic::Status::from(error)
        .get_details_bad_request()
        .unwrap();
    let violations = details.field_violations.into_iter();
    violations.map(|violation| violation.field).collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let parsed = explain(minimal(), &limits()).unwrap();
    assert_eq!(parsed.cache, None);
    assert_eq!(parsed.explainer.kind, ExplainerKind::Default);
    assert_eq!(
        (parsed.explainer.threshold, parsed.explainer.max_tokens),
        (0.3, 0)
    );
    let held_back_for_nobody = ExamplePlan {
        n_test: 0,
        n_non_activating: 0,
        ..ExamplePlan::default()
    };
    assert_eq!(parsed.examples, held_back_for_nobody);
    assert_eq!(parsed.budget, Budget::default());
    assert!(parsed.scorers.is_empty());
    let plan = plan::parse(
        &mut Violations::default(),
        Some(pb::ExamplePlan::default()),
        TrainSampler::Quantiles,
        (&limits(), true),
    );
    assert_eq!(
        plan,
        ExamplePlan::default(),
        "a plan that says nothing is no plan"
    );
}

#[test]
fn explainers_of_words_take_the_strongest_examples_and_may_need_nobody() {
    for (kind, provider) in [(Kind::TopTokens, ""), (Kind::Completion, "p")] {
        for plan in [None, Some(pb::ExamplePlan::default())] {
            let mut request = minimal();
            request.explainer = Some(pb::Explainer {
                kind: kind.into(),
                provider: provider.to_owned(),
                ..pb::Explainer::default()
            });
            request.examples = plan;
            let parsed = explain(request.clone(), &limits()).unwrap();
            assert_eq!(parsed.examples.train_sampler, TrainSampler::Top);
            request.examples = Some(pb::ExamplePlan {
                train_sampler: example_plan::Sampler::Quantiles.into(),
                ..pb::ExamplePlan::default()
            });
            let parsed = explain(request, &limits()).unwrap();
            assert_eq!(parsed.examples.train_sampler, TrainSampler::Quantiles);
        }
    }
}

#[test]
fn what_is_given_is_taken() {
    let mut request = minimal();
    request.cache = "caches/brown".to_owned();
    request.explainer = Some(pb::Explainer {
        kind: Kind::SingleToken.into(),
        provider: "providers/p".to_owned(),
        temperature: 0.7,
        max_tokens: 9,
        chain_of_thought: true,
        threshold: None,
    });
    let other = pb::Scorer {
        provider: "q".to_owned(),
        examples_per_prompt: 7,
        calibration: scorer::Calibration::Linear.into(),
        ..scorer(scorer::Kind::SimulationJson)
    };
    request.scorers = vec![
        scorer(scorer::Kind::Detection),
        other,
        scorer(scorer::Kind::Embedding),
    ];
    request.examples = Some(pb::ExamplePlan {
        n_train: 10,
        n_test: 20,
        train_sampler: example_plan::Sampler::Mix.into(),
        ratio_top: Some(0.5),
        non_activating: example_plan::NonActivating::NeighboursDecoder.into(),
        ..pb::ExamplePlan::default()
    });
    request.budget = Some(pb::Budget {
        calls: 3,
        tokens: 0,
        dollars: 0.25,
    });
    let parsed = explain(request, &limits()).unwrap();
    assert_eq!(parsed.explainer.threshold, 0.6);
    let provider = |index: usize| {
        let provider = parsed.scorers[index].provider.as_ref();
        provider.map(|provider| provider.id().to_owned())
    };
    assert_eq!(provider(0).as_deref(), Some("p"), "that of the explainer");
    assert_eq!(provider(1).as_deref(), Some("q"));
    assert_eq!(provider(2), None, "a sentence encoder is asked");
    let second = &parsed.scorers[1];
    assert_eq!(second.kind, ScorerKind::SimulationJson);
    assert_eq!(second.calibration, Calibration::Linear);
    assert_eq!(second.examples_per_prompt, 7);
    assert_eq!(parsed.examples.min_examples, 10);
    assert_eq!(parsed.examples.train_sampler, TrainSampler::Mix);
    assert_eq!(
        parsed.examples.non_activating,
        NonActivatingSource::NeighboursDecoder
    );
    assert_eq!(
        parsed.budget,
        Budget {
            calls: Some(3),
            tokens: None,
            micros: Some(250_000)
        }
    );
}

#[test]
fn every_bad_field_of_an_explain_is_reported() {
    let twice = scorer(scorer::Kind::Fuzzing);
    let request = pb::ExplainLatentsRequest {
        sae: "A".to_owned(),
        cache: "B".to_owned(),
        selector: None,
        explainer: Some(pb::Explainer {
            kind: 99,
            provider: "P P".to_owned(),
            threshold: Some(1.5),
            temperature: f64::NAN,
            max_tokens: u32::MAX,
            chain_of_thought: false,
        }),
        scorers: vec![
            pb::Scorer::default(),
            pb::Scorer {
                provider: "p".to_owned(),
                ..twice.clone()
            },
            pb::Scorer {
                provider: "providers/p".to_owned(),
                ..twice
            },
            pb::Scorer {
                examples_per_prompt: 1,
                calibration: 9,
                threshold: Some(-1.0),
                temperature: 3.0,
                provider: "p".to_owned(),
                ..scorer(scorer::Kind::Intruder)
            },
            scorer(scorer::Kind::Detection),
        ],
        examples: Some(pb::ExamplePlan {
            n_train: u32::MAX,
            window: u32::MAX,
            train_sampler: 9,
            non_activating: 9,
            centring: 9,
            ratio_top: Some(f64::INFINITY),
            min_examples: Some(u32::MAX),
            n_test: 1,
            ..pb::ExamplePlan::default()
        }),
        budget: Some(pb::Budget {
            dollars: -1.0,
            ..pb::Budget::default()
        }),
        request_id: "x".repeat(200),
    };
    let found = fields(explain(request, &limits()).unwrap_err());
    let expected = [
        "sae",
        "cache",
        "selector",
        "explainer.kind",
        "explainer.provider",
        "explainer.threshold",
        "explainer.temperature",
        "explainer.max_tokens",
        "scorers[0].kind",
        "scorers[2]",
        "scorers[3].examples_per_prompt",
        "scorers[3].threshold",
        "scorers[3].temperature",
        "scorers[3].calibration",
        "scorers[4].provider",
        "examples.train_sampler",
        "examples.non_activating",
        "examples.centring",
        "examples.n_train",
        "examples.window",
        "examples.ratio_top",
        "budget.dollars",
        "request_id",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_explainer_without_a_provider_is_refused_and_none_needs_a_scorer() {
    let mut request = minimal();
    request.explainer = None;
    let found = fields(explain(request.clone(), &limits()).unwrap_err());
    assert_eq!(found, ["explainer.provider"]);
    request.explainer = Some(pb::Explainer {
        kind: Kind::None.into(),
        ..pb::Explainer::default()
    });
    let error = explain(request.clone(), &limits()).unwrap_err();
    assert_eq!(error.reason(), Reason::EmptyBatch);
    request.scorers = vec![scorer(scorer::Kind::ExampleEmbedding)];
    let parsed = explain(request, &limits()).unwrap();
    assert_eq!(parsed.explainer.provider, None);
}

#[test]
fn a_score_names_explanations_in_either_form() {
    let request = pb::ScoreExplanationsRequest {
        sae: "m/a".to_owned(),
        explanations: vec![
            "models/m/saes/a/latents/3/explanations/e1".to_owned(),
            "e2".to_owned(),
        ],
        scorers: vec![pb::Scorer {
            provider: "p".to_owned(),
            ..scorer(scorer::Kind::Detection)
        }],
        ..pb::ScoreExplanationsRequest::default()
    };
    let parsed = score(request.clone(), &limits()).unwrap();
    assert_eq!(parsed.latents, None);
    assert_eq!(parsed.explainer.kind, ExplainerKind::None);
    let ids: Vec<&str> = parsed.explanations.iter().map(ExplanationId::id).collect();
    assert_eq!(ids, ["e1", "e2"]);
    let bad = pb::ScoreExplanationsRequest {
        explanations: vec!["a/b".to_owned(), "e".to_owned(), "e".to_owned()],
        scorers: vec![],
        ..request
    };
    let found = fields(score(bad, &limits()).unwrap_err());
    assert_eq!(found, ["explanations[0]", "explanations[2]", "scorers"]);
}
