//! Memory that begins on a cache line, so that no vector load of a weight panel touches two lines.

/// Floats in one cache line.
const LINE: usize = 64 / size_of::<f32>();

/// A fixed number of floats, the first at a multiple of 64 bytes.
#[derive(Debug)]
pub(crate) struct AlignedBuffer {
    values: Vec<f32>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// `length` zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + LINE - 1];
        // Where the address cannot be known the data begins anywhere: slower, and nothing else.
        let start = values.as_ptr().align_offset(size_of::<f32>() * LINE);
        Self {
            start: if start < LINE { start } else { 0 },
            values,
            length,
        }
    }

    /// The floats.
    pub(crate) fn values(&self) -> &[f32] {
        self.values
            .get(self.start..self.start + self.length)
            .unwrap_or_default()
    }

    /// The floats, to write.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        self.values
            .get_mut(self.start..self.start + self.length)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_on_a_cache_line() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let mut buffer = AlignedBuffer::zeros(length);
            assert_eq!(buffer.values().len(), length);
            assert_eq!(buffer.values_mut().as_ptr() as usize % 64, 0);
        }
    }
}
