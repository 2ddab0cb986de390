//! What bad input gets: a reason, a page, and a server that lives on. One file for each place that input comes from.

mod corpora;
mod disk;
mod impostors;
mod model_files;
mod outage;
mod places;
mod requests;
mod sae_files;

use latentd_client::{EncodeRequest, Error};
use latentd_domain::Reason;

use crate::harness::server::{SAE, TestServer};

/// Fails unless the call failed for `reason`, which has a page.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, reason: Reason) -> Error {
    let error = result.expect_err("bad input is refused");
    assert_eq!(error.reason, reason.as_str(), "{error}");
    assert!(!error.message.is_empty());
    error
}

/// Fails unless the server still encodes.
async fn lives_on(server: &TestServer) {
    let encoded = server
        .client
        .encode(EncodeRequest::new(["The cat sat."], SAE))
        .await
        .unwrap();
    assert!(encoded.first().rows.entries() > 0);
}
