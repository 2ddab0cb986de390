//! Works that wait together are computed together, and nobody can tell from the answer.

use std::sync::Arc;

use latentd_domain::{Scale, Selection};
use tokio::task::JoinSet;

use super::{Answers, Bench, activations, collect, encode, sae, sequence};
use crate::{EncodeWork, Lane, Options};

/// Works that differ in everything that works of one pass may differ in.
fn mixture() -> Vec<EncodeWork> {
    let lengths = [1, 7, 2, 5, 3];
    let one = |n: usize| {
        let length = lengths[n % lengths.len()];
        let ids: Vec<u32> = (0..length as u32)
            .map(|i| (i * 37 + n as u32 * 11) % 500)
            .collect();
        let mut work = encode(["s3", "t3"][n % 2], &[&ids, &ids[..1]]);
        work.selection = match n % 5 {
            0 | 1 => Selection::AllFiring,
            2 => Selection::TopK(1 + n as u32 % 4),
            3 => Selection::TopK(3),
            _ => Selection::Latents(Arc::from([1, 2, 3, 5, 8, 13, 21])),
        };
        if n.is_multiple_of(3) {
            work.scale = Scale::DecoderNorm;
        }
        if n.is_multiple_of(4) {
            work.saes = vec![sae("t3"), sae("s3"), sae("t3")];
        }
        work.sequences[0].mask[0] = n.is_multiple_of(2);
        work
    };
    (0..16).map(one).collect()
}

#[tokio::test]
async fn what_waits_shares_the_next_pass_and_answers_are_as_alone() {
    let bench = Bench::with(Options {
        batch_tokens: 1000,
        ..Options::default()
    })
    .await;
    let mut alone = Vec::new();
    for work in mixture() {
        alone.push(bench.handle.encode(work).await);
    }
    assert!(activations(&alone[0]).len() == 3 && activations(&alone[0])[0].entries() > 0);
    bench.script.take_passes();

    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench.submit(&mut answers, mixture()).await;
    bench.script.open_gate();
    let together = collect(answers).await;

    let passes = bench.script.take_passes();
    assert_eq!(passes.len(), 2, "one that blocked, one for all that waited");
    assert_eq!(passes[1].sequences, 2 * alone.len());
    assert!(passes.iter().all(|pass| pass.thread == "latentd-device"));
    for (alone, together) in alone.iter().zip(&together[1..]) {
        assert_eq!(activations(alone), activations(together));
        let cost = together.as_ref().unwrap().cost;
        assert_eq!(cost.batch_requests, 16);
        assert_eq!(cost.batch_tokens, passes[1].ids.len());
        assert_eq!(cost.tokens, activations(together)[0].rows());
    }
}

#[tokio::test]
async fn a_lone_work_stops_at_the_deepest_block_that_it_needs() {
    let bench = Bench::start().await;
    let mut work = encode("s3", &[&[1, 2, 3]]);
    bench.handle.encode(work.clone()).await.unwrap();
    work.saes = vec![sae("s9"), sae("s3")];
    bench.handle.encode(work).await.unwrap();
    let layers =
        |pass: &super::fake::Pass| pass.hook_points.iter().map(|h| h.layer).collect::<Vec<_>>();
    let passes = bench.script.take_passes();
    assert_eq!(
        passes.iter().map(layers).collect::<Vec<_>>(),
        [vec![3], vec![9, 3]]
    );
}

#[tokio::test]
async fn full_passes_of_different_depth_stay_apart() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let long: Vec<u32> = (0..40).collect();
    let works = ["s3", "s9", "s3", "s9"].map(|id| encode(id, &[&long]));
    bench.submit(&mut answers, works).await;
    bench.script.open_gate();
    assert!(collect(answers).await.iter().all(Result::is_ok));
    let passes = bench.script.take_passes();
    let shapes: Vec<_> = passes
        .iter()
        .map(|pass| (pass.sequences, pass.hook_points.len()))
        .collect();
    assert_eq!(shapes, [(1, 1), (2, 1), (2, 1)]);
}

#[tokio::test]
async fn a_work_over_the_budget_is_cut_into_passes() {
    let bench = Bench::with(Options {
        batch_tokens: 16,
        ..Options::default()
    })
    .await;
    let texts: Vec<Vec<u32>> = (0..5).map(|n| (n..n + 7).collect()).collect();
    let mut texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let over: Vec<u32> = (0..20).collect();
    texts.push(&over);
    let answer = bench.handle.encode(encode("s3", &texts)).await;
    let passes = bench.script.take_passes();
    assert_eq!(
        passes.iter().map(|pass| pass.ids.len()).collect::<Vec<_>>(),
        [14, 14, 7, 20]
    );
    let mut row = 0;
    for text in texts {
        let alone = bench.handle.encode(encode("s3", &[text])).await;
        assert_eq!(
            activations(&alone)[0],
            activations(&answer)[0].slice(row, row + text.len())
        );
        row += text.len();
    }
    assert_eq!(activations(&answer)[0].rows(), row);
}

#[tokio::test]
async fn bulk_goes_after_interactive_and_is_never_merged() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let bulk = |id| EncodeWork {
        lane: Lane::Bulk,
        ..encode("s3", &[&[id]])
    };
    let works = [
        bulk(10),
        bulk(11),
        encode("s3", &[&[20]]),
        encode("s3", &[&[21]]),
        bulk(12),
    ];
    bench.submit(&mut answers, works).await;
    bench.script.open_gate();
    let answers = collect(answers).await;
    let passes: Vec<_> = bench
        .script
        .take_passes()
        .into_iter()
        .map(|pass| pass.ids)
        .collect();
    assert_eq!(
        passes,
        [vec![1, 2], vec![20, 21], vec![10], vec![11], vec![12]]
    );
    let requests = |n: usize| answers[n].as_ref().unwrap().cost.batch_requests;
    assert_eq!([1, 2, 3, 4, 5].map(requests), [1, 1, 2, 2, 1]);
}

#[tokio::test]
async fn masked_rows_are_context_and_come_out_empty() {
    let bench = Bench::start().await;
    let whole = bench.handle.encode(encode("s3", &[&[5, 6, 7]])).await;
    let mut work = encode("s3", &[&[5, 6, 7]]);
    work.sequences[0].mask = vec![false, true, true];
    let masked = bench.handle.encode(work).await;
    let (whole, masked) = (&activations(&whole)[0], &activations(&masked)[0]);
    assert_eq!(masked.row(0), (&[][..], &[][..]));
    assert_eq!(masked.slice(1, 3), whole.slice(1, 3));
}

#[tokio::test]
async fn decode_goes_through_the_same_queue() {
    let bench = Bench::start().await;
    let answer = bench.handle.encode(encode("s3", &[&[5, 6, 7]])).await;
    let rows = activations(&answer)[0].clone();
    let dense = bench
        .handle
        .decode(sae("s3"), rows.clone(), Scale::Raw)
        .await
        .unwrap();
    assert_eq!((dense.rows, dense.width, dense.values.len()), (3, 1, 3));
    assert_eq!(dense.values[1], rows.row(1).1.iter().sum::<f32>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_callers_get_the_answers_of_one_at_a_time() {
    let bench = Bench::with(Options {
        batch_tokens: 64,
        max_queued: 64,
        ..Options::default()
    })
    .await;
    let works: Vec<EncodeWork> = (0..64u32)
        .map(|n| {
            let mut work = mixture().swap_remove(n as usize % 16);
            work.sequences.push(sequence(&[n, n + 1, n + 2]));
            work
        })
        .collect();
    let mut serial = Vec::new();
    for work in &works {
        serial.push(bench.handle.encode(work.clone()).await);
    }
    let mut concurrent = JoinSet::new();
    for (index, work) in works.into_iter().enumerate() {
        let handle = bench.handle.clone();
        concurrent.spawn(async move { (index, handle.encode(work).await) });
    }
    for (serial, concurrent) in serial.iter().zip(&collect(concurrent).await) {
        assert_eq!(activations(serial), activations(concurrent));
    }
}
