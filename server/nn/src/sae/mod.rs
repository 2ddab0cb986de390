//! SAEs: their mathematics ([`arch`]), their files ([`format`]), their test at load ([`self_test`]) and what can be said of one
//! latent ([`latent`]).
//!
//! An [`Sae`] is read once, checked against its model, tested on a built-in text, and from then on encodes and decodes.

mod arch;
mod format;
mod latent;
mod self_test;
#[cfg(test)]
mod tests;

use std::path::Path;

use latentd_domain::{HookPoint, SaeInfo, Scale, Selection, SparseActivations};
use latentd_files::Interrupt;
use rayon::prelude::*;

#[cfg(any(test, not(feature = "cuda")))]
pub(crate) use self::arch::{ActivationRule, LANES};
#[cfg(test)]
pub(crate) use self::arch::{Gated, JumpRelu, Standard, TopK};
pub(crate) use self::arch::{LatentVector, Rule};
pub use self::latent::{Direction, LatentLists, LatentReport};
use self::{
    arch::{Decoder, InputPipeline, input::TokenStatistics},
    format::{Description, SaeParts},
};
use crate::{
    device::{Device, Tensor, host_view},
    encode::{Encoder, Request},
    error::{ComputeError, LoadError},
    model::Model,
};

/// What a caller may say of an SAE that its files do not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaeOptions {
    /// Factor of `expected_average_only_in`; refused with any other normalisation.
    pub norm_scaling_factor: Option<f32>,
    /// Hook point in place of the one in the file.
    pub hook_point: Option<HookPoint>,
}

/// What an encode is to return.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Which latents of each row.
    pub selection: &'a Selection,
    /// Unit of the activations.
    pub scale: Scale,
    /// Most activations of all rows together; more fail.
    pub max_entries: usize,
}

/// An SAE on the device.
#[derive(Debug)]
pub struct Sae {
    info: SaeInfo,
    input: InputPipeline,
    encoder: Encoder,
    decoder: Decoder,
    device: Device,
}

impl Sae {
    /// Reads the SAE in the folder `path`, for `model`.
    ///
    /// # Errors
    ///
    /// As [`Sae::open`]; and [`LoadError::UnknownHookPoint`] or [`LoadError::ShapeMismatch`] if the SAE does not fit the model, in
    /// which case its weights are not read.
    pub fn load(
        path: &Path,
        options: &SaeOptions,
        model: &Model,
        device: &Device,
    ) -> Result<Self, LoadError> {
        Self::load_until(path, options, (model, device), &Interrupt::new())
    }

    /// [`Sae::load`], unless `interrupt` is raised before.
    ///
    /// # Errors
    ///
    /// As [`Sae::load`], and [`LoadError::Interrupted`].
    pub fn load_until(
        path: &Path,
        options: &SaeOptions,
        (model, device): (&Model, &Device),
        interrupt: &Interrupt,
    ) -> Result<Self, LoadError> {
        let description = Description::read(path, options)?;
        let info = description.info();
        info.hook_point
            .within(model.info().n_layers)
            .map_err(|source| LoadError::UnknownHookPoint {
                path: path.to_owned(),
                source,
            })?;
        let width = model.width(info.hook_point.site);
        if info.d_in != width {
            return Err(LoadError::ShapeMismatch {
                path: path.to_owned(),
                tensor: "W_enc".to_owned(),
                expected: vec![width, info.d_sae],
                found: vec![info.d_in, info.d_sae],
            });
        }
        Ok(Self::from_parts(description.read_parts(interrupt)?, device))
    }

    /// Reads the SAE in the folder `path` without a model that it must fit.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or are malformed, options that are not supported, and tensors that are missing, of the wrong
    /// shape, or not finite.
    pub fn open(path: &Path, options: &SaeOptions, device: &Device) -> Result<Self, LoadError> {
        Ok(Self::from_parts(
            Description::read(path, options)?.read_parts(&Interrupt::new())?,
            device,
        ))
    }

    fn from_parts(parts: SaeParts, device: &Device) -> Self {
        let SaeParts {
            mut info,
            w_enc,
            w_dec,
            b_dec,
            rule,
        } = parts;
        let offset = info.apply_b_dec_to_input.then(|| b_dec.clone());
        let input = InputPipeline::new(info.normalisation, offset);
        let (encoder, decoder) = device.install(|| {
            let encoder = Encoder::new(w_enc, info.d_in, rule, device);
            (
                encoder,
                Decoder::new(w_dec, b_dec, info.rescale_acts_by_decoder_norm),
            )
        });
        info.resident_bytes = (encoder.bytes() + decoder.bytes()) as u64;
        Self {
            info,
            input,
            encoder,
            decoder,
            device: device.clone(),
        }
    }

    /// What is known of it.
    pub fn info(&self) -> &SaeInfo {
        &self.info
    }

    /// All that [`Sae::encode_within`] gives, however much it is.
    ///
    /// # Errors
    ///
    /// As [`Sae::encode_within`].
    pub fn encode(
        &self,
        input: &Tensor<2>,
        mask: &[bool],
        selection: &Selection,
        scale: Scale,
    ) -> Result<SparseActivations, ComputeError> {
        let wanted = Wanted {
            selection,
            scale,
            max_entries: usize::MAX,
        };
        self.encode_within(input, mask, wanted)
    }

    /// The latents that fire on the rows of `input`, `[rows, d_in]`, for which `mask` is true; the other rows are empty and
    /// cost nothing. What is over the budget is not computed to the end.
    ///
    /// With [`Scale::DecoderNorm`] an activation is multiplied by the norm of the row that decodes it. That norm is 1 where the
    /// SAE rescales by decoder norm.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownLatent`] if the selection names a latent that does not exist; [`ComputeError::Failed`] if the shapes do
    /// not fit or a row that is encoded holds NaN or infinity; [`ComputeError::TooManyActivations`].
    pub fn encode_within(
        &self,
        input: &Tensor<2>,
        mask: &[bool],
        wanted: Wanted<'_>,
    ) -> Result<SparseActivations, ComputeError> {
        let Wanted {
            selection,
            scale,
            max_entries,
        } = wanted;
        let [rows, width] = input.dims();
        if (rows, width) != (mask.len(), self.info.d_in) {
            return Err(ComputeError::Failed {
                detail: format!(
                    "the input is [{rows}, {width}], with {} rows of a mask and d_in {}",
                    mask.len(),
                    self.info.d_in
                ),
            });
        }
        let view = host_view(input);
        let factors = self.decoder.scale_factors(scale);
        self.device.install(|| {
            let (prepared, statistics) = self.prepare(view.values(), mask)?;
            let rows = statistics.len();
            let request = Request {
                inputs: &prepared,
                rows,
                selection,
                factors,
                max_entries,
            };
            let dense = self.encoder.encode(&request)?;
            Ok(spread(dense, mask))
        })
    }

    /// The rows for which `mask` is true, prepared for the encoder and laid back to back, and what that took out of each.
    fn prepare(
        &self,
        values: &[f32],
        mask: &[bool],
    ) -> Result<(Vec<f32>, Vec<TokenStatistics>), ComputeError> {
        let width = self.info.d_in;
        let wanted: Vec<(usize, &[f32])> = values
            .chunks_exact(width)
            .enumerate()
            .zip(mask)
            .filter_map(|(row, wanted)| wanted.then_some(row))
            .collect();
        let mut prepared = vec![0.0; wanted.len() * width];
        let statistics = prepared
            .par_chunks_exact_mut(width)
            .zip(&wanted)
            .map(|(out, (row, x))| {
                let statistics = self.input.prepare(x, out);
                if is_finite(out) {
                    return Ok(statistics);
                }
                let detail = format!(
                    "row {row} at {} holds NaN or infinity",
                    self.info.hook_point
                );
                Err(ComputeError::Failed { detail })
            })
            .collect::<Result<_, _>>()?;
        Ok((prepared, statistics))
    }

    /// Dense vectors of sparse rows: `rows · d_in` values, row-major.
    ///
    /// They lie in the space of the model, except where the SAE normalises each token: what that took out is not known here, and
    /// the vectors stay in the SAE's normalised space.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownLatent`] if a latent is not below `d_sae`; [`ComputeError::Failed`] if the arrays do not fit together.
    pub fn decode(
        &self,
        activations: &SparseActivations,
        scale: Scale,
    ) -> Result<Vec<f32>, ComputeError> {
        self.device
            .install(|| self.decoder.decode(activations, scale))
    }
}

/// Whether no value is NaN or infinite. One pass without a branch, which becomes vector code.
fn is_finite(values: &[f32]) -> bool {
    !values
        .iter()
        .fold(false, |bad, value| bad | !value.is_finite())
}

/// Puts the rows of `dense` where `mask` is true, and empty rows where it is not.
fn spread(mut dense: SparseActivations, mask: &[bool]) -> SparseActivations {
    if mask.iter().all(|&wanted| wanted) {
        return dense;
    }
    let mut ends = dense.row_offsets.iter().skip(1);
    let mut offsets = Vec::with_capacity(mask.len() + 1);
    let mut end = 0;
    offsets.push(end);
    for &wanted in mask {
        if wanted {
            end = ends.next().copied().unwrap_or(end);
        }
        offsets.push(end);
    }
    dense.row_offsets = offsets;
    dense
}
