//! Pausing: what is at work is finished, nothing new begins, and a larger budget lets the job go on.

use latentd_domain::{
    JobId,
    autointerp::{AutointerpSpec, ScorerKind},
};

use super::{LEASE, interp, submit};
use crate::{
    Error, Store,
    interp::{Completion, KINDS, Outcome},
    jobs::{Filter, Job, JobState, Progress},
    leases::Owner,
    page::Page,
    pauses::{PauseReason, Raise},
    test_support,
};

async fn pause(store: &Store, job: &JobId, reason: PauseReason) -> Job {
    store.jobs().request_pause(job, reason).await.unwrap()
}

#[tokio::test]
async fn a_paused_job_finishes_what_is_at_work_and_begins_nothing() {
    let store = test_support::database().await.store;
    let lease = interp::running(&store, &interp::spec(3, &[ScorerKind::Detection])).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    let items = interp::claim(&store, owner, 1).await;
    let counted = store.exchanges().reused(job, owner, 2).await;
    counted.unwrap();
    let paused = pause(&store, job, PauseReason::Requested).await;
    assert_eq!(paused.state, JobState::Paused);
    let spent = paused.progress.spent.unwrap();
    assert_eq!(
        (paused.progress.total, spent.calls, spent.reused),
        (6, 0, 2)
    );
    assert_eq!(interp::claim(&store, owner, 9).await, []);
    assert_eq!(store.interp().running().await.unwrap(), []);
    let lost = store
        .leases()
        .set_progress(&lease, &Progress::default())
        .await;
    assert!(matches!(lost, Err(Error::LeaseLost { .. })));
    let leader = store.leases().claim_job(&KINDS, owner, LEASE).await;
    assert!(leader.unwrap().is_none());
    let done = Completion {
        item: items[0].clone(),
        outcome: Outcome::Explained {
            explanations: Vec::new(),
            existing: Vec::new(),
        },
    };
    let accepted = store.interp().complete(&[done], owner).await.unwrap();
    assert_eq!(accepted, [true]);

    store.jobs().resume(job, Raise::default()).await.unwrap();
    let leader = store.leases().claim_job(&KINDS, owner, LEASE).await;
    assert_eq!(leader.unwrap().unwrap().job.id, *job);
    let items = interp::claim(&store, owner, 9).await;
    assert_eq!(interp::ords(&items), [1, 2, 4]);
}

#[tokio::test]
async fn a_job_says_why_it_is_paused_and_goes_on_with_a_larger_budget() {
    let store = test_support::database().await.store;
    let lease = interp::running(&store, &interp::spec(3, &[])).await;
    let job = &lease.job.id;
    let progress = Progress {
        rate: 2.0,
        eta_seconds: Some(3.0),
        ..Progress::default()
    };
    let told = store.leases().set_progress(&lease, &progress).await;
    told.unwrap();
    let mut watch = store.events().watch(job, 0).await.unwrap();
    let paused = pause(&store, job, PauseReason::Budget).await;
    assert_eq!(paused.pause_reason, Some(PauseReason::Budget));
    assert_eq!(
        (paused.progress.rate, paused.progress.eta_seconds),
        (0.0, None)
    );
    assert!(paused.progress.phase.contains("budget"));
    let again = pause(&store, job, PauseReason::Requested).await;
    assert_eq!(
        again.pause_reason, paused.pause_reason,
        "the first reason stays"
    );
    let filter = Filter {
        states: vec![JobState::Paused],
        ..Filter::default()
    };
    let listed = store.jobs().list(&filter, &Page::default()).await.unwrap();
    assert_eq!(listed.items, [paused]);

    let raise = Raise {
        calls: Some(9),
        ..Raise::default()
    };
    let resumed = store.jobs().resume(job, raise).await.unwrap();
    assert_eq!(
        (resumed.state, resumed.pause_reason),
        (JobState::Queued, None)
    );
    let spec: AutointerpSpec = serde_json::from_value(resumed.spec).unwrap();
    assert_eq!((spec.budget.calls, spec.budget.tokens), (Some(9), None));
    let resumed = store.jobs().resume(job, raise).await;
    assert!(matches!(resumed, Err(Error::JobNotPaused(_))));

    let mut seen = Vec::new();
    while seen.last() != Some(&(JobState::Queued, None)) || seen.len() < 3 {
        let event = watch.next().await.unwrap().unwrap();
        seen.push((event.job.state, event.job.pause_reason));
    }
    assert!(
        seen.contains(&(JobState::Paused, Some(PauseReason::Budget))),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_paused_job_can_be_cancelled_and_others_cannot_be_paused() {
    let store = test_support::database().await.store;
    let lease = interp::running(&store, &interp::spec(3, &[])).await;
    let job = &lease.job.id;
    store
        .jobs()
        .request_pause(job, PauseReason::Requested)
        .await
        .unwrap();
    let ended = store.jobs().request_cancel(job).await.unwrap();
    assert_eq!(
        (ended.state, ended.pause_reason),
        (JobState::Cancelled, None)
    );
    assert_eq!(store.work_items().counts(job).await.unwrap().dead, 3);
    assert!(matches!(
        store
            .jobs()
            .request_pause(job, PauseReason::Requested)
            .await,
        Err(Error::JobEnded(_))
    ));
    assert!(matches!(
        store.jobs().resume(job, Raise::default()).await,
        Err(Error::JobEnded(_))
    ));

    let other = submit(&store).await.id;
    assert!(matches!(
        store
            .jobs()
            .request_pause(&other, PauseReason::Requested)
            .await,
        Err(Error::JobNotPausable(_))
    ));
    let unknown = "no-such-job".parse().unwrap();
    assert!(matches!(
        store.jobs().resume(&unknown, Raise::default()).await,
        Err(Error::UnknownJob(_))
    ));

    // One that waits is paused as well; one that was asked to stop is not.
    let waits = interp::submit(&store, &interp::spec(1, &[]))
        .await
        .unwrap()
        .id;
    let paused = store
        .jobs()
        .request_pause(&waits, PauseReason::Requested)
        .await
        .unwrap();
    assert_eq!(paused.state, JobState::Paused);
    let stopping = interp::running(&store, &interp::spec(1, &[])).await.job.id;
    store.jobs().request_cancel(&stopping).await.unwrap();
    let left = store
        .jobs()
        .request_pause(&stopping, PauseReason::Requested)
        .await
        .unwrap();
    assert_eq!(left.state, JobState::Running);
}
