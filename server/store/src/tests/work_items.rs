//! The queue: no item is given to two, no late worker writes, a result and its "done" are one.

use std::{collections::BTreeSet, time::Duration};

use super::{LEASE, claim, submit};
use crate::{
    Error, Store,
    caches::CacheShard,
    jobs::Job,
    leases::{Outcome, Owner, Reaped},
    test_support,
    work_items::{Counts, Retry, Scope, WorkItem, WorkResult},
};

/// Runs futures at the same time, on one thread.
pub(super) async fn all<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    for future in futures {
        running.spawn(future);
    }
    running.join_all().await
}

async fn job_with(store: &Store, items: u32) -> Job {
    let job = submit(store).await;
    store
        .work_items()
        .insert_many(&job.id, items)
        .await
        .unwrap();
    job
}

async fn take(store: &Store, job: &Job, owner: Owner, limit: u32) -> Vec<WorkItem> {
    store
        .work_items()
        .claim(Scope::Job(&job.id), owner, LEASE, limit)
        .await
        .unwrap()
}

fn ords(items: &[WorkItem]) -> Vec<u32> {
    items.iter().map(|item| item.ord).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_at_the_same_time_never_overlap() {
    const ITEMS: u32 = 3000;
    let store = test_support::database().await.store;
    let job = job_with(&store, ITEMS).await;
    let workers = (0..8).map(|_| {
        let (store, job, owner) = (store.clone(), job.clone(), Owner::new());
        async move {
            let mut mine = Vec::new();
            loop {
                let items = take(&store, &job, owner, 16).await;
                if items.is_empty() {
                    return mine;
                }
                for item in items {
                    store
                        .work_items()
                        .complete(&item, WorkResult::Nothing)
                        .await
                        .unwrap();
                    mine.push(item.ord);
                }
            }
        }
    });
    let taken: Vec<Vec<u32>> = all(workers).await;
    let each: Vec<u32> = taken.into_iter().flatten().collect();
    assert_eq!(each.len(), ITEMS as usize, "no item was given to two");
    assert_eq!(
        each.into_iter().collect::<BTreeSet<_>>().len(),
        ITEMS as usize
    );
    let counts = store.work_items().counts(&job.id).await.unwrap();
    assert_eq!(
        counts,
        Counts {
            done: ITEMS.into(),
            ..Counts::default()
        }
    );
}

#[tokio::test]
async fn items_are_made_once_and_claimed_in_order() {
    let store = test_support::database().await.store;
    let job = job_with(&store, 5).await;
    assert_eq!(ords(&take(&store, &job, Owner::new(), 2).await), [0, 1]);
    store.work_items().insert_many(&job.id, 7).await.unwrap();
    assert_eq!(
        ords(&take(&store, &job, Owner::new(), 100).await),
        [2, 3, 4, 5, 6]
    );
    let unknown = "no-such-job".parse().unwrap();
    assert!(matches!(
        store.work_items().insert_many(&unknown, 1).await,
        Err(Error::UnknownJob(_))
    ));
    store.work_items().insert_many(&job.id, 0).await.unwrap();
}

#[tokio::test]
async fn a_late_worker_cannot_complete_what_was_given_to_another() {
    let store = test_support::database().await.store;
    let job = job_with(&store, 1).await;
    let late = store
        .work_items()
        .claim(Scope::Job(&job.id), Owner::new(), Duration::ZERO, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        store.leases().reap().await.unwrap(),
        Reaped {
            returned: 1,
            ..Reaped::default()
        }
    );
    assert!(matches!(
        store
            .work_items()
            .complete(&late, WorkResult::Nothing)
            .await,
        Err(Error::LeaseLost { .. })
    ));
    let item = take(&store, &job, Owner::new(), 1).await.remove(0);
    assert_eq!(item.attempt, 2);
    assert!(matches!(
        store
            .work_items()
            .complete(&late, WorkResult::Nothing)
            .await,
        Err(Error::LeaseLost { .. })
    ));
    assert!(matches!(
        store.work_items().fail(&late, "late", Retry::Never).await,
        Err(Error::LeaseLost { .. })
    ));
    store
        .work_items()
        .complete(&item, WorkResult::Nothing)
        .await
        .unwrap();
    assert!(matches!(
        store
            .work_items()
            .complete(&item, WorkResult::Nothing)
            .await,
        Err(Error::LeaseLost { .. })
    ));
    assert_eq!(store.work_items().done(&job.id).await.unwrap(), [0]);
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_leaves_the_item_open() {
    let store = test_support::database().await.store;
    let job = job_with(&store, 1).await;
    let item = take(&store, &job, Owner::new(), 1).await.remove(0);
    let nowhere = CacheShard {
        cache: "no-such-cache".parse().unwrap(),
        sae: "gpt2/l0".parse().unwrap(),
        ord: 0,
        digest: "d".into(),
        entries: 1,
        size_bytes: 1,
    };
    let error = store
        .work_items()
        .complete(&item, WorkResult::CacheShards(&[nowhere]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UnknownCache(_)), "{error}");
    assert_eq!(
        store.work_items().counts(&job.id).await.unwrap(),
        Counts {
            leased: 1,
            ..Counts::default()
        }
    );
    store
        .work_items()
        .complete(&item, WorkResult::Nothing)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_item_is_given_up_after_too_many_attempts() {
    let store = test_support::database().await.store;
    let job = job_with(&store, 2).await;
    for attempt in 1..=8 {
        let items = store
            .work_items()
            .claim(Scope::Job(&job.id), Owner::new(), Duration::ZERO, 1)
            .await
            .unwrap();
        assert_eq!((ords(&items), items[0].attempt), (vec![0], attempt));
        let reaped = store.leases().reap().await.unwrap();
        assert_eq!(
            (reaped.returned, reaped.dead),
            if attempt < 8 { (1, 0) } else { (0, 1) }
        );
    }
    let item = take(&store, &job, Owner::new(), 9).await.remove(0);
    assert_eq!(item.ord, 1);
    assert!(
        store
            .work_items()
            .fail(&item, "try later", Retry::After(Duration::from_hours(1)))
            .await
            .unwrap()
    );
    assert_eq!(
        take(&store, &job, Owner::new(), 9).await,
        [],
        "it is held back"
    );
    assert_eq!(
        store.work_items().counts(&job.id).await.unwrap(),
        Counts {
            waiting: 1,
            dead: 1,
            ..Counts::default()
        }
    );
    let (ord, error) = store
        .work_items()
        .first_error(&job.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (ord, error.as_str()),
        (0, "its worker was lost at every attempt")
    );
}

#[tokio::test]
async fn a_heartbeat_keeps_items_from_the_reaper_and_a_release_gives_them_back() {
    let store = test_support::database().await.store;
    let job = job_with(&store, 3).await;
    let lease = claim(&store, Owner::new()).await.unwrap();
    let worker = Owner::new();
    let items = store
        .work_items()
        .claim(Scope::Kind("build_cache"), worker, Duration::ZERO, 2)
        .await
        .unwrap();
    let held = store.leases().heartbeat(worker, LEASE).await.unwrap();
    assert_eq!(
        held.iter().map(|held| &held.job).collect::<Vec<_>>(),
        [&job.id]
    );
    assert_eq!(store.leases().reap().await.unwrap(), Reaped::default());
    store.leases().release(worker).await.unwrap();
    assert!(matches!(
        store
            .work_items()
            .complete(&items[0], WorkResult::Nothing)
            .await,
        Err(Error::LeaseLost { .. })
    ));
    let again = store
        .work_items()
        .claim(Scope::Kind("build_cache"), worker, LEASE, 9)
        .await
        .unwrap();
    assert_eq!((ords(&again), again[0].attempt), (vec![0, 1, 2], 1));

    // The end of the job ends its items, also for those who work on them.
    store
        .leases()
        .finish(&lease, &Outcome::Cancelled)
        .await
        .unwrap();
    assert!(matches!(
        store
            .work_items()
            .complete(&again[0], WorkResult::Nothing)
            .await,
        Err(Error::LeaseLost { .. })
    ));
    assert_eq!(
        store.work_items().counts(&job.id).await.unwrap(),
        Counts {
            dead: 3,
            ..Counts::default()
        }
    );
}

#[tokio::test]
async fn items_of_jobs_that_do_not_run_are_not_claimed_by_kind() {
    let store = test_support::database().await.store;
    let job = job_with(&store, 1).await;
    let by_kind = async |kind| {
        store
            .work_items()
            .claim(Scope::Kind(kind), Owner::new(), LEASE, 9)
            .await
            .unwrap()
    };
    assert_eq!(by_kind("build_cache").await, [], "it waits");
    claim(&store, Owner::new()).await.unwrap();
    assert_eq!(by_kind("explain").await, []);
    store.jobs().request_cancel(&job.id).await.unwrap();
    assert_eq!(by_kind("build_cache").await, [], "it was asked to stop");
}
