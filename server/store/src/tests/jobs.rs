//! Jobs: idempotent requests, lists, cancelling, and leases that end.

use std::time::Duration;

use latentd_domain::{HasReason, Reason};

use super::{LEASE, claim, new_job, submit};
use crate::{
    Error,
    jobs::{Filter, JobFailure, JobState, Progress, RequestKey, Submitted},
    leases::{Held, Outcome, Owner},
    page::Page,
    test_support,
};

fn failure() -> JobFailure {
    JobFailure {
        reason: Reason::DiskFull,
        message: "no space\0left".into(),
        metadata: [("path".to_owned(), "/caches".to_owned())].into(),
    }
}

#[tokio::test]
async fn a_repeated_request_is_the_same_job() {
    let store = test_support::database().await.store;
    let first = match store.jobs().submit(&new_job(Some("r1"))).await.unwrap() {
        Submitted::Created(job) => job,
        Submitted::Existing(job) => panic!("{job:?}"),
    };
    assert_eq!((first.state, first.attempts), (JobState::Queued, 0));
    assert_eq!(first.spec["seed"], u64::MAX, "64-bit numbers survive");
    assert_eq!(
        store.jobs().submit(&new_job(Some("r1"))).await.unwrap(),
        Submitted::Existing(first.clone())
    );
    assert_eq!(
        store
            .jobs()
            .submitted("build_cache", &new_job(Some("r1")).request.unwrap())
            .await
            .unwrap(),
        Some(first)
    );

    let mut other = new_job(Some("r1"));
    other.request = Some(RequestKey {
        id: "r1".into(),
        digest: "another".into(),
    });
    let error = store.jobs().submit(&other).await.unwrap_err();
    assert_eq!(error.reason(), Reason::RequestIdReused);
    other.kind = "explain".into();
    assert!(
        matches!(
            store.jobs().submit(&other).await.unwrap(),
            Submitted::Created(_)
        ),
        "ids are of one kind of request"
    );
}

#[tokio::test]
async fn requests_at_the_same_time_start_one_job() {
    let store = test_support::database().await.store;
    let requests = (0..16).map(|_| {
        let store = store.clone();
        async move { store.jobs().submit(&new_job(Some("same"))).await.unwrap() }
    });
    let submitted = super::work_items::all(requests).await;
    let created = submitted
        .iter()
        .filter(|submitted| matches!(submitted, Submitted::Created(_)))
        .count();
    assert_eq!(created, 1);
    let ids: std::collections::BTreeSet<_> =
        submitted.into_iter().map(|job| job.into_job().id).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn pages_hold_every_job_once_while_others_come() {
    let store = test_support::database().await.store;
    let mut all = Vec::new();
    for _ in 0..7 {
        all.insert(0, submit(&store).await.id);
    }
    let filter = Filter {
        states: vec![JobState::Queued, JobState::Running],
        kind: "build_cache".into(),
    };
    let mut page = Page {
        size: 3,
        token: String::new(),
    };
    let mut seen = Vec::new();
    loop {
        let listed = store.jobs().list(&filter, &page).await.unwrap();
        assert!(listed.items.len() <= 3);
        seen.extend(listed.items.into_iter().map(|job| job.id));
        submit(&store).await;
        if listed.next_page_token.is_empty() {
            break;
        }
        page.token = listed.next_page_token;
    }
    assert_eq!(seen, all);

    let other = Filter {
        kind: "explain".into(),
        ..Filter::default()
    };
    assert!(matches!(
        store.jobs().list(&other, &page).await,
        Err(Error::InvalidPageToken)
    ));
    assert_eq!(
        store
            .jobs()
            .list(&other, &Page::default())
            .await
            .unwrap()
            .items,
        []
    );
    page.token = "00".repeat(20);
    assert!(matches!(
        store.jobs().list(&filter, &page).await,
        Err(Error::InvalidPageToken)
    ));
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked() {
    let store = test_support::database().await.store;
    let waiting = submit(&store).await;
    store
        .work_items()
        .insert_many(&waiting.id, 3)
        .await
        .unwrap();
    let cancelled = store.jobs().request_cancel(&waiting.id).await.unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert!(cancelled.end_time.is_some());
    assert_eq!(
        store.work_items().counts(&waiting.id).await.unwrap().dead,
        3
    );
    assert!(matches!(
        store.jobs().request_cancel(&waiting.id).await,
        Err(Error::JobEnded(_))
    ));

    let (owner, job) = (Owner::new(), submit(&store).await);
    let lease = claim(&store, owner).await.unwrap();
    assert_eq!(lease.job.id, job.id);
    for _ in 0..2 {
        let asked = store.jobs().request_cancel(&job.id).await.unwrap();
        assert_eq!(
            (asked.state, asked.cancel_requested),
            (JobState::Running, true)
        );
    }
    let held = store.leases().heartbeat(owner, LEASE).await.unwrap();
    assert_eq!(
        held,
        [Held {
            job: job.id.clone(),
            cancel_requested: true
        }]
    );
    let ended = store
        .leases()
        .finish(&lease, &Outcome::Cancelled)
        .await
        .unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    assert_eq!(store.leases().heartbeat(owner, LEASE).await.unwrap(), []);
    let unknown = "no-such-job".parse().unwrap();
    assert!(matches!(
        store.jobs().request_cancel(&unknown).await,
        Err(Error::UnknownJob(_))
    ));
}

#[tokio::test]
async fn the_failure_and_progress_of_a_job_are_kept() {
    let store = test_support::database().await.store;
    let job = submit(&store).await;
    let lease = claim(&store, Owner::new()).await.unwrap();
    let progress = Progress {
        phase: "encoding".into(),
        unit: "tokens".into(),
        done: 5,
        rate: f64::NAN,
        ..Progress::default()
    };
    store
        .leases()
        .set_progress(&lease, &progress)
        .await
        .unwrap();
    store
        .leases()
        .finish(&lease, &Outcome::Failed(failure()))
        .await
        .unwrap();
    let job = store.jobs().get(&job.id).await.unwrap();
    assert_eq!(
        (job.state, job.progress.done, job.progress.rate),
        (JobState::Failed, 5, 0.0)
    );
    let error = job.error.unwrap();
    assert_eq!(
        (error.reason, error.message.as_str()),
        (Reason::DiskFull, "no space\u{fffd}left")
    );
    assert_eq!(error.metadata, failure().metadata);
}

#[tokio::test]
async fn a_job_whose_worker_is_gone_is_taken_by_another_and_the_first_is_fenced() {
    let store = test_support::database().await.store;
    submit(&store).await;
    let dead = store
        .leases()
        .claim_job(&["build_cache"], Owner::new(), Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    let lease = claim(&store, Owner::new()).await.unwrap();
    assert_eq!(
        (lease.job.id.clone(), lease.job.attempts),
        (dead.job.id.clone(), 2)
    );
    assert_eq!(lease.job.start_time, dead.job.start_time);
    assert!(
        claim(&store, Owner::new()).await.is_none(),
        "its lease lasts"
    );
    for error in [
        store
            .leases()
            .set_progress(&dead, &Progress::default())
            .await
            .unwrap_err(),
        store
            .leases()
            .finish(&dead, &Outcome::Succeeded)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::LeaseLost { .. }), "{error}");
    }
    assert_eq!(
        store
            .leases()
            .finish(&lease, &Outcome::Succeeded)
            .await
            .unwrap()
            .state,
        JobState::Succeeded
    );
    assert!(matches!(
        store.leases().finish(&lease, &Outcome::Succeeded).await,
        Err(Error::LeaseLost { .. })
    ));
}

#[tokio::test]
async fn a_job_that_kills_every_worker_fails_but_one_that_gets_further_does_not() {
    let store = test_support::database().await.store;
    let poison = submit(&store).await;
    for _ in 0..8 {
        store
            .leases()
            .claim_job(&["build_cache"], Owner::new(), Duration::ZERO)
            .await
            .unwrap()
            .unwrap();
    }
    assert!(claim(&store, Owner::new()).await.is_none());
    assert_eq!(store.leases().reap().await.unwrap().failed_jobs, 1);
    assert_eq!(
        store.jobs().get(&poison.id).await.unwrap().state,
        JobState::Failed
    );

    let steady = submit(&store).await;
    for done in 0..20 {
        let lease = store
            .leases()
            .claim_job(&["build_cache"], Owner::new(), Duration::ZERO)
            .await
            .unwrap()
            .unwrap();
        store
            .leases()
            .set_progress(
                &lease,
                &Progress {
                    done,
                    ..Progress::default()
                },
            )
            .await
            .unwrap();
    }
    assert_eq!(store.leases().reap().await.unwrap().failed_jobs, 0);
    assert_eq!(store.jobs().get(&steady.id).await.unwrap().attempts, 20);
}

#[tokio::test]
async fn a_server_that_stops_in_good_order_gives_its_jobs_back() {
    let store = test_support::database().await.store;
    let (first, second) = (Owner::new(), Owner::new());
    let job = submit(&store).await;
    for _ in 0..20 {
        let lease = claim(&store, first).await.unwrap();
        store.leases().release(first).await.unwrap();
        assert!(matches!(
            store.leases().finish(&lease, &Outcome::Succeeded).await,
            Err(Error::LeaseLost { .. })
        ));
    }
    assert_eq!(
        store.jobs().get(&job.id).await.unwrap().state,
        JobState::Queued
    );
    claim(&store, first).await.unwrap();
    assert!(claim(&store, second).await.is_none());
    store.leases().expire_others(first).await.unwrap();
    assert!(claim(&store, second).await.is_none());
    store.leases().expire_others(second).await.unwrap();
    assert!(claim(&store, second).await.is_some());
}

#[tokio::test]
async fn text_that_postgres_cannot_store_is_refused() {
    let store = test_support::database().await.store;
    let mut job = new_job(None);
    job.spec = serde_json::json!({"paths": ["a\0b"]});
    let error = store.jobs().submit(&job).await.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidRequest);
    let missing = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    assert!(matches!(
        store.jobs().get(&missing).await,
        Err(Error::UnknownJob(_))
    ));
}
