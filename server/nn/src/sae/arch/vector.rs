//! One number for each latent, cut into chunks of a fixed width: loops over a chunk have no tail, so that the compiler turns
//! them into a few vector instructions.

/// Latents in a chunk: the columns of a panel of weights.
pub(crate) const LANES: usize = 32;

/// What stands where there is no latent. Nothing fires on NaN.
const NO_CHUNK: [f32; LANES] = [f32::NAN; LANES];

/// One number for each latent, filled up with NaN to whole chunks.
#[derive(Clone, Debug)]
pub(crate) struct LatentVector {
    chunks: Vec<[f32; LANES]>,
    latents: usize,
}

impl LatentVector {
    /// Number of latents.
    pub(crate) fn latents(&self) -> usize {
        self.latents
    }

    /// The number of `latent`, if there is such a latent.
    pub(crate) fn get(&self, latent: usize) -> Option<f32> {
        self.values().get(latent).copied()
    }

    /// All numbers, `[latents]`.
    pub(crate) fn values(&self) -> &[f32] {
        self.chunks
            .as_flattened()
            .get(..self.latents)
            .unwrap_or_default()
    }

    /// The numbers of the latents `LANES · chunk ..`.
    #[inline(always)]
    pub(crate) fn chunk(&self, chunk: usize) -> &[f32; LANES] {
        self.chunks.get(chunk).unwrap_or(&NO_CHUNK)
    }

    /// The numbers of `latents`, in their order.
    pub(crate) fn pick(&self, latents: &[u32]) -> Self {
        latents
            .iter()
            .map(|&latent| self.get(latent as usize).unwrap_or(f32::NAN))
            .collect()
    }
}

impl FromIterator<f32> for LatentVector {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        let (mut chunks, mut latents) = (Vec::new(), 0);
        let mut values = values.into_iter().inspect(|_| latents += 1).peekable();
        while values.peek().is_some() {
            let mut chunk = NO_CHUNK;
            chunk
                .iter_mut()
                .zip(&mut values)
                .for_each(|(slot, value)| *slot = value);
            chunks.push(chunk);
        }
        drop(values);
        Self { chunks, latents }
    }
}

impl From<Vec<f32>> for LatentVector {
    fn from(values: Vec<f32>) -> Self {
        values.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_filled_up() {
        for latents in [0, 1, LANES - 1, LANES, LANES + 1, 3 * LANES] {
            let values: Vec<f32> = (0..latents).map(|i| i as f32).collect();
            let vector = LatentVector::from(values.clone());
            assert_eq!((vector.latents(), vector.values()), (latents, &values[..]));
            assert_eq!(vector.chunks.len(), latents.div_ceil(LANES));
            let padded = vector.chunks.as_flattened().iter().skip(latents);
            assert!(padded.clone().all(|value| value.is_nan()));
            assert!(vector.chunk(99)[0].is_nan());
        }
    }

    #[test]
    fn picking_keeps_the_order() {
        let vector = LatentVector::from(vec![1.0, 2.0, 3.0]);
        assert_eq!(vector.pick(&[2, 0]).values(), [3.0, 1.0]);
        assert_eq!(vector.get(3), None);
    }
}
