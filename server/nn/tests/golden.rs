//! Every golden within tolerance on this build's device, with each kind of kernels.

use std::path::Path;

use latentd_nn::{Device, device::Backend, golden, kernels::Portable};

#[test]
fn every_golden_is_within_tolerance() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let compared = golden::compare(&goldens, &Device::new(0).unwrap()).unwrap();
    let failed: Vec<_> = compared
        .iter()
        .filter(|comparison| !comparison.passes())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(
        compared.iter().any(|c| c.name.starts_with("models/llama/")),
        "{}",
        compared.len()
    );
    assert!(compared.iter().any(|c| c.name.starts_with("models/gpt2/")));
    assert!(compared.iter().any(|c| c.name.starts_with("saes/topk/")));
    let sentences = |c: &golden::Comparison| c.name.starts_with("sentences/mean/");
    assert!(compared.iter().any(sentences));
}

/// Whole models and sentence encoders as burn's operations, which is what a GPU computes and what gradients go through.
#[test]
fn every_golden_is_within_tolerance_on_portable_kernels() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let device = Device::new(0).unwrap();
    let compared = golden::compare_layers::<Portable<Backend>>(&goldens, &device).unwrap();
    let failed: Vec<_> = compared
        .iter()
        .filter(|comparison| !comparison.passes())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for golden in ["models/llama/", "models/gpt2/", "sentences/mean/"] {
        assert!(
            compared.iter().any(|c| c.name.starts_with(golden)),
            "{golden} is missing"
        );
    }
}
