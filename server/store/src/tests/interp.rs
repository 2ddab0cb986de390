//! Auto-interpretation jobs: what the end of one stage means for the others, and counters that tell of it.

use std::{collections::BTreeSet, time::Duration};

use latentd_domain::{
    JobId, Reason,
    autointerp::{
        AutointerpSpec, Budget, Calibration, ExamplePlan, ExplainerKind, ExplainerSpec, Latents,
        ScorerKind, ScorerSpec,
    },
};

use super::LEASE;
use crate::{
    Error, Store,
    explanations::{NewExplanation, Provenance},
    interp::{Completion, Counts, EXPLAIN_LATENTS, KINDS, Outcome},
    jobs::{Job, NewJob},
    leases::{self, JobLease, Owner},
    scores::{NewScore, ScoreExample},
    test_support,
    work_items::WorkItem,
};

pub(super) fn spec(latents: u32, scorers: &[ScorerKind]) -> AutointerpSpec {
    let scorer = |&kind: &ScorerKind| ScorerSpec {
        kind,
        provider: None,
        encoder: None,
        examples_per_prompt: 5,
        calibration: Calibration::Uncalibrated,
        threshold: 0.3,
        temperature: 0.0,
        max_tokens: 0,
    };
    AutointerpSpec {
        sae: "gpt2/l0".parse().unwrap(),
        sae_digest: "digest".into(),
        cache: "brown".parse().unwrap(),
        latents: Latents::Range(0, latents),
        explainer: ExplainerSpec {
            kind: ExplainerKind::Default,
            provider: None,
            threshold: 0.3,
            chain_of_thought: false,
            temperature: 0.0,
            max_tokens: 500,
        },
        explanations: Vec::new(),
        scorers: scorers.iter().map(scorer).collect(),
        examples: ExamplePlan::default(),
        budget: Budget::default(),
    }
}

pub(super) async fn submit(store: &Store, spec: &AutointerpSpec) -> Result<Job, Error> {
    super::caches::there_is(store, spec.cache.id()).await;
    submit_alone(store, spec).await
}

/// The same, whatever has become of the cache.
pub(super) async fn submit_alone(store: &Store, spec: &AutointerpSpec) -> Result<Job, Error> {
    let job = NewJob {
        kind: EXPLAIN_LATENTS.into(),
        spec: serde_json::to_value(spec).unwrap(),
        result: String::new(),
        request: None,
    };
    Ok(store.interp().submit(spec, &job).await?.into_job())
}

/// A job at work with its items.
pub(super) async fn running(store: &Store, spec: &AutointerpSpec) -> JobLease {
    let job = submit(store, spec).await.unwrap();
    let lease = store.leases().claim_job(&KINDS, Owner::new(), LEASE).await;
    store.interp().insert_items(&job.id, spec).await.unwrap();
    let lease = lease.unwrap().unwrap();
    assert_eq!(lease.job.id, job.id);
    lease
}

pub(super) async fn claim(store: &Store, owner: Owner, limit: u32) -> Vec<WorkItem> {
    store.interp().claim(owner, limit).await.unwrap()
}

pub(super) fn explanation(job: &JobId, latent: u32, text: &str) -> NewExplanation {
    NewExplanation {
        sae: "gpt2/l0".parse().unwrap(),
        latent,
        text: text.into(),
        explainer: "default".into(),
        provenance: Provenance {
            job: Some(job.clone()),
            provider: Some("llm".parse().unwrap()),
            provider_model: "a model".into(),
            prompt_version: "default/1".into(),
            sae_digest: "digest".into(),
            cache: Some("brown".parse().unwrap()),
            examples: vec!["7:3+32".parse().unwrap(), "1:0+32".parse().unwrap()],
            seed: u64::MAX,
            exchange: Some("hash".into()),
            author: String::new(),
        },
    }
}

pub(super) fn score(explanation: &NewExplanation, scorer: ScorerKind, marks: &str) -> NewScore {
    let example = |mark| ScoreExample {
        label: Some(mark == '+' || mark == 'x'),
        prediction: match mark {
            '+' | 'o' => Some(true),
            '-' | 'x' => Some(false),
            _ => None,
        },
        failure: (mark == '?').then_some(Reason::AnswerNotParsed),
        ..ScoreExample::default()
    };
    NewScore {
        explanation: Some(explanation.id().parse().unwrap()),
        sae: explanation.sae.clone(),
        latent: explanation.latent,
        scorer,
        value: Some(0.75),
        n: marks.chars().filter(|&mark| mark != '?').count() as u32,
        n_failed: marks.chars().filter(|&mark| mark == '?').count() as u32,
        ci: Some((0.5, 0.9)),
        metrics: [("f1".to_owned(), 0.8), ("auc".to_owned(), f64::NAN)].into(),
        firing_tokens: 10 * u64::from(explanation.latent + 1),
        provider: Some("llm".parse().unwrap()),
        provider_model: "a model".into(),
        prompt_version: "detection/1".into(),
        calibration: String::new(),
        seed: 3,
        examples: marks.chars().map(example).collect(),
    }
}

pub(super) fn explained(item: &WorkItem, explanations: Vec<NewExplanation>) -> Completion {
    Completion {
        item: item.clone(),
        outcome: Outcome::Explained {
            explanations,
            existing: Vec::new(),
        },
    }
}

pub(super) fn ended(item: &WorkItem, outcome: Outcome) -> Completion {
    Completion {
        item: item.clone(),
        outcome,
    }
}

pub(super) fn failed() -> Outcome {
    Outcome::Failed {
        reason: Reason::ProviderFailed,
        detail: "no\0".into(),
    }
}

pub(super) fn ords(items: &[WorkItem]) -> Vec<u32> {
    items.iter().map(|item| item.ord).collect()
}

pub(super) async fn counts(store: &Store, job: &JobId) -> Counts {
    store.interp().progress(job).await.unwrap().counts
}

#[tokio::test]
async fn scorers_wait_for_the_explanation_and_find_it() {
    let store = test_support::database().await.store;
    let spec = spec(2, &[ScorerKind::Detection, ScorerKind::Fuzzing]);
    let lease = running(&store, &spec).await;
    let job = &lease.job.id;
    assert_eq!(
        store.interp().running().await.unwrap()[0].budget,
        spec.budget
    );
    store.interp().insert_items(job, &spec).await.unwrap();
    let owner = Owner::new();
    let items = claim(&store, owner, 99).await;
    assert_eq!(ords(&items), [0, 3], "scorers are blocked");

    let text = explanation(job, 0, "numbers\0");
    let done = [explained(&items[0], vec![text.clone()])];
    assert_eq!(store.interp().complete(&done, owner).await.unwrap(), [true]);
    assert_eq!(
        store.interp().complete(&done, owner).await.unwrap(),
        [false],
        "once"
    );
    let items = claim(&store, owner, 99).await;
    assert_eq!(ords(&items), [1, 2]);
    let found = store.explanations().of_job(job, 0).await.unwrap();
    assert_eq!(
        (found.len(), found[0].text.as_str()),
        (1, "numbers\u{fffd}")
    );
    assert_eq!(found[0].provenance, text.provenance);
    assert_eq!(store.explanations().of_job(job, 1).await.unwrap(), []);

    let done: Vec<_> = [
        (&items[0], ScorerKind::Detection),
        (&items[1], ScorerKind::Fuzzing),
    ]
    .map(|(item, kind)| {
        ended(
            item,
            Outcome::Scored {
                scores: vec![score(&text, kind, "++-?")],
            },
        )
    })
    .into();
    assert_eq!(
        store.interp().complete(&done, owner).await.unwrap(),
        [true, true]
    );
    assert_eq!(
        counts(&store, job).await,
        Counts {
            total: 6,
            done: 3,
            ..Counts::default()
        }
    );
    let scores = store.explanations().get(&found[0].id).await.unwrap().scores;
    let stages: BTreeSet<_> = scores
        .iter()
        .map(|score| (score.stage, score.scorer))
        .map(|(s, k)| (s, k.as_str()))
        .collect();
    assert_eq!(stages, BTreeSet::from([(1, "detection"), (2, "fuzzing")]));
}

#[tokio::test]
async fn what_becomes_of_stage_0_decides_about_the_others() {
    let store = test_support::database().await.store;
    let spec = spec(4, &[ScorerKind::Detection, ScorerKind::Intruder]);
    let lease = running(&store, &spec).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    let items = claim(&store, owner, 99).await;
    assert_eq!(ords(&items), [0, 3, 6, 9]);
    let skipped = |dead| Outcome::Skipped {
        dead,
        reason: Reason::TooFewExamples,
        detail: "1 example".into(),
    };
    let again = Outcome::Again {
        after: Duration::ZERO,
        reason: Reason::QueueFull,
        detail: String::new(),
    };
    let done = [
        ended(&items[0], skipped(true)),
        ended(&items[1], skipped(false)),
        ended(&items[2], failed()),
        ended(&items[3], again),
    ];
    assert_eq!(
        store.interp().complete(&done, owner).await.unwrap(),
        [true; 4]
    );
    let expected = Counts {
        total: 12,
        done: 8,
        failed: 1,
        skipped: 6 - 1,
        dead_latents: 1,
        skipped_latents: 1,
        failed_latents: 1,
    };
    // Latents 0 and 1 are left out with two scorers each; of latent 2, stage 0 failed, and detection has nothing to do.
    let expected = Counts {
        skipped: 7,
        ..expected
    };
    assert_eq!(counts(&store, job).await, expected);
    let items = claim(&store, owner, 99).await;
    assert_eq!(
        ords(&items),
        [8, 9],
        "the intruder needs no explanation; the last one is tried again"
    );
    assert_eq!(items[1].attempt, 2);

    // A scorer that has nothing to do concerns nobody else.
    let done = [
        ended(&items[0], skipped(false)),
        explained(&items[1], Vec::new()),
    ];
    store.interp().complete(&done, owner).await.unwrap();
    let items = claim(&store, owner, 99).await;
    assert_eq!(ords(&items), [10, 11]);
    let done = [
        ended(&items[0], failed()),
        ended(&items[1], Outcome::Scored { scores: Vec::new() }),
    ];
    store.interp().complete(&done, owner).await.unwrap();
    let expected = Counts {
        done: 12,
        failed: 2,
        skipped: 8,
        ..expected
    };
    assert_eq!(counts(&store, job).await, expected);
    store
        .leases()
        .finish(&lease, &leases::Outcome::Succeeded)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_item_that_is_tried_too_often_has_failed_and_so_have_lost_workers() {
    let store = test_support::database().await.store;
    let lease = running(&store, &spec(2, &[ScorerKind::Detection])).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    for _ in 0..8 {
        let items = claim(&store, owner, 1).await;
        assert_eq!(ords(&items), [0]);
        let again = Outcome::Again {
            after: Duration::ZERO,
            reason: Reason::ProviderTimeout,
            detail: "slow".into(),
        };
        store
            .interp()
            .complete(&[ended(&items[0], again)], owner)
            .await
            .unwrap();
    }
    let expected = Counts {
        total: 4,
        done: 2,
        failed: 1,
        skipped: 1,
        failed_latents: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&store, job).await, expected);
    for death in 0..7 {
        // No sign of life was given under this owner: it is dead.
        let items = if death < 2 {
            claim(&store, owner, 1).await
        } else {
            assert_eq!(claim(&store, owner, 9).await, [], "it is a suspect");
            store.interp().claim_suspects(owner, &[]).await.unwrap()
        };
        assert_eq!(ords(&items), [2]);
        store.leases().reap().await.unwrap();
    }
    let expected = Counts {
        done: 4,
        failed: 2,
        skipped: 2,
        failed_latents: 2,
        ..expected
    };
    assert_eq!(
        counts(&store, job).await,
        expected,
        "nothing waits for what never comes"
    );
    assert_eq!(claim(&store, owner, 9).await, []);
}

#[tokio::test]
async fn leaders_that_die_at_once_do_not_end_a_job() {
    let store = test_support::database().await.store;
    let lease = running(&store, &spec(2, &[])).await;
    for _ in 0..20 {
        store.leases().expire_others(Owner::new()).await.unwrap();
        assert_eq!(store.leases().reap().await.unwrap().failed_jobs, 0);
        let again = store.leases().claim_job(&KINDS, Owner::new(), LEASE).await;
        assert_eq!(again.unwrap().unwrap().job.id, lease.job.id);
    }
}
