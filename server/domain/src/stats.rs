//! Statistics of a latent over a corpus.

/// Buckets of an activation histogram.
pub const HISTOGRAM_BUCKETS: usize = 64;

/// The bucket of an activation: bucket `i` holds `[2^(i/2 − 16), 2^((i+1)/2 − 16))`, the ends hold what lies beyond.
///
/// The edges are the same for every latent and cache, so histograms of shards add up.
pub fn histogram_bucket(activation: f32) -> usize {
    // In f32 the logarithm of a number just below an edge is the edge.
    let half_octaves = (f64::from(activation.max(f32::MIN_POSITIVE)).log2() + 16.0) * 2.0;
    half_octaves.clamp(0.0, (HISTOGRAM_BUCKETS - 1) as f64) as usize
}

/// Statistics of one latent over the encoded tokens of a cache.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentStats {
    /// Index of the latent.
    pub latent: u32,
    /// Tokens on which it fires.
    pub count: u64,
    /// `count` over the number of encoded tokens.
    pub density: f64,
    /// Highest activation; `None` if it never fires.
    pub max: Option<f32>,
    /// Mean over the tokens on which it fires; `None` if it never does.
    pub mean: Option<f64>,
    /// Mean of the square over the tokens on which it fires; `None` if it never does.
    pub mean_square: Option<f64>,
    /// Counts by [`histogram_bucket`].
    pub histogram: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_half_octaves() {
        assert_eq!(histogram_bucket(1.0), 32);
        assert_eq!(histogram_bucket(1.42), 33);
        assert_eq!(histogram_bucket(2.0), 34);
        assert_eq!(histogram_bucket(0.0), 0);
        assert_eq!(histogram_bucket(1e30), HISTOGRAM_BUCKETS - 1);
    }

    /// The smallest f32 that is not below an edge begins its bucket, and the one before it ends the bucket before. Edges are
    /// compared by their squares, which f64 holds exactly.
    #[test]
    fn edges_are_exact() {
        for bucket in 1..HISTOGRAM_BUCKETS {
            let edge_squared = 2_f64.powi(bucket as i32 - 32);
            let mut first = edge_squared.sqrt() as f32;
            while f64::from(first).powi(2) >= edge_squared {
                first = first.next_down();
            }
            let last = first;
            let first = first.next_up();
            assert!(f64::from(first).powi(2) >= edge_squared);
            assert_eq!(histogram_bucket(first), bucket, "{first:e}");
            assert_eq!(histogram_bucket(last), bucket - 1, "{last:e}");
        }
    }
}
