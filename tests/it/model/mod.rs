//! ModelService.

use futures::TryStreamExt;
use latentd_client::{EncodeRequest, LoadSaeRequest};

use crate::harness::{
    golden,
    server::{SAE, bare, on, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn models_are_loaded_described_and_unloaded() {
    let server = bare(&[]).await;
    for (id, path, family, format) in [
        ("llama", "models/llama", "llama", "huggingface"),
        ("sharded", "models/llama-sharded", "llama", "huggingface"),
        ("gguf", "models/llama.gguf", "llama", "gguf"),
        ("gpt2", "models/gpt2", "gpt2", "huggingface"),
    ] {
        let model = server
            .client
            .load_model(id, &golden(path).display().to_string())
            .await
            .unwrap();
        assert_eq!(
            (
                model.name.as_str(),
                model.family.as_str(),
                model.format.as_str()
            ),
            (format!("models/{id}").as_str(), family, format)
        );
        assert_eq!(model.hook_points.len(), 1 + 7 * model.n_layers as usize);
        assert_eq!(server.client.model(id).await.unwrap(), model);
    }
    let listed: Vec<_> = server.client.models().try_collect().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "models/gguf",
            "models/gpt2",
            "models/llama",
            "models/sharded"
        ]
    );
    assert!(server.client.unload_model("gpt2", false).await.unwrap() > 0);
    assert_eq!(
        server.client.model("gpt2").await.unwrap_err().reason,
        "UNKNOWN_MODEL"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_again_changes_nothing_and_other_content_is_refused() {
    let server = small().await;
    let path = golden("models/llama").display().to_string();
    let again = server.client.load_model("small", &path).await.unwrap();
    assert_eq!(
        again.loaded,
        server.client.model("small").await.unwrap().loaded
    );
    let other = golden("models/gpt2").display().to_string();
    assert_eq!(
        server
            .client
            .load_model("small", &other)
            .await
            .unwrap_err()
            .reason,
        "ALREADY_EXISTS"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_in_use_stays_unless_forced() {
    let server = small().await;
    assert_eq!(
        server
            .client
            .unload_model("small", false)
            .await
            .unwrap_err()
            .reason,
        "RESOURCE_IN_USE"
    );
    server.client.unload_model("small", true).await.unwrap();
    let error = server
        .client
        .encode(EncodeRequest::new(["text"], SAE))
        .await
        .unwrap_err();
    assert_eq!(error.reason, "UNKNOWN_MODEL");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_resident_is_resident_after_a_restart() {
    let server = small().await;
    let before = server
        .client
        .encode(EncodeRequest::new(["The cat sat."], SAE))
        .await
        .unwrap();
    let (dir, url) = (server.dir, server.database_url);
    server.running.stop().await.unwrap();
    let server = on(dir, url, &[]).await;
    let after = server
        .client
        .encode(EncodeRequest::new(["The cat sat."], SAE))
        .await
        .unwrap();
    assert_eq!(before.first().rows, after.first().rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentence_encoder_is_a_model_without_saes_and_outlives_a_restart() {
    let server = bare(&[]).await;
    let folder = golden("sentences/mean").display().to_string();
    let model = server.client.load_model("encoder", &folder).await.unwrap();
    assert_eq!((model.family.as_str(), model.d_model), ("bert", 24));
    assert_eq!(model.hook_points, [""; 0]);
    let refused = server
        .client
        .encode(EncodeRequest::new(["text"], "encoder/s"));
    assert_eq!(refused.await.unwrap_err().reason, "WRONG_MODEL_KIND");
    let sae = LoadSaeRequest::new("encoder", "s", golden("saes/topk").display().to_string());
    let refused = server.client.load_sae(sae).await.unwrap_err();
    assert_eq!(refused.reason, "WRONG_MODEL_KIND");

    let (dir, url) = (server.dir, server.database_url);
    server.running.stop().await.unwrap();
    let server = on(dir, url, &[]).await;
    let after = server.client.model("encoder").await.unwrap();
    assert_eq!(
        (&after.digest, after.resident_bytes),
        (&model.digest, model.resident_bytes)
    );
    let tokens = server
        .client
        .tokenize("encoder", ["The cat."], None)
        .await
        .unwrap();
    assert_eq!(tokens[0].tokens[0], "[CLS]");
    assert!(server.client.unload_model("encoder", false).await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokenize_answers_with_and_without_the_beginning() {
    let server = small().await;
    let with = server
        .client
        .tokenize("small", ["The cat sat."], Some(true))
        .await
        .unwrap();
    let without = server
        .client
        .tokenize("small", ["The cat sat."], Some(false))
        .await
        .unwrap();
    assert_eq!(with[0].ids[1..], without[0].ids[..]);
    assert_eq!(
        with[0].ids,
        [0, 52, 72, 69, 267, 221, 83, 257, 14],
        "tests/golden/models/prompts.json"
    );
    assert_eq!(without[0].tokens.concat(), "The cat sat.");
}
