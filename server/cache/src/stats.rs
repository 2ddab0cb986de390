//! Statistics of each latent of an SAE over a cache.
//!
//! They are computed from activations as stored, not as encoded, so that anybody can compute them again from the shards.
//! One shard is mapped at a time; what is held is 544 bytes a latent, whatever the length of the corpus. Sums run over
//! shards in order and, in a shard, over falling activations: the same shards give the same bytes.

use std::{collections::BTreeMap, path::Path};

use latentd_domain::{HISTOGRAM_BUCKETS, LatentStats, histogram_bucket};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use crate::{
    Error,
    files::Written,
    mapped::{Column, Mapped},
    shard::Shard,
    tensor_file::{Declared, TensorFile},
};

const COUNT: &str = "count";
const SUM: &str = "sum";
const SUM_SQUARE: &str = "sum_square";
const HISTOGRAM: &str = "histogram";
const MAX: &str = "max";

/// Totals of all latents of an SAE, growing shard by shard.
pub(crate) struct Totals(Vec<Total>);

#[derive(Clone)]
struct Total {
    count: u64,
    max: f32,
    sum: f64,
    sum_square: f64,
    histogram: [u64; HISTOGRAM_BUCKETS],
}

impl Totals {
    /// Nothing fired yet.
    pub(crate) fn new(d_sae: u32) -> Self {
        let none = Total {
            count: 0,
            max: 0.0,
            sum: 0.0,
            sum_square: 0.0,
            histogram: [0; HISTOGRAM_BUCKETS],
        };
        Self(vec![none; d_sae as usize])
    }

    /// Adds what fires in `shard`.
    pub(crate) fn add(&mut self, shard: &Shard) {
        self.0
            .par_iter_mut()
            .with_min_len(64)
            .enumerate()
            .for_each(|(latent, total)| {
                for firing in shard.postings(latent as u32).iter() {
                    total.add(firing.activation);
                }
            });
    }

    /// Stored activations of all latents.
    pub(crate) fn entries(&self) -> u64 {
        self.0.iter().map(|total| total.count).sum()
    }

    /// Latents that fired at least once.
    pub(crate) fn firing_latents(&self) -> u32 {
        self.0.iter().filter(|total| total.count > 0).count() as u32
    }

    /// Writes the statistics file.
    pub(crate) fn write(&self, path: &Path) -> Result<Written, Error> {
        let d_sae = self.0.len() as u64;
        let declared = [
            Declared::new::<u64>(COUNT, &[d_sae]),
            Declared::new::<f64>(SUM, &[d_sae]),
            Declared::new::<f64>(SUM_SQUARE, &[d_sae]),
            Declared::new::<u64>(HISTOGRAM, &[d_sae, HISTOGRAM_BUCKETS as u64]),
            Declared::new::<f32>(MAX, &[d_sae]),
        ];
        let mut file = TensorFile::create(path, &declared, &BTreeMap::new())?;
        file.write(self.0.iter().map(|total| total.count))?;
        file.write(self.0.iter().map(|total| total.sum))?;
        file.write(self.0.iter().map(|total| total.sum_square))?;
        file.write(self.0.iter().flat_map(|total| total.histogram))?;
        file.write(self.0.iter().map(|total| total.max))?;
        file.commit()
    }
}

impl Total {
    fn add(&mut self, activation: f32) {
        self.count += 1;
        self.max = self.max.max(activation);
        self.sum += f64::from(activation);
        self.sum_square += f64::from(activation) * f64::from(activation);
        if let Some(bucket) = self.histogram.get_mut(histogram_bucket(activation)) {
            *bucket += 1;
        }
    }
}

/// A mapped statistics file.
#[derive(Debug)]
pub(crate) struct StatsTable {
    file: Mapped,
    count: Column<u64>,
    sum: Column<f64>,
    sum_square: Column<f64>,
    histogram: Column<u64>,
    max: Column<f32>,
}

impl StatsTable {
    /// Opens the statistics of `d_sae` latents at `path`.
    pub(crate) fn open(path: &Path, d_sae: u32) -> Result<Self, Error> {
        let file = Mapped::open(path)?;
        let shape = &[u64::from(d_sae)];
        Ok(Self {
            count: file.column(COUNT, shape)?,
            sum: file.column(SUM, shape)?,
            sum_square: file.column(SUM_SQUARE, shape)?,
            histogram: file.column(HISTOGRAM, &[u64::from(d_sae), HISTOGRAM_BUCKETS as u64])?,
            max: file.column(MAX, shape)?,
            file,
        })
    }

    /// Tokens on which `latent` fires, and its highest activation; `None` if there is no such latent.
    pub(crate) fn extent(&self, latent: u32) -> Option<(u64, f32)> {
        let count = self.file.values(&self.count).get(latent as usize)?;
        let max = self.file.values(&self.max).get(latent as usize)?;
        Some((*count, *max))
    }

    /// Statistics of `latent` over `tokens` tokens; `None` if there is no such latent.
    pub(crate) fn get(&self, latent: u32, tokens: u64) -> Option<LatentStats> {
        let at = latent as usize;
        let (count, max) = self.extent(latent)?;
        // A mean of nothing is not 0.
        let mean = |sum: &Column<f64>| {
            let sum = self.file.values(sum).get(at).copied();
            sum.filter(|_| count > 0).map(|sum| sum / count as f64)
        };
        let histogram = self.file.values(&self.histogram);
        let histogram = histogram.get(at * HISTOGRAM_BUCKETS..(at + 1) * HISTOGRAM_BUCKETS)?;
        Some(LatentStats {
            latent,
            count,
            density: density(count, tokens),
            max: (count > 0).then_some(max),
            mean: mean(&self.sum),
            mean_square: mean(&self.sum_square),
            histogram: histogram.to_vec(),
        })
    }

    /// Fails with `CacheCorrupt` if the file was cut short since it was opened.
    pub(crate) fn intact(&self) -> Result<(), Error> {
        self.file.intact()
    }

    /// Length of the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Share of tokens on which a latent fires.
pub(crate) fn density(count: u64, tokens: u64) -> f64 {
    if tokens == 0 {
        return 0.0;
    }
    count as f64 / tokens as f64
}
