//! Decode: the inverse of Encode, up to what the SAE leaves unexplained.

use latentd_client::{DecodeRequest, EncodeRequest, SparseRows};

use crate::harness::{
    sae::D_IN,
    server::{SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn latents_become_vectors() {
    let server = small().await;
    let encoded = server
        .client
        .encode(EncodeRequest::new(["The cat sat."], SAE))
        .await
        .unwrap();
    let rows = encoded.first().rows.clone();
    let dense = server
        .client
        .decode(DecodeRequest::new(SAE, rows.clone()))
        .await
        .unwrap();
    assert_eq!((dense.rows, dense.width), (rows.rows(), D_IN));
    let mut empty = SparseRows::new();
    empty.push_row([]);
    let bias = server
        .client
        .decode(DecodeRequest::new(SAE, empty))
        .await
        .unwrap();
    assert_eq!(
        dense.row(0),
        bias.row(0),
        "a masked row decodes to the bias"
    );
    assert_ne!(dense.row(1), bias.row(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_together_are_refused() {
    let server = small().await;
    let mut rows = SparseRows::new();
    rows.push_row([(9999, 1.0)]);
    let error = server
        .client
        .decode(DecodeRequest::new(SAE, rows))
        .await
        .unwrap_err();
    assert_eq!(error.reason, "UNKNOWN_LATENT", "{error}");
}
