//! Why items failed or were left out, and what was reduced.

use latentd_domain::{
    Reason,
    autointerp::{Latents, ScorerKind},
};

use super::interp::{claim, ended, explained, explanation, running, score, spec};
use crate::{
    interp::{ItemReason, Outcome, Reduced, Shown},
    leases::Owner,
    test_support,
};

fn skipped(reason: Reason, detail: &str) -> Outcome {
    Outcome::Skipped {
        dead: false,
        reason,
        detail: detail.into(),
    }
}

#[tokio::test]
async fn reasons_are_grouped_and_counted_by_latent() {
    let store = test_support::database().await.store;
    let mut spec = spec(8, &[ScorerKind::Detection]);
    spec.latents = Latents::List(vec![80, 70, 60, 50, 40, 30, 20, 10]);
    let lease = running(&store, &spec).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    assert_eq!(store.interp().reasons(job, &spec).await.unwrap(), []);
    let items = claim(&store, owner, 99).await;
    let made = explanation(job, 10, "tens");
    let mut done: Vec<_> = items[..6]
        .iter()
        .map(|item| {
            ended(
                item,
                skipped(Reason::TooFewExamples, &format!("{} examples", item.ord)),
            )
        })
        .collect();
    let refused = Outcome::Failed {
        reason: Reason::AnswerRefused,
        detail: "no\0".into(),
    };
    done.extend([
        ended(&items[6], refused),
        explained(&items[7], vec![made.clone()]),
    ]);
    store.interp().complete(&done, owner).await.unwrap();
    let group = |reason, failed, items, detail: &str, latents: &[u32]| ItemReason {
        reason,
        failed,
        items,
        detail: detail.into(),
        latents: latents.into(),
    };
    let expected = [
        group(
            Reason::TooFewExamples,
            false,
            6,
            "0 examples",
            &[40, 50, 60, 70, 80],
        ),
        group(Reason::AnswerRefused, true, 1, "no\u{fffd}", &[20]),
    ];
    assert_eq!(
        store.interp().reasons(job, &spec).await.unwrap(),
        expected,
        "scorers that follow have no reason of their own"
    );

    // Of the scorer, one example could not be scored.
    let items = claim(&store, owner, 99).await;
    let scores = vec![score(&made, ScorerKind::Detection, "++-?")];
    let done = [ended(&items[0], Outcome::Scored { scores })];
    store.interp().complete(&done, owner).await.unwrap();
    let summary = store.interp().summary(job).await.unwrap();
    assert_eq!(summary.reasons, expected);
    let [failed] = summary.scorers[0].reasons.as_slice() else {
        panic!("{:?}", summary.scorers)
    };
    assert_eq!(
        (failed.reason, failed.examples),
        (Reason::AnswerNotParsed, 1)
    );
    assert_eq!(failed.latents, [10]);
    assert!(summary.has_results());
}

#[tokio::test]
async fn a_worker_that_is_lost_at_every_attempt_is_a_reason_too() {
    let store = test_support::database().await.store;
    let spec = spec(1, &[]);
    let lease = running(&store, &spec).await;
    for death in 0..7 {
        let (owner, interp) = (Owner::new(), store.interp());
        let claimed = match death {
            0 | 1 => interp.claim(owner, 1).await,
            _ => interp.claim_suspects(owner, &[]).await,
        };
        assert_eq!(claimed.unwrap().len(), 1);
        store.leases().reap().await.unwrap();
    }
    let reasons = store.interp().reasons(&lease.job.id, &spec).await.unwrap();
    assert_eq!((reasons.len(), reasons[0].reason), (1, Reason::ServerDied));
    assert!(reasons[0].detail.contains("died"), "{reasons:?}");
    assert!(
        !store
            .interp()
            .summary(&lease.job.id)
            .await
            .unwrap()
            .has_results()
    );
}

#[tokio::test]
async fn the_fewest_examples_are_told() {
    let store = test_support::database().await.store;
    let lease = running(&store, &spec(3, &[])).await;
    let (job, interp) = (&lease.job.id, store.interp());
    assert_eq!(interp.reduced(job).await.unwrap(), None);
    let shown = |n_train, n_test| Shown { n_train, n_test };
    let note = async |latent, shown| {
        interp
            .note_reduced(&[((job.clone(), latent), shown)])
            .await
            .unwrap();
    };
    note(1, shown(9, 11)).await;
    note(1, shown(8, 12)).await;
    note(2, shown(20, 3)).await;
    let expected = Reduced {
        latents: 2,
        fewest: shown(8, 3),
        examples: vec![1, 2],
    };
    assert_eq!(interp.reduced(job).await.unwrap(), Some(expected));
}
