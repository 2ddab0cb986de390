//! ServerService, health and reflection, and how a server stops.

use latentd_client::{Client, Code, EncodeRequest};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::harness::{
    server::{SAE, bare, small},
    wait::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_is() {
    let server = bare(&[("limits.max_prompts", "3")]).await;
    let info = server.client.server_info().await.unwrap();
    assert_eq!(info.limits.max_prompts, 3);
    assert_eq!(
        info.capabilities.model_families,
        ["llama", "gpt2"].map(str::to_owned).to_vec()
    );
    assert!(
        info.components.iter().all(|component| component.serving),
        "{:?}",
        info.components
    );
    assert_eq!(info.device.name, "cpu");
}

async fn status(address: &str, service: &str) -> ServingStatus {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    health.check(request).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_each_service() {
    let server = bare(&[]).await;
    for service in [
        "",
        "latentd.v1.ActivationService",
        "latentd.v1.CacheService",
        "latentd.v1.JobService",
    ] {
        until("serving", || async {
            status(&server.address(), service).await == ServingStatus::Serving
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_finishes_what_it_began_and_stops() {
    let mut server = small().await;
    let answers = (0..8).map(|_| {
        server
            .client
            .encode(EncodeRequest::new(["The cat sat."], SAE))
    });
    let answers = futures::future::join_all(answers);
    let (answers, ()) = tokio::join!(answers, async { server.running.drain() });
    for answer in answers {
        // Either answered, or refused because the server had begun to stop.
        if let Err(error) = answer {
            assert_eq!(error.code, Code::Unavailable, "{error}");
        }
    }
    let address = server.address();
    server.running.ended().await.unwrap();
    let options = latentd_client::Options {
        connect_timeout: std::time::Duration::from_millis(500),
        ..Default::default()
    };
    let refused = match Client::connect_with(&address, options).await {
        Ok(client) => client.server_info().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(refused.code, Code::Unavailable);
}
