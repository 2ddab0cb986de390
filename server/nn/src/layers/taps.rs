//! Recording while a pass goes on, and stopping it.

use std::ops::ControlFlow;

use latentd_domain::HookPoint;

use super::hooks::Hooks;
use crate::{
    device::Device,
    kernels::Kernels,
    taps::{Captured, Taps},
};

/// What records a pass.
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

    pub(super) fn finish(self) -> Captured<K::Backend> {
        self.captured
    }
}

impl<K: Kernels> Hooks<K> for Recorder<'_, K> {
    fn wants(&self, point: HookPoint) -> bool {
        self.taps.wants(point)
    }

    fn visit(&mut self, point: HookPoint, values: &mut K::Dense) -> ControlFlow<()> {
        if self.taps.wants(point) {
            self.captured.insert(point, K::tensor(values, self.device));
        }
        if !self.to_the_end && self.taps.done_after(point) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
