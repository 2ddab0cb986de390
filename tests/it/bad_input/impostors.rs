//! Paths that lead to no file: every reader refuses them at once and says what is there. None of them waits.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use latentd_autointerp::provider::faults::Endpoint;
use latentd_client::{
    BuildCacheRequest, Corpus, CorpusFormat, CreateProviderRequest, Error, JobState, LoadSaeRequest,
};
use latentd_domain::Reason;

use super::{lives_on, refused};
use crate::harness::{
    endpoint, golden,
    impostor::Impostor,
    sae,
    server::{SAE, TestServer, bare, small},
};

/// Far more than a refusal takes, and less than for ever.
const PATIENCE: Duration = Duration::from_secs(30);

async fn at_once<T>(what: &str, call: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, call).await;
    outcome.unwrap_or_else(|_| panic!("{what}: no answer within {PATIENCE:?}"))
}

#[track_caller]
fn says(error: &Error, impostor: Impostor, file: &str) {
    let told = format!("{error:?}");
    assert!(
        told.contains(impostor.name()) && told.contains(file),
        "{file}: {told}"
    );
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs_err::copy(&path, target).unwrap();
        }
    }
}

/// A copy of the golden folder `source` with an impostor in the place of `file`.
fn spoilt(server: &TestServer, source: &str, file: &str, impostor: Impostor) -> PathBuf {
    let name = format!("{source}-{file}-{impostor:?}").replace('/', "-");
    let folder = server.path().join(name);
    copy_folder(&golden(source), &folder);
    impostor.put(&folder.join(file));
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_models_files() {
    let server = bare(&[]).await;
    let load = |path: PathBuf| {
        let client = server.client.clone();
        async move {
            let path = path.display().to_string();
            at_once(&path, client.load_model("odd", &path)).await
        }
    };
    let files = [
        ("models/llama", "config.json"),
        ("models/llama", "model.safetensors"),
        ("models/llama", "tokenizer.json"),
        ("models/llama", "tokenizer_config.json"),
        ("models/llama-sharded", "model.safetensors.index.json"),
        ("models/llama-sharded", "model-00002-of-00003.safetensors"),
        ("sentences/mean", "config.json"),
        ("sentences/mean", "model.safetensors"),
        ("sentences/mean", "modules.json"),
        ("sentences/mean", "1_Pooling/config.json"),
        ("sentences/mean", "sentence_bert_config.json"),
        ("sentences/mean", "config_sentence_transformers.json"),
        ("sentences/mean", "tokenizer.json"),
        ("sentences/mean", "tokenizer_config.json"),
    ];
    for impostor in Impostor::ALL {
        for (source, file) in files {
            let folder = spoilt(&server, source, file, impostor);
            let error = refused(load(folder).await, Reason::PathNotReadable);
            says(&error, impostor, file);
        }
        let gguf = server.path().join(format!("{impostor:?}/model.gguf"));
        fs_err::create_dir_all(gguf.parent().unwrap()).unwrap();
        impostor.put(&gguf);
        let folder = gguf.parent().unwrap().to_owned();
        let error = refused(load(folder).await, Reason::PathNotReadable);
        says(&error, impostor, "model.gguf");
        if !matches!(impostor, Impostor::Folder) {
            let error = refused(load(gguf).await, Reason::PathNotReadable);
            says(&error, impostor, "model.gguf");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_saes_files() {
    let server = small().await;
    for impostor in Impostor::ALL {
        for file in ["cfg.json", "sae_weights.safetensors"] {
            let folder = server.path().join(format!("{file}-{impostor:?}"));
            sae::write(&folder, &sae::config(), 1);
            impostor.put(&folder.join(file));
            let request = LoadSaeRequest::new("small", "odd", folder.display().to_string());
            let loaded = at_once(file, server.client.load_sae(request)).await;
            says(&refused(loaded, Reason::PathNotReadable), impostor, file);
        }
    }
    lives_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_corpus() {
    let server = small().await;
    // A folder in the place of a file is a corpus, if an empty one.
    for impostor in [Impostor::Fifo, Impostor::Device, Impostor::Socket] {
        for name in ["a.txt", "a.jsonl", "a.parquet", "a.lines"] {
            let folder = server.path().join(format!("corpus-{impostor:?}-{name}"));
            fs_err::create_dir_all(&folder).unwrap();
            let file = folder.join(name);
            impostor.put(&file);
            let request = |path: &Path| {
                let mut corpus = Corpus::new([path.display().to_string()]);
                if name == "a.lines" {
                    corpus = corpus.format(CorpusFormat::Lines);
                }
                BuildCacheRequest::new(SAE, corpus).context_length(32)
            };
            let named = at_once(name, server.client.build_cache(request(&file))).await;
            says(&named.unwrap_err(), impostor, name);

            let job = at_once(name, server.client.build_cache(request(&folder))).await;
            let job = at_once(name, server.client.wait_job(&job.unwrap().name)).await;
            let job = job.unwrap();
            assert_eq!(job.state, JobState::Failed);
            let error = job.error.unwrap();
            assert_eq!(error.reason, Reason::PathNotReadable.as_str(), "{error}");
            says(&error, impostor, name);
        }
    }
    lives_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_place_of_a_providers_key() {
    let secrets = tempfile::tempdir().unwrap();
    let keys = format!("file:{}/=127.0.0.1", secrets.path().display());
    let server = bare(&[("providers.keys", &keys)]).await;
    let endpoint: Endpoint = endpoint::start().await;
    for impostor in Impostor::ALL {
        let path = secrets.path().join(format!("key-{impostor:?}"));
        impostor.put(&path);
        let request = CreateProviderRequest::openai("odd", endpoint.base_url(), "fake")
            .key_source(format!("file:{}", path.display()));
        let created = at_once("key", server.client.create_provider(request)).await;
        let error = refused(created, Reason::ProviderKeyMissing);
        says(&error, impostor, "key-");
    }
    assert!(endpoint.requests().is_empty());
}
