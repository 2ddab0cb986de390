//! What looks at a pass while it goes on.

use std::ops::ControlFlow;

use latentd_domain::HookPoint;

use crate::kernels::Kernels;

/// What layers show every hook point that they come upon. It may record the values, put others in their place, and say that
/// nothing more is wanted.
pub(crate) trait Hooks<K: Kernels>: Send {
    /// Whether the values at this point must exist by themselves, not only added to the residual stream.
    fn wants(&self, point: HookPoint) -> bool;

    /// The pass has come upon a point, and goes on with what `values` are afterwards. Breaks if nothing lies beyond.
    fn visit(&mut self, point: HookPoint, values: &mut K::Dense) -> ControlFlow<()>;
}
