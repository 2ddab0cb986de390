//! Rotary positions (Su et al. 2021): pairs of a query's and a key's elements turned by angles that grow with the position.

use crate::{device::Device, kernels::Rotation};

/// Positions whose angles are kept. Longer sequences are legal and rare: theirs are computed for the batch.
const KEPT: usize = 4096;

/// The angles of a model's positions.
#[derive(Debug)]
pub(crate) struct Rope {
    /// Angle per position of each pair, `[d_head / 2]`.
    frequencies: Vec<f32>,
    kept: Rotation,
    kept_positions: usize,
    device: Device,
}

impl Rope {
    /// For a model of `context_length`. The frequencies say what scaling the model uses.
    pub(crate) fn new(frequencies: Vec<f32>, context_length: usize, device: &Device) -> Self {
        let kept_positions = context_length.min(KEPT);
        let kept = angles(&frequencies, kept_positions, device);
        Self { frequencies, kept, kept_positions, device: device.clone() }
    }

    /// Angles for sequences of up to `positions` tokens.
    pub(super) fn rotation(&self, positions: usize) -> Rotation {
        if positions <= self.kept_positions {
            self.kept.clone()
        } else {
            angles(&self.frequencies, positions, &self.device)
        }
    }

    pub(super) fn bytes(&self) -> usize {
        2 * self.kept_positions * size_of_val(&*self.frequencies)
    }
}

/// Cosines and sines. The angle is rounded to f32 before them, as transformers does; the functions are evaluated in f64
/// because the angles of far positions are large.
fn angles(frequencies: &[f32], positions: usize, device: &Device) -> Rotation {
    let angle = |position: usize| frequencies.iter().map(move |frequency| f64::from(position as f32 * frequency));
    let (cos, sin) = (0..positions).flat_map(angle).map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
    Rotation::new(cos, sin, frequencies.len(), device)
}
