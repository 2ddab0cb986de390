//! Windows of a cache shown for a latent.

use serde::{Deserialize, Serialize};

use crate::autointerp::ExampleId;

/// How examples of a latent are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExampleMode {
    /// The highest peaks, strongest first.
    #[default]
    Top,
    /// Slices of equal count over windows ordered by peak: delphi's quantiles; 0 is the strongest.
    Quantile,
    /// Intervals of equal width from 0 to the highest peak: SAEDashboard's intervals; 0 is the strongest.
    Bins,
    /// Windows where the latent fires, at random.
    Random,
    /// Windows where it does not fire, at random.
    NonActivating,
}

/// Where a window lies around its peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centring {
    /// The peak three quarters into the window, as far as the row allows.
    #[default]
    Peak,
    /// The row is cut into windows from its start, and the one that holds the peak is taken.
    Grid,
    /// The peak in the middle of the window, as far as the row allows.
    Middle,
}

/// Which examples of a latent to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleQuery {
    /// How they are chosen.
    pub mode: ExampleMode,
    /// How many.
    pub count: usize,
    /// Quantiles or intervals, for [`ExampleMode::Quantile`] and [`ExampleMode::Bins`].
    pub groups: usize,
    /// Tokens in a window.
    pub window: usize,
    /// Where the window lies around its peak.
    pub centring: Centring,
    /// Seed of random choices.
    pub seed: u64,
}

/// A window of text, and how a latent fires in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Number of the document, in the order in which the corpus was read; blank ones count.
    pub document: u64,
    /// Row of the cache.
    pub row: u64,
    /// Position of the window's first token in the row.
    pub start: u32,
    /// Token ids of the window.
    pub ids: Vec<u32>,
    /// Activation on each token; 0 where the latent does not fire.
    pub activations: Vec<f32>,
    /// Highest activation in the window; 0 in mode non-activating.
    pub peak: f32,
    /// Index of the peak in the window.
    pub peak_index: Option<u32>,
    /// Quantile or interval that it was drawn from.
    pub quantile: Option<u32>,
    /// Lower and upper end of the interval, in mode bins.
    pub bin: Option<(f32, f32)>,
}

impl Example {
    /// Which window of the cache it is.
    pub fn id(&self) -> ExampleId {
        ExampleId {
            row: self.row,
            start: self.start,
            len: self.ids.len() as u32,
        }
    }
}

/// Examples of one latent.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentExamples {
    /// Index of the latent.
    pub latent: u32,
    /// Tokens of the cache on which it fires.
    pub firing_tokens: u64,
    /// `firing_tokens` over the tokens that were encoded.
    pub density: f64,
    /// Highest activation in the cache; 0 if it never fires.
    pub max_activation: f32,
    /// The examples; windows of one latent never overlap.
    pub examples: Vec<Example>,
}
