//! Checkpoints and model files, on the tiny models of `tests/golden/models`.

use latentd_files::Interrupt;
use std::path::Path;

use latentd_domain::{HasReason, Reason};

use super::{
    Checkpoint, ModelConfig, ModelFiles, RopeScaling,
    golden::{copy, path, take_all, write_safetensors},
};
use crate::error::LoadError;

#[test]
fn a_gguf_file_holds_the_same_as_the_folder_it_was_made_of() {
    for name in ["llama", "gpt2"] {
        let (folder, expected) = take_all(&path(&format!("models/{name}"))).unwrap();
        let (file, found) = take_all(&path(&format!("models/{name}.gguf"))).unwrap();
        assert_eq!(folder.config, file.config, "{name}");
        assert_eq!((folder.format, file.format), ("huggingface", "gguf"));
        for ((tensor, _), (expected, found)) in folder
            .config
            .tensors()
            .iter()
            .zip(expected.iter().zip(&found))
        {
            assert_eq!(expected, found, "{name}: {tensor}");
        }
        assert_eq!(file.checkpoint.unused(), [""; 0]);
        assert_ne!(
            folder.checkpoint.digest().unwrap(),
            file.checkpoint.digest().unwrap()
        );
    }
}

#[test]
fn shards_are_one_checkpoint() {
    let (files, tensors) = take_all(&path("models/llama-sharded")).unwrap();
    let ModelConfig::Llama(config) = &files.config else {
        panic!("not a llama")
    };
    assert!(config.attention_bias && !config.tie_embeddings);
    assert!(matches!(config.rope.scaling, RopeScaling::Llama3 { .. }));
    assert_eq!(tensors.len(), files.config.tensors().len());
    assert_eq!(files.checkpoint.dtype("lm_head.weight"), Some("bf16"));
    assert_eq!(files.checkpoint.unused(), [""; 0]);
    assert_eq!(files.checkpoint.digest().unwrap().len(), 64);
}

#[test]
fn a_lost_shard_and_all_lost_tensors_are_named() {
    let folder = copy("models/llama-sharded");
    fs_err::remove_file(folder.path().join("model-00002-of-00003.safetensors")).unwrap();
    let error = ModelFiles::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, LoadError::PathNotReadable { path, .. } if path.ends_with("model-00002-of-00003.safetensors"))
    );

    let index = folder.path().join("model.safetensors.index.json");
    let text = fs_err::read_to_string(&index)
        .unwrap()
        .replace("00002-of", "00001-of");
    fs_err::write(&index, text).unwrap();
    let LoadError::MissingTensor { tensors, .. } = ModelFiles::open(folder.path()).unwrap_err()
    else {
        panic!("not missing")
    };
    assert!(tensors.len() > 3 && tensors.is_sorted(), "{tensors:?}");
}

#[test]
fn an_index_cannot_lead_out_of_the_folder() {
    let folder = copy("models/llama-sharded");
    let index = folder.path().join("model.safetensors.index.json");
    for escape in [
        "../x.safetensors",
        "/etc/passwd",
        "..",
        "a/b.safetensors",
        "",
    ] {
        fs_err::write(&index, format!(r#"{{"weight_map":{{"a":"{escape}"}}}}"#)).unwrap();
        assert_eq!(
            Checkpoint::open_folder(folder.path(), &Interrupt::new())
                .unwrap_err()
                .reason(),
            Reason::MalformedSafetensors
        );
    }
}

#[test]
fn a_checkpoint_saved_without_its_prefix_is_understood() {
    let folder = copy("models/gpt2");
    let (files, expected) = take_all(folder.path()).unwrap();
    let names = files.config.tensors();
    let bare: Vec<_> = names
        .iter()
        .zip(&expected)
        .map(|((name, shape), tensor)| {
            (
                name.strip_prefix("transformer.").unwrap(),
                shape.as_slice(),
                tensor.data.as_slice(),
            )
        })
        .collect();
    write_safetensors(&folder.path().join("model.safetensors"), &bare);
    let (_, found) = take_all(folder.path()).unwrap();
    assert_eq!(expected, found);
}

#[test]
fn every_unused_and_missing_tensor_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.safetensors");
    write_safetensors(
        &file,
        &[
            ("a", &[2], &[1.0, 2.0]),
            ("b", &[1], &[3.0]),
            ("c", &[1], &[4.0]),
        ],
    );
    let mut checkpoint = Checkpoint::open_file(&file, &Interrupt::new()).unwrap();
    assert_eq!(checkpoint.take("b", &[1]).unwrap().data, [3.0]);
    assert_eq!(checkpoint.unused(), ["a", "c"]);

    let wanted = ["a", "x", "y"].map(|name| (name.to_owned(), vec![2]));
    let LoadError::MissingTensor { tensors, .. } = checkpoint.require(&wanted).unwrap_err() else {
        panic!("not missing")
    };
    assert_eq!(tensors, ["x", "y"]);
    let error = checkpoint.take("a", &[1, 2]).unwrap_err();
    assert!(
        matches!(&error, LoadError::ShapeMismatch { expected, found, .. } if *expected == [1, 2] && *found == [2])
    );
    assert_eq!(
        checkpoint.digest().unwrap(),
        blake3::hash(&fs_err::read(&file).unwrap())
            .to_hex()
            .to_string()
    );
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.safetensors");
    for bad in [f32::NAN, f32::INFINITY] {
        write_safetensors(&file, &[("a", &[3], &[1.0, bad, 2.0])]);
        let error = Checkpoint::open_file(&file, &Interrupt::new())
            .unwrap()
            .take("a", &[3])
            .unwrap_err();
        assert!(
            matches!(error, LoadError::NonFiniteWeights { index: 1, .. }),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_there_is_said() {
    let reason = |path: &Path| ModelFiles::open(path).unwrap_err().reason();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        reason(&folder.path().join("nowhere")),
        Reason::PathNotReadable
    );
    assert_eq!(reason(folder.path()), Reason::PathNotReadable);
    fs_err::write(
        folder.path().join("config.json"),
        r#"{"model_type":"bert"}"#,
    )
    .unwrap();
    assert_eq!(reason(folder.path()), Reason::UnsupportedModel);
    let file = folder.path().join("x.gguf");
    fs_err::write(&file, b"").unwrap();
    assert_eq!(reason(&file), Reason::MalformedGguf);
}

#[test]
fn a_folder_with_one_gguf_file_is_that_file() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::copy(path("models/llama.gguf"), folder.path().join("a.gguf")).unwrap();
    assert_eq!(ModelFiles::open(folder.path()).unwrap().format, "gguf");
    fs_err::copy(path("models/llama.gguf"), folder.path().join("b.GGUF")).unwrap();
    assert!(
        ModelFiles::open(folder.path())
            .unwrap_err()
            .to_string()
            .contains("several")
    );
}

/// The golden llama, whose head is tied, with `lm_head.weight` in its file, and without its embedding if `alone`.
fn with_head(head: impl Fn(&[f32]) -> Vec<f32>, alone: bool) -> tempfile::TempDir {
    let folder = copy("models/llama");
    let (files, tensors) = take_all(folder.path()).unwrap();
    let names = files.config.tensors();
    let head = head(&tensors[0].data);
    let mut all: Vec<_> = names
        .iter()
        .zip(&tensors)
        .map(|((name, shape), tensor)| (name.as_str(), shape.as_slice(), tensor.data.as_slice()))
        .filter(|(name, ..)| !alone || *name != "model.embed_tokens.weight")
        .collect();
    all.push(("lm_head.weight", names[0].1.as_slice(), &head));
    write_safetensors(&folder.path().join("model.safetensors"), &all);
    folder
}

fn is_tied(folder: &Path) -> bool {
    let ModelConfig::Llama(config) = ModelFiles::open(folder).unwrap().config else {
        panic!("not a llama")
    };
    config.tie_embeddings
}

#[test]
fn a_head_with_other_weights_is_not_tied() {
    let same = with_head(<[f32]>::to_vec, false);
    assert!(is_tied(same.path()));
    let other = with_head(
        |embedding| embedding.iter().map(|value| value + 1.0).collect(),
        false,
    );
    assert!(!is_tied(other.path()));
    let (_, tensors) = take_all(other.path()).unwrap();
    assert!(
        tensors
            .iter()
            .any(|tensor| tensor.data[0] == tensors[0].data[0] + 1.0)
    );
}

#[test]
fn an_embedding_that_is_not_there_is_the_heads() {
    let folder = with_head(<[f32]>::to_vec, true);
    let (_, expected) = take_all(&path("models/llama")).unwrap();
    let (_, found) = take_all(folder.path()).unwrap();
    assert_eq!(expected, found);
}

#[test]
fn a_model_with_an_adapter_is_refused() {
    let folder = copy("models/llama");
    fs_err::write(folder.path().join("adapter_config.json"), "{}").unwrap();
    let error = ModelFiles::open(folder.path()).unwrap_err();
    assert_eq!(error.reason(), Reason::UnsupportedModel);
    assert!(error.to_string().contains("adapter_config.json"), "{error}");
}

#[test]
fn a_key_of_a_configuration_that_changes_numbers_is_refused_by_name() {
    for (model, key, value) in [
        ("llama", "is_causal", "false"),
        ("llama", "sliding_window", "8"),
        ("llama", "quantization_config", r#"{"quant_method": "fp8"}"#),
        ("llama", "logits_scaling", "8.0"),
        ("llama", "partial_rotary_factor", "0.5"),
        ("gpt2", "is_causal", "false"),
        ("gpt2", "pruned_heads", r#"{"0": [1]}"#),
        ("gpt2", "max_position_embeddings", "32"),
    ] {
        let folder = copy(&format!("models/{model}"));
        let config = folder.path().join("config.json");
        let text = fs_err::read_to_string(&config).unwrap();
        let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
        changed[key] = serde_json::from_str(value).unwrap();
        fs_err::write(&config, changed.to_string()).unwrap();
        let error = ModelFiles::open(folder.path()).unwrap_err();
        let expected = [Reason::UnsupportedModel, Reason::MalformedConfig];
        assert!(expected.contains(&error.reason()), "{key}: {error}");
        assert!(error.to_string().contains(key), "{key}: {error}");
    }
}
