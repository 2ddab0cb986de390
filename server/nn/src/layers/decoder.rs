//! A whole decoder: embeddings, blocks, the final norm and the unembedding.

use std::{
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use burn::tensor::Tensor;
use latentd_domain::{HookPoint, Site};

use super::{
    attention::{Pasts, Sequences},
    block::{Block, Buffers},
    hooks::Hooks,
    norm::Norm,
    rope::Rope,
    taps::Recorder,
};
use crate::{
    device::Device,
    error::ComputeError,
    kernels::{Kernels, Weight},
    packed::PackedTokens,
    pause,
    taps::{Captured, Taps},
};

/// What a decoder is made of.
#[derive(Debug)]
pub(crate) struct Parts<K: Kernels> {
    /// Embeddings of tokens, `[vocab, d_model]`.
    pub(crate) embedding: K::Table,
    /// Learned embeddings of positions, `[context_length, d_model]`.
    pub(crate) positions: Option<K::Table>,
    /// Rotary positions.
    pub(crate) rope: Option<Rope<K>>,
    /// The blocks, first to last.
    pub(crate) blocks: Vec<Block<K>>,
    /// Before the unembedding.
    pub(crate) final_norm: Norm<K>,
    /// The unembedding transposed, `[vocab, d_model]`, where it is not the embedding.
    pub(crate) unembedding: Option<K::Table>,
    /// Number of token ids.
    pub(crate) vocab: usize,
    /// Longest sequence.
    pub(crate) context_length: usize,
}

/// A decoder on the device.
#[derive(Debug)]
pub(crate) struct Decoder<K: Kernels> {
    pub(super) parts: Parts<K>,
    pub(super) device: Device,
    /// Buffers of finished passes. One pass runs at a time on a device, so there is one; more if callers overlap.
    idle: Mutex<Vec<Buffers<K>>>,
}

impl<K: Kernels> Decoder<K> {
    /// A decoder of these parts.
    pub(crate) fn new(parts: Parts<K>, device: &Device) -> Self {
        Self {
            parts,
            device: device.clone(),
            idle: Mutex::default(),
        }
    }

    /// Runs `tokens` up to the deepest of `taps`.
    ///
    /// # Errors
    ///
    /// A token id, a length or a hook point that the model does not have.
    pub(crate) fn run(
        &self,
        tokens: &PackedTokens,
        taps: &Taps,
    ) -> Result<Captured<K::Backend>, ComputeError> {
        self.check(tokens)?;
        for point in taps.points() {
            point.within(self.parts.blocks.len())?;
        }
        if taps.deepest().is_none() {
            return Ok(Captured::default());
        }
        Ok(self.with_buffers(|buffers| {
            let mut recorder = Recorder::new(taps, &self.device);
            let _stopped = self.forward((tokens, Pasts::None), buffers, &mut recorder);
            recorder.finish()
        }))
    }

    /// Logits of the token after each token, `[tokens, vocab]`.
    ///
    /// # Errors
    ///
    /// As [`Decoder::run`].
    pub(crate) fn logits(
        &self,
        tokens: &PackedTokens,
    ) -> Result<Tensor<K::Backend, 2>, ComputeError> {
        let taps = Taps::default();
        self.logits_with(tokens, &mut Recorder::to_the_end(&taps, &self.device))
    }

    /// The same of a pass that shows `hooks` every hook point and goes on to the end.
    ///
    /// # Errors
    ///
    /// As [`Decoder::run`].
    pub(crate) fn logits_with(
        &self,
        tokens: &PackedTokens,
        hooks: &mut dyn Hooks<K>,
    ) -> Result<Tensor<K::Backend, 2>, ComputeError> {
        self.check(tokens)?;
        Ok(self.with_buffers(|buffers| {
            let _runs_through = self.forward((tokens, Pasts::None), buffers, hooks);
            self.parts
                .final_norm
                .apply(&buffers.residual, &mut buffers.normed);
            K::unembed(&buffers.normed, self.unembedding(), &self.device)
        }))
    }

    /// `x · unembedding`, `[n, vocab]`, without the final norm.
    pub(crate) fn unembed(&self, x: &Tensor<K::Backend, 2>) -> Tensor<K::Backend, 2> {
        self.device
            .install(|| K::unembed(&K::dense(x), self.unembedding(), &self.device))
    }

    /// Where it is.
    pub(crate) const fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> usize {
        let Parts {
            embedding,
            positions,
            rope,
            blocks,
            final_norm,
            unembedding,
            ..
        } = &self.parts;
        let tables = [Some(embedding), positions.as_ref(), unembedding.as_ref()];
        tables
            .into_iter()
            .flatten()
            .map(K::Table::bytes)
            .sum::<usize>()
            + rope.as_ref().map_or(0, Rope::bytes)
            + blocks.iter().map(Block::bytes).sum::<usize>()
            + final_norm.bytes()
    }

    pub(super) fn forward(
        &self,
        (tokens, pasts): (&PackedTokens, Pasts<'_, K>),
        buffers: &mut Buffers<K>,
        hooks: &mut dyn Hooks<K>,
    ) -> ControlFlow<()> {
        let before = pasts.lengths(tokens.sequences());
        K::lookup(&self.parts.embedding, tokens.ids(), &mut buffers.residual);
        hooks.visit(HookPoint::new(0, Site::Embed), &mut buffers.residual)?;
        if let Some(positions) = &self.parts.positions {
            let numbers: Vec<u32> = tokens
                .ranges()
                .zip(&before)
                .flat_map(|(rows, &before)| before as u32..(before + rows.len()) as u32)
                .collect();
            K::lookup_add(positions, &numbers, &mut buffers.residual);
        }
        let farthest = tokens.ranges().zip(&before);
        let farthest = farthest.map(|(rows, before)| before + rows.len()).max();
        let rotation = self
            .parts
            .rope
            .as_ref()
            .map(|rope| rope.rotation(farthest.unwrap_or_default()));
        let mut sequences = Sequences {
            tokens,
            rotation: rotation.as_ref(),
            pasts,
        };
        for (layer, block) in self.parts.blocks.iter().enumerate() {
            pause::point();
            block.forward(layer, &mut sequences, buffers, hooks)?;
        }
        ControlFlow::Continue(())
    }

    pub(super) fn with_buffers<R: Send>(
        &self,
        work: impl FnOnce(&mut Buffers<K>) -> R + Send,
    ) -> R {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = idle().pop().unwrap_or_default();
        let result = self.device.install(|| work(&mut buffers));
        if K::REUSES_MEMORY {
            idle().push(buffers);
        }
        result
    }

    pub(super) fn unembedding(&self) -> &K::Table {
        self.parts
            .unembedding
            .as_ref()
            .unwrap_or(&self.parts.embedding)
    }

    pub(super) fn check(&self, tokens: &PackedTokens) -> Result<(), ComputeError> {
        let Parts {
            vocab,
            context_length,
            ..
        } = self.parts;
        if let Some(&id) = tokens.ids().iter().find(|&&id| id as usize >= vocab) {
            return Err(ComputeError::UnknownToken { id, vocab });
        }
        if tokens.longest() > context_length {
            return Err(ComputeError::PromptTooLong {
                tokens: tokens.longest(),
                context_length,
            });
        }
        Ok(())
    }
}
