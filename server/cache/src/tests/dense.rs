//! A cache held in memory as plain maps, with the rules of examples in their plainest form.

use std::{collections::BTreeMap, ops::Range, path::Path};

use half::f16;
use latentd_domain::{
    ActivationDtype, Centring, ExampleMode, ExampleQuery, SaeName, SparseActivations, SpecialTokens,
};
use proptest::prelude::*;

use crate::{
    BuildRecord, BuiltSae, Cache, Manifest, ModelRecord, RowSpec, Settings, ShardBuilder,
    ShardSpec, ShardSummary, TokenTable, TokenWriter, batches, finish, shard_path, shards,
};

/// Documents, and what fires on each token of the rows that they are cut into.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) d_sae: u32,
    pub(super) context_length: usize,
    pub(super) shard_tokens: u64,
    pub(super) dtype: ActivationDtype,
    pub(super) documents: Vec<Vec<u32>>,
    /// Seed of the activations: what fires on a token follows from it, the latent, the row and the position.
    pub(super) salt: u64,
    /// Of 1000 tokens, on how many a latent fires.
    pub(super) density: u64,
}

/// Small caches of every shape. Few token ids and few sizes of activation make repeats and ties common.
pub(super) fn dense() -> impl Strategy<Value = Dense> {
    let documents = prop::collection::vec(prop::collection::vec(1..4_u32, 0..60), 1..8);
    let shape = (
        2..40_usize,
        1..100_u64,
        any::<bool>(),
        any::<u64>(),
        0..1001_u64,
    );
    (documents, shape).prop_map(
        |(documents, (context_length, shard_tokens, half, salt, density))| Dense {
            d_sae: 3,
            context_length,
            shard_tokens,
            dtype: if half {
                ActivationDtype::F16
            } else {
                ActivationDtype::F32
            },
            documents,
            salt,
            density,
        },
    )
}

pub(super) fn sae() -> SaeName {
    "tiny/sae".parse().unwrap()
}

impl Dense {
    pub(super) fn rows(&self) -> Vec<(u64, Vec<u32>)> {
        let rows = self
            .documents
            .iter()
            .enumerate()
            .flat_map(|(document, ids)| {
                ids.chunks(self.context_length - 1)
                    .map(move |piece| (document as u64, [&[0], piece].concat()))
            });
        rows.collect()
    }

    /// The activation of a latent, 0 where it does not fire, as encoded.
    pub(super) fn activation(&self, latent: u32, row: usize, position: usize) -> f32 {
        let place = u64::from(latent) << 40 | (row as u64) << 20 | position as u64;
        let hash = blake3::hash(&[self.salt.to_le_bytes(), place.to_le_bytes()].concat());
        let hash = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
        if hash % 1000 < self.density {
            0.1 * (1 + (hash >> 32) % 13) as f32
        } else {
            0.0
        }
    }

    /// The activation of a latent as stored.
    pub(super) fn stored(&self, latent: u32, row: usize, position: usize) -> f32 {
        let activation = self.activation(latent, row, position);
        match self.dtype {
            ActivationDtype::F16 => f16::from_f32(activation).to_f32(),
            ActivationDtype::F32 => activation,
        }
    }

    pub(super) fn encode(&self, rows: &[u64]) -> SparseActivations {
        let all = self.rows();
        let mut out = SparseActivations::default();
        for &row in rows {
            let row = row as usize;
            for position in 0..all[row].1.len() {
                for latent in 0..self.d_sae {
                    let activation = self.activation(latent, row, position);
                    if activation > 0.0 {
                        out.push(latent, activation);
                    }
                }
                out.end_row();
            }
        }
        out
    }

    pub(super) fn shard_spec(&self, rows: Range<u64>) -> ShardSpec {
        ShardSpec {
            d_sae: self.d_sae,
            dtype: self.dtype,
            context_length: self.context_length,
            rows,
        }
    }

    pub(super) fn write_tokens(&self, dir: &Path) -> TokenTable {
        let spec = RowSpec {
            context_length: self.context_length,
            bos: Some(0),
            max_tokens: None,
        };
        let mut writer = TokenWriter::create(dir, spec).unwrap();
        for document in &self.documents {
            writer.push_document(document).unwrap();
        }
        writer.finish("corpus").unwrap();
        TokenTable::open(dir).unwrap()
    }

    /// Adds the rows in batches of like length, as a build does.
    pub(super) fn write_shard(
        &self,
        table: &TokenTable,
        rows: Range<u64>,
        path: &Path,
    ) -> ShardSummary {
        let mut shard = ShardBuilder::new(self.shard_spec(rows.clone()));
        for batch in batches(table, rows, 50) {
            let activations = self.encode(&batch);
            let mut start = 0;
            for row in batch {
                let end = start + table.row_len(row) as usize;
                shard.add_row(row, &activations, start..end).unwrap();
                start = end;
            }
        }
        shard.write(path).unwrap()
    }

    pub(super) fn record(&self, shards: Vec<ShardSummary>) -> BuildRecord {
        BuildRecord {
            model: ModelRecord {
                name: sae().model().clone(),
                digest: "model".to_owned(),
                tokenizer_digest: "tokenizer".to_owned(),
            },
            settings: Settings {
                context_length: self.context_length,
                max_tokens: None,
                seed: 0,
                bos: Some(0),
                special_tokens: SpecialTokens::Mask,
                masked_ids: vec![0],
                activation_dtype: self.dtype,
                shard_tokens: self.shard_tokens,
            },
            saes: vec![BuiltSae {
                name: sae(),
                hook_point: "blocks.1.hook_resid_post".parse().unwrap(),
                d_sae: self.d_sae,
                digest: "sae".to_owned(),
                shards,
            }],
        }
    }

    /// Builds the cache in `dir`; `None` if there are no tokens.
    pub(super) fn build(&self, dir: &Path) -> Option<Manifest> {
        if self.rows().is_empty() {
            return None;
        }
        let table = self.write_tokens(dir);
        let plan = shards(&table, self.shard_tokens).into_iter().enumerate();
        let summaries =
            plan.map(|(at, rows)| self.write_shard(&table, rows, &shard_path(dir, &sae(), at)));
        Some(finish(dir, self.record(summaries.collect())).unwrap())
    }

    pub(super) fn open(&self) -> Option<(tempfile::TempDir, Cache)> {
        let dir = tempfile::tempdir().unwrap();
        self.build(dir.path())?;
        let cache = Cache::open(dir.path()).unwrap();
        Some((dir, cache))
    }

    /// The windows of a latent, by the rules in the documentation of `examples`, one row after the other in full.
    pub(super) fn population(&self, latent: u32, query: &ExampleQuery) -> Vec<Naive> {
        let rows = self.rows();
        let mut tokens: Vec<(f32, usize, usize)> = Vec::new();
        for (row, (_, ids)) in rows.iter().enumerate() {
            for position in 0..ids.len() {
                tokens.push((self.stored(latent, row, position), row, position));
            }
        }
        tokens.retain(|&(activation, ..)| activation > 0.0);
        tokens.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut kept: Vec<Naive> = Vec::new();
        let mut out: Vec<Naive> = Vec::new();
        for (at, &(peak, row, position)) in tokens.iter().enumerate() {
            let window = place(query, position, rows[row].1.len());
            let overlaps = kept.iter().any(|other| {
                other.row == row
                    && other.window.start < window.end
                    && window.start < other.window.end
            });
            let stronger = tokens[..at]
                .iter()
                .any(|&(_, other, place)| other == row && window.contains(&place));
            if overlaps || stronger {
                continue;
            }
            let ids = rows[row].1[window.clone()].to_vec();
            let naive = Naive {
                row,
                window,
                ids,
                peak,
                position,
            };
            if kept.iter().all(|other| other.ids != naive.ids) {
                out.push(naive.clone());
            }
            kept.push(naive);
        }
        out
    }
}

/// A window, naively.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Naive {
    pub(super) row: usize,
    pub(super) window: Range<usize>,
    pub(super) ids: Vec<u32>,
    pub(super) peak: f32,
    pub(super) position: usize,
}

/// Where a window lies, in signed arithmetic.
pub(super) fn place(query: &ExampleQuery, position: usize, row_len: usize) -> Range<usize> {
    let (window, row_len, position) = (query.window as i64, row_len as i64, position as i64);
    let before = match query.centring {
        Centring::Grid => {
            let start = position / window * window;
            return start as usize..(start + window).min(row_len) as usize;
        }
        Centring::Peak => (window - window / 4).min(window - 1),
        Centring::Middle => window / 2,
    };
    let len = window.min(row_len);
    let start = (position - before).max(0).min(row_len - len);
    start as usize..(start + len) as usize
}

pub(super) fn query() -> impl Strategy<Value = ExampleQuery> {
    (
        0..5_usize,
        0..12_usize,
        1..6_usize,
        1..20_usize,
        0..3_usize,
        0..4_u64,
    )
        .prop_map(
            |(mode, count, groups, window, centring, seed)| ExampleQuery {
                mode: MODES[mode],
                count,
                groups,
                window,
                centring: [Centring::Peak, Centring::Grid, Centring::Middle][centring],
                seed,
            },
        )
}

pub(super) const MODES: [ExampleMode; 5] = [
    ExampleMode::Top,
    ExampleMode::Quantile,
    ExampleMode::Bins,
    ExampleMode::Random,
    ExampleMode::NonActivating,
];

/// Every file below `dir`, by name.
pub(super) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            out.extend(
                files(&path)
                    .into_iter()
                    .map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            );
        } else {
            out.insert(name, fs_err::read(&path).unwrap());
        }
    }
    out
}
