//! The sparse encoder: from dense vectors to the latents that fire, without ever writing `[tokens, d_sae]`.
//!
//! # What it costs
//!
//! For `m` tokens, width `d`, and `n` latents (with m = 2 048, d = 576, n = 18 432 in brackets):
//!
//! - The product needs `2·m·d·n` operations (43.5 GFLOP) and nothing else needs more than some `m·n`. It must run at the rate of
//!   a matrix product whose result stays in the cache, and everything else must hide behind it.
//! - A dense encoder writes and reads the pre-activations: `4·m·n` bytes (151 MB) a pass, with one pass for the product, one
//!   each for bias, rule and scale, and several for a top-k. That is more than all caches, so each pass runs at the speed of
//!   memory, and 70 % of the matrix rate is what remains of the product alone.
//! - Here a thread takes a block of up to 192 rows and goes through the weights panel by panel, 32 latents at a time. The
//!   products of a block and a panel lie in a scratch of 24 KB in the first-level cache, where rule and selection look them
//!   through at once; of `m·n` values only candidates leave it. Memory gives the weights once a block, `4·d·n·m/192` bytes
//!   (453 MB, 96 operations a byte, where a core that does 200 GFLOP/s needs 2 GB/s), and the inputs once.
//! - The scan costs the rule, a comparison and a branch for each 32 values, against `32·d` multiply-additions. Candidates are
//!   rare: of a row in random order the running threshold lets about `k·(1 + ln(n/k))` through (235 of 18 432 for k = 32).
//!   Together that is 5 to 8 % of the time.
//!
//! # What it promises
//!
//! A result is the exact selection from the activations, ties to the lower latent. An activation is computed in one order of
//! operations whatever the batch, so a row's result does not depend on the rows beside it, bit for bit, nor on the number
//! of threads. Where there are fewer blocks than threads, the latents are cut into segments instead; merging exact
//! selections is exact.
//!
//! With the feature `cuda` the products, the rule and a first selection run on the device, tile by tile ([`portable`]), and the
//! rest of the selection is the same code.

mod budget;
mod finish;
#[cfg(any(test, feature = "cuda"))]
mod portable;
mod select;
#[cfg(test)]
mod tests;
#[cfg(any(test, not(feature = "cuda")))]
mod tiles;

use latentd_domain::{Selection, SparseActivations};

#[cfg(feature = "cuda")]
use self::portable::Columns;
#[cfg(not(feature = "cuda"))]
use self::tiles::Columns;
use self::{budget::Budget, finish::Finish};
use crate::{
    device::Device,
    error::ComputeError,
    sae::{LatentVector, Rule},
};

/// What the columns are to keep of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// All that fires.
    Firing,
    /// The strongest so many.
    Strongest(usize),
}

/// What to encode, and what of it to return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `[rows, d_in]`, row-major, prepared by the SAE's input pipeline.
    pub(crate) inputs: &'a [f32],
    /// Number of rows.
    pub(crate) rows: usize,
    /// Which latents.
    pub(crate) selection: &'a Selection,
    /// Factors of the activations, `[d_sae]`. The strongest are the strongest after that, except that a topk SAE decides
    /// first, without factors, which of its latents fire.
    pub(crate) factors: Option<&'a LatentVector>,
    /// Most activations that the result may hold.
    pub(crate) max_entries: usize,
}

/// Of each row, what the columns are to keep.
#[derive(Clone, Copy, Debug)]
struct Choice<'a> {
    keep: Keep,
    /// Factors of the activations, if they come before the choice.
    factors: Option<&'a LatentVector>,
    budget: &'a Budget,
}

/// A column beside a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Compared {
    /// Their dot product.
    pub(crate) product: f32,
    /// The column's with itself.
    pub(crate) square: f32,
}

/// The encoder of one SAE: its weights on the device, and its rule.
#[derive(Debug)]
pub(crate) struct Encoder {
    columns: Columns,
    rule: Rule,
}

impl Encoder {
    /// An encoder with `W_enc` = `weights`, `[d_in, d_sae]`, row-major.
    pub(crate) fn new(weights: Vec<f32>, d_in: usize, rule: Rule, device: &Device) -> Self {
        Self {
            columns: Columns::new(&weights, d_in, rule.d_sae(), device),
            rule,
        }
    }

    /// The rule.
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Column `latent` of `W_enc`, `[d_in]`.
    pub(crate) fn column(&self, latent: u32) -> Vec<f32> {
        self.columns.column(latent)
    }

    /// Every column of `W_enc` beside `direction`, `[d_in]`.
    pub(crate) fn compare(&self, direction: &[f32]) -> Vec<Compared> {
        self.columns.compare(direction)
    }

    /// Bytes of its weights on the device.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.bytes() + self.rule.bytes()
    }

    /// What was asked for.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownLatent`] if the selection names a latent that does not exist,
    /// [`ComputeError::TooManyActivations`], and what the device says.
    pub(crate) fn encode(&self, request: &Request<'_>) -> Result<SparseActivations, ComputeError> {
        let d_sae = self.rule.d_sae();
        match (request.selection, self.rule.k()) {
            (Selection::TopK(0), _) => Ok(empty(request.rows)),
            (Selection::Latents(set), _) if set.is_empty() => Ok(empty(request.rows)),
            (Selection::Latents(set), k) => {
                if let Some(&latent) = set.iter().find(|&&latent| latent as usize >= d_sae) {
                    return Err(ComputeError::UnknownLatent { latent, d_sae });
                }
                match k {
                    Some(k) => self.encode_topk(request, k),
                    None => self.encode_columns(request, set),
                }
            }
            (Selection::AllFiring | Selection::TopK(_), Some(k)) => self.encode_topk(request, k),
            (Selection::AllFiring, None) => self.encode_all(request, Keep::Firing),
            (Selection::TopK(n), None) => {
                self.encode_all(request, Keep::Strongest((*n as usize).min(d_sae)))
            }
        }
    }

    /// A topk SAE: its own choice first, without factors; then what was asked for.
    fn encode_topk(
        &self,
        request: &Request<'_>,
        k: usize,
    ) -> Result<SparseActivations, ComputeError> {
        let &Request {
            inputs,
            rows,
            selection,
            factors,
            max_entries,
        } = request;
        let budget = Budget::new(max_entries);
        let choice = Choice {
            keep: Keep::Strongest(k.min(self.rule.d_sae())),
            factors: None,
            budget: &budget,
        };
        let blocks = self.columns.candidates(&self.rule, inputs, rows, choice)?;
        Finish {
            strongest: Some(k),
            factors,
            selection,
            columns: None,
        }
        .assemble(&blocks, &budget)
    }

    /// All columns, where each latent fires or not by itself.
    fn encode_all(
        &self,
        request: &Request<'_>,
        keep: Keep,
    ) -> Result<SparseActivations, ComputeError> {
        let &Request {
            inputs,
            rows,
            selection,
            factors,
            max_entries,
        } = request;
        let strongest = match keep {
            Keep::Firing => None,
            Keep::Strongest(k) => Some(k),
        };
        let budget = Budget::new(max_entries);
        let choice = Choice {
            keep,
            factors,
            budget: &budget,
        };
        let blocks = self.columns.candidates(&self.rule, inputs, rows, choice)?;
        Finish {
            strongest,
            factors: None,
            selection,
            columns: None,
        }
        .assemble(&blocks, &budget)
    }

    /// The columns of `set` and no others.
    fn encode_columns(
        &self,
        request: &Request<'_>,
        set: &[u32],
    ) -> Result<SparseActivations, ComputeError> {
        let &Request {
            inputs,
            rows,
            selection,
            factors,
            max_entries,
        } = request;
        let columns = self.columns.subset(set);
        let rule = self.rule.subset(set);
        let factors = factors.map(|factors| factors.pick(set));
        let budget = Budget::new(max_entries);
        let choice = Choice {
            keep: Keep::Firing,
            factors: factors.as_ref(),
            budget: &budget,
        };
        let blocks = columns.candidates(&rule, inputs, rows, choice)?;
        Finish {
            strongest: None,
            factors: None,
            selection,
            columns: Some(set),
        }
        .assemble(&blocks, &budget)
    }
}

/// Rows on which nothing fires.
fn empty(rows: usize) -> SparseActivations {
    SparseActivations {
        row_offsets: vec![0; rows + 1],
        ..SparseActivations::default()
    }
}
