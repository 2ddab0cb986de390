//! Exchanges: an answered call is never sent again, a call under way is sent by nobody else, a lost one is begun again.

use std::time::Duration;

use latentd_domain::{JobId, Reason, autointerp::Usage};
use serde_json::json;

use super::{LEASE, interp, work_items::all};
use crate::{
    Store,
    exchanges::{Answered, Begin, Begun},
    interp::Spent,
    leases::Owner,
    test_support,
};

const LONGEST: Duration = Duration::from_mins(10);

fn call(job: &JobId, hash: &str) -> Begin {
    Begin {
        hash: hash.into(),
        provider: "llm".parse().unwrap(),
        model: "a model".into(),
        job: job.clone(),
        request: json!({"messages": ["a\0b"], "seed": u64::MAX}),
    }
}

fn answer(job: &JobId, hash: &str, text: &str) -> Answered {
    Answered {
        hash: hash.into(),
        job: job.clone(),
        reply: json!({"text": text, "logprob": -0.1f32}),
        usage: Usage {
            prompt_tokens: 100,
            completion_tokens: 7,
        },
        micros: 42,
    }
}

async fn alive(store: &Store) -> Owner {
    let owner = Owner::new();
    store.processes().heartbeat(owner, LEASE).await.unwrap();
    owner
}

async fn job(store: &Store) -> JobId {
    interp::submit(store, &interp::spec(1, &[]))
        .await
        .unwrap()
        .id
}

async fn begin(store: &Store, job: &JobId, owner: Owner, hash: &str) -> Begun {
    store
        .exchanges()
        .begin(&[call(job, hash)], owner, LONGEST)
        .await
        .unwrap()
        .remove(0)
}

async fn spent(store: &Store, job: &JobId) -> Spent {
    store.interp().progress(job).await.unwrap().spent
}

#[tokio::test]
async fn an_answer_is_paid_for_once() {
    let store = test_support::database().await.store;
    let (job, a, b) = (job(&store).await, alive(&store).await, alive(&store).await);
    let calls = [call(&job, "h2"), call(&job, "h1"), call(&job, "h2")];
    let begun = store.exchanges().begin(&calls, a, LONGEST).await.unwrap();
    assert_eq!(
        begun,
        [Begun::Mine, Begun::Mine, Begun::Elsewhere],
        "the second of equal calls waits"
    );
    assert_eq!(begin(&store, &job, b, "h1").await, Begun::Elsewhere);
    assert_eq!(
        begin(&store, &job, a, "h1").await,
        Begun::Mine,
        "nobody waits for himself: the first answer may not have been heard"
    );

    let reply = answer(&job, "h1", "yes\0");
    store
        .exchanges()
        .answer(std::slice::from_ref(&reply), a)
        .await
        .unwrap();
    store
        .exchanges()
        .answer(std::slice::from_ref(&reply), a)
        .await
        .unwrap();
    let Begun::Answered(stored) = begin(&store, &job, b, "h1").await else {
        panic!()
    };
    assert_eq!(
        (stored.reply, stored.usage, stored.micros),
        (reply.reply.clone(), reply.usage, 42)
    );
    store.exchanges().reused(&job, b, 1).await.unwrap();
    let once = Spent {
        calls: 1,
        reused: 1,
        prompt_tokens: 100,
        completion_tokens: 7,
        micros: 42,
        failed_calls: 0,
    };
    assert_eq!(
        spent(&store, &job).await,
        once,
        "a repeated answer is not counted twice"
    );

    let found = store.exchanges().find("h1").await.unwrap().unwrap();
    assert_eq!(
        (found.sends, found.request, found.error),
        (2, call(&job, "h1").request, None)
    );
    assert_eq!(
        store.exchanges().find("h2").await.unwrap().unwrap().answer,
        None
    );
    assert_eq!(store.exchanges().find("h3").await.unwrap(), None);
    let durable: String = sqlx::query_scalar("show synchronous_commit")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(durable, "on", "only the beginning of a call may be lost");
}

#[tokio::test]
async fn a_call_whose_process_died_is_begun_again() {
    let store = test_support::database().await.store;
    let (job, a, b) = (job(&store).await, alive(&store).await, alive(&store).await);
    assert_eq!(begin(&store, &job, a, "h").await, Begun::Mine);
    store
        .processes()
        .heartbeat(a, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(begin(&store, &job, b, "h").await, Begun::Mine);
    assert_eq!(begin(&store, &job, a, "h").await, Begun::Elsewhere);
    assert_eq!(store.exchanges().find("h").await.unwrap().unwrap().sends, 2);

    // Both answers were paid for, and the first stays.
    store
        .exchanges()
        .answer(&[answer(&job, "h", "first")], a)
        .await
        .unwrap();
    store
        .exchanges()
        .answer(&[answer(&job, "h", "second")], b)
        .await
        .unwrap();
    let Begun::Answered(stored) = begin(&store, &job, b, "h").await else {
        panic!()
    };
    assert_eq!(stored.reply["text"], "first");
    assert_eq!(spent(&store, &job).await.calls, 2);

    // A process that stops in good order hands over at once; a call that takes too long is begun again, too.
    assert_eq!(begin(&store, &job, b, "left").await, Begun::Mine);
    store.processes().leave(b).await.unwrap();
    let c = alive(&store).await;
    assert_eq!(begin(&store, &job, c, "left").await, Begun::Mine);
    let slow = store
        .exchanges()
        .begin(&[call(&job, "slow")], c, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(slow, [Begun::Mine]);
    assert_eq!(begin(&store, &job, c, "slow").await, Begun::Mine);
}

#[tokio::test]
async fn a_call_that_failed_may_be_made_again() {
    let store = test_support::database().await.store;
    let (job, a, b) = (job(&store).await, alive(&store).await, alive(&store).await);
    begin(&store, &job, a, "h").await;
    store
        .exchanges()
        .fail("h", &job, b, (Reason::ProviderFailed, "not b's"))
        .await
        .unwrap();
    assert_eq!(begin(&store, &job, b, "h").await, Begun::Elsewhere);
    store
        .exchanges()
        .fail("h", &job, a, (Reason::ProviderFailed, "500\0"))
        .await
        .unwrap();
    store
        .exchanges()
        .fail("h", &job, a, (Reason::ProviderFailed, "again"))
        .await
        .unwrap();
    let found = store.exchanges().find("h").await.unwrap().unwrap();
    assert_eq!(found.error.as_deref(), Some("PROVIDER_FAILED: 500\u{fffd}"));
    assert_eq!(
        spent(&store, &job).await,
        Spent {
            calls: 1,
            failed_calls: 1,
            ..Spent::default()
        }
    );
    assert_eq!(begin(&store, &job, b, "h").await, Begun::Mine);
    store.exchanges().give_back("h", b).await.unwrap();
    assert_eq!(begin(&store, &job, a, "h").await, Begun::Mine);
    store
        .exchanges()
        .answer(&[answer(&job, "h", "at last")], a)
        .await
        .unwrap();
    assert_eq!(spent(&store, &job).await.calls, 2);
    let found = store.exchanges().find("h").await.unwrap().unwrap();
    assert_eq!((found.sends, found.error), (3, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_ask_the_same_one_makes_each_call() {
    let store = test_support::database().await.store;
    let job = job(&store).await;
    let askers = (0..8).map(|n| {
        let (store, job) = (store.clone(), job.clone());
        async move {
            let owner = alive(&store).await;
            let mut sent = 0;
            // Each in another order: rows must still be locked in one.
            let mut calls: Vec<Begin> = (0..100)
                .map(|i| call(&job, &format!("h{}", (i * 7 + n * 13) % 100)))
                .collect();
            while !calls.is_empty() {
                let begun = store
                    .exchanges()
                    .begin(&calls, owner, LONGEST)
                    .await
                    .unwrap();
                let mine: Vec<Answered> = calls
                    .iter()
                    .zip(&begun)
                    .filter(|(_, begun)| **begun == Begun::Mine)
                    .map(|(call, _)| answer(&job, &call.hash, "yes"))
                    .collect();
                sent += mine.len();
                store.exchanges().answer(&mine, owner).await.unwrap();
                let mut open = begun.iter().map(|begun| *begun == Begun::Elsewhere);
                calls.retain(|_| open.next().unwrap());
            }
            sent
        }
    });
    assert_eq!(all(askers).await.iter().sum::<usize>(), 100);
    let total = spent(&store, &job).await;
    assert_eq!((total.calls, total.prompt_tokens), (100, 10_000));
}
