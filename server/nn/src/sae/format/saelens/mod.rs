//! SAELens folders: `cfg.json` and `sae_weights.safetensors`. `sparsity.safetensors`, where there is one, is not needed.
//!
//! Weights in f32, f16 or bf16 become f32. Nothing is guessed: an architecture, activation function, normalisation or option
//! that is not known, a tensor that is missing and a tensor that the architecture has no use for are refused.
//!
//! Source: SAELens 6 (`saes/*.py`, `loading/pretrained_sae_loaders.py`).

mod config;
mod model_options;
mod pre6;
mod tensors;

use std::path::{Path, PathBuf};

use latentd_domain::{HookPoint, Normalisation, SaeArchitecture, SaeInfo, Site};
use latentd_files::Interrupt;

use self::config::Config;
use super::{SaeOptions, SaeParts};
use crate::error::LoadError;

const CONFIG_FILE: &str = "cfg.json";
const WEIGHTS_FILE: &str = "sae_weights.safetensors";

/// A SAELens folder whose configuration was read.
pub(crate) struct Description {
    /// What the configuration says; `digest`, `stored_dtype` and `resident_bytes` are not known yet.
    pub(crate) info: SaeInfo,
    weights: PathBuf,
}

impl Description {
    /// Reads `cfg.json` of `folder`.
    pub(crate) fn read(folder: &Path, options: &SaeOptions) -> Result<Self, LoadError> {
        let config = Config::read(&folder.join(CONFIG_FILE))?;
        let refuse = |detail| LoadError::UnsupportedSae {
            path: folder.to_owned(),
            detail,
        };
        config.check_supported().map_err(refuse)?;
        let architecture = architecture(&config.architecture).map_err(refuse)?;
        let normalisation = normalisation(&config, options, folder)?;
        let hook_point = hook_point(&config, options, folder)?;
        model_options::check(&config.model_options, hook_point).map_err(refuse)?;
        let reshape_hook_z = reshape(&config, hook_point).map_err(refuse)?;
        let k = k(&config, architecture).map_err(|detail| LoadError::MalformedConfig {
            path: config.path.clone(),
            detail,
        })?;
        let info = SaeInfo {
            path: folder.display().to_string(),
            format: "saelens",
            architecture,
            hook_point,
            declared_hook_point: config.hook_name.unwrap_or_default(),
            d_in: config.d_in,
            d_sae: config.d_sae,
            k,
            normalisation,
            apply_b_dec_to_input: config.apply_b_dec_to_input,
            rescale_acts_by_decoder_norm: architecture == SaeArchitecture::TopK
                && config.rescale_acts_by_decoder_norm,
            reshape_hook_z,
            prepend_bos: config.prepend_bos,
            context_length: config.context_size,
            trained_on_model: config.model_name,
            digest: String::new(),
            stored_dtype: "f32",
            resident_bytes: 0,
            declared_l0: k.map(|k| k as f64).or(config.l0),
            neuronpedia_id: config.neuronpedia_id,
            self_test: None,
        };
        Ok(Self {
            info,
            weights: folder.join(WEIGHTS_FILE),
        })
    }

    /// Reads the weights.
    pub(crate) fn read_parts(self, interrupt: &Interrupt) -> Result<SaeParts, LoadError> {
        tensors::read(&self.weights, self.info, interrupt)
    }
}

/// `batchtopk` and `matryoshka_batchtopk` are training architectures, which SAELens saves as `jumprelu`.
fn architecture(name: &str) -> Result<SaeArchitecture, String> {
    SaeArchitecture::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = SaeArchitecture::ALL.iter().map(|known| known.as_str()).collect();
        format!(
            "the architecture `{name}` is not supported; supported are {} \
             (batchtopk and matryoshka_batchtopk as SAELens saves them for inference, which is jumprelu)",
            known.join(", ")
        )
    })
}

fn k(config: &Config, architecture: SaeArchitecture) -> Result<Option<usize>, String> {
    if architecture != SaeArchitecture::TopK {
        return Ok(None);
    }
    match config.k {
        Some(k) if (1..=config.d_sae).contains(&k) => Ok(Some(k)),
        Some(k) => Err(format!(
            "`k` is {k} and must lie between 1 and d_sae, {}",
            config.d_sae
        )),
        None => Err("`k` is missing, without which a topk SAE is not defined".to_owned()),
    }
}

fn normalisation(
    config: &Config,
    options: &SaeOptions,
    folder: &Path,
) -> Result<Normalisation, LoadError> {
    let refuse = |detail| LoadError::UnsupportedSae {
        path: folder.to_owned(),
        detail,
    };
    let name = config.normalize_activations.as_str();
    if let (Some(_), true) = (
        options.norm_scaling_factor,
        name != "expected_average_only_in",
    ) {
        return Err(refuse(format!(
            "a normalisation factor is given and the SAE normalises by `{name}`, which takes none"
        )));
    }
    match name {
        "none" => Ok(Normalisation::None),
        "constant_norm_rescale" => Ok(Normalisation::ConstantNormRescale),
        "layer_norm" => Ok(Normalisation::LayerNorm),
        "expected_average_only_in" => {
            match options.norm_scaling_factor.or(config.norm_scaling_factor) {
                None => Err(LoadError::MissingNormFactor {
                    path: folder.to_owned(),
                }),
                Some(factor) if factor.is_normal() && factor > 0.0 => {
                    Ok(Normalisation::ExpectedAverageOnlyIn { factor })
                }
                Some(factor) => Err(refuse(format!(
                    "the normalisation factor is {factor} and must be finite and above 0"
                ))),
            }
        }
        _ => Err(refuse(format!(
            "`normalize_activations` is `{name}`, which is not supported; supported are none, \
             expected_average_only_in, constant_norm_rescale, layer_norm"
        ))),
    }
}

fn hook_point(
    config: &Config,
    options: &SaeOptions,
    folder: &Path,
) -> Result<HookPoint, LoadError> {
    if let Some(hook_point) = options.hook_point {
        return Ok(hook_point);
    }
    let name = config
        .hook_name
        .as_deref()
        .ok_or_else(|| LoadError::MalformedConfig {
            path: config.path.clone(),
            detail: "it does not say at which hook point the SAE belongs (`hook_name`)".to_owned(),
        })?;
    name.parse().map_err(|source| LoadError::UnknownHookPoint {
        path: folder.to_owned(),
        source,
    })
}

/// Whether the input is flattened from heads. The model gives `hook_z` flattened, and nothing else has heads to flatten.
fn reshape(config: &Config, hook_point: HookPoint) -> Result<bool, String> {
    match config.reshape_activations.as_str() {
        "none" => Ok(false),
        "hook_z" if hook_point.site == Site::AttnZ => Ok(true),
        "hook_z" => Err(format!(
            "`reshape_activations` is hook_z, which belongs to attn.hook_z and not to {hook_point}"
        )),
        other => Err(format!(
            "`reshape_activations` is `{other}`, which is not supported; supported are none, hook_z"
        )),
    }
}
