//! File layouts of SAEs. Each format is one folder here and turns its files into the same [`SaeParts`]; the mathematics live in
//! [`super::arch`].
//!
//! Reading goes in two steps, so that an SAE that does not fit the model is refused before its weights are read: a
//! [`Description`] from the configuration, then the parts.

pub(crate) mod saelens;

use std::path::Path;

use latentd_domain::SaeInfo;
use latentd_files::Interrupt;

use super::{SaeOptions, arch::Rule};
use crate::error::LoadError;

/// What the configuration of an SAE says.
pub(crate) enum Description {
    /// A SAELens folder.
    SaeLens(saelens::Description),
}

/// An SAE in host memory.
pub(crate) struct SaeParts {
    /// What is known of it; `resident_bytes` and `self_test` are filled in later.
    pub(crate) info: SaeInfo,
    /// `W_enc`, `[d_in, d_sae]`, row-major.
    pub(crate) w_enc: Vec<f32>,
    /// `W_dec`, `[d_sae, d_in]`, row-major.
    pub(crate) w_dec: Vec<f32>,
    /// `b_dec`, `[d_in]`.
    pub(crate) b_dec: Vec<f32>,
    /// Which latents fire, and how strongly.
    pub(crate) rule: Rule,
}

impl Description {
    /// Reads the configuration in `path` and finds out its format.
    pub(crate) fn read(path: &Path, options: &SaeOptions) -> Result<Self, LoadError> {
        saelens::Description::read(path, options).map(Self::SaeLens)
    }

    /// What the configuration says of the SAE.
    pub(crate) fn info(&self) -> &SaeInfo {
        match self {
            Self::SaeLens(description) => &description.info,
        }
    }

    /// Reads the weights.
    pub(crate) fn read_parts(self, interrupt: &Interrupt) -> Result<SaeParts, LoadError> {
        match self {
            Self::SaeLens(description) => description.read_parts(interrupt),
        }
    }
}
