//! GetProvider, ListProviders, DeleteProvider.

use futures::TryStreamExt;
use latentd_client::{CreateProviderRequest, ExplainRequest, Explainer, Provider};
use latentd_domain::Reason;

use crate::harness::{
    corpus, endpoint,
    server::{SAE, bare, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_listed_replaced_and_deleted() {
    let server = bare(&[]).await;
    let endpoint = endpoint::start().await;
    for id in ["b", "a", "c"] {
        endpoint::register(&server, id, &endpoint).await;
    }
    let listed: Vec<Provider> = server.client.providers().try_collect().await.unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    assert_eq!(names, ["providers/a", "providers/b", "providers/c"]);

    let request = CreateProviderRequest::openai("b", "http://127.0.0.1:9/v1", "other").skip_probe();
    let replaced = server.client.create_provider(request).await.unwrap();
    assert_eq!(replaced.model, "other");
    assert!(
        !replaced.capabilities.json_schema,
        "what the old one could do says nothing of the new one"
    );

    server.client.delete_provider("providers/b").await.unwrap();
    let unknown = Reason::UnknownProvider.as_str();
    for error in [
        server.client.provider("b").await.unwrap_err(),
        server.client.probe_provider("b").await.unwrap_err(),
        server.client.delete_provider("b").await.unwrap_err(),
    ] {
        assert_eq!(error.reason, unknown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_a_job_uses_stays() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 6, 80);
    server.build("c", &folder).await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    endpoint.set(|_| latentd_autointerp::provider::faults::Answer::Hang);
    let request =
        ExplainRequest::new(SAE, [0, 1, 2], Explainer::by("fake")).examples(endpoint::few());
    let job = server.client.explain(request).await.unwrap();
    let error = server.client.delete_provider("fake").await.unwrap_err();
    assert_eq!(error.reason, Reason::ResourceInUse.as_str());
    server.client.cancel_job(&job.name).await.unwrap();
    server.client.wait_job(&job.name).await.unwrap();
    server.client.delete_provider("fake").await.unwrap();
}
