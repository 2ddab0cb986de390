//! SAE files that cannot be used as they say.

use std::path::PathBuf;

use latentd_client::LoadSaeRequest;
use latentd_domain::Reason;
use serde_json::{Value, json};

use super::{lives_on, refused};
use crate::harness::{
    sae,
    server::{TestServer, small},
};

/// Writes a small SAE whose configuration `change` has altered.
fn altered(server: &TestServer, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let folder = server.path().join(name);
    let mut config = sae::config();
    change(&mut config);
    sae::write(&folder, &config, 1);
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn saes_that_would_have_to_be_guessed_are_refused() {
    let server = small().await;
    let load = |folder: PathBuf| {
        let client = server.client.clone();
        async move {
            client
                .load_sae(LoadSaeRequest::new(
                    "small",
                    "broken",
                    folder.display().to_string(),
                ))
                .await
        }
    };
    refused(
        load(server.path().join("nowhere")).await,
        Reason::PathNotReadable,
    );
    let folder = altered(&server, "architecture", |config| {
        config["architecture"] = json!("crosscoder");
    });
    refused(load(folder).await, Reason::UnsupportedSae);
    let folder = altered(&server, "normalisation", |config| {
        config["normalize_activations"] = json!("expected_average_only_in");
    });
    refused(load(folder).await, Reason::MissingNormFactor);
    let folder = altered(&server, "hook", |config| {
        config["metadata"]["hook_name"] = json!("blocks.1.hook_q");
    });
    refused(load(folder).await, Reason::UnknownHookPoint);
    let folder = altered(&server, "layer", |config| {
        config["metadata"]["hook_name"] = json!("blocks.2.hook_resid_post");
    });
    refused(load(folder).await, Reason::UnknownHookPoint);
    let folder = altered(&server, "width", |config| config["d_sae"] = json!(95));
    refused(load(folder).await, Reason::ShapeMismatch);
    let folder = altered(&server, "threshold", |config| {
        config["architecture"] = json!("jumprelu");
    });
    refused(load(folder).await, Reason::MissingTensor);
    let folder = altered(&server, "fields", |config| {
        drop(config.as_object_mut().unwrap().remove("d_in"));
    });
    refused(load(folder).await, Reason::MalformedConfig);
    let folder = altered(&server, "json", |_| ());
    fs_err::write(folder.join("cfg.json"), "{").unwrap();
    refused(load(folder).await, Reason::MalformedConfig);
    let folder = altered(&server, "truncated", |_| ());
    let weights = fs_err::read(folder.join("sae_weights.safetensors")).unwrap();
    fs_err::write(folder.join("sae_weights.safetensors"), &weights[..1000]).unwrap();
    refused(load(folder).await, Reason::MalformedSafetensors);
    let folder = altered(&server, "nan", |_| ());
    let mut poisoned = weights;
    let end = poisoned.len();
    poisoned[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs_err::write(folder.join("sae_weights.safetensors"), poisoned).unwrap();
    refused(load(folder).await, Reason::NonFiniteWeights);
    lives_on(&server).await;
}
