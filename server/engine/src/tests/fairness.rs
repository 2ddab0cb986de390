//! Who waits for whom: what is short does not stand behind what is long, and what cannot be in time is refused.

use std::time::{Duration, Instant};

use latentd_domain::{HasReason, Reason};
use tokio::time::sleep;

use super::{Answers, Bench, activations, collect, encode, until};
use crate::{EncodeWork, Lane};

/// 200 tokens, which are three passes here.
fn long(lane: Lane) -> EncodeWork {
    let texts: Vec<Vec<u32>> = (0..5).map(|n| (n..n + 40).collect()).collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    EncodeWork {
        lane,
        ..encode("s3", &texts)
    }
}

#[tokio::test]
async fn a_short_work_goes_first_at_the_pauses_of_a_long_one() {
    for lane in [Lane::Bulk, Lane::Interactive] {
        let bench = Bench::start().await;
        let alone = bench.handle.encode(long(lane)).await;
        bench.script.take_passes();
        bench.script.close_gate();
        let arrived = bench.script.arrived();
        let mut answers = Answers::new();
        let (handle, work) = (bench.handle.clone(), long(lane));
        answers.spawn(async move { (0, handle.encode(work).await) });
        until(|| bench.script.arrived() > arrived).await;
        bench
            .submit(&mut answers, [encode("s3", &[&[7]]), encode("s3", &[&[8]])])
            .await;
        bench.script.open_gate();
        let answers = collect(answers).await;
        let passes = bench.script.take_passes();
        let tokens: Vec<usize> = passes.iter().map(|pass| pass.ids.len()).collect();
        assert_eq!(tokens, [80, 2, 80, 40], "{lane:?}");
        assert_eq!(passes[1].ids, [7, 8]);
        assert_eq!(activations(&answers[0]), activations(&alone));
    }
}

#[tokio::test]
async fn what_would_wait_too_long_is_refused_at_once() {
    let bench = Bench::start().await;
    // The device takes at least 50 ms a token, as far as it knows.
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    sleep(Duration::from_millis(100)).await;
    bench.script.open_gate();
    assert!(collect(answers).await.iter().all(Result::is_ok));

    let within = |ms| EncodeWork {
        deadline: Some(Instant::now() + Duration::from_millis(ms)),
        ..encode("s3", &[&[5]])
    };
    bench.script.close_gate();
    let arrived = bench.script.arrived();
    let mut answers = Answers::new();
    let handle = bench.handle.clone();
    answers.spawn(async move { (0, handle.encode(encode("s3", &[&[1, 2]])).await) });
    until(|| bench.script.arrived() > arrived).await;
    // Nothing waits: whatever the device was like, it is tried.
    bench.submit(&mut answers, [within(60_000)]).await;
    let ten: Vec<u32> = (0..10).collect();
    bench.submit(&mut answers, [encode("s3", &[&ten])]).await;
    let started = Instant::now();
    let refused = bench.handle.encode(within(500)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    assert!(started.elapsed() < Duration::from_millis(500));
    let early = Some(Instant::now() + Duration::from_millis(500));
    assert!(bench.handle.room_for(early).is_err());
    assert!(bench.handle.room_for(None).is_ok());
    bench.submit(&mut answers, [within(600_000)]).await;
    bench.script.open_gate();
    assert!(collect(answers).await.iter().all(Result::is_ok));
}
