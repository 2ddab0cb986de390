//! Gathers the activations of a shard and writes them latent-major.
//!
//! An entry is one 128-bit key: latent, falling activation, row, position. Sorting whole keys makes the file a function
//! of the set of entries, so neither the order in which rows come nor how they were batched can show in the bytes.
//! Memory is 16 bytes an entry, of one shard at a time.

use std::{ops::Range, path::Path};

use half::f16;
use latentd_domain::{ActivationDtype, SparseActivations};
use rayon::slice::ParallelSliceMut;

use super::{ACTIVATION, Clipped, INDPTR, NARROW_ROWS, POSITION, ROW};
use crate::{
    Error, files,
    tensor_file::{Declared, TensorFile},
};

/// What a shard covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSpec {
    /// Latents of the SAE.
    pub d_sae: u32,
    /// Number format of stored activations.
    pub dtype: ActivationDtype,
    /// Longest row of the cache, in tokens.
    pub context_length: usize,
    /// Rows of the shard.
    pub rows: Range<u64>,
}

/// What became of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSummary {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// Stored activations.
    pub entries: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
}

/// Gathers the activations of one shard in memory.
#[derive(Debug)]
pub struct ShardBuilder {
    spec: ShardSpec,
    keys: Vec<u128>,
    /// Whether each row of the shard has come.
    present: Vec<bool>,
    clipped: Clipped,
}

impl ShardBuilder {
    /// Bytes of memory that each activation takes.
    pub const ENTRY_BYTES: u64 = size_of::<u128>() as u64;

    /// A shard without rows yet.
    pub fn new(spec: ShardSpec) -> Self {
        let rows = usize::try_from(spec.rows.end.saturating_sub(spec.rows.start)).unwrap_or(0);
        Self {
            spec,
            keys: Vec::new(),
            present: vec![false; rows],
            clipped: Clipped::default(),
        }
    }

    /// Adds row `row` of the cache: `tokens` are its rows in `activations`, one for each of its tokens in order.
    ///
    /// An activation that is not positive does not fire and is left out. In f16, one beyond the range of the format is
    /// stored as the nearest number that still fires and is finite, and counted. Fails with `InvalidBuild` if the row does not belong
    /// to the shard or came before, or if an activation is not finite or its latent not below `d_sae`.
    pub fn add_row(
        &mut self,
        row: u64,
        activations: &SparseActivations,
        tokens: Range<usize>,
    ) -> Result<(), Error> {
        let place = row
            .checked_sub(self.spec.rows.start)
            .and_then(|place| usize::try_from(place).ok());
        let present = place.and_then(|place| self.present.get_mut(place));
        match present {
            Some(present) if !*present => *present = true,
            Some(_) => return Err(Error::invalid_build(format!("row {row} came twice"))),
            None => {
                return Err(Error::invalid_build(format!(
                    "row {row} is not one of {} to {}",
                    self.spec.rows.start, self.spec.rows.end
                )));
            }
        }
        if tokens.len() > self.spec.context_length || tokens.end > activations.rows() {
            return Err(Error::invalid_build(format!(
                "row {row} cannot have the tokens {} to {}",
                tokens.start, tokens.end
            )));
        }
        let row =
            u32::try_from(row).map_err(|_| Error::invalid_build("row numbers have 32 bits"))?;
        for (position, token) in tokens.enumerate() {
            let (latents, values) = activations.row(token);
            for (&latent, &value) in latents.iter().zip(values) {
                if latent >= self.spec.d_sae || !value.is_finite() {
                    return Err(Error::invalid_build(format!(
                        "latent {latent} of {} has activation {value}",
                        self.spec.d_sae
                    )));
                }
                if value > 0.0 {
                    let bits = match self.spec.dtype {
                        ActivationDtype::F16 => half_bits(value, &mut self.clipped),
                        ActivationDtype::F32 => value.to_bits(),
                    };
                    self.keys.push(key(latent, bits, row, position as u32));
                }
            }
        }
        Ok(())
    }

    /// Sorts what came and puts it at `path`, for good. Makes the folder.
    ///
    /// Fails with `InvalidBuild` if a row of the shard is missing.
    pub fn write(mut self, path: &Path) -> Result<ShardSummary, Error> {
        if let Some(place) = self.present.iter().position(|present| !present) {
            let row = self.spec.rows.start + place as u64;
            return Err(Error::invalid_build(format!("row {row} is missing")));
        }
        path.parent().map_or(Ok(()), files::create_dir)?;
        self.keys.par_sort_unstable();
        let entries = self.keys.len() as u64;
        let wide = self.spec.context_length > NARROW_ROWS;
        let declared = [
            Declared::new::<u64>(INDPTR, &[u64::from(self.spec.d_sae) + 1]),
            Declared::new::<u32>(ROW, &[entries]),
            match self.spec.dtype {
                ActivationDtype::F16 => Declared::new::<f16>(ACTIVATION, &[entries]),
                ActivationDtype::F32 => Declared::new::<f32>(ACTIVATION, &[entries]),
            },
            if wide {
                Declared::new::<u32>(POSITION, &[entries])
            } else {
                Declared::new::<u16>(POSITION, &[entries])
            },
        ];
        // Four-byte columns go before two-byte ones, which keeps all of them aligned.
        let [indptr, row, activation, position] = declared;
        let activation_first = wide || self.spec.dtype == ActivationDtype::F32;
        let declared = match (wide, activation_first) {
            (true, _) => [indptr, row, position, activation],
            (false, _) => [indptr, row, activation, position],
        };
        let mut file = TensorFile::create(path, &declared, &self.clipped.to_metadata())?;
        file.write(self.indptr())?;
        file.write(self.keys.iter().map(|&key| row_of(key)))?;
        if wide {
            file.write(self.keys.iter().map(|&key| position_of(key)))?;
        }
        match self.spec.dtype {
            ActivationDtype::F16 => {
                file.write(
                    self.keys
                        .iter()
                        .map(|&key| f16::from_bits(bits_of(key) as u16)),
                )?;
            }
            ActivationDtype::F32 => {
                file.write(self.keys.iter().map(|&key| f32::from_bits(bits_of(key))))?;
            }
        }
        if !wide {
            file.write(self.keys.iter().map(|&key| position_of(key) as u16))?;
        }
        let written = file.commit()?;
        Ok(ShardSummary {
            digest: written.digest,
            entries,
            bytes: written.bytes,
        })
    }

    /// Where each latent begins among the sorted keys.
    fn indptr(&self) -> impl Iterator<Item = u64> {
        let mut at = 0;
        (0..=self.spec.d_sae).map(move |latent| {
            while self
                .keys
                .get(at)
                .is_some_and(|&key| latent_of(key) < latent)
            {
                at += 1;
            }
            at as u64
        })
    }
}

/// Bits of a positive activation in f16. Of positive floats, the larger has the larger bits, in both formats.
fn half_bits(activation: f32, clipped: &mut Clipped) -> u32 {
    let rounded = f16::from_f32(activation);
    let kept = if rounded > f16::MAX {
        clipped.above += 1;
        f16::MAX
    } else if rounded <= f16::ZERO {
        clipped.below += 1;
        f16::from_bits(1)
    } else {
        rounded
    };
    u32::from(kept.to_bits())
}

fn key(latent: u32, bits: u32, row: u32, position: u32) -> u128 {
    u128::from(latent) << 96
        | u128::from(!bits) << 64
        | u128::from(row) << 32
        | u128::from(position)
}

fn latent_of(key: u128) -> u32 {
    (key >> 96) as u32
}

fn bits_of(key: u128) -> u32 {
    !((key >> 64) as u32)
}

fn row_of(key: u128) -> u32 {
    (key >> 32) as u32
}

fn position_of(key: u128) -> u32 {
    key as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_as_the_format_asks(
            a in (0..3_u32, 1e-9..1e9_f32, 0..3_u32, 0..3_u32),
            b in (0..3_u32, 1e-9..1e9_f32, 0..3_u32, 0..3_u32),
        ) {
            let packed = |(latent, activation, row, position): (u32, f32, u32, u32)| {
                key(latent, activation.to_bits(), row, position)
            };
            let order = a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3));
            prop_assert_eq!(packed(a).cmp(&packed(b)), order);
            prop_assert_eq!((latent_of(packed(a)), row_of(packed(a)), position_of(packed(a))), (a.0, a.2, a.3));
            prop_assert_eq!(f32::from_bits(bits_of(packed(a))), a.1);
        }
    }

    #[test]
    fn what_fires_stays_positive_and_finite_in_f16_and_is_counted() {
        let mut clipped = Clipped::default();
        let mut stored = |value| f16::from_bits(half_bits(value, &mut clipped) as u16);
        assert_eq!(stored(1.5), f16::from_f32(1.5));
        // The largest number that is rounded down to the largest of f16, and the smallest that is rounded up to the smallest.
        assert_eq!(stored(65519.996), f16::MAX);
        assert_eq!(stored(2.0_f32.powi(-25).next_up()), f16::from_bits(1));
        assert_eq!(stored(65520.0), f16::MAX);
        assert_eq!(stored(1e30), f16::MAX);
        assert_eq!(stored(2.0_f32.powi(-25)), f16::from_bits(1));
        assert_eq!(clipped, Clipped { above: 2, below: 1 });
    }
}
