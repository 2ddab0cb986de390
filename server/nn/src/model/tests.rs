//! Models against what transformers computes with the same weights, and against themselves.

use latentd_domain::{Dtype, HasReason, HookPoint, Reason, Site};
use latentd_files::Interrupt;
use proptest::prelude::*;

use super::Model;
use crate::{
    device::{Device, Tensor, host_view},
    packed::PackedTokens,
    taps::Taps,
    weights::{Checkpoint, golden},
};

/// Largest difference allowed, as a share of the largest value of a tensor.
const TOLERANCE: f32 = 1e-4;

fn load(name: &str) -> Model {
    Model::load(
        &golden::path(&format!("models/{name}")),
        Dtype::F32,
        &Device::new(0).unwrap(),
    )
    .unwrap()
}

fn values(tensor: &Tensor<2>) -> Vec<f32> {
    host_view(tensor).values().to_vec()
}

fn all_points(model: &Model) -> Taps {
    Taps::new(HookPoint::all(model.info().n_layers))
}

/// The token ids of the prompts of `tests/golden/models`.
fn prompts() -> Vec<Vec<u32>> {
    #[derive(serde::Deserialize)]
    struct Prompt {
        ids: Vec<u32>,
    }
    let text = fs_err::read_to_string(golden::path("models/prompts.json")).unwrap();
    let prompts: Vec<Prompt> = serde_json::from_str(&text).unwrap();
    prompts.into_iter().map(|prompt| prompt.ids).collect()
}

#[track_caller]
fn assert_near(found: &Tensor<2>, expected: &mut Checkpoint, name: &str) {
    let values = host_view(found);
    let expected = expected.take(name, &found.dims()).unwrap().data;
    let scale = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    for (found, expected) in values.values().iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= TOLERANCE * scale,
            "{name}: {found} where transformers has {expected}"
        );
    }
}

#[test]
fn every_hook_point_and_the_logits_equal_transformers() {
    let cases = [
        ("llama", "llama"),
        ("gpt2", "gpt2"),
        ("llama-sharded", "llama-sharded"),
        ("llama.gguf", "llama"),
        ("gpt2.gguf", "gpt2"),
    ];
    for (name, folder) in cases {
        let model = load(name);
        let expected = golden::path(&format!("models/{folder}/expected.safetensors"));
        let mut expected = Checkpoint::open_file(&expected, &Interrupt::new()).unwrap();
        for (prompt, ids) in prompts().iter().enumerate() {
            let tokens = PackedTokens::new([ids.as_slice()]);
            let captured = model.run(&tokens, &all_points(&model)).unwrap();
            for point in HookPoint::all(model.info().n_layers) {
                let found = captured.get(point).unwrap();
                assert_eq!(
                    found.dims(),
                    [ids.len(), model.width(point.site)],
                    "{name} {point}"
                );
                assert_near(found, &mut expected, &format!("{prompt}.{point}"));
            }
            assert_near(
                &model.logits(&tokens).unwrap(),
                &mut expected,
                &format!("{prompt}.logits"),
            );
        }
    }
}

#[test]
fn every_rope_gives_the_values_of_transformers() {
    let llama3 = r#""factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0"#;
    let scaling = |keys: &str| format!(r#"{{"rope_scaling": {{{keys}}}}}"#);
    let original = r#""original_max_position_embeddings": 16"#;
    // Those of `VALUES` in `tests/reference/rope.py`.
    let ropes = [
        r#"{"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}"#
            .to_owned(),
        scaling(r#""type": "linear", "factor": 4.0"#),
        scaling(&format!(r#""rope_type": "llama3", {llama3}, {original}"#)),
        scaling(&format!(r#""type": "yarn", "factor": 4.0, {original}"#)),
        scaling(
            r#""type": "yarn", "factor": 4.0, "attention_factor": 0.5, "beta_fast": 4, "truncate": false"#,
        ),
        scaling(r#""type": "dynamic", "factor": 4.0"#),
    ];
    let mut expected =
        Checkpoint::open_file(&golden::path("rope.safetensors"), &Interrupt::new()).unwrap();
    let ids: Vec<u32> = (0..40).map(|i| i * 5 % 270).collect();
    let point: HookPoint = "blocks.1.hook_resid_post".parse().unwrap();
    for (number, rope) in ropes.iter().enumerate() {
        let folder = golden::copy("models/llama");
        let path = folder.path().join("config.json");
        let mut config: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        config.remove("rope_parameters");
        let rope: serde_json::Map<String, serde_json::Value> = serde_json::from_str(rope).unwrap();
        config.extend(rope);
        fs_err::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        let model = Model::load(folder.path(), Dtype::F32, &Device::new(0).unwrap()).unwrap();
        let captured = model.run(&PackedTokens::new([ids.as_slice()]), &Taps::new([point]));
        let captured = captured.unwrap();
        assert_near(
            captured.get(point).unwrap(),
            &mut expected,
            &number.to_string(),
        );
    }
}

#[test]
fn stopping_early_changes_nothing() {
    for name in ["llama", "gpt2"] {
        let model = load(name);
        let ids: Vec<u32> = (0..40).map(|i| i * 5 % 270).collect();
        let tokens = PackedTokens::new([ids.as_slice()]);
        let all = model.run(&tokens, &all_points(&model)).unwrap();
        for point in HookPoint::all(model.info().n_layers) {
            let alone = model.run(&tokens, &Taps::new([point])).unwrap();
            assert_eq!(
                values(alone.get(point).unwrap()),
                values(all.get(point).unwrap()),
                "{name} {point}"
            );
            assert!(
                HookPoint::all(model.info().n_layers)
                    .into_iter()
                    .filter(|&p| p != point)
                    .all(|p| alone.get(p).is_none())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_batch_gives_each_sequence_the_bits_it_has_alone(
        lengths in prop::collection::vec(0usize..64, 1..8),
        gpt2: bool,
    ) {
        let model = load(if gpt2 { "gpt2" } else { "llama" });
        let sequences: Vec<Vec<u32>> = lengths
            .iter()
            .enumerate()
            .map(|(row, &length)| (0..length).map(|i| ((i * 31 + row * 17) % 272) as u32).collect())
            .collect();
        let point = HookPoint::new(1, Site::ResidPost);
        let taps = Taps::new([point]);
        let together = PackedTokens::new(sequences.iter().map(Vec::as_slice));
        let captured = model.run(&together, &taps).unwrap();
        let batch = values(captured.get(point).unwrap());
        let width = model.width(point.site);
        for (rows, sequence) in together.ranges().zip(&sequences) {
            let alone = model.run(&PackedTokens::new([sequence.as_slice()]), &taps).unwrap();
            prop_assert_eq!(&values(alone.get(point).unwrap())[..], &batch[rows.start * width..rows.end * width]);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let ids: Vec<u32> = (0..64).collect();
    let tokens = PackedTokens::new(std::iter::repeat_n(ids.as_slice(), 9));
    let path = golden::path("models/llama");
    let logits = |threads| {
        let device = Device::with_threads(0, threads).unwrap();
        values(
            &Model::load(&path, Dtype::F32, &device)
                .unwrap()
                .logits(&tokens)
                .unwrap(),
        )
    };
    let one = logits(1);
    assert_eq!(one, logits(2));
    assert_eq!(one, logits(5));
}

#[test]
fn what_the_model_does_not_have_is_refused() {
    let model = load("llama");
    let taps = all_points(&model);
    let reason = |ids: &[u32], taps: &Taps| {
        model
            .run(&PackedTokens::new([ids]), taps)
            .unwrap_err()
            .reason()
    };
    assert_eq!(reason(&[1, 272], &taps), Reason::UnknownToken);
    assert_eq!(reason(&[u32::MAX], &taps), Reason::UnknownToken);
    assert_eq!(reason(&[1; 65], &taps), Reason::PromptTooLong);
    assert_eq!(
        reason(&[1], &Taps::new([HookPoint::new(2, Site::ResidPre)])),
        Reason::UnknownHookPoint
    );
    assert_eq!(
        model
            .logits(&PackedTokens::new([&[999][..]]))
            .unwrap_err()
            .reason(),
        Reason::UnknownToken
    );
    assert!(model.run(&PackedTokens::new([&[1; 64][..]]), &taps).is_ok());
}

#[test]
fn nothing_asked_and_nothing_given_are_answered() {
    let model = load("gpt2");
    let captured = model
        .run(&PackedTokens::new([&[1, 2][..]]), &Taps::default())
        .unwrap();
    assert!(captured.get(HookPoint::new(0, Site::Embed)).is_none());
    let empty = model
        .run(&PackedTokens::default(), &all_points(&model))
        .unwrap();
    assert_eq!(
        empty.get(HookPoint::new(1, Site::MlpPost)).unwrap().dims(),
        [0, model.width(Site::MlpPost)]
    );
    assert_eq!(
        model.logits(&PackedTokens::default()).unwrap().dims(),
        [0, 272]
    );
}

#[test]
fn the_unembedding_has_no_norm() {
    let model = load("llama");
    let d_model = model.info().d_model;
    let mut direction = vec![0.0; d_model];
    direction[3] = 2.0;
    let device = Device::new(0).unwrap();
    let logits = values(&model.unembed(device.from_host(direction, [1, d_model])));
    let mut weights =
        Checkpoint::open_folder(&golden::path("models/llama"), &Interrupt::new()).unwrap();
    let embedding = weights
        .take("model.embed_tokens.weight", &[272, d_model])
        .unwrap()
        .data;
    let expected: Vec<f32> = embedding.chunks(d_model).map(|row| 2.0 * row[3]).collect();
    assert_eq!(logits, expected);
}

#[test]
fn info_describes_the_model() {
    let model = load("llama");
    let info = model.info();
    assert_eq!(
        (info.family, info.format, info.dtype),
        ("llama", "huggingface", Dtype::F32)
    );
    assert_eq!(
        (info.n_layers, info.d_model, info.n_heads, info.n_kv_heads),
        (2, 32, 4, 2)
    );
    assert_eq!(
        (info.d_head, info.d_mlp, info.vocab, info.context_length),
        (8, 64, 272, 64)
    );
    // Embedding, final norm, and in each block two norms, four projections of attention and three of the MLP.
    let block = 2 * 32 + 32 * 32 * 2 + 2 * 32 * 16 + 3 * 32 * 64;
    assert_eq!(info.parameters, 272 * 32 + 32 + 2 * block);
    assert!(info.resident_bytes >= 4 * info.parameters);
    assert_eq!(info.digest.len(), 64);
}

#[test]
fn bf16_is_not_for_the_cpu() {
    let path = golden::path("models/llama");
    let error = Model::load(&path, Dtype::Bf16, &Device::new(0).unwrap()).unwrap_err();
    assert_eq!(error.reason(), Reason::UnsupportedModel);
}
