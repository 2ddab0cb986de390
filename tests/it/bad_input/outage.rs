//! A database that goes away and comes back: typed errors meanwhile, health that says so, nothing lost.

use latentd_client::{Client, EncodeRequest, LoadSaeRequest, Options};
use latentd_store::test_support::DataDir;

use crate::harness::{golden, process::ServerProcess, sae, server::SAE, wait::until};

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_while_postgres_is_away_and_work_when_it_is_back() {
    let dir = DataDir::new();
    let server = ServerProcess::start(dir.path()).await;
    let client = &server.client;
    client.load_model("small", &golden("models/llama").display().to_string()).await.unwrap();
    let folder = dir.path().join("sae");
    sae::write(&folder, &sae::config(), 1);
    client.load_sae(LoadSaeRequest::new("small", "topk", folder.display().to_string())).await.unwrap();

    server.kill_postgres();
    let impatient = Options { retry: latentd_client::RetryPolicy { attempts: 1, ..Default::default() }, ..Default::default() };
    let impatient = Client::connect_with(&server.address, impatient).await.unwrap();
    until("a call that needs the database fails", || {
        let impatient = impatient.clone();
        async move {
            match impatient.caches().to_vec().await {
                Ok(_) => false,
                Err(error) => {
                    assert_eq!(error.reason, "DATABASE_UNAVAILABLE", "{error}");
                    true
                }
            }
        }
    })
    .await;
    // What needs no database goes on.
    client.encode(EncodeRequest::new(["The cat sat."], SAE)).await.unwrap();
    until("the database is back", || {
        let impatient = impatient.clone();
        async move { impatient.caches().to_vec().await.is_ok() }
    })
    .await;
    server.stop().await;
}
