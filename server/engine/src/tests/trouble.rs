//! One caller's trouble stays that caller's: panics, failures, memory, deadlines, callers that leave.

use std::time::Instant;

use latentd_domain::{DeviceKind, HasReason, Reason};
use latentd_nn::ComputeError;

use super::{
    Answers, Bench, activations, collect, encode,
    fake::{FAILS, Fake, PANICS, Script},
    until,
};
use crate::{Error, Health};

/// Computes a work with `poison` in it between two others, and checks that those get their answers.
async fn poisoned(poison: u32) -> (Bench, Error) {
    let bench = Bench::start().await;
    let expected = bench.handle.encode(encode("s3", &[&[4, 5]])).await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let works = [
        encode("s3", &[&[4, 5]]),
        encode("s3", &[&[1], &[poison, 2]]),
        encode("s3", &[&[4, 5]]),
    ];
    bench.submit(&mut answers, works).await;
    bench.script.open_gate();
    let mut answers = collect(answers).await;
    for index in [1, 3] {
        assert_eq!(activations(&answers[index]), activations(&expected));
    }
    let after = bench.handle.encode(encode("s3", &[&[4, 5]])).await;
    assert_eq!(activations(&after), activations(&expected));
    (bench, answers.swap_remove(2).unwrap_err())
}

#[tokio::test]
async fn a_panic_is_the_answer_of_its_own_work_and_the_process_lives() {
    let (bench, error) = poisoned(PANICS).await;
    assert_eq!(error.reason(), Reason::Internal);
    let health = bench.handle.health().borrow().clone();
    assert_eq!(health, Health::Unhealthy("poison in the batch".into()));
}

#[tokio::test]
async fn a_failure_is_the_answer_of_its_own_work() {
    let (bench, error) = poisoned(FAILS).await;
    assert!(matches!(error, Error::Compute(ComputeError::Failed { .. })));
    assert!(bench.handle.health().borrow().is_serving());
}

#[tokio::test]
async fn out_of_memory_halves_the_batch_down_to_one_sequence() {
    let bench = Bench::start().await;
    let texts: [&[u32]; 4] = [&[1; 6], &[2; 6], &[3; 6], &[4; 6]];
    let expected = bench.handle.encode(encode("s3", &texts)).await;
    bench.script.limit_memory(10);

    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let works = [
        encode("s3", &texts),
        encode("s3", &[&[7; 12]]),
        encode("s3", &texts[..1]),
    ];
    bench.submit(&mut answers, works).await;
    bench.script.open_gate();
    let answers = collect(answers).await;

    assert_eq!(activations(&answers[1]), activations(&expected));
    assert!(matches!(
        answers[2],
        Err(Error::OutOfDeviceMemory { tokens: 12 })
    ));
    assert_eq!(
        activations(&answers[3])[0],
        activations(&expected)[0].slice(0, 6)
    );
    assert!(
        bench.handle.health().borrow().is_serving(),
        "too little memory is no defect"
    );
}

#[tokio::test]
async fn expired_work_is_answered_and_not_computed() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let mut late = encode("s3", &[&[77]]);
    late.deadline = Some(Instant::now());
    bench
        .submit(&mut answers, [late, encode("s3", &[&[78]])])
        .await;
    bench.script.open_gate();
    let answers = collect(answers).await;
    assert!(matches!(answers[1], Err(Error::DeadlineExceeded)));
    assert!(answers[2].is_ok());
    let passes = bench.script.take_passes();
    assert!(passes.iter().all(|pass| !pass.ids.contains(&77)));
}

#[tokio::test]
async fn a_caller_that_left_is_not_computed_for() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let mut left = Answers::new();
    bench.submit(&mut left, [encode("s3", &[&[77]])]).await;
    left.shutdown().await;
    bench.submit(&mut answers, [encode("s3", &[&[78]])]).await;
    bench.script.open_gate();
    assert!(collect(answers).await.iter().all(Result::is_ok));
    let passes = bench.script.take_passes();
    assert!(passes.iter().all(|pass| !pass.ids.contains(&77)));
}

#[tokio::test]
async fn more_activations_than_there_is_room_for_are_the_trouble_of_their_own_work() {
    let bench = Bench::with(crate::Options {
        batch_tokens: 12,
        ..Default::default()
    })
    .await;
    let texts: [&[u32]; 4] = [&[1; 6], &[2; 6], &[3; 6], &[4; 6]];
    let whole = bench.handle.encode(encode("s3", &texts)).await;
    let entries = activations(&whole)[0].entries();
    let within = |max_entries| crate::EncodeWork {
        max_entries,
        ..encode("s3", &texts)
    };
    assert_eq!(
        activations(&bench.handle.encode(within(entries)).await),
        activations(&whole)
    );

    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let works = [
        encode("s3", &[&[7, 8]]),
        // Over several passes, each of which has room for a part.
        within(entries - 1),
        // In a pass with others.
        crate::EncodeWork {
            max_entries: 1,
            ..encode("s3", &[&[9, 10]])
        },
        encode("s3", &[&[7, 8]]),
    ];
    bench.submit(&mut answers, works).await;
    bench.script.open_gate();
    let answers = collect(answers).await;
    for (answer, room) in [(2, entries - 1), (3, 1)] {
        let error = answers[answer].as_ref().unwrap_err();
        assert_eq!(error.reason(), Reason::BatchTooLarge);
        let Error::Compute(ComputeError::TooManyActivations { limit }) = error else {
            panic!("{error}");
        };
        assert_eq!(*limit, room);
    }
    assert_eq!(activations(&answers[1]), activations(&answers[4]));
    assert!(bench.handle.health().borrow().is_serving());
}

#[tokio::test]
async fn a_gpu_says_that_it_is_one() {
    let bench = Bench::start().await;
    let device = bench.handle.device();
    assert_eq!((device.kind, device.threads), (DeviceKind::Cpu, 1));
    let script = std::sync::Arc::new(Script::default());
    script.be_a_gpu();
    let (_engine, handle) =
        crate::Engine::start_on(Box::new(Fake::new(&script)), crate::Options::default()).unwrap();
    let device = handle.device();
    assert_eq!((device.kind, device.threads), (DeviceKind::Gpu, 0));
}

#[tokio::test]
async fn an_sae_that_was_read_is_tested_however_full_the_queue_is() {
    let bench = Bench::with(crate::Options {
        max_queued: 2,
        ..Default::default()
    })
    .await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench
        .submit(&mut answers, [encode("s3", &[&[1]]), encode("s3", &[&[2]])])
        .await;
    let handle = bench.handle.clone();
    let mut loading = tokio::task::JoinSet::new();
    loading.spawn(async move {
        let name = super::sae("s4");
        handle
            .load_sae(name, "s4".into(), latentd_nn::sae::SaeOptions::default())
            .await
    });
    let loads = bench.script.loads();
    until(|| bench.script.loads() > loads).await;
    // The queue stays full until the test of the SAE is in it.
    until(|| bench.handle.queued() == 3).await;
    bench.script.open_gate();
    assert!(loading.join_next().await.unwrap().unwrap().is_ok());
    assert!(collect(answers).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_queue_says_no_when_it_is_full() {
    let bench = Bench::with(crate::Options {
        max_queued: 2,
        ..Default::default()
    })
    .await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench
        .submit(&mut answers, [encode("s3", &[&[1]]), encode("s3", &[&[2]])])
        .await;
    let refused = bench.handle.encode(encode("s3", &[&[3]])).await;
    assert!(matches!(refused, Err(Error::QueueFull { limit: 2 })));
    bench.script.open_gate();
    assert!(collect(answers).await.iter().all(Result::is_ok));
    assert!(bench.handle.encode(encode("s3", &[&[3]])).await.is_ok());
}

#[tokio::test]
async fn a_dead_device_thread_is_said_to_every_caller() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench.submit(&mut answers, [encode("s3", &[&[1]])]).await;
    bench.script.die();
    bench.script.open_gate();
    let answers = collect(answers).await;
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(Error::EngineUnavailable)));
    let health = bench.handle.health();
    until(|| matches!(&*health.borrow(), Health::Stopped(_))).await;
    let refused = bench.handle.encode(encode("s3", &[&[1]])).await;
    assert!(matches!(refused, Err(Error::EngineUnavailable)));
}
