//! The goldens on this build's device: how far it is from transformers and SAELens.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use latentd_engine::golden;
use serde_json::json;

use super::Lines;

#[derive(Args, Debug)]
pub(super) struct FidelityArgs {
    /// The folder tests/golden
    #[arg(long)]
    goldens: PathBuf,
    /// Index of the device
    #[arg(long, default_value_t = 0)]
    device: usize,
}

/// One line for each golden: its worst tensor. Fails if any is beyond the tolerance.
pub(super) async fn check(args: FidelityArgs, lines: &Lines) -> anyhow::Result<()> {
    let (name, compared) = tokio::task::spawn_blocking(move || {
        let device = golden::Device::new(args.device)?;
        anyhow::Ok((device.name(), golden::compare(&args.goldens, &device)?))
    })
    .await??;
    let golden_of = |comparison: &golden::Comparison| {
        comparison
            .name
            .split('/')
            .take(2)
            .collect::<Vec<_>>()
            .join("/")
    };
    for group in compared.chunk_by(|a, b| golden_of(a) == golden_of(b)) {
        let worst = group
            .iter()
            .max_by(|a, b| a.difference.total_cmp(&b.difference));
        if let Some(worst) = worst {
            lines.emit(json!({
                "golden": golden_of(worst),
                "tensors": group.len(),
                "worst": worst.name,
                "difference": format!("{:.1e}", worst.difference),
                "passes": group.iter().all(golden::Comparison::passes),
            }))?;
        }
    }
    let failed = compared
        .iter()
        .filter(|comparison| !comparison.passes())
        .count();
    lines.emit(json!({ "device": name, "tensors": compared.len(), "beyond_tolerance": failed }))?;
    ensure!(
        failed == 0,
        "{failed} tensors differ by more than {:e} of their largest value",
        golden::TOLERANCE
    );
    Ok(())
}
