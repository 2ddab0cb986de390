//! A server in this process, on a small model, with a database of its own.

use std::path::Path;

use latentd::{
    config::{Config, Environment, Flags},
    server::{Running, Server},
};
use latentd_client::{Cache, Client, Corpus, JobState, LoadSaeRequest};
use latentd_store::test_support::{self, DataDir};

use super::{golden, sae};

/// A topk SAE of the small model.
pub(crate) const SAE: &str = "small/topk";
/// A standard (ReLU) SAE of the small model.
pub(crate) const RELU: &str = "small/relu";

/// A running server; it ends when this is dropped.
pub(crate) struct TestServer {
    pub(crate) client: Client,
    pub(crate) running: Running,
    pub(crate) dir: DataDir,
    pub(crate) database_url: String,
}

/// Starts a server with nothing resident. `settings` override the configuration, by key.
pub(crate) async fn bare(settings: &[(&'static str, &str)]) -> TestServer {
    let dir = DataDir::new();
    let url = test_support::database().await.url();
    on(dir, url, settings).await
}

/// Starts a server on a data folder and a database that exist.
pub(crate) async fn on(
    dir: DataDir,
    database_url: String,
    settings: &[(&'static str, &str)],
) -> TestServer {
    let (running, client) = start(dir.path(), &database_url, settings).await;
    TestServer {
        client,
        running,
        dir,
        database_url,
    }
}

async fn start(
    dir: &Path,
    database_url: &str,
    settings: &[(&'static str, &str)],
) -> (Running, Client) {
    let mut flags = Flags::default()
        .with("data_dir", Some(dir.display()))
        .with("listen", Some("127.0.0.1:0"))
        .with("database.url", Some(database_url));
    for (key, value) in settings {
        flags = flags.with(key, Some(value));
    }
    let config = Config::load(&flags, &Environment::default()).unwrap();
    let running = Server::start(config).await.unwrap();
    let client = Client::connect(&running.addr().to_string()).await.unwrap();
    (running, client)
}

/// Starts a server with the small llama model and two SAEs resident.
pub(crate) async fn small() -> TestServer {
    small_with(&[]).await
}

/// The same, with settings.
pub(crate) async fn small_with(settings: &[(&'static str, &str)]) -> TestServer {
    let server = bare(settings).await;
    server.load_small().await;
    server
}

impl TestServer {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts another server on the same data folder and database. It ends when the first value is dropped.
    pub(crate) async fn another(&self) -> (Running, Client) {
        start(self.path(), &self.database_url, &[]).await
    }

    pub(crate) fn address(&self) -> String {
        self.running.addr().to_string()
    }

    /// Loads the small model as `small`, with the SAEs [`SAE`] and [`RELU`].
    pub(crate) async fn load_small(&self) {
        let model = golden("models/llama");
        self.client
            .load_model("small", &model.display().to_string())
            .await
            .unwrap();
        let mut relu = sae::config();
        relu["architecture"] = "standard".into();
        for (id, config, seed) in [("topk", sae::config(), 1), ("relu", relu, 10)] {
            let folder = self.path().join("saes").join(id);
            sae::write(&folder, &config, seed);
            let request = LoadSaeRequest::new("small", id, folder.display().to_string());
            self.client.load_sae(request).await.unwrap();
        }
    }

    /// Builds a cache of `corpus` with the topk SAE and waits for it.
    pub(crate) async fn build(&self, id: &str, corpus: &Path) -> Cache {
        let corpus = Corpus::new([corpus.display().to_string()]);
        let request = latentd_client::BuildCacheRequest::new(SAE, corpus)
            .cache_id(id)
            .context_length(32);
        let job = self.client.build_cache(request).await.unwrap();
        let job = self.client.wait_job(&job.name).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
        self.client.cache(&job.result).await.unwrap()
    }
}
