//! `sae_weights.safetensors`: which tensors an architecture has, and what is folded into them at load.

use std::path::Path;

use latentd_domain::{Normalisation, SaeArchitecture, SaeInfo};
use latentd_files::Interrupt;

use super::SaeParts;
use crate::{
    error::LoadError,
    sae::arch::{Gated, JumpRelu, LatentVector, Rule, Standard, TopK, decoder::euclidean_norm},
    weights::Checkpoint,
};

/// What SAELens wrote for a while beside the weights; without meaning where it is all ones.
const SCALING_FACTOR: &str = "scaling_factor";

/// How far from 1 a scaling factor may lie and still be 1: `torch.allclose`.
const ONES_TOLERANCE: f32 = 1e-5;

/// Reads the weights of the SAE that `info` describes.
pub(super) fn read(
    path: &Path,
    mut info: SaeInfo,
    interrupt: &Interrupt,
) -> Result<SaeParts, LoadError> {
    let mut file = Checkpoint::open_file(path, interrupt)?;
    let shapes = shapes(&info);
    file.require(&shapes)?;
    check_scaling_factor(&mut file, info.d_sae)?;
    let (d_in, d_sae) = (info.d_in, info.d_sae);
    let mut w_enc = file.take("W_enc", &[d_in, d_sae])?.data;
    let mut w_dec = file.take("W_dec", &[d_sae, d_in])?.data;
    let mut b_dec = file.take("b_dec", &[d_in])?.data;
    if let Normalisation::ExpectedAverageOnlyIn { factor } = info.normalisation {
        fold(factor, &mut w_enc, [&mut w_dec, &mut b_dec]);
    }
    let rule = rule(&mut file, &info, &w_dec)?;
    refuse_unused(&file)?;
    info.digest = file.digest()?;
    info.stored_dtype = match file.dtype("W_enc") {
        Some("f16") => "f16",
        Some("bf16") => "bf16",
        _ => "f32",
    };
    Ok(SaeParts {
        info,
        w_enc,
        w_dec,
        b_dec,
        rule,
    })
}

/// Names and shapes of the tensors of an architecture.
fn shapes(info: &SaeInfo) -> Vec<(String, Vec<usize>)> {
    let (d_in, d_sae) = (info.d_in, info.d_sae);
    let vectors: &[&str] = match info.architecture {
        SaeArchitecture::Standard | SaeArchitecture::TopK => &["b_enc"],
        SaeArchitecture::JumpRelu => &["b_enc", "threshold"],
        SaeArchitecture::Gated => &["b_gate", "r_mag", "b_mag"],
    };
    let matrices = [
        ("W_enc", vec![d_in, d_sae]),
        ("W_dec", vec![d_sae, d_in]),
        ("b_dec", vec![d_in]),
    ];
    let matrices = matrices
        .into_iter()
        .map(|(name, shape)| (name.to_owned(), shape));
    matrices
        .chain(vectors.iter().map(|&name| (name.to_owned(), vec![d_sae])))
        .collect()
}

/// What `SAE.fold_activation_norm_scaling_factor` does: the encoder sees `x · factor`, the decoder gives `x̂`.
fn fold(factor: f32, encoder: &mut [f32], decoder: [&mut Vec<f32>; 2]) {
    for weight in encoder {
        *weight *= factor;
    }
    for weight in decoder.into_iter().flatten() {
        *weight /= factor;
    }
}

fn rule(file: &mut Checkpoint, info: &SaeInfo, w_dec: &[f32]) -> Result<Rule, LoadError> {
    let d_sae = info.d_sae;
    let mut vector =
        |name: &str| Ok::<_, LoadError>(LatentVector::from(file.take(name, &[d_sae])?.data));
    Ok(match info.architecture {
        SaeArchitecture::Standard => Rule::Standard(Standard {
            bias: vector("b_enc")?,
        }),
        SaeArchitecture::JumpRelu => Rule::JumpRelu(JumpRelu {
            bias: vector("b_enc")?,
            threshold: vector("threshold")?,
        }),
        SaeArchitecture::Gated => {
            let (gate_bias, magnitude_bias) = (vector("b_gate")?, vector("b_mag")?);
            let r_mag = vector("r_mag")?;
            let magnitude_scale: LatentVector = r_mag.values().iter().map(|r| r.exp()).collect();
            let overflow = magnitude_scale
                .values()
                .iter()
                .enumerate()
                .find(|(_, value)| !value.is_finite());
            if let Some((index, &value)) = overflow {
                let tensor = "e^r_mag".to_owned();
                return Err(LoadError::NonFiniteWeights {
                    path: file.path().to_owned(),
                    tensor,
                    index,
                    value,
                });
            }
            Rule::Gated(Gated {
                gate_bias,
                magnitude_scale,
                magnitude_bias,
            })
        }
        SaeArchitecture::TopK => {
            let factor = if info.rescale_acts_by_decoder_norm {
                w_dec.chunks_exact(info.d_in).map(euclidean_norm).collect()
            } else {
                vec![1.0; d_sae].into()
            };
            Rule::TopK(TopK {
                bias: vector("b_enc")?,
                factor,
                k: info.k.unwrap_or(d_sae),
            })
        }
    })
}

/// A scaling factor of ones is dropped, as SAELens drops it; any other changes the activations of a fine-tuned SAE.
fn check_scaling_factor(file: &mut Checkpoint, d_sae: usize) -> Result<(), LoadError> {
    if !file.contains(SCALING_FACTOR) {
        return Ok(());
    }
    let factors = file.take(SCALING_FACTOR, &[d_sae])?.data;
    if factors
        .iter()
        .all(|factor| (factor - 1.0).abs() <= ONES_TOLERANCE)
    {
        return Ok(());
    }
    Err(LoadError::UnsupportedSae {
        path: file.path().to_owned(),
        detail: format!(
            "its `{SCALING_FACTOR}` is not all ones: SAEs with fine-tuned scales are not supported"
        ),
    })
}

/// A tensor that the architecture has no use for means that the SAE is another one than its configuration says.
fn refuse_unused(file: &Checkpoint) -> Result<(), LoadError> {
    let unused = file.unused();
    if unused.is_empty() {
        return Ok(());
    }
    Err(LoadError::UnsupportedSae {
        path: file.path().to_owned(),
        detail: format!(
            "the architecture has no use for the tensors {}",
            unused.join(", ")
        ),
    })
}
