//! ProbeProvider: what a provider can do is found out again, and kept.

use latentd_autointerp::provider::faults::Endpoint;
use latentd_client::CreateProviderRequest;

use crate::harness::{endpoint, server::bare};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_can_do_is_found_out_again() {
    let server = bare(&[]).await;
    let endpoint = Endpoint::start(endpoint::answer).await.unwrap();
    let request = CreateProviderRequest::openai("fake", endpoint.base_url(), "fake").skip_probe();
    let before = server.client.create_provider(request).await.unwrap();
    assert!(!before.capabilities.json_schema && before.probed.is_none());
    assert!(endpoint.requests().is_empty());
    let probed = server.client.probe_provider("fake").await.unwrap();
    assert!(probed.capabilities.json_schema && probed.probed.is_some());
    assert_eq!(server.client.provider("fake").await.unwrap(), probed);
}
