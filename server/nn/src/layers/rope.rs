//! Rotary positions (Su et al. 2021): pairs of a query's and a key's elements turned by angles that grow with the position.

use crate::{device::Device, kernels::Kernels};

/// Positions whose angles are kept. Longer sequences are legal and rare: theirs are computed for the batch.
const KEPT: usize = 4096;

/// The angles of a model's positions.
#[derive(Debug)]
pub(crate) struct Rope<K: Kernels> {
    /// Angle per position of each pair, `[d_head / 2]`.
    frequencies: Vec<f32>,
    /// What rotated vectors are multiplied by.
    factor: f32,
    kept: K::Rotation,
    kept_positions: usize,
    device: Device,
}

impl<K: Kernels> Rope<K> {
    /// For a model of `context_length`. The frequencies and the factor say what scaling the model uses.
    pub(crate) fn new(
        frequencies: Vec<f32>,
        factor: f32,
        context_length: usize,
        device: &Device,
    ) -> Self {
        let kept_positions = context_length.min(KEPT);
        let kept = angles::<K>(&frequencies, factor, kept_positions, device);
        Self {
            frequencies,
            factor,
            kept,
            kept_positions,
            device: device.clone(),
        }
    }

    /// Angles for sequences of up to `positions` tokens.
    pub(super) fn rotation(&self, positions: usize) -> K::Rotation {
        if positions <= self.kept_positions {
            self.kept.clone()
        } else {
            angles::<K>(&self.frequencies, self.factor, positions, &self.device)
        }
    }

    pub(super) fn bytes(&self) -> usize {
        2 * self.kept_positions * size_of_val(&*self.frequencies)
    }
}

fn angles<K: Kernels>(
    frequencies: &[f32],
    factor: f32,
    positions: usize,
    device: &Device,
) -> K::Rotation {
    let (cos, sin) = cosines_and_sines(frequencies, factor, positions);
    K::rotation(cos, sin, frequencies.len(), device)
}

/// `[positions, d_head / 2]` each, times `factor`. The angle is rounded to f32 before them, as transformers does; the functions are evaluated
/// in f64 because the angles of far positions are large.
fn cosines_and_sines(frequencies: &[f32], factor: f32, positions: usize) -> (Vec<f32>, Vec<f32>) {
    let of_position = |position: usize| {
        frequencies
            .iter()
            .map(move |frequency| f64::from(position as f32 * frequency))
    };
    let both = |angle: f64| (angle.cos() as f32 * factor, angle.sin() as f32 * factor);
    (0..positions).flat_map(of_position).map(both).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Chosen;

    #[test]
    fn angles_grow_with_the_position() {
        let (cos, sin) = cosines_and_sines(&[1.0, 0.5], 1.0, 3);
        assert_eq!((cos.len(), sin.len()), (6, 6));
        assert_eq!((cos[0], sin[0], cos[1], sin[1]), (1.0, 0.0, 1.0, 0.0));
        assert_eq!((cos[4], sin[4]), (2.0f64.cos() as f32, 2.0f64.sin() as f32));
        assert_eq!((cos[5], sin[5]), (1.0f64.cos() as f32, 1.0f64.sin() as f32));
        let (cos, _) = cosines_and_sines(&[1.0], 1.5, 2);
        assert_eq!(cos, [1.5, 1.5 * 1.0f64.cos() as f32]);
    }

    #[test]
    fn only_so_many_positions_are_kept() {
        let device = Device::new(0).unwrap();
        assert_eq!(
            Rope::<Chosen>::new(vec![1.0; 4], 1.0, 10, &device).bytes(),
            2 * 10 * 16
        );
        let rope = Rope::<Chosen>::new(vec![1.0; 4], 1.0, 1 << 24, &device);
        assert_eq!(rope.bytes(), 2 * KEPT * 16);
        drop(rope.rotation(KEPT + 1));
    }
}
