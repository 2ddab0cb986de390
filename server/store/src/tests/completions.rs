//! Completions of work items: a batch is all or nothing, an item is completed once, whoever works on it.

use latentd_domain::{JobId, autointerp::ScorerKind};

use super::{
    LEASE,
    interp::{claim, counts, ended, explained, explanation, failed, ords, running, score, spec},
    work_items::all,
};
use crate::{
    Store,
    interp::{Counts, Outcome},
    leases::{JobLease, Owner},
    pauses::PauseReason,
    test_support,
    work_items::WorkItem,
};

#[tokio::test]
async fn a_batch_that_cannot_be_stored_changes_nothing() {
    let store = test_support::database().await.store;
    let lease = running(&store, &spec(2, &[ScorerKind::Detection])).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    let items = claim(&store, owner, 99).await;
    let good = explanation(job, 0, "good");
    let mut bad = explanation(job, 1, "bad");
    bad.provenance.job = Some("no-such-job".parse().unwrap());
    let batch = [
        explained(&items[0], vec![good.clone()]),
        explained(&items[1], vec![bad]),
    ];
    store.interp().complete(&batch, owner).await.unwrap_err();
    assert_eq!(
        counts(&store, job).await,
        Counts {
            total: 4,
            ..Counts::default()
        }
    );
    assert!(
        store
            .explanations()
            .of_latent(&good.sae, 0)
            .await
            .unwrap()
            .is_empty()
    );

    // Half of a batch may be late.
    store.interp().give_back(&items[1..], owner).await.unwrap();
    let batch = [explained(&items[0], vec![good]), ended(&items[1], failed())];
    assert_eq!(
        store.interp().complete(&batch, owner).await.unwrap(),
        [true, false]
    );
    assert_eq!(
        counts(&store, job).await,
        Counts {
            total: 4,
            done: 1,
            ..Counts::default()
        }
    );
    let again = claim(&store, owner, 99).await;
    assert_eq!(
        (ords(&again), again[1].attempt),
        (vec![1, 2], 1),
        "it was given back"
    );
}

#[tokio::test]
async fn an_explanation_that_was_deleted_takes_its_late_score_along() {
    let store = test_support::database().await.store;
    let lease = running(&store, &spec(1, &[ScorerKind::Detection])).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    let items = claim(&store, owner, 9).await;
    let text = explanation(job, 0, "gone");
    store
        .interp()
        .complete(&[explained(&items[0], vec![text.clone()])], owner)
        .await
        .unwrap();
    let items = claim(&store, owner, 9).await;
    store
        .explanations()
        .delete(&text.id().parse().unwrap())
        .await
        .unwrap();
    let scored = Outcome::Scored {
        scores: vec![score(&text, ScorerKind::Detection, "+-")],
    };
    assert_eq!(
        store
            .interp()
            .complete(&[ended(&items[0], scored)], owner)
            .await
            .unwrap(),
        [true]
    );
    let left: i64 = sqlx::query_scalar("select count(*) from score")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!((left, counts(&store, job).await.done), (0, 2));
}

#[tokio::test]
async fn jobs_share_the_workers() {
    let store = test_support::database().await.store;
    let first = running(&store, &spec(100, &[])).await;
    let second = running(&store, &spec(3, &[])).await;
    let owner = Owner::new();
    let items = claim(&store, owner, 10).await;
    let of = |job: &JobLease| items.iter().filter(|item| item.job == job.job.id).count();
    assert_eq!(
        (of(&first), of(&second)),
        (7, 3),
        "what a small job leaves goes to the other"
    );
    store.jobs().request_cancel(&first.job.id).await.unwrap();
    assert_eq!(claim(&store, owner, 10).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_complete_each_item_once() {
    let store = test_support::database().await.store;
    let spec = spec(300, &[ScorerKind::Detection, ScorerKind::Intruder]);
    let lease = running(&store, &spec).await;
    let workers = (0..4).map(|_| {
        let (store, job, owner) = (store.clone(), lease.job.id.clone(), Owner::new());
        async move {
            loop {
                let items = claim(&store, owner, 16).await;
                store.processes().heartbeat(owner, LEASE).await.unwrap();
                if items.is_empty() && counts(&store, &job).await.done == 900 {
                    return;
                }
                let outcome = |item: &WorkItem| match item.ord % 3 {
                    0 => Outcome::Explained {
                        explanations: vec![explanation(&job, item.ord / 3, "same")],
                        existing: vec![],
                    },
                    1 => Outcome::Scored {
                        scores: vec![score(
                            &explanation(&job, item.ord / 3, "same"),
                            ScorerKind::Detection,
                            "+-",
                        )],
                    },
                    _ => failed(),
                };
                let batch: Vec<_> = items
                    .iter()
                    .map(|item| ended(item, outcome(item)))
                    .collect();
                let accepted = store.interp().complete(&batch, owner).await.unwrap();
                assert!(accepted.into_iter().all(|accepted| accepted));
            }
        }
    });
    all(workers).await;
    let expected = Counts {
        total: 900,
        done: 900,
        failed: 300,
        ..Counts::default()
    };
    assert_eq!(counts(&store, &lease.job.id).await, expected);
    let rows: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from explanation), (select count(*) from score), (select count(*) from score_example)",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    assert_eq!(rows, (300, 300, 600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completing_and_stopping_at_the_same_time_never_wait_for_each_other() {
    let store = test_support::database().await.store;
    for _ in 0..25 {
        let lease = running(&store, &spec(20, &[ScorerKind::Detection])).await;
        let (job, owner) = (lease.job.id, Owner::new());
        let items = claim(&store, owner, 99).await;
        let held = items.clone();
        let complete = items.into_iter().map(|item| {
            let (store, job) = (store.clone(), job.clone());
            async move {
                let made = explanation(&job, item.ord / 2, "a");
                let batch = [explained(&item, vec![made])];
                store.interp().complete(&batch, owner).await.map(|_| ())
            }
        });
        let stop = |store: Store, job: JobId| async move {
            let reason = PauseReason::Requested;
            store.jobs().request_pause(&job, reason).await?;
            store.leases().heartbeat(owner, LEASE).await?;
            store.processes().heartbeat(owner, LEASE).await?;
            store.interp().keep(&held, owner).await?;
            store.jobs().request_cancel(&job).await.map(|_| ())
        };
        let mut all = tokio::task::JoinSet::new();
        complete.for_each(|future| {
            all.spawn(future);
        });
        all.spawn(stop(store.clone(), job.clone()));
        while let Some(ended) = all.join_next().await {
            ended.unwrap().unwrap();
        }
        let items = store.work_items().counts(&job).await.unwrap();
        assert_eq!((items.waiting, items.leased), (0, 0));
    }
}
