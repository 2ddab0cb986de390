//! The database's clock may be set back or ahead: no lease ends or lasts for it, no item is held back, nothing changes its place.

use std::time::Duration;

use super::{LEASE, claim, submit};
use crate::{
    Store,
    jobs::Filter,
    leases::{Owner, Reaped},
    page::Page,
    test_support,
    work_items::{Retry, Scope},
};

/// A database whose `now()` is set, and its address.
struct Shifted {
    store: Store,
    url: String,
}

impl Shifted {
    async fn new() -> Self {
        let database = test_support::empty_database().await;
        let url = test_support::url(&database);
        // Found before that of pg_catalog, by the migrations and by every statement.
        test_support::execute(
            &url,
            "create schema shifted;
             create table shifted.by (amount interval not null);
             insert into shifted.by values ('0');
             create function shifted.now() returns timestamptz language sql stable
                 as 'select pg_catalog.now() + amount from shifted.by';
             do $$ begin execute format('alter database %I set search_path = public, shifted, pg_catalog', current_database());
             end $$",
        )
        .await;
        let store = Store::connect(&database).await.unwrap();
        Self { store, url }
    }

    async fn set(&self, amount: &str) {
        test_support::execute(
            &self.url,
            &format!("update shifted.by set amount = '{amount}'"),
        )
        .await;
    }

    async fn take(&self, job: &latentd_domain::JobId, lease: Duration) -> usize {
        let scope = Scope::Job(job);
        let items = self
            .store
            .work_items()
            .claim(scope, Owner::new(), lease, 9)
            .await;
        items.unwrap().len()
    }
}

#[tokio::test]
async fn a_clock_set_back_holds_no_work_back() {
    let database = Shifted::new().await;
    let job = submit(&database.store).await;
    let items = database.store.work_items();
    items.insert_many(&job.id, 2).await.unwrap();
    database.set("-1 day").await;
    let worker = Owner::new();
    let taken = items
        .claim(Scope::Job(&job.id), worker, LEASE, 1)
        .await
        .unwrap();
    assert_eq!(taken.len(), 1, "an item that waits is claimed at once");
    let again = Retry::After(Duration::ZERO);
    items.fail(&taken[0], "try again", again).await.unwrap();
    database.set("-2 days").await;
    assert_eq!(database.take(&job.id, LEASE).await, 2);
}

#[tokio::test]
async fn a_clock_set_ahead_ends_no_lease() {
    let database = Shifted::new().await;
    let job = submit(&database.store).await;
    database
        .store
        .work_items()
        .insert_many(&job.id, 2)
        .await
        .unwrap();
    let lease = claim(&database.store, Owner::new()).await.unwrap();
    assert_eq!(database.take(&job.id, LEASE).await, 2);
    database.set("1 day").await;
    assert!(
        claim(&database.store, Owner::new()).await.is_none(),
        "a job is not given to two"
    );
    assert_eq!(
        database.store.leases().reap().await.unwrap(),
        Reaped::default()
    );
    assert_eq!(database.take(&job.id, LEASE).await, 0, "nor is an item");
    assert_eq!(lease.job.id, job.id);
}

#[tokio::test]
async fn a_lease_ends_by_the_time_that_passes() {
    let database = Shifted::new().await;
    let job = submit(&database.store).await;
    database
        .store
        .work_items()
        .insert_many(&job.id, 1)
        .await
        .unwrap();
    let short = Duration::from_secs(1);
    let leases = database.store.leases();
    let kinds = ["build_cache"];
    leases
        .claim_job(&kinds, Owner::new(), short)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(database.take(&job.id, short).await, 1);
    database.set("-1 day").await;
    let keeper = tokio::task::JoinSet::from_iter([database.store.clone().keep_time()]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(
        claim(&database.store, Owner::new()).await.is_some(),
        "its worker is gone"
    );
    assert_eq!(database.store.leases().reap().await.unwrap().returned, 1);
    drop(keeper);
}

#[tokio::test]
async fn jobs_keep_their_order() {
    let database = Shifted::new().await;
    let first = submit(&database.store).await;
    database.set("-1 day").await;
    let second = submit(&database.store).await;
    let listed = database
        .store
        .jobs()
        .list(&Filter::default(), &Page::default())
        .await
        .unwrap();
    let listed: Vec<_> = listed.items.into_iter().map(|job| job.id).collect();
    assert_eq!(
        listed,
        [second.id.clone(), first.id.clone()],
        "the newest is listed first"
    );
    let mut claimed = Vec::new();
    for _ in 0..2 {
        claimed.push(claim(&database.store, Owner::new()).await.unwrap().job.id);
    }
    assert_eq!(
        claimed,
        [first.id, second.id],
        "the oldest is worked on first"
    );
}

/// Time in which no server lived, or none reached the database, does not count: nobody could renew a lease then.
#[tokio::test]
async fn time_without_servers_does_not_count() {
    let database = Shifted::new().await;
    submit(&database.store).await;
    let lease = Duration::from_secs(10);
    let leases = database.store.leases();
    leases
        .claim_job(&["build_cache"], Owner::new(), lease)
        .await
        .unwrap()
        .unwrap();
    let mut clock = crate::lease_clock::LeaseClock::default();
    let at = std::time::Instant::now();
    let store = &database.store;
    store.tick(&mut clock, || at).await.unwrap();
    let at = at + Duration::from_mins(10);
    store.tick(&mut clock, || at).await.unwrap();
    assert!(
        claim(store, Owner::new()).await.is_none(),
        "an outage of ten minutes"
    );
    for seconds in 1..=10 {
        let at = at + Duration::from_secs(seconds);
        store.tick(&mut clock, || at).await.unwrap();
    }
    assert!(
        claim(store, Owner::new()).await.is_some(),
        "ten seconds of a server's life"
    );
}
