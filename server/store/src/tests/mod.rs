//! Tests on a real Postgres. Each has a database of its own; those that kill Postgres have a Postgres of their own.

mod caches;
mod clock;
mod completions;
mod embedded;
mod events;
mod exchanges;
mod explanations;
mod fetch;
mod interp;
mod jobs;
mod pauses;
mod providers;
mod reasons;
mod resident;
mod scores;
mod sql;
mod work_items;

use std::time::Duration;

use serde_json::json;

use crate::{
    Store,
    jobs::{Job, NewJob, RequestKey, Submitted},
    leases::{JobLease, Owner},
};

/// Long enough that no lease runs out in a test that does not want it to.
const LEASE: Duration = Duration::from_mins(1);

fn new_job(request_id: Option<&str>) -> NewJob {
    NewJob {
        kind: "build_cache".into(),
        spec: json!({"corpus": "brown", "seed": u64::MAX}),
        result: "caches/brown".into(),
        request: request_id.map(|id| RequestKey {
            id: id.into(),
            digest: "digest".into(),
        }),
    }
}

async fn submit(store: &Store) -> Job {
    match store.jobs().submit(&new_job(None)).await.unwrap() {
        Submitted::Created(job) => job,
        Submitted::Existing(job) => panic!("{} exists already", job.id),
    }
}

async fn claim(store: &Store, owner: Owner) -> Option<JobLease> {
    store
        .leases()
        .claim_job(&["build_cache"], owner, LEASE)
        .await
        .unwrap()
}
