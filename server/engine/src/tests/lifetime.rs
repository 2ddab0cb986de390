//! Ending the engine: what waits is answered or refused, never forgotten.

use latentd_nn::sae::SaeOptions;
use tokio::task::{JoinSet, spawn_blocking};

use super::{Answers, Bench, collect, encode, until};
use crate::{Error, Health};

#[tokio::test]
async fn a_shutdown_answers_what_waits_and_refuses_what_comes() {
    let Bench {
        engine,
        handle,
        script,
    } = Bench::start().await;
    let bench = Bench {
        engine,
        handle: handle.clone(),
        script,
    };
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench
        .submit(&mut answers, [encode("s3", &[&[1]]), encode("s9", &[&[2]])])
        .await;
    let Bench { engine, script, .. } = bench;
    let ended = spawn_blocking(move || engine.shutdown());
    let health = handle.health();
    until(|| !health.borrow().is_serving()).await;
    assert!(matches!(
        handle.encode(encode("s3", &[&[3]])).await,
        Err(Error::ShuttingDown)
    ));
    let load = handle
        .load_model("n".parse().unwrap(), "models/n".into(), None)
        .await;
    assert!(matches!(load, Err(Error::ShuttingDown)));
    script.open_gate();
    assert!(collect(answers).await.iter().all(Result::is_ok));
    ended.await.unwrap();
    assert!(
        handle.catalog().models.is_empty(),
        "memory is given back while handles live on"
    );
}

#[tokio::test]
async fn dropping_the_engine_refuses_what_waits() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench.submit(&mut answers, [encode("s3", &[&[1]])]).await;
    let Bench {
        engine,
        handle,
        script,
    } = bench;
    let dropped = spawn_blocking(move || drop(engine));
    until(|| handle.queued() == 0).await;
    script.open_gate();
    let answers = collect(answers).await;
    assert!(answers[0].is_ok(), "the batch that computes is finished");
    assert!(matches!(answers[1], Err(Error::ShuttingDown)));
    dropped.await.unwrap();
    assert!(matches!(&*handle.health().borrow(), Health::Stopped(_)));
}

#[tokio::test]
async fn an_sae_that_waits_for_its_test_does_not_hold_up_the_end() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let Bench {
        engine,
        handle,
        script,
    } = bench;
    let mut loads = JoinSet::new();
    let loading = handle.clone();
    loads.spawn(async move {
        loading
            .load_sae(super::sae("n4"), "saes/n4".into(), SaeOptions::default())
            .await
    });
    until(|| handle.queued() == 1).await;
    let dropped = spawn_blocking(move || drop(engine));
    until(|| handle.queued() == 0).await;
    script.open_gate();
    let load = loads.join_next().await.unwrap().unwrap();
    assert!(matches!(load, Err(Error::ShuttingDown)));
    dropped.await.unwrap();
}
