//! What a language model keeps of a sequence so that it can go on from where it stopped: keys and values of every layer.
//!
//! This is what others call a KV cache; here a cache holds the activations of a corpus.

use crate::{
    error::ComputeError,
    kernels::{Chosen, Kernels},
    logits::{Answer, Question},
};

/// The past of one sequence: its tokens, and their keys and values.
#[derive(Debug)]
pub struct PastOn<K: Kernels> {
    ids: Vec<u32>,
    capacity: usize,
    pub(crate) layers: Vec<K::LayerPast>,
}

impl<K: Kernels> PastOn<K> {
    /// An empty past with room for `capacity` tokens.
    pub(crate) fn new(capacity: usize, layers: Vec<K::LayerPast>) -> Self {
        Self {
            ids: Vec::new(),
            capacity,
            layers,
        }
    }

    /// A past that remembers tokens and nothing of them: for stand-ins of models in tests.
    pub fn of_ids(capacity: usize) -> Self {
        Self::new(capacity, Vec::new())
    }

    /// The tokens so far.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Number of tokens so far.
    pub fn length(&self) -> usize {
        self.ids.len()
    }

    /// Number of tokens that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes over as many tokens from the front of `other` as `ids` begins with, and returns their number. What this past held
    /// is forgotten. Both must be pasts of one model.
    pub fn begin_like(&mut self, other: &Self, ids: &[u32]) -> usize {
        let common = common_front(&other.ids, ids).min(self.capacity);
        for (layer, other) in self.layers.iter_mut().zip(&other.layers) {
            K::copy_front(other, common, layer);
        }
        self.ids.clear();
        self.ids.extend(ids.iter().take(common));
        common
    }

    /// Notes that the keys and values of `ids` have been added.
    pub fn advance(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
    }
}

/// Number of tokens with which both begin.
pub fn common_front(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Tokens that are added to a past, and what is asked of the logits behind them.
#[derive(Debug)]
pub struct ExtensionOn<'a, K: Kernels> {
    /// The sequence.
    pub past: &'a mut PastOn<K>,
    /// Its new tokens.
    pub ids: &'a [u32],
    /// What is asked, in any order.
    pub questions: &'a [Question],
}

/// A past on this build's kernels.
pub type Past = PastOn<Chosen>;

/// An extension of it.
pub type Extension<'a> = ExtensionOn<'a, Chosen>;

/// The answers to an extension's questions, in their order.
pub type Answers = Vec<Result<Answer, ComputeError>>;
