//! What a request has wrong is said before it waits for the device.

use std::sync::Arc;

use latentd_domain::{HasReason, Reason, Scale, Selection, SparseActivations};

use super::{
    Bench, encode,
    fake::{CONTEXT, D_SAE, VOCAB},
    sae,
};
use crate::EncodeWork;

#[tokio::test]
async fn bad_requests_never_reach_the_device() {
    let bench = Bench::start().await;
    let good = || encode("s3", &[&[1, 2]]);
    let change = |change: &dyn Fn(&mut EncodeWork)| {
        let mut work = good();
        change(&mut work);
        work
    };
    let refused = [
        (
            change(&|work| work.model = "none".parse().unwrap()),
            Reason::UnknownModel,
        ),
        (
            change(&|work| work.saes.push(sae("none"))),
            Reason::UnknownSae,
        ),
        (
            change(&|work| work.saes.push("other/s3".parse().unwrap())),
            Reason::InvalidRequest,
        ),
        (change(&|work| work.saes.clear()), Reason::EmptyBatch),
        (change(&|work| work.sequences.clear()), Reason::EmptyBatch),
        (encode("s3", &[&[1], &[]]), Reason::EmptyBatch),
        (encode("s3", &[&[1; CONTEXT + 1]]), Reason::PromptTooLong),
        (encode("s3", &[&[VOCAB as u32]]), Reason::UnknownToken),
        (
            change(&|work| work.sequences[0].mask.push(true)),
            Reason::InvalidRequest,
        ),
        (
            change(&|work| work.selection = Selection::Latents(Arc::from([0, D_SAE]))),
            Reason::UnknownLatent,
        ),
    ];
    for (work, reason) in refused {
        assert_eq!(
            bench.handle.encode(work).await.unwrap_err().reason(),
            reason
        );
    }
    assert!(bench.script.take_passes().is_empty());
    assert!(bench.handle.encode(good()).await.is_ok());
}

#[tokio::test]
async fn bad_rows_and_latents_are_refused() {
    let bench = Bench::start().await;
    let mut rows = SparseActivations::default();
    rows.push(D_SAE, 1.0);
    rows.end_row();
    let unknown = bench
        .handle
        .decode(sae("s3"), rows.clone(), Scale::Raw)
        .await;
    assert_eq!(unknown.unwrap_err().reason(), Reason::UnknownLatent);
    rows.row_offsets.push(9);
    let unsound = bench.handle.decode(sae("s3"), rows, Scale::Raw).await;
    assert_eq!(unsound.unwrap_err().reason(), Reason::InvalidRequest);
    let unknown = bench.handle.latent(sae("s3"), D_SAE, 1).await;
    assert_eq!(unknown.unwrap_err().reason(), Reason::UnknownLatent);
    let unknown = bench.handle.latent(sae("none"), 0, 1).await;
    assert_eq!(unknown.unwrap_err().reason(), Reason::UnknownSae);
}
