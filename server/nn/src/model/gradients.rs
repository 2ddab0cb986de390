//! Gradients: a second copy of a model, on kernels that record how to differentiate what they compute.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use burn::tensor::Tensor;
use latentd_domain::HookPoint;

use super::{ModelOn, parts};
use crate::{
    device::Differentiable,
    error::{ComputeError, LoadError},
    kernels::{Kernels, Placement, Portable},
    layers::{Decoder, Hooks},
    packed::PackedTokens,
    taps::{Captured, Taps},
    weights::ModelFiles,
};

/// Kernels that record how to differentiate.
type Traced = Portable<Differentiable>;

/// The logit that is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logit {
    /// The row that it stands behind.
    pub row: usize,
    /// The token that it is of.
    pub token: u32,
}

/// A model's traced copy, once there is one.
#[derive(Debug, Default)]
pub(super) struct TracedCopy(Mutex<Option<Arc<Decoder<Traced>>>>);

impl<K: Kernels> ModelOn<K> {
    /// The gradients of a logit with respect to the activations at the hook points of `at`, `[tokens, width]` each.
    ///
    /// The first call reads the model's files again and makes a copy through which gradients go. It stays until
    /// [`ModelOn::release_traced`] or the end of the model.
    ///
    /// # Errors
    ///
    /// What keeps the files from being read again, also that they have changed; then as [`ModelOn::run`], and
    /// [`ComputeError::Failed`] for a row that does not exist.
    pub fn gradients(
        &self,
        tokens: &PackedTokens,
        of: Logit,
        at: &Taps,
    ) -> Result<Captured, LoadError> {
        let decoder = self.traced()?;
        let vocab = self.info.vocab;
        if of.token as usize >= vocab {
            return Err(ComputeError::UnknownToken {
                id: of.token,
                vocab,
            })?;
        }
        if of.row >= tokens.tokens() {
            let detail = format!("the logit behind row {} of {}", of.row, tokens.tokens());
            return Err(ComputeError::Failed { detail })?;
        }
        for point in at.points() {
            point
                .within(self.info.n_layers)
                .map_err(ComputeError::from)?;
        }
        let mut leaves = Leaves {
            at,
            found: Vec::new(),
        };
        let logits = decoder.logits_with(tokens, &mut leaves)?;
        let token = of.token as usize;
        let logit = logits.slice([of.row..of.row + 1, token..token + 1]);
        let mut captured = Captured::default();
        decoder.device().install(|| {
            let gradients = logit.backward();
            for (point, leaf) in leaves.found {
                let gradient = leaf.grad(&gradients);
                captured.insert(point, gradient.unwrap_or_else(|| leaf.inner().zeros_like()));
            }
        });
        Ok(captured)
    }

    /// Bytes that the traced copy takes on the device: 0 if there is none.
    pub fn traced_bytes(&self) -> u64 {
        let copy = self.traced.0.lock().unwrap_or_else(PoisonError::into_inner);
        copy.as_ref().map_or(0, |decoder| decoder.bytes() as u64)
    }

    /// Gives the memory of the traced copy back. The next gradient makes another.
    pub fn release_traced(&self) {
        let mut copy = self.traced.0.lock().unwrap_or_else(PoisonError::into_inner);
        *copy = None;
    }

    fn traced(&self) -> Result<Arc<Decoder<Traced>>, LoadError> {
        let mut copy = self.traced.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(decoder) = &*copy {
            return Ok(Arc::clone(decoder));
        }
        let ModelFiles {
            config,
            mut checkpoint,
            ..
        } = ModelFiles::open(Path::new(&self.info.path))?;
        if checkpoint.digest()? != self.info.digest {
            let detail = format!("{} has changed since it was loaded", self.info.path);
            return Err(ComputeError::Failed { detail })?;
        }
        let device = self.decoder.device();
        let place = Placement {
            device,
            dtype: self.info.dtype,
        };
        let parts = device.install(|| parts(&config, &mut checkpoint, place))?;
        let decoder = Arc::new(Decoder::new(parts, device));
        *copy = Some(Arc::clone(&decoder));
        Ok(decoder)
    }
}

/// Adds a zero at each of some points. What moves the zero moves the activations, so its gradient is theirs, also where they
/// come of other tensors that are differentiated.
struct Leaves<'a> {
    at: &'a Taps,
    found: Vec<(HookPoint, Tensor<Differentiable, 2>)>,
}

impl Hooks<Traced> for Leaves<'_> {
    fn wants(&self, point: HookPoint) -> bool {
        self.at.wants(point)
    }

    fn visit(
        &mut self,
        point: HookPoint,
        values: &mut <Traced as Kernels>::Dense,
    ) -> ControlFlow<()> {
        if self.at.wants(point) {
            let here = values.tensor();
            let zero = here.zeros_like().require_grad();
            values.set(here + zero.clone());
            self.found.push((point, zero));
        }
        ControlFlow::Continue(())
    }
}
