//! The keys of rotary positions in GGUF metadata, resolved as llama.cpp does it (`llama_model::load_hparams`): the type is
//! `linear` where the file does not say, and the factor stands under `rope.scaling.factor`, else under its older name
//! `rope.scale_linear`.

use super::header::Header;
use crate::weights::{
    RopeConfig, RopeScaling,
    config::{Refusal, positive},
};

/// Factors that divide the rope frequencies, where the model has them.
pub(super) const FACTORS: &str = "rope_freqs.weight";

/// The rope of a llama whose heads have the width `d_head`. `factors` reads [`FACTORS`].
pub(super) fn read(
    header: &Header,
    d_head: usize,
    factors: impl FnOnce(&str) -> Option<Vec<f32>>,
) -> Result<RopeConfig, Refusal> {
    let metadata = &header.metadata;
    let number = |key: &str| metadata.float(key).map_err(Refusal::Malformed);
    let rotated = metadata
        .unsigned("llama.rope.dimension_count")
        .map_err(Refusal::Malformed)?;
    if rotated.is_some_and(|width| width != d_head as u64) {
        return Err(Refusal::Unsupported(format!(
            "`llama.rope.dimension_count` is not the width of a head, {d_head}: rotating a part of each head is not \
             supported"
        )));
    }
    let theta = number("llama.rope.freq_base")?.unwrap_or(RopeConfig::DEFAULT_THETA);
    let theta = positive("llama.rope.freq_base", theta)?;
    let factor = scale(header)?;
    if !header.tensors.contains_key(FACTORS) {
        let scaling = match factor {
            1.0 => RopeScaling::None,
            factor => RopeScaling::Linear { factor },
        };
        return Ok(RopeConfig { theta, scaling });
    }
    let half = d_head / 2;
    let factors = factors(FACTORS)
        .filter(|factors| {
            factors.len() == half && factors.iter().all(|f| f.is_finite() && *f > 0.0)
        })
        .ok_or_else(|| Refusal::Malformed(format!("`{FACTORS}` is not {half} positive numbers")))?;
    let both = factors.iter().map(|f| f * factor as f32).collect();
    Ok(RopeConfig {
        theta,
        scaling: RopeScaling::Factors(both),
    })
}

/// What all frequencies are divided by.
fn scale(header: &Header) -> Result<f64, Refusal> {
    const NAMES: [&str; 2] = ["llama.rope.scaling.factor", "llama.rope.scale_linear"];
    let metadata = &header.metadata;
    let kind = metadata
        .string("llama.rope.scaling.type")
        .map_err(Refusal::Malformed)?
        .unwrap_or("linear");
    match kind {
        "none" => Ok(1.0),
        "linear" => match NAMES.into_iter().find(|name| metadata.contains(name)) {
            None => Ok(1.0),
            // llama.cpp takes 0 for no scaling.
            Some(name) => match metadata.float(name).map_err(Refusal::Malformed)? {
                None | Some(0.0) => Ok(1.0),
                Some(factor) => positive(name, factor),
            },
        },
        other => Err(Refusal::Unsupported(format!(
            "rope scaling `{other}` is not supported; supported are: none, linear"
        ))),
    }
}
