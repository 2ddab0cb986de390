//! Gradients against those of PyTorch's autograd.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its goldens has failed"
)]

use std::path::{Path, PathBuf};

use latentd_domain::{Dtype, HookPoint, Site};
use latentd_files::Interrupt;
use latentd_nn::{
    Captured, Device, Logit, Model, PackedTokens, Taps, device::host_view, weights::Checkpoint,
};

/// Largest difference allowed, as a share of the largest value of a tensor.
const TOLERANCE: f32 = 1e-4;

/// `TOKEN` of `tests/reference/gradients.py`.
const TOKEN: u32 = 42;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(path)
}

/// The token ids of the prompts of `tests/golden/models`.
fn prompts() -> Vec<Vec<u32>> {
    #[derive(serde::Deserialize)]
    struct Prompt {
        ids: Vec<u32>,
    }
    let text = fs_err::read_to_string(golden("prompts.json")).unwrap();
    let prompts: Vec<Prompt> = serde_json::from_str(&text).unwrap();
    prompts.into_iter().map(|prompt| prompt.ids).collect()
}

fn load(name: &str) -> Model {
    Model::load(&golden(name), Dtype::F32, &Device::new(0).unwrap()).unwrap()
}

fn residuals() -> Taps {
    let residual = |point: &HookPoint| {
        matches!(
            point.site,
            Site::ResidPre | Site::ResidMid | Site::ResidPost
        )
    };
    Taps::new(HookPoint::all(2).into_iter().filter(residual))
}

#[test]
fn the_gradient_of_a_logit_to_every_residual_is_that_of_pytorch() {
    for name in ["llama", "gpt2"] {
        let model = load(name);
        let path = golden(&format!("{name}/gradients.safetensors"));
        let mut expected = Checkpoint::open_file(&path, &Interrupt::new()).unwrap();
        for (prompt, ids) in prompts().iter().enumerate() {
            let tokens = PackedTokens::new([ids.as_slice()]);
            let of = Logit {
                row: ids.len() - 1,
                token: TOKEN,
            };
            let found = model.gradients(&tokens, of, &residuals()).unwrap();
            for &point in residuals().points() {
                let found = found.get(point).unwrap();
                let expected = expected
                    .take(&format!("{prompt}.{point}"), &found.dims())
                    .unwrap()
                    .data;
                let scale = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                for (found, expected) in host_view(found).values().iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() <= TOLERANCE * scale,
                        "{name} {prompt}.{point}: {found} where PyTorch has {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_traced_copy_is_there_when_it_is_wanted() {
    let model = load("llama");
    assert_eq!(model.traced_bytes(), 0);
    let tokens = PackedTokens::new([&[1, 2, 3][..], &[4, 5][..]]);
    let of = Logit { row: 2, token: 7 };
    let at = Taps::new([HookPoint::new(0, Site::ResidPre)]);
    let first = model.gradients(&tokens, of, &at).unwrap();
    assert!(model.traced_bytes() >= 4 * model.info().parameters);
    model.release_traced();
    assert_eq!(model.traced_bytes(), 0);
    let second = model.gradients(&tokens, of, &at).unwrap();
    let values = |captured: &Captured| {
        host_view(captured.get(at.points()[0]).unwrap())
            .values()
            .to_vec()
    };
    assert_eq!(values(&first), values(&second));
    // The other sequence has no part in it.
    let width = model.width(Site::ResidPre);
    assert!(
        values(&first)[3 * width..]
            .iter()
            .all(|value| *value == 0.0)
    );
    assert!(
        values(&first)[..3 * width]
            .iter()
            .any(|value| *value != 0.0)
    );
}

#[test]
fn what_cannot_be_differentiated_is_refused() {
    let model = load("gpt2");
    let tokens = PackedTokens::new([&[1, 2, 3][..]]);
    let of = |row, token| Logit { row, token };
    let at = Taps::new([HookPoint::new(2, Site::ResidPre)]);
    let none = Taps::default();
    assert!(model.gradients(&tokens, of(3, 0), &none).is_err());
    assert!(model.gradients(&tokens, of(0, 272), &none).is_err());
    assert!(model.gradients(&tokens, of(0, 0), &at).is_err());
}

#[test]
fn a_model_whose_files_have_changed_is_not_traced() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        for entry in fs_err::read_dir(golden(name)).unwrap() {
            let entry = entry.unwrap();
            fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    };
    copy("llama");
    let model = Model::load(folder.path(), Dtype::F32, &Device::new(0).unwrap()).unwrap();
    fs_err::remove_file(folder.path().join("model.safetensors")).unwrap();
    copy("llama-sharded");
    let tokens = PackedTokens::new([&[1, 2, 3][..]]);
    let of = Logit { row: 2, token: 7 };
    let error = model.gradients(&tokens, of, &Taps::default()).unwrap_err();
    assert!(error.to_string().contains("has changed"), "{error}");
}
