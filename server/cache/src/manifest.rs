//! `manifest.json`: what a cache was made from and what its files must be. Written last: a cache without one is not one.
//!
//! It holds no times, host names or paths, so the same inputs give the same bytes, and it carries its own digest, which
//! names the cache: equal digests mean equal caches.

use std::{ops::Range, path::Path};

use latentd_domain::{ActivationDtype, HookPoint, ModelId, SaeName, SpecialTokens};
use serde::{Deserialize, Serialize};

use crate::{
    Error, TokenTable, files,
    files::AtomicFile,
    layout::{manifest_path, sae_dir, shard_path, stats_path, tokens_path},
    plan,
    shard::{Clipped, Shard, ShardSpec, ShardSummary},
    stats::Totals,
};

/// Format that this crate writes, and the only one that it reads.
const FORMAT: &str = "latentd-cache/1";

/// Longest manifest that is read: 64 MiB describe 300 000 shards.
const MAX_BYTES: u64 = 64 << 20;

/// What a cache was made from and what its files must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name and version of the format.
    pub format: String,
    /// BLAKE3 of this manifest with an empty digest, in hexadecimal.
    pub digest: String,
    /// The model.
    pub model: ModelRecord,
    /// BLAKE3 of the documents, each with its length, in the order of the cache.
    pub corpus_digest: String,
    /// How the corpus was read and encoded.
    pub settings: Settings,
    /// The rows of tokens.
    pub tokens: TokensRecord,
    /// The SAEs, by name.
    pub saes: Vec<SaeRecord>,
}

/// The model that a cache was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// Its name.
    pub name: ModelId,
    /// Digest of its weights.
    pub digest: String,
    /// Digest of its tokenizer.
    pub tokenizer_digest: String,
}

/// How the corpus of a cache was read and encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Longest row, in tokens.
    pub context_length: usize,
    /// Tokens taken at most.
    pub max_tokens: Option<u64>,
    /// Seed of the order of documents; 0 for the order of the corpus.
    pub seed: u64,
    /// Token in front of each row.
    pub bos: Option<u32>,
    /// What happened to special tokens.
    pub special_tokens: SpecialTokens,
    /// Token ids on which nothing fires, ascending.
    pub masked_ids: Vec<u32>,
    /// Number format of stored activations.
    pub activation_dtype: ActivationDtype,
    /// Tokens of a shard, about.
    pub shard_tokens: u64,
}

/// The rows of tokens of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensRecord {
    /// BLAKE3 of the file.
    pub digest: String,
    /// Length of the file.
    pub bytes: u64,
    /// Tokens, special ones included.
    pub tokens: u64,
    /// Tokens that were encoded: those that are not masked.
    pub encoded_tokens: u64,
    /// Rows.
    pub rows: u64,
    /// Documents.
    pub documents: u64,
}

/// One SAE of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaeRecord {
    /// Its name.
    pub name: SaeName,
    /// Where it reads the model.
    pub hook_point: HookPoint,
    /// Number of latents.
    pub d_sae: u32,
    /// Digest of its weights.
    pub digest: String,
    /// Stored activations.
    pub activations: u64,
    /// Latents that fired at least once.
    pub firing_latents: u32,
    /// Activations that are larger than any number of f16 and stored as its largest, 65504.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above_range: u64,
    /// Activations that f16 would round to 0 and that are stored as its smallest number, 2^-24.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub below_range: u64,
    /// BLAKE3 of the statistics file.
    pub stats_digest: String,
    /// Length of the statistics file.
    pub stats_bytes: u64,
    /// The shards, in the order of their rows.
    pub shards: Vec<ShardRecord>,
}

/// One shard of an SAE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardRecord {
    /// First row, and the row after the last one.
    pub rows: (u64, u64),
    /// Stored activations.
    pub activations: u64,
    /// BLAKE3 of the file.
    pub digest: String,
    /// Length of the file.
    pub bytes: u64,
}

/// What [`finish`] cannot find in the files.
#[derive(Clone, Debug)]
pub struct BuildRecord {
    /// The model.
    pub model: ModelRecord,
    /// How the corpus was read and encoded.
    pub settings: Settings,
    /// The SAEs, in any order.
    pub saes: Vec<BuiltSae>,
}

/// An SAE whose shards are written.
#[derive(Clone, Debug)]
pub struct BuiltSae {
    /// Its name.
    pub name: SaeName,
    /// Where it reads the model.
    pub hook_point: HookPoint,
    /// Number of latents.
    pub d_sae: u32,
    /// Digest of its weights.
    pub digest: String,
    /// What [`crate::ShardBuilder::write`] said of each shard, in the order of [`crate::shards`].
    pub shards: Vec<ShardSummary>,
}

/// Counts that are seldom there are left out, so that the digests of older manifests hold.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Manifest {
    /// Reads the manifest of the cache in `dir`.
    ///
    /// Fails with `CacheCorrupt` if it is missing, malformed, of another format, or does not have its own digest.
    pub(crate) fn read(dir: &Path) -> Result<Self, Error> {
        let path = manifest_path(dir);
        let bytes =
            latentd_files::read(&path, MAX_BYTES).map_err(|error| Error::of_file(&path, error))?;
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupt(&path, format!("not a manifest: {error}")))?;
        if manifest.format != FORMAT {
            let format = &manifest.format;
            return Err(Error::corrupt(
                &path,
                format!("the format is `{format}`, not `{FORMAT}`"),
            ));
        }
        if manifest.digest != manifest.own_digest()? {
            return Err(Error::corrupt(&path, "the digest does not fit the content"));
        }
        Ok(manifest)
    }

    fn own_digest(&self) -> Result<String, Error> {
        let blank = Self {
            digest: String::new(),
            ..self.clone()
        };
        Ok(blake3::hash(&blank.to_json()?).to_hex().to_string())
    }

    fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::invalid_build(format!("the manifest is not JSON: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Bytes of the files that the manifest describes.
    pub fn bytes(&self) -> u64 {
        let of_sae = |sae: &SaeRecord| {
            sae.stats_bytes + sae.shards.iter().map(|shard| shard.bytes).sum::<u64>()
        };
        self.tokens.bytes + self.saes.iter().map(of_sae).sum::<u64>()
    }
}

impl Settings {
    pub(crate) fn shard_spec(&self, d_sae: u32, rows: Range<u64>) -> ShardSpec {
        ShardSpec {
            d_sae,
            dtype: self.activation_dtype,
            context_length: self.context_length,
            rows,
        }
    }
}

/// Ends a build: computes the statistics from the shards, one at a time, and writes the manifest.
///
/// The result is the same whenever and however often it is called. Fails with `InvalidBuild` if the shards are not those
/// of the plan, and with `CacheCorrupt` if a file is not what its summary says.
pub fn finish(dir: &Path, record: BuildRecord) -> Result<Manifest, Error> {
    let BuildRecord {
        model,
        mut settings,
        mut saes,
    } = record;
    settings.masked_ids.sort_unstable();
    settings.masked_ids.dedup();
    saes.sort_by(|a, b| a.name.cmp(&b.name));
    let table = TokenTable::open(dir)?;
    files::sweep(dir)?;
    let plan = plan::shards(&table, settings.shard_tokens);
    let saes = saes
        .into_iter()
        .map(|sae| finish_sae(dir, sae, &plan, &settings));
    let mut manifest = Manifest {
        format: FORMAT.to_owned(),
        digest: String::new(),
        model,
        corpus_digest: table.corpus_digest().to_owned(),
        saes: saes.collect::<Result<_, Error>>()?,
        tokens: TokensRecord {
            digest: files::digest_of(&tokens_path(dir))?,
            bytes: table.bytes(),
            tokens: table.tokens(),
            encoded_tokens: table.encoded_tokens(&settings.masked_ids),
            rows: table.rows(),
            documents: table.documents(),
        },
        settings,
    };
    manifest.digest = manifest.own_digest()?;
    table.intact()?;
    let mut file = AtomicFile::create(&manifest_path(dir))?;
    file.write(&manifest.to_json()?)?;
    file.commit()?;
    Ok(manifest)
}

fn finish_sae(
    dir: &Path,
    sae: BuiltSae,
    plan: &[Range<u64>],
    settings: &Settings,
) -> Result<SaeRecord, Error> {
    let BuiltSae {
        name,
        hook_point,
        d_sae,
        digest,
        shards,
    } = sae;
    if shards.len() != plan.len() {
        let (have, want) = (shards.len(), plan.len());
        return Err(Error::invalid_build(format!(
            "{name} has {have} shards of {want}"
        )));
    }
    let folder = sae_dir(dir, &name);
    files::create_dir(&folder)?;
    files::sweep(&folder)?;
    let mut totals = Totals::new(d_sae);
    let mut clipped = Clipped::default();
    let mut records = Vec::with_capacity(shards.len());
    for (at, (summary, rows)) in shards.into_iter().zip(plan).enumerate() {
        let path = shard_path(dir, &name, at);
        let shard = Shard::open(
            &path,
            settings.shard_spec(d_sae, rows.clone()),
            summary.entries,
        )?;
        if shard.bytes() != summary.bytes {
            return Err(shard.corrupt(format!(
                "it has {} bytes, not {}",
                shard.bytes(),
                summary.bytes
            )));
        }
        totals.add(&shard);
        shard.intact()?;
        clipped.add(shard.clipped());
        records.push(ShardRecord {
            rows: (rows.start, rows.end),
            activations: summary.entries,
            digest: summary.digest,
            bytes: summary.bytes,
        });
    }
    let stats = totals.write(&stats_path(dir, &name))?;
    Ok(SaeRecord {
        name,
        hook_point,
        d_sae,
        digest,
        activations: totals.entries(),
        firing_latents: totals.firing_latents(),
        above_range: clipped.above,
        below_range: clipped.below,
        stats_digest: stats.digest,
        stats_bytes: stats.bytes,
        shards: records,
    })
}
