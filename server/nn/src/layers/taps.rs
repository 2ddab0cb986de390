//! Recording while a pass goes on, and stopping it.

use std::ops::ControlFlow;

use latentd_domain::{HookPoint, Site};

use crate::{
    device::Device,
    kernels::Kernels,
    taps::{Captured, Taps},
};

/// What records a pass. Layers show it every hook point they come upon; it says when nothing more is wanted.
pub(super) struct Recorder<'a, K: Kernels> {
    taps: &'a Taps,
    device: &'a Device,
    captured: Captured<K::Backend>,
    /// A pass for its last output goes on to the end whatever the taps.
    to_the_end: bool,
}

impl<'a, K: Kernels> Recorder<'a, K> {
    /// Of a pass that stops after the deepest tap.
    pub(super) fn new(taps: &'a Taps, device: &'a Device) -> Self {
        Self {
            taps,
            device,
            captured: Captured::default(),
            to_the_end: false,
        }
    }

    /// Of a pass that is run for the residual stream at its end.
    pub(super) fn to_the_end(taps: &'a Taps, device: &'a Device) -> Self {
        Self {
            to_the_end: true,
            ..Self::new(taps, device)
        }
    }

    /// Whether the values at this point must exist by themselves, not only added to the residual stream.
    pub(super) fn wants(&self, layer: usize, site: Site) -> bool {
        self.taps.wants(HookPoint::new(layer, site))
    }

    /// The pass has come upon a point whose values are `values`: records them, and breaks if nothing lies beyond.
    pub(super) fn visit(&mut self, layer: usize, site: Site, values: &K::Dense) -> ControlFlow<()> {
        let point = HookPoint::new(layer, site);
        if self.taps.wants(point) {
            self.captured.insert(point, K::tensor(values, self.device));
        }
        if !self.to_the_end && self.taps.done_after(point) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    pub(super) fn finish(self) -> Captured<K::Backend> {
        self.captured
    }
}
