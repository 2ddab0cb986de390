//! Watching jobs: every event once, in order, from anywhere, to the end.

use std::time::{Duration, Instant};

use super::{claim, submit};
use crate::{
    Error, Store,
    events::{JobEvent, Watch},
    jobs::{JobState, Progress},
    leases::{JobLease, Outcome, Owner},
    test_support,
};

async fn rest(watch: &mut Watch) -> Vec<JobEvent> {
    let mut events = Vec::new();
    while let Some(event) = watch.next().await.unwrap() {
        events.push(event);
    }
    events
}

async fn advance(store: &Store, lease: &JobLease, done: u64) {
    store
        .leases()
        .set_progress(
            lease,
            &Progress {
                done,
                total: 10,
                ..Progress::default()
            },
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_sees_everything_and_ends() {
    let store = test_support::database().await.store;
    let job = submit(&store).await;
    let mut watch = store.events().watch(&job.id, 0).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().job, job);
    let work = async {
        let lease = claim(&store, Owner::new()).await.unwrap();
        for done in 1..=3 {
            advance(&store, &lease, done).await;
        }
        store
            .leases()
            .finish(&lease, &Outcome::Succeeded)
            .await
            .unwrap()
    };
    let (events, ended) = tokio::join!(rest(&mut watch), work);
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.job.state, event.job.progress.done))
        .collect();
    let running = JobState::Running;
    assert_eq!(
        seen,
        [
            (running, 0),
            (running, 1),
            (running, 2),
            (running, 3),
            (JobState::Succeeded, 3)
        ]
    );
    assert_eq!(events.last().unwrap().job, ended);
    assert!(events.is_sorted_by(|a, b| a.event_id < b.event_id));

    // From any event on, also after the last, and from one that was never given.
    for (at, event) in events.iter().enumerate() {
        let mut again = store.events().watch(&job.id, event.event_id).await.unwrap();
        assert_eq!(rest(&mut again).await, events[at + 1..]);
    }
    assert_eq!(
        rest(&mut store.events().watch(&job.id, u64::MAX).await.unwrap()).await,
        []
    );
    assert!(matches!(
        store.events().watch(&"x".parse().unwrap(), 0).await,
        Err(Error::UnknownJob(_))
    ));
}

#[tokio::test]
async fn old_progress_gives_way_but_changes_of_state_stay() {
    let store = test_support::database().await.store;
    let job = submit(&store).await;
    let lease = claim(&store, Owner::new()).await.unwrap();
    for done in 1..=300 {
        advance(&store, &lease, done).await;
    }
    store
        .leases()
        .finish(&lease, &Outcome::Succeeded)
        .await
        .unwrap();
    let events = rest(&mut store.events().watch(&job.id, 0).await.unwrap()).await;
    let states: Vec<_> = events.iter().map(|event| event.job.state).collect();
    assert_eq!(states[..2], [JobState::Queued, JobState::Running]);
    let progress: Vec<_> = events[2..]
        .iter()
        .map(|event| event.job.progress.done)
        .collect();
    assert_eq!(progress.last(), Some(&300));
    assert_eq!(
        progress.first(),
        Some(&45),
        "256 of them and the end are kept"
    );
}

#[tokio::test]
async fn changes_of_another_process_arrive_by_notification() {
    let test = test_support::database().await;
    let other = Store::connect(&test.database).await.unwrap();
    let listening = tokio::task::JoinSet::from_iter([other.clone().listen()]);
    let job = submit(&test.store).await;
    let mut watch = other.events().watch(&job.id, 0).await.unwrap();
    watch.next().await.unwrap().unwrap();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        test.store.jobs().request_cancel(&job.id).await.unwrap();
        Instant::now()
    };
    let (event, cancelled) = tokio::join!(watch.next(), cancel);
    assert_eq!(event.unwrap().unwrap().job.state, JobState::Cancelled);
    // Without the notification it would be seen by the next look, up to a second later; this only must not hang.
    assert!(cancelled.elapsed() < Duration::from_secs(5));
    drop(listening);
}

#[tokio::test]
async fn events_that_only_tell_of_progress_do_not_repeat_the_spec() {
    let store = test_support::database().await.store;
    let job = submit(&store).await;
    let lease = claim(&store, Owner::new()).await.unwrap();
    for done in 1..=3 {
        advance(&store, &lease, done).await;
    }
    store
        .leases()
        .finish(&lease, &Outcome::Succeeded)
        .await
        .unwrap();
    let mut watch = store.events().watch(&job.id, 0).await.unwrap();
    let events = rest(&mut watch).await;
    let with: Vec<bool> = events
        .iter()
        .map(|event| event.job.spec == job.spec)
        .collect();
    assert_eq!(with, [true, true, false, false, false, true]);
    assert_eq!(
        store.jobs().state(&job.id).await.unwrap(),
        JobState::Succeeded
    );
    assert!(!store.jobs().cancel_requested(&job.id).await.unwrap());
}
