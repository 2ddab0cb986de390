//! Checkpoints and model files, on the tiny models of `tests/golden/models`.

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
        assert_ne!(folder.checkpoint.digest(), file.checkpoint.digest());
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
    assert_eq!(files.checkpoint.digest().len(), 64);
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
            Checkpoint::open_folder(folder.path()).unwrap_err().reason(),
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
    let mut checkpoint = Checkpoint::open_file(&file).unwrap();
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
        checkpoint.digest(),
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
        let error = Checkpoint::open_file(&file)
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
