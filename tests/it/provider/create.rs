//! CreateProvider: what can be reached is registered with what it can do; what cannot is refused, and says why.

use latentd_autointerp::provider::faults::{Answer, Endpoint, Fault};
use latentd_client::{CreateProviderRequest, ProviderLimits, ProviderPrices};
use latentd_domain::Reason;

use crate::harness::{
    endpoint,
    server::{TestServer, bare, small},
};

fn openai(endpoint: &Endpoint) -> CreateProviderRequest {
    CreateProviderRequest::openai("fake", endpoint.base_url(), "fake")
}

async fn reason(server: &TestServer, request: CreateProviderRequest) -> String {
    server
        .client
        .create_provider(request)
        .await
        .unwrap_err()
        .reason
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_probed_and_kept() {
    let server = bare(&[]).await;
    let endpoint = endpoint::start().await;
    let request = openai(&endpoint)
        .limits(ProviderLimits {
            max_in_flight: 3,
            requests_per_minute: 600,
            ..ProviderLimits::default()
        })
        .prices(ProviderPrices {
            prompt_per_million: 0.5,
            completion_per_million: 1.5,
        });
    let provider = server.client.create_provider(request).await.unwrap();
    assert_eq!(provider.name, "providers/fake");
    assert!(provider.capabilities.json_schema);
    assert!(provider.capabilities.chat_logprobs);
    assert!(provider.capabilities.prompt_logprobs);
    assert_eq!(provider.capabilities.context_length, 8192);
    assert_eq!(provider.limits.max_in_flight, 3);
    assert_eq!(provider.limits.timeout_seconds, 600);
    assert_eq!(provider.prices.completion_per_million, 1.5);
    assert!(!endpoint.requests().is_empty());
    assert_eq!(server.client.provider("fake").await.unwrap(), provider);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_from_a_file_and_is_never_shown() {
    let secrets = tempfile::tempdir().unwrap();
    let keys = format!("file:{}/=127.0.0.1", secrets.path().display());
    let server = bare(&[("providers.keys", &keys)]).await;
    let endpoint = endpoint::start().await;
    let path = secrets.path().join("key");
    fs_err::write(&path, "sk-very-secret\n").unwrap();
    let source = format!("file:{}", path.display());
    let request = openai(&endpoint).key_source(&source);
    let provider = server.client.create_provider(request).await.unwrap();
    assert_eq!(provider.key_source, source);
    let authorized = |request: &latentd_autointerp::provider::faults::Request| {
        request.headers.get("authorization").map(String::as_str) == Some("Bearer sk-very-secret")
    };
    assert!(endpoint.requests().iter().all(authorized));

    // An endpoint that repeats the key in its error does not get it into ours.
    endpoint.set(|request| Fault::Unauthorized.answer(request));
    let error = server
        .client
        .create_provider(openai(&endpoint).key_source(&source))
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ProviderUnauthorized.as_str());
    assert!(!error.message.contains("sk-very-secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_there_is_told() {
    let keys =
        "env:NO_SUCH_API_KEY=127.0.0.1 file:/no/such/file=127.0.0.1 env:OTHER_KEY=example.org";
    let server = bare(&[("providers.keys", keys)]).await;
    let endpoint = endpoint::start().await;
    let missing = Reason::ProviderKeyMissing.as_str();
    for source in ["env:NO_SUCH_API_KEY", "file:/no/such/file"] {
        let request = openai(&endpoint).key_source(source);
        assert_eq!(reason(&server, request).await, missing, "{source}");
    }
    assert!(endpoint.requests().is_empty());
    // What is not listed, or for another host, stays on the server, also where nothing is sent yet.
    let path = server.path().join("secret");
    fs_err::write(&path, "s3cret").unwrap();
    let unlisted = format!("file:{}", path.display());
    for source in ["env:DATABASE_URL", "env:MONKEY", "env:OTHER_KEY", &unlisted] {
        for request in [openai(&endpoint), openai(&endpoint).skip_probe()] {
            let refused = reason(&server, request.key_source(source)).await;
            assert_eq!(refused, Reason::KeyNotAllowed.as_str(), "{source}");
        }
    }
    assert!(endpoint.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_not_registered() {
    let server = bare(&[]).await;
    let endpoint = endpoint::start().await;
    for (fault, expected) in [
        (Fault::Unauthorized, Reason::ProviderUnauthorized),
        (Fault::NotFound, Reason::ProviderNotFound),
        (Fault::Html, Reason::ProviderMalformedReply),
        (Fault::BrokenJson, Reason::ProviderMalformedReply),
        (Fault::Closed, Reason::ProviderUnreachable),
    ] {
        endpoint.set(move |request| fault.answer(request));
        assert_eq!(
            reason(&server, openai(&endpoint)).await,
            expected.as_str(),
            "{fault:?}"
        );
    }
    let down = CreateProviderRequest::openai("fake", Endpoint::down().await.unwrap(), "fake");
    assert_eq!(
        reason(&server, down.clone()).await,
        Reason::ProviderUnreachable.as_str()
    );
    let unknown = server.client.provider("fake").await.unwrap_err();
    assert_eq!(unknown.reason, Reason::UnknownProvider.as_str());

    // Unless it is not to be called now.
    let provider = server.client.create_provider(down.skip_probe()).await;
    let provider = provider.unwrap();
    assert!(!provider.capabilities.prompt_logprobs);
    assert_eq!(provider.probed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_runs_into_its_timeout() {
    let server = bare(&[]).await;
    let endpoint = Endpoint::start(|_| Answer::Hang).await.unwrap();
    let request = openai(&endpoint).limits(ProviderLimits {
        timeout_seconds: 1,
        ..ProviderLimits::default()
    });
    assert_eq!(
        reason(&server, request).await,
        Reason::ProviderTimeout.as_str()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_model_must_be_resident() {
    let server = bare(&[]).await;
    let request = CreateProviderRequest::local("here", "nothing");
    assert_eq!(
        reason(&server, request).await,
        Reason::UnknownModel.as_str()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_model_gives_log_probabilities() {
    let server = small().await;
    let request = CreateProviderRequest::local("here", "models/small");
    let provider = server.client.create_provider(request).await.unwrap();
    assert_eq!(
        (provider.model.as_str(), provider.limits.max_in_flight),
        ("small", 8)
    );
    assert!(provider.capabilities.prompt_logprobs && provider.capabilities.chat_logprobs);
    assert_eq!(provider.capabilities.context_length, 64);
}
