//! Model files that are truncated, altered or of an unknown kind. `server/nn/tests` goes through every byte; here the reasons
//! are seen from outside.

use std::path::{Path, PathBuf};

use latentd_domain::Reason;

use super::{lives_on, refused};
use crate::harness::{
    golden,
    server::{TestServer, small},
};

fn copy(server: &TestServer, name: &str) -> PathBuf {
    let folder = server.path().join(name);
    fs_err::create_dir_all(&folder).unwrap();
    for entry in fs_err::read_dir(golden("models/llama")).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn truncate(path: &Path) {
    let bytes = fs_err::read(path).unwrap();
    fs_err::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_models_are_refused_with_the_reason() {
    let server = small().await;
    let load = |path: PathBuf| {
        let client = server.client.clone();
        async move {
            client
                .load_model("broken", &path.display().to_string())
                .await
        }
    };
    refused(
        load(server.path().join("nowhere")).await,
        Reason::PathNotReadable,
    );

    let folder = copy(&server, "weights");
    truncate(&folder.join("model.safetensors"));
    refused(load(folder).await, Reason::MalformedSafetensors);

    let folder = copy(&server, "config");
    truncate(&folder.join("config.json"));
    refused(load(folder).await, Reason::MalformedConfig);

    let folder = copy(&server, "tokenizer");
    truncate(&folder.join("tokenizer.json"));
    refused(load(folder).await, Reason::MalformedTokenizer);

    let folder = copy(&server, "family");
    let config = fs_err::read_to_string(folder.join("config.json")).unwrap();
    fs_err::write(
        folder.join("config.json"),
        config.replace("\"llama\"", "\"mamba\""),
    )
    .unwrap();
    refused(load(folder).await, Reason::UnsupportedModel);

    let folder = copy(&server, "shape");
    fs_err::write(
        folder.join("config.json"),
        config.replace("\"intermediate_size\": 64", "\"intermediate_size\": 60"),
    )
    .unwrap();
    refused(load(folder).await, Reason::ShapeMismatch);

    let folder = copy(&server, "deeper");
    fs_err::write(
        folder.join("config.json"),
        config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
    )
    .unwrap();
    refused(load(folder).await, Reason::MissingTensor);

    let gguf = server.path().join("half.gguf");
    fs_err::copy(golden("models/llama.gguf"), &gguf).unwrap();
    truncate(&gguf);
    refused(load(gguf).await, Reason::MalformedGguf);
    lives_on(&server).await;
}
