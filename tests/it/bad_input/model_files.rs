//! Model files that are truncated, altered or of an unknown kind. `server/nn/tests` goes through every byte; here the reasons
//! are seen from outside.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use latentd_client::{Client, Options};
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

/// Adds a tensor of a terabyte, which nothing needs and which takes no room on the disk.
fn swell(file: &Path) {
    const BYTES: u64 = 1 << 40;
    let bytes = fs_err::read(file).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let (header, data) = bytes[8..].split_at(length);
    let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
    let end = data.len() as u64 + BYTES;
    header["extra"] = serde_json::json!({
        "dtype": "F32", "shape": [BYTES / 4], "data_offsets": [data.len(), end],
    });
    let header = header.to_string().into_bytes();
    let swollen = [
        &(header.len() as u64).to_le_bytes(),
        header.as_slice(),
        data,
    ]
    .concat();
    fs_err::write(file, &swollen).unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(8 + header.len() as u64 + end).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_at_its_deadline_and_nothing_of_it_stays() {
    let server = small().await;
    let folder = copy(&server, "swollen");
    swell(&folder.join("model.safetensors"));
    let options = Options {
        timeout: Some(Duration::from_millis(400)),
        ..Options::default()
    };
    let hasty = Client::connect_with(&server.address(), options)
        .await
        .unwrap();
    let path = folder.display().to_string();
    refused(
        hasty.load_model("swollen", &path).await,
        Reason::DeadlineExceeded,
    );
    // The loader is free again at once, and what it had read is gone.
    let begun = Instant::now();
    let good = golden("models/llama").display().to_string();
    server.client.load_model("good", &good).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    refused(server.client.model("swollen").await, Reason::UnknownModel);
    lives_on(&server).await;
}
