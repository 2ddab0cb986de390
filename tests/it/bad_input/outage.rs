//! A database that goes away and comes back: typed errors meanwhile, health that says so, nothing lost.

use latentd_client::{Client, EncodeRequest, Options, RetryPolicy};
use latentd_domain::Reason;
use latentd_store::test_support::{self, DataDir};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::lives_on;
use crate::harness::{
    corpus,
    process::ServerProcess,
    proxy::Proxy,
    server::{SAE, on},
    wait::until,
};

async fn cache_service(address: &str) -> ServingStatus {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let request = HealthCheckRequest {
        service: "latentd.v1.CacheService".to_owned(),
    };
    health.check(request).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_while_the_database_is_away_and_work_when_it_is_back() {
    let mut proxy = Proxy::before(&test_support::database().await.url());
    let server = on(DataDir::new(), proxy.url().to_owned(), &[]).await;
    server.load_small().await;
    let folder = corpus::folder(server.path(), 4, 40);
    let before = server.build("kept", &folder).await;
    let once = Options {
        retry: RetryPolicy {
            attempts: 1,
            ..Default::default()
        },
        ..Default::default()
    };
    let once = Client::connect_with(&server.address(), once).await.unwrap();

    proxy.cut();
    let error = once.cache("kept").await.unwrap_err();
    assert_eq!(
        error.reason,
        Reason::DatabaseUnavailable.as_str(),
        "{error}"
    );
    assert!(
        error.retry_after.is_some(),
        "the server says when to try again"
    );
    until("health says so", || async {
        cache_service(&server.address()).await == ServingStatus::NotServing
    })
    .await;
    // What needs no database goes on.
    lives_on(&server).await;

    proxy.restore();
    until("the database is back", || async {
        once.cache("kept").await.is_ok()
    })
    .await;
    until("health says so", || async {
        cache_service(&server.address()).await == ServingStatus::Serving
    })
    .await;
    assert_eq!(server.client.cache("kept").await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_postgres_that_is_killed_comes_back() {
    let dir = DataDir::new();
    let server = ServerProcess::start(dir.path()).await;
    let killed = server.postmaster();
    server.kill_postgres();
    until("another postmaster answers", || async {
        match server.client.caches().to_vec().await {
            Ok(_) => server.postmaster() != killed,
            Err(error) => {
                assert_eq!(
                    error.reason,
                    Reason::DatabaseUnavailable.as_str(),
                    "{error}"
                );
                false
            }
        }
    })
    .await;
    let unknown = server
        .client
        .encode(EncodeRequest::new(["text"], SAE))
        .await
        .unwrap_err();
    assert_eq!(unknown.reason, Reason::UnknownModel.as_str());
    server.stop().await;
}
