//! Scores: every example comes back as it was, and a summary can be computed again from them.

use latentd_domain::{JobId, Reason, autointerp::ScorerKind};

use super::interp::{self, explanation, score};
use crate::{
    Error, Store,
    interp::{Completion, Outcome},
    leases::Owner,
    scores::ScoreExample,
    test_support,
    work_items::WorkItem,
};

/// An example in which every field is set, to what is hard to store.
fn full_example() -> ScoreExample {
    ScoreExample {
        example: Some("7:3+32".parse().unwrap()),
        quantile: Some(9),
        distance: Some(0.1),
        label: Some(true),
        prediction: Some(false),
        probability: Some(1.0 / 3.0),
        value: Some(-1e-300),
        choice: Some(4),
        chosen: Some(0),
        truth: vec![0.1, 3.4e38, f32::MIN_POSITIVE],
        predicted: vec![f32::INFINITY, -0.0, 16777217.0],
        marked: vec![0, 31],
        failure: Some(Reason::AnswerCount),
        failure_detail: "3 of 5\0".into(),
        exchange: Some("hash".into()),
    }
}

#[tokio::test]
async fn examples_come_back_as_they_were() {
    let store = test_support::database().await.store;
    let lease = interp::running(&store, &interp::spec(1, &[ScorerKind::Intruder])).await;
    let owner = Owner::new();
    let items = interp::claim(&store, owner, 9).await;
    let failed = Outcome::Failed {
        reason: Reason::AnswerRefused,
        detail: String::new(),
    };
    store
        .interp()
        .complete(
            &[Completion {
                item: items[0].clone(),
                outcome: failed,
            }],
            owner,
        )
        .await
        .unwrap();
    let items = interp::claim(&store, owner, 9).await;

    let mut new = score(
        &explanation(&lease.job.id, 0, "a"),
        ScorerKind::Intruder,
        "",
    );
    new.explanation = None;
    new.value = None;
    new.examples = vec![ScoreExample::default(), full_example()];
    let done = Completion {
        item: items[0].clone(),
        outcome: Outcome::Scored {
            scores: vec![new.clone()],
        },
    };
    assert_eq!(
        store.interp().complete(&[done], owner).await.unwrap(),
        [true]
    );

    let scores = store
        .scores()
        .without_explanation(None, Some(&lease.job.id), None, 9)
        .await
        .unwrap();
    let stored = &scores[0];
    assert_eq!(store.scores().get(&stored.id).await.unwrap(), *stored);
    assert_eq!(
        (stored.value, stored.ci, stored.stage),
        (None, Some((0.5, 0.9)), 1)
    );
    assert_eq!(
        stored.metrics,
        [("f1".to_owned(), 0.8)].into(),
        "what is not a number is left out"
    );
    assert_eq!((stored.seed, stored.firing_tokens), (3, 10));
    let mut examples = store
        .scores()
        .examples(std::slice::from_ref(&stored.id))
        .await
        .unwrap();
    new.examples[1].failure_detail = "3 of 5\u{fffd}".into();
    assert_eq!(examples.remove(&stored.id).unwrap(), new.examples);
    let none = store
        .scores()
        .without_explanation(Some(&stored.sae), None, Some(&stored.id), 9)
        .await
        .unwrap();
    assert_eq!(none, []);
    let unknown = "no-such-score".parse().unwrap();
    assert!(matches!(
        store.scores().get(&unknown).await,
        Err(Error::UnknownScore(_))
    ));
}

/// Latents 0 to 2 are explained, and scored by detection as the marks say; latent 3 never fires.
async fn complete_all(store: &Store, job: &JobId, marks: [&str; 3], values: [Option<f64>; 3]) {
    let owner = Owner::new();
    let outcome = |latent: u32| match latent {
        3 => Outcome::Skipped {
            dead: true,
            reason: Reason::TooFewExamples,
            detail: String::new(),
        },
        _ => Outcome::Explained {
            explanations: vec![explanation(job, latent, "a")],
            existing: Vec::new(),
        },
    };
    let items = interp::claim(store, owner, 9).await;
    let ended = |item: WorkItem| Completion {
        outcome: outcome(item.ord / 3),
        item,
    };
    let batch: Vec<_> = items.into_iter().map(ended).collect();
    store.interp().complete(&batch, owner).await.unwrap();
    let scored = |item: WorkItem| {
        let latent = item.ord / 3;
        let made = explanation(job, latent, "a");
        let mut score = score(&made, ScorerKind::Detection, marks[latent as usize]);
        score.value = values[latent as usize];
        Completion {
            item,
            outcome: Outcome::Scored {
                scores: vec![score],
            },
        }
    };
    let items = interp::claim(store, owner, 99).await;
    let detection = items.into_iter().filter(|item| item.ord % 3 == 2);
    let batch: Vec<_> = detection.map(scored).collect();
    assert_eq!(batch.len(), 3);
    store.interp().complete(&batch, owner).await.unwrap();
}

#[tokio::test]
async fn a_summary_can_be_computed_again_from_the_examples() {
    let store = test_support::database().await.store;
    let spec = interp::spec(4, &[ScorerKind::Fuzzing, ScorerKind::Detection]);
    let lease = interp::running(&store, &spec).await;
    let job = &lease.job.id;
    let empty = store.interp().summary(job).await.unwrap();
    assert_eq!(
        (empty.latents, empty.explained, empty.scorers.len()),
        (4, 0, 2)
    );
    assert_eq!(
        (empty.scorers[0].scorer, empty.scorers[0].f1),
        (ScorerKind::Fuzzing, None)
    );

    let values = [Some(0.5), Some(1.0), None];
    complete_all(&store, job, ["++x-?", "+o--", "--"], values).await;
    let summary = store.interp().summary(job).await.unwrap();
    assert_eq!((summary.explained, summary.counts.dead_latents), (3, 1));
    let detection = &summary.scorers[1];
    assert_eq!(
        (detection.latents, detection.mean, detection.median),
        (2, Some(0.75), Some(0.75))
    );
    assert_eq!((detection.n, detection.n_failed), (10, 1));
    let (tp, fp, tn, fn_) = (3, 1, 5, 1);
    assert_eq!(
        (
            detection.true_positives,
            detection.false_positives,
            detection.true_negatives,
            detection.false_negatives
        ),
        (tp, fp, tn, fn_)
    );
    assert_eq!(detection.f1, Some(6.0 / 8.0));
    assert_eq!(
        detection.balanced_accuracy,
        Some(f64::midpoint(3.0 / 4.0, 5.0 / 6.0))
    );
    // F1 of latent 0 is 4/5 at 10 tokens, of latent 1 it is 2/3 at 20; of latent 2 it is not defined.
    let weighted = (0.8 * 10.0 + 2.0 / 3.0 * 20.0) / 30.0;
    assert!((detection.frequency_weighted_f1.unwrap() - weighted).abs() < 1e-12);

    let again: (i64, i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where label and prediction), count(*) filter (where not label and prediction),
             count(*) filter (where not label and not prediction), count(*) filter (where label and not prediction)
         from score_example e join score s on s.id = e.score_id where s.job_id = $1 and s.scorer = 'detection'",
    )
    .bind(job.id())
    .fetch_one(store.pool())
    .await
    .unwrap();
    assert_eq!(again, (tp as i64, fp as i64, tn as i64, fn_ as i64));
}
