//! Which hook points a forward pass records, and therefore where it may stop.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use latentd_domain::{HookPoint, Site};

use crate::device::{Backend, DeviceBackend};

/// Hook points that a forward pass records. The pass stops right after the deepest of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taps {
    /// Sorted as a pass comes upon them, each once.
    points: Vec<HookPoint>,
}

impl Taps {
    /// Records `points`; repetitions count once.
    pub fn new(points: impl IntoIterator<Item = HookPoint>) -> Self {
        let mut points: Vec<_> = points
            .into_iter()
            .map(|point| HookPoint::new(point.layer, point.site))
            .collect();
        points.sort_unstable();
        points.dedup();
        Self { points }
    }

    /// Whether `point` is recorded.
    pub fn wants(&self, point: HookPoint) -> bool {
        self.points.binary_search(&point).is_ok()
    }

    /// The last recorded point that the pass comes upon.
    pub fn deepest(&self) -> Option<HookPoint> {
        // `Embed` sorts among the points of block 0 by its site, which is the first.
        self.points.last().copied()
    }

    /// Whether the pass has no business beyond `point`: nothing recorded lies after it.
    pub fn done_after(&self, point: HookPoint) -> bool {
        self.deepest().is_none_or(|deepest| deepest <= point)
    }

    /// The recorded points, in the order of the pass.
    pub fn points(&self) -> &[HookPoint] {
        &self.points
    }

    /// Number of blocks that the pass enters, wholly or in part. `Embed` needs none.
    pub fn blocks_entered(&self) -> usize {
        match self.deepest() {
            None
            | Some(HookPoint {
                site: Site::Embed, ..
            }) => 0,
            Some(point) => point.layer + 1,
        }
    }
}

/// What a pass recorded.
#[derive(Debug)]
pub struct Captured<B: DeviceBackend = Backend> {
    tensors: BTreeMap<HookPoint, Tensor<B, 2>>,
}

impl<B: DeviceBackend> Default for Captured<B> {
    fn default() -> Self {
        Self {
            tensors: BTreeMap::new(),
        }
    }
}

impl<B: DeviceBackend> Captured<B> {
    /// The activations at `point`, `[tokens, width]`, if it was recorded.
    pub fn get(&self, point: HookPoint) -> Option<&Tensor<B, 2>> {
        self.tensors.get(&point)
    }

    /// Takes the activations at `point` out.
    pub fn take(&mut self, point: HookPoint) -> Option<Tensor<B, 2>> {
        self.tensors.remove(&point)
    }

    pub(crate) fn insert(&mut self, point: HookPoint, tensor: Tensor<B, 2>) {
        self.tensors.insert(point, tensor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deepest_follows_the_pass() {
        let taps = Taps::new([
            HookPoint::new(1, Site::ResidMid),
            HookPoint::new(1, Site::AttnOut),
            HookPoint::new(0, Site::ResidPost),
            HookPoint::new(1, Site::ResidMid),
        ]);
        assert_eq!(taps.deepest(), Some(HookPoint::new(1, Site::ResidMid)));
        assert_eq!(taps.points().len(), 3);
        assert_eq!(taps.blocks_entered(), 2);
        assert!(taps.wants(HookPoint::new(0, Site::ResidPost)));
        assert!(!taps.wants(HookPoint::new(0, Site::ResidPre)));
        assert!(!taps.done_after(HookPoint::new(1, Site::AttnOut)));
        assert!(taps.done_after(HookPoint::new(1, Site::ResidMid)));
    }

    #[test]
    fn the_embedding_needs_no_block() {
        let taps = Taps::new([HookPoint::new(0, Site::Embed)]);
        assert_eq!(taps.blocks_entered(), 0);
        assert!(taps.done_after(HookPoint::new(0, Site::Embed)));
        assert_eq!(Taps::default().blocks_entered(), 0);
    }
}
