//! SAEs on tiny models: whether they fit, what the test at load finds, and what is said of a latent.

use std::path::Path;

use latentd_domain::{Dtype, HasReason, Reason, SelfTest};
use safetensors::tensor::{Dtype as Stored, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::weights::golden;

/// Width of the tiny models.
const WIDTH: usize = 32;

fn device() -> Device {
    Device::with_threads(0, 2).unwrap()
}

fn model(name: &str) -> Model {
    Model::load(
        &golden::path(&format!("models/{name}")),
        Dtype::F32,
        &device(),
    )
    .unwrap()
}

/// An SAE that changes nothing: a latent for each dimension and one for its negative. `scale` multiplies the decoder.
fn identity(scale: f32, config: Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let d_sae = 2 * WIDTH;
    let (mut w_enc, mut w_dec) = (vec![0.0f32; WIDTH * d_sae], vec![0.0f32; d_sae * WIDTH]);
    for i in 0..WIDTH {
        w_enc[i * d_sae + i] = 1.0;
        w_enc[i * d_sae + WIDTH + i] = -1.0;
        w_dec[i * WIDTH + i] = scale;
        w_dec[(WIDTH + i) * WIDTH + i] = -scale;
    }
    let tensors = [
        ("W_enc", vec![WIDTH, d_sae], w_enc),
        ("W_dec", vec![d_sae, WIDTH], w_dec),
        ("b_enc", vec![d_sae], vec![0.0; d_sae]),
        ("b_dec", vec![WIDTH], vec![0.25; WIDTH]),
    ];
    let views = tensors.iter().map(|(name, shape, values)| {
        let data = bytemuck::cast_slice(values);
        (
            *name,
            TensorView::new(Stored::F32, shape.clone(), data).unwrap(),
        )
    });
    let weights = safetensors::serialize(views, None).unwrap();
    fs_err::write(folder.path().join("sae_weights.safetensors"), weights).unwrap();
    let mut all = json!({"architecture": "standard", "d_in": WIDTH, "d_sae": d_sae});
    let fields = all.as_object_mut().unwrap();
    fields.extend(config.as_object().unwrap().clone());
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    let metadata = metadata.as_object_mut().unwrap();
    metadata.insert("sae_lens_version".into(), "6.1.0".into());
    metadata
        .entry("hook_name")
        .or_insert_with(|| "blocks.1.hook_resid_post".into());
    fs_err::write(folder.path().join("cfg.json"), all.to_string()).unwrap();
    folder
}

fn load(folder: &Path, model: &Model) -> Result<Sae, LoadError> {
    Sae::load(folder, &SaeOptions::default(), model, &device())
}

fn tested(folder: &Path, model: &Model) -> Result<SelfTest, LoadError> {
    let mut sae = load(folder, model)?;
    assert_eq!(sae.info().self_test, None);
    sae.self_test(model)?;
    Ok(sae.info().self_test.clone().unwrap())
}

#[test]
fn a_perfect_sae_explains_everything_under_every_normalisation() {
    let model = model("llama");
    for normalise in ["none", "constant_norm_rescale", "layer_norm"] {
        let folder = identity(1.0, json!({"normalize_activations": normalise}));
        let result = tested(folder.path(), &model).unwrap();
        assert!(result.fvu < 1e-9, "{normalise}: {}", result.fvu);
        assert!(
            (result.l0 - WIDTH as f64).abs() < 1.0 && result.tokens > 1000,
            "{result:?}"
        );
        assert!(result.warnings.is_empty(), "{result:?}");
        let always = result.dense.iter().filter(|(_, density)| *density > 0.5);
        assert_eq!(always.count(), WIDTH, "every latent fires on every token");
    }
}

#[test]
fn every_kind_of_site_can_be_read() {
    for name in ["llama", "gpt2"] {
        let model = model(name);
        for site in [
            "hook_resid_pre",
            "hook_resid_mid",
            "hook_attn_out",
            "hook_mlp_out",
            "attn.hook_z",
        ] {
            let metadata = json!({"hook_name": format!("blocks.1.{site}"), "prepend_bos": false});
            let folder = identity(1.0, json!({"metadata": metadata}));
            assert!(
                tested(folder.path(), &model).unwrap().fvu < 1e-9,
                "{name}, {site}"
            );
        }
    }
}

#[test]
fn findings_are_told_in_words() {
    let model = model("llama");
    let declared = json!({"metadata": {"l0": 3.5}});
    let warnings = tested(identity(1.0, declared).path(), &model)
        .unwrap()
        .warnings;
    assert!(
        matches!(&warnings[..], [one] if one.contains("declares 3.5")),
        "{warnings:?}"
    );
    let warnings = tested(identity(4.0, json!({})).path(), &model)
        .unwrap()
        .warnings;
    assert!(
        matches!(&warnings[..], [one] if one.contains("worse than the mean")),
        "{warnings:?}"
    );
    let topk = json!({"architecture": "topk", "k": 8});
    assert_eq!(tested(identity(1.0, topk).path(), &model).unwrap().l0, 8.0);
}

#[test]
fn an_sae_without_finite_results_is_refused() {
    let error = tested(identity(1e38, json!({})).path(), &model("llama")).unwrap_err();
    assert_eq!(error.reason(), Reason::SelfTestFailed);
    assert!(error.to_string().contains("unexplained"), "{error}");
}

#[test]
fn an_sae_must_fit_its_model() {
    let model = model("llama");
    let refusal = |config| {
        load(identity(1.0, config).path(), &model)
            .map(|_| ())
            .unwrap_err()
    };
    let error = refusal(json!({"metadata": {"hook_name": "model.layers.2"}}));
    assert_eq!(error.reason(), Reason::UnknownHookPoint);
    assert!(error.to_string().contains("2 layers"), "{error}");
    let error = refusal(json!({"metadata": {"hook_name": "blocks.0.mlp.hook_post"}}));
    assert_eq!(error.reason(), Reason::ShapeMismatch);
    assert!(error.to_string().contains("W_enc"), "{error}");
}

fn lists(count: usize) -> LatentLists {
    LatentLists {
        logits: count,
        encoder: count,
        decoder: count,
    }
}

#[test]
fn a_latent_is_described() {
    let model = model("llama");
    let folder = identity(2.0, json!({}));
    let sae = load(folder.path(), &model).unwrap();
    let report = sae.latent(&model, 3, lists(4)).unwrap();
    assert_eq!(
        (report.latent, report.encoder_norm, report.decoder_norm),
        (3, 1.0, 2.0)
    );
    assert_eq!(
        (
            report.encoder_decoder_cosine,
            report.encoder_bias,
            report.threshold
        ),
        (Some(1.0), 0.0, None)
    );
    // All other directions are orthogonal, but for its own negative.
    assert_eq!(report.neighbours, [(0, 0.0), (1, 0.0), (2, 0.0), (4, 0.0)]);
    assert_eq!(report.encoder_neighbours, report.neighbours);
    let all = sae.latent(&model, 3, lists(100)).unwrap();
    for neighbours in [&all.neighbours, &all.encoder_neighbours] {
        assert_eq!(neighbours.len(), 63);
        assert_eq!(neighbours.last(), Some(&(35, -1.0)));
    }
    let none = sae.latent(&model, 3, LatentLists::default()).unwrap();
    assert!(none.top_logits.is_empty() && none.bottom_logits.is_empty());
    assert!(none.neighbours.is_empty() && none.encoder_neighbours.is_empty());

    let mut direction = vec![0.0; WIDTH];
    direction[3] = 2.0;
    let logits = model.unembed(device().from_host(direction, [1, WIDTH]));
    let mut logits: Vec<_> = (0u32..).zip(host_view(&logits).values().to_vec()).collect();
    logits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    assert_eq!(report.top_logits, logits[..4]);
    logits.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    assert_eq!(report.bottom_logits, logits[..4]);

    let error = sae.latent(&model, 64, lists(4)).unwrap_err();
    assert_eq!(
        error,
        ComputeError::UnknownLatent {
            latent: 64,
            d_sae: 64
        }
    );
    let folder = identity(
        1.0,
        json!({"metadata": {"hook_name": "blocks.0.attn.hook_z"}}),
    );
    let report = load(folder.path(), &model)
        .unwrap()
        .latent(&model, 0, lists(4))
        .unwrap();
    assert!(report.top_logits.is_empty() && report.bottom_logits.is_empty());
}

#[test]
fn masked_rows_are_empty() {
    let mut dense = SparseActivations::default();
    dense.push(3, 1.0);
    dense.end_row();
    dense.push(5, 2.0);
    dense.push(6, 1.0);
    dense.end_row();
    let spread = spread(dense, &[false, true, false, false, true]);
    assert_eq!(spread.check(), Ok(()));
    assert_eq!(spread.row_offsets, [0, 0, 1, 1, 1, 3]);
    assert_eq!(spread.row(4).0, [5, 6]);
}
