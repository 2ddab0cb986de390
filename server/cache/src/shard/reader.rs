//! Reads a shard in place.

use std::{ops::Range, path::Path};

use half::f16;
use latentd_domain::ActivationDtype;

use super::{ACTIVATION, Clipped, INDPTR, NARROW_ROWS, POSITION, ROW, ShardSpec};
use crate::{
    Error,
    mapped::{Column, Mapped},
};

/// A mapped shard.
#[derive(Debug)]
pub(crate) struct Shard {
    file: Mapped,
    rows: Range<u64>,
    indptr: Column<u64>,
    row: Column<u32>,
    position: PositionColumn,
    activation: ActivationColumn,
}

#[derive(Debug)]
enum PositionColumn {
    Narrow(Column<u16>),
    Wide(Column<u32>),
}

#[derive(Debug)]
enum ActivationColumn {
    Half(Column<f16>),
    Single(Column<f32>),
}

/// A token on which a latent fires.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Firing {
    /// As stored.
    pub(crate) activation: f32,
    /// Row of the cache.
    pub(crate) row: u32,
    /// Position in the row.
    pub(crate) position: u32,
}

/// The tokens of one shard on which one latent fires, by falling activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postings<'a> {
    rows: &'a [u32],
    positions: Positions<'a>,
    activations: Activations<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Positions<'a> {
    Narrow(&'a [u16]),
    Wide(&'a [u32]),
}

#[derive(Clone, Copy, Debug)]
enum Activations<'a> {
    Half(&'a [f16]),
    Single(&'a [f32]),
}

impl Shard {
    /// Opens the shard at `path`, which must hold `entries` activations of `spec`.
    ///
    /// Fails with `CacheCorrupt` if it does not. Rows and positions are checked when they are read.
    pub(crate) fn open(path: &Path, spec: ShardSpec, entries: u64) -> Result<Self, Error> {
        let file = Mapped::open(path)?;
        let shape = &[entries];
        let shard = Self {
            indptr: file.column(INDPTR, &[u64::from(spec.d_sae) + 1])?,
            row: file.column(ROW, shape)?,
            position: if spec.context_length > NARROW_ROWS {
                PositionColumn::Wide(file.column(POSITION, shape)?)
            } else {
                PositionColumn::Narrow(file.column(POSITION, shape)?)
            },
            activation: match spec.dtype {
                ActivationDtype::F16 => ActivationColumn::Half(file.column(ACTIVATION, shape)?),
                ActivationDtype::F32 => ActivationColumn::Single(file.column(ACTIVATION, shape)?),
            },
            rows: spec.rows,
            file,
        };
        let indptr = shard.file.values(&shard.indptr);
        if indptr.first() != Some(&0) || indptr.last() != Some(&entries) || !indptr.is_sorted() {
            return Err(shard
                .file
                .corrupt("`indptr` does not rise from 0 to the number of entries"));
        }
        Ok(shard)
    }

    /// Rows of the cache that the shard covers.
    pub(crate) fn rows(&self) -> Range<u64> {
        self.rows.clone()
    }

    /// Activations beyond the range of the format.
    pub(crate) fn clipped(&self) -> Clipped {
        Clipped::of_metadata(&self.file)
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

    /// This shard is corrupt.
    pub(crate) fn corrupt(&self, detail: impl Into<String>) -> Error {
        self.file.corrupt(detail)
    }

    /// Where `latent` fires; nowhere if there is no such latent.
    pub(crate) fn postings(&self, latent: u32) -> Postings<'_> {
        let indptr = self.file.values(&self.indptr);
        let bounds = indptr
            .get(latent as usize)
            .zip(indptr.get(latent as usize + 1));
        let range = bounds.map_or(0..0, |(&start, &end)| start as usize..end as usize);
        Postings {
            rows: part(self.file.values(&self.row), &range),
            positions: match &self.position {
                PositionColumn::Narrow(column) => {
                    Positions::Narrow(part(self.file.values(column), &range))
                }
                PositionColumn::Wide(column) => {
                    Positions::Wide(part(self.file.values(column), &range))
                }
            },
            activations: match &self.activation {
                ActivationColumn::Half(column) => {
                    Activations::Half(part(self.file.values(column), &range))
                }
                ActivationColumn::Single(column) => {
                    Activations::Single(part(self.file.values(column), &range))
                }
            },
        }
    }
}

fn part<'a, T>(values: &'a [T], range: &Range<usize>) -> &'a [T] {
    values.get(range.clone()).unwrap_or_default()
}

impl<'a> Postings<'a> {
    /// Number of firing tokens.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row of each.
    pub(crate) fn rows(&self) -> &'a [u32] {
        self.rows
    }

    /// The position of number `at`.
    pub(crate) fn position(&self, at: usize) -> Option<u32> {
        match self.positions {
            Positions::Narrow(positions) => positions.get(at).map(|&position| u32::from(position)),
            Positions::Wide(positions) => positions.get(at).copied(),
        }
    }

    /// The activation of number `at`.
    pub(crate) fn activation(&self, at: usize) -> Option<f32> {
        match self.activations {
            Activations::Half(activations) => {
                activations.get(at).map(|activation| activation.to_f32())
            }
            Activations::Single(activations) => activations.get(at).copied(),
        }
    }

    /// Number `at`, by falling activation.
    pub(crate) fn get(&self, at: usize) -> Option<Firing> {
        Some(Firing {
            activation: self.activation(at)?,
            row: *self.rows.get(at)?,
            position: self.position(at)?,
        })
    }

    /// All of them, by falling activation.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Firing> + use<'a> {
        let postings = *self;
        (0..postings.len()).map_while(move |at| postings.get(at))
    }
}
