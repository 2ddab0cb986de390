//! SAELens folders against SAELens: what `tests/reference/saes.py` wrote is read and computed again, and files that are
//! damaged or ask for what is not supported are refused with their reason.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "helpers of tests; what is not as it should be fails them"
)]

use std::path::{Path, PathBuf};

use latentd_domain::{HasReason, Reason, SaeArchitecture, Scale, Selection, SparseActivations};
use latentd_nn::{
    Device, LoadError,
    golden::{NORM_FACTOR, TOLERANCE},
    sae::{Sae, SaeOptions},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saes")
}

fn device() -> Device {
    Device::with_threads(0, 2).unwrap()
}

struct Expected {
    input: Vec<f32>,
    activations: Vec<f32>,
    decoded: Vec<f32>,
    rows: usize,
}

fn expected(folder: &Path) -> Expected {
    let bytes = fs_err::read(folder.join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name| bytemuck::pod_collect_to_vec(file.tensor(name).unwrap().data());
    Expected {
        input: values("input"),
        activations: values("activations"),
        decoded: values("decoded"),
        rows: file.tensor("input").unwrap().shape()[0],
    }
}

fn options(name: &str) -> SaeOptions {
    let folds = name.contains("average");
    SaeOptions {
        norm_scaling_factor: folds.then_some(NORM_FACTOR),
        hook_point: None,
    }
}

fn encode(sae: &Sae, expected: &Expected, selection: &Selection) -> SparseActivations {
    let input = device().from_host(expected.input.clone(), [expected.rows, sae.info().d_in]);
    sae.encode(&input, &vec![true; expected.rows], selection, Scale::Raw)
        .unwrap()
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len());
    let scale = expected
        .iter()
        .fold(1e-6f32, |largest, value| largest.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= TOLERANCE * scale,
            "{what}: {found} at {i}, not {expected}"
        );
    }
}

fn dense(sparse: &SparseActivations, d_sae: usize) -> Vec<f32> {
    let mut out = vec![0.0; sparse.rows() * d_sae];
    for row in 0..sparse.rows() {
        let (latents, values) = sparse.row(row);
        for (&latent, &value) in latents.iter().zip(values) {
            out[row * d_sae + latent as usize] = value;
        }
    }
    out
}

#[test]
fn activations_and_reconstructions_are_saelens() {
    let mut folders = 0;
    for entry in fs_err::read_dir(goldens()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let sae = Sae::open(&folder, &options(&name), &device()).unwrap();
        let expected = expected(&folder);
        let (d_in, d_sae) = (sae.info().d_in, sae.info().d_sae);
        let sparse = encode(&sae, &expected, &Selection::AllFiring);
        let found = dense(&sparse, d_sae);
        let rows = found.chunks(d_sae).zip(expected.activations.chunks(d_sae));
        for (row, (found, expected)) in rows.enumerate() {
            close(found, expected, &name);
            // The same latents fire, but for those on the edge.
            for (latent, (a, b)) in found.iter().zip(expected).enumerate() {
                let same = (*a > 0.0) == (*b > 0.0);
                assert!(
                    same || a.max(*b) < 1e-5,
                    "{name}: row {row}, latent {latent}"
                );
            }
        }
        let decoded = sae.decode(&sparse, Scale::Raw).unwrap();
        for (found, expected) in decoded.chunks(d_in).zip(expected.decoded.chunks(d_in)) {
            close(found, expected, &name);
        }
        folders += 1;
    }
    assert_eq!(folders, 26);
}

#[test]
fn selections_are_parts_of_what_fires() {
    for name in ["standard", "gated", "jumprelu", "topk", "topk-rescale"] {
        let folder = goldens().join(name);
        let sae = Sae::open(&folder, &options(name), &device()).unwrap();
        let expected = expected(&folder);
        let all = encode(&sae, &expected, &Selection::AllFiring);
        let top = encode(&sae, &expected, &Selection::TopK(5));
        let set: Vec<u32> = (0..sae.info().d_sae as u32).step_by(3).collect();
        let some = encode(&sae, &expected, &Selection::Latents(set.clone().into()));
        for row in 0..expected.rows {
            let (latents, values) = all.row(row);
            let mut entries: Vec<(u32, f32)> = latents
                .iter()
                .copied()
                .zip(values.iter().copied())
                .collect();
            let chosen: Vec<_> = entries
                .iter()
                .copied()
                .filter(|(latent, _)| set.contains(latent))
                .collect();
            entries.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            entries.truncate(5);
            for (part, entries) in [(&top, entries), (&some, chosen)] {
                let (latents, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
                assert_eq!(
                    part.row(row),
                    (&latents[..], &values[..]),
                    "{name}, row {row}"
                );
            }
        }
    }
}

#[test]
fn scaling_by_decoder_norm_keeps_the_reconstruction() {
    for name in ["standard", "topk", "topk-rescale"] {
        let folder = goldens().join(name);
        let sae = Sae::open(&folder, &SaeOptions::default(), &device()).unwrap();
        let expected = expected(&folder);
        let input = device().from_host(expected.input.clone(), [expected.rows, sae.info().d_in]);
        let mask = vec![true; expected.rows];
        let scaled = sae
            .encode(&input, &mask, &Selection::AllFiring, Scale::DecoderNorm)
            .unwrap();
        let raw = encode(&sae, &expected, &Selection::AllFiring);
        assert_eq!(scaled.latents, raw.latents);
        // Where the activations carry the norm already, there is nothing left to scale.
        assert_eq!(
            scaled.activations == raw.activations,
            name == "topk-rescale"
        );
        let decoded = sae.decode(&scaled, Scale::DecoderNorm).unwrap();
        close(&decoded, &sae.decode(&raw, Scale::Raw).unwrap(), name);
    }
}

#[test]
fn masked_rows_do_not_count() {
    let folder = goldens().join("topk");
    let sae = Sae::open(&folder, &SaeOptions::default(), &device()).unwrap();
    let mut expected = expected(&folder);
    let all = encode(&sae, &expected, &Selection::AllFiring);
    let mask: Vec<bool> = (0..expected.rows).map(|row| row % 3 == 1).collect();
    // What is masked is not even looked at.
    expected.input[0] = f32::NAN;
    let input = device().from_host(expected.input.clone(), [expected.rows, sae.info().d_in]);
    let encode = |mask: &[bool]| sae.encode(&input, mask, &Selection::AllFiring, Scale::Raw);
    let some = encode(&mask).unwrap();
    assert_eq!(some.rows(), expected.rows);
    for (row, &wanted) in mask.iter().enumerate() {
        let nothing = (&[][..], &[][..]);
        assert_eq!(some.row(row), if wanted { all.row(row) } else { nothing });
    }
    let error = encode(&vec![true; expected.rows]).unwrap_err();
    assert_eq!(error.reason(), Reason::Internal);
    assert!(error.to_string().contains("row 0"), "{error}");
    assert!(encode(&[true]).is_err());
}

#[test]
fn the_info_says_what_the_file_says() {
    let info = |name: &str| {
        Sae::open(&goldens().join(name), &options(name), &device())
            .unwrap()
            .info()
            .clone()
    };
    let topk = info("topk-rescale");
    assert_eq!(
        (topk.architecture, topk.k),
        (SaeArchitecture::TopK, Some(8))
    );
    assert_eq!(
        (topk.declared_l0, topk.context_length),
        (Some(8.0), Some(32))
    );
    assert!(topk.rescale_acts_by_decoder_norm && topk.prepend_bos && topk.apply_b_dec_to_input);
    assert_eq!(topk.hook_point.to_string(), "blocks.1.hook_resid_post");
    assert_eq!(
        (topk.trained_on_model.as_str(), topk.digest.len()),
        ("tiny", 64)
    );
    assert_eq!(info("batchtopk").architecture, SaeArchitecture::JumpRelu);
    assert_eq!(info("standard-f16").stored_dtype, "f16");
    assert_eq!(info("standard-bf16").stored_dtype, "bf16");
    assert!(info("standard-hook-z").reshape_hook_z && info("pre6-hook-z-average").reshape_hook_z);
    assert!(!info("standard-keeps-b-dec").apply_b_dec_to_input);
    assert!(info("standard").resident_bytes > 2 * 16 * 64 * 4);
}

/// A copy of a golden folder, changed.
fn mutated(name: &str, change: impl FnOnce(&mut Value, &Path)) -> Result<Sae, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    for file in ["cfg.json", "sae_weights.safetensors"] {
        fs_err::copy(goldens().join(name).join(file), folder.path().join(file)).unwrap();
    }
    let config_path = folder.path().join("cfg.json");
    let mut config: Value = serde_json::from_slice(&fs_err::read(&config_path).unwrap()).unwrap();
    change(&mut config, folder.path());
    if config_path.exists() {
        fs_err::write(&config_path, config.to_string()).unwrap();
    }
    Sae::open(folder.path(), &options(name), &device())
}

/// Rewrites the weights with one tensor replaced; `None` takes it out.
fn with_tensor(folder: &Path, name: &str, tensor: Option<(Vec<usize>, Vec<f32>)>) {
    use safetensors::tensor::{Dtype, TensorView};
    let path = folder.join("sae_weights.safetensors");
    let bytes = fs_err::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let replaced: Option<(Vec<usize>, Vec<u8>)> =
        tensor.map(|(shape, values)| (shape, bytemuck::cast_slice(&values).to_vec()));
    let mut views: Vec<_> = file
        .tensors()
        .into_iter()
        .filter(|(other, _)| other != name)
        .collect();
    if let Some((shape, data)) = &replaced {
        views.push((
            name.to_owned(),
            TensorView::new(Dtype::F32, shape.clone(), data).unwrap(),
        ));
    }
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[track_caller]
fn refused(result: Result<Sae, LoadError>, reason: Reason, words: &str) {
    let error = result.map(|sae| sae.info().clone()).expect_err("refused");
    assert_eq!(error.reason(), reason, "{error}");
    assert!(
        error.to_string().contains(words),
        "`{error}` does not say `{words}`"
    );
}

#[test]
fn options_of_the_model_are_refused_where_they_change_values() {
    let with = |name: &str, option: &str| {
        mutated(name, |config, _| {
            let at = match config.get("metadata") {
                Some(_) => &mut config["metadata"],
                None => config,
            };
            at["model_from_pretrained_kwargs"] = json!({option: true});
        })
    };
    let (heads, values) = ("refactor_factored_attn_matrices", "fold_value_biases");
    let stream = "center_writing_weights";
    for name in ["standard-hook-z", "pre6-hook-z-average"] {
        refused(with(name, heads), Reason::UnsupportedSae, heads);
        refused(with(name, values), Reason::UnsupportedSae, values);
        assert!(with(name, stream).is_ok() && with(name, "fold_ln").is_ok());
    }
    refused(with("standard", stream), Reason::UnsupportedSae, stream);
    assert!(with("standard", heads).is_ok() && with("standard", values).is_ok());
    refused(
        with("standard", "revision"),
        Reason::UnsupportedSae,
        "revision",
    );
}

#[test]
fn what_is_not_supported_is_refused() {
    use Reason::{
        MalformedConfig, MissingNormFactor, ShapeMismatch, UnknownHookPoint, UnsupportedSae,
    };
    let (architecture, normalise) = ("/architecture", "/normalize_activations");
    let (reshape, hook_name) = ("/reshape_activations", "/metadata/hook_name");
    for (name, path, value, reason, words) in [
        (
            "standard",
            architecture,
            json!("transcoder"),
            UnsupportedSae,
            "jumprelu",
        ),
        (
            "standard",
            architecture,
            json!("batchtopk"),
            UnsupportedSae,
            "for inference",
        ),
        (
            "standard",
            architecture,
            Value::Null,
            MalformedConfig,
            "architecture",
        ),
        (
            "standard",
            normalise,
            json!("covariance_whitening"),
            UnsupportedSae,
            "layer_norm",
        ),
        (
            "standard",
            normalise,
            json!("expected_average_only_in"),
            MissingNormFactor,
            "factor",
        ),
        (
            "standard",
            reshape,
            json!("hook_z"),
            UnsupportedSae,
            "attn.hook_z",
        ),
        ("standard", reshape, json!("heads"), UnsupportedSae, "heads"),
        (
            "standard",
            hook_name,
            json!("blocks.1.hook_nothing"),
            UnknownHookPoint,
            "hook_nothing",
        ),
        (
            "standard",
            hook_name,
            Value::Null,
            MalformedConfig,
            "hook_name",
        ),
        (
            "standard",
            "/metadata/hook_head_index",
            json!(2),
            UnsupportedSae,
            "head 2",
        ),
        ("standard", "/d_in", json!(0), MalformedConfig, "d_in"),
        (
            "standard",
            "/d_sae",
            json!(4294967296u64),
            MalformedConfig,
            "d_sae",
        ),
        ("standard", "/d_sae", json!(63), ShapeMismatch, "W_enc"),
        ("standard", "/d_in", json!(17), ShapeMismatch, "W_enc"),
        (
            "standard-expected-average",
            normalise,
            json!("none"),
            UnsupportedSae,
            "takes none",
        ),
        ("topk", "/k", Value::Null, MalformedConfig, "`k` is missing"),
        ("topk", "/k", json!(65), MalformedConfig, "between 1 and"),
        ("topk", "/k", json!(0), MalformedConfig, "between 1 and"),
        (
            "topk",
            architecture,
            json!("jumprelu"),
            Reason::MissingTensor,
            "threshold",
        ),
        (
            "jumprelu",
            architecture,
            json!("standard"),
            UnsupportedSae,
            "threshold",
        ),
        (
            "pre6-topk",
            "/activation_fn_kwargs",
            json!({}),
            MalformedConfig,
            "kwargs.k",
        ),
        (
            "pre6-topk",
            "/activation_fn",
            json!("tanh-relu"),
            UnsupportedSae,
            "tanh-relu",
        ),
    ] {
        let change = |config: &mut Value, _: &Path| *config.pointer_mut(path).unwrap() = value;
        refused(mutated(name, change), reason, words);
    }
}

#[test]
fn a_norm_factor_must_be_given_and_possible() {
    let folder = goldens().join("standard-expected-average");
    let open = |factor| {
        let options = SaeOptions {
            norm_scaling_factor: factor,
            hook_point: None,
        };
        Sae::open(&folder, &options, &device())
    };
    refused(
        open(None),
        Reason::MissingNormFactor,
        "expected_average_only_in",
    );
    for factor in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        refused(open(Some(factor)), Reason::UnsupportedSae, "above 0");
    }
}

#[test]
fn the_hook_point_can_be_given() {
    let hook_point = Some("model.layers.4".parse().unwrap());
    let options = SaeOptions {
        norm_scaling_factor: None,
        hook_point,
    };
    let sae = Sae::open(&goldens().join("standard"), &options, &device()).unwrap();
    assert_eq!(
        sae.info().hook_point.to_string(),
        "blocks.4.hook_resid_post"
    );
    assert_eq!(sae.info().declared_hook_point, "blocks.1.hook_resid_post");
}

#[test]
fn wrong_tensors_are_refused() {
    let change = |name: &'static str, tensor| {
        mutated("standard", move |_, folder| {
            with_tensor(folder, name, tensor);
        })
    };
    refused(change("b_enc", None), Reason::MissingTensor, "b_enc");
    refused(
        change("b_dec", Some((vec![4, 4], vec![0.0; 16]))),
        Reason::ShapeMismatch,
        "b_dec",
    );
    refused(
        change("W_skip", Some((vec![1], vec![1.0]))),
        Reason::UnsupportedSae,
        "W_skip",
    );
    let mut nan = vec![0.0; 64];
    nan[7] = f32::NAN;
    refused(
        change("b_enc", Some((vec![64], nan))),
        Reason::NonFiniteWeights,
        "element 7",
    );
    let twos = change("scaling_factor", Some((vec![64], vec![2.0; 64])));
    refused(twos, Reason::UnsupportedSae, "scaling_factor");
    assert!(change("scaling_factor", Some((vec![64], vec![1.0; 64]))).is_ok());
    let huge = |_: &mut Value, folder: &Path| {
        with_tensor(folder, "r_mag", Some((vec![64], vec![100.0; 64])));
    };
    refused(mutated("gated", huge), Reason::NonFiniteWeights, "r_mag");
}

#[test]
fn files_that_are_not_there_are_named() {
    for file in ["cfg.json", "sae_weights.safetensors"] {
        let remove = |_: &mut Value, folder: &Path| fs_err::remove_file(folder.join(file)).unwrap();
        refused(mutated("standard", remove), Reason::PathNotReadable, file);
    }
    let nowhere = Sae::open(Path::new("/nowhere"), &SaeOptions::default(), &device());
    refused(nowhere, Reason::PathNotReadable, "nowhere");
}

/// Every file cut short at any length, and with any byte changed, is read or refused: nothing panics.
#[test]
fn damaged_files_never_panic() {
    let source = goldens().join("topk");
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let files = ["cfg.json", "sae_weights.safetensors"];
    for (damaged, other) in [(files[0], files[1]), (files[1], files[0])] {
        let bytes = fs_err::read(source.join(damaged)).unwrap();
        fs_err::copy(source.join(other), folder.path().join(other)).unwrap();
        let path = folder.path().join(damaged);
        // The header of the weights is at the front; behind it any number is as good as another.
        let interesting = bytes.len().min(700);
        for length in (0..interesting).step_by(3) {
            fs_err::write(&path, &bytes[..length]).unwrap();
            let result = Sae::open(folder.path(), &SaeOptions::default(), &device);
            assert!(result.is_err(), "{damaged} cut to {length}");
        }
        for position in 0..interesting {
            let mut bytes = bytes.clone();
            bytes[position] ^= 1 << (position % 8);
            fs_err::write(&path, &bytes).unwrap();
            drop(Sae::open(folder.path(), &SaeOptions::default(), &device));
        }
    }
}
