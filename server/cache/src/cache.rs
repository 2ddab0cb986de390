//! A complete cache, open for reading. Cheap to share: everything is mapped, nothing changes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use latentd_domain::{ExampleQuery, LatentExamples, LatentStats, SaeName, autointerp::ExampleId};

use crate::{
    Error, Manifest, TokenTable,
    examples::{self, Limits, Source, Taken},
    files,
    layout::{manifest_path, sae_dir, shard_path, stats_path},
    manifest::SaeRecord,
    plan,
    shard::Shard,
    stats::{StatsTable, density},
};

/// A cache on disk, open for reading.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    manifest: Manifest,
    tokens: TokenTable,
    saes: BTreeMap<SaeName, CachedSae>,
}

#[derive(Debug)]
struct CachedSae {
    d_sae: u32,
    dir: PathBuf,
    shards: Vec<Shard>,
    stats: StatsTable,
    computing: Mutex<()>,
}

/// What a cache holds of one SAE.
pub(crate) struct Parts<'a> {
    pub(crate) d_sae: u32,
    /// The folder of the SAE.
    pub(crate) dir: &'a Path,
    /// The shards, in the order of their rows.
    pub(crate) shards: &'a [Shard],
    pub(crate) stats: &'a StatsTable,
    /// Held by who computes something that is kept, so that nobody does so twice at once.
    pub(crate) computing: &'a Mutex<()>,
}

impl Cache {
    /// Opens the cache in `dir` and checks its structure: that every file is there, has the length and the columns that
    /// the manifest says, and that offsets rise. What the files hold beyond that is checked by [`Cache::verify`].
    ///
    /// Fails with `CacheCorrupt`, naming the file and what does not fit.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(dir)?;
        let tokens = TokenTable::open(dir)?;
        check_tokens(&manifest, &tokens)?;
        let saes = manifest.saes.iter().map(|record| {
            let sae = open_sae(dir, &manifest, &tokens, record)?;
            Ok((record.name.clone(), sae))
        });
        let saes = saes.collect::<Result<_, Error>>()?;
        Ok(Self {
            dir: dir.to_owned(),
            saes,
            tokens,
            manifest,
        })
    }

    /// What the cache was made from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The rows of tokens.
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        let manifest =
            fs_err::metadata(manifest_path(&self.dir)).map_or(0, |metadata| metadata.len());
        self.manifest.bytes() + manifest
    }

    /// Statistics of one latent, in constant time.
    pub fn stats(&self, sae: &SaeName, latent: u32) -> Result<LatentStats, Error> {
        let cached = self.sae(sae)?;
        let stats = cached
            .stats
            .get(latent, self.manifest.tokens.encoded_tokens);
        cached.stats.intact()?;
        stats.ok_or_else(|| cached.unknown(sae, latent))
    }

    /// Examples of one latent. The time that it takes does not grow with the cache beyond what [`crate::MAX_CANDIDATES`]
    /// and [`crate::MAX_ENTRIES_READ`] say.
    ///
    /// Fails with `UnknownSae`, `UnknownLatent`, or `CacheCorrupt` where the shards do not fit the rows.
    pub fn examples(
        &self,
        sae: &SaeName,
        latent: u32,
        query: &ExampleQuery,
    ) -> Result<LatentExamples, Error> {
        self.examples_apart(sae, latent, query, &[])
    }

    /// Examples of one latent, none of which shares a token with a window of `exclude`.
    ///
    /// Fails as [`Cache::examples`].
    pub fn examples_apart(
        &self,
        sae: &SaeName,
        latent: u32,
        query: &ExampleQuery,
        exclude: &[ExampleId],
    ) -> Result<LatentExamples, Error> {
        self.guarded(Some(sae), || {
            let (firing_tokens, mut source) = self.source(sae, latent)?;
            source.excluded = self.tokens_of(exclude);
            let examples = examples::read(&source, query)?;
            Ok(LatentExamples {
                latent,
                firing_tokens,
                density: density(firing_tokens, self.manifest.tokens.encoded_tokens),
                max_activation: source.max_activation,
                examples,
            })
        })
    }

    /// What `read` gives, unless a file that it may have read was cut short: then nothing of it is believed, its error included.
    pub(crate) fn guarded<T>(
        &self,
        sae: Option<&SaeName>,
        read: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = read();
        self.intact(sae)?;
        result
    }

    /// Fails with `CacheCorrupt` if the rows of tokens or the files of the SAE were cut short since the cache was opened.
    fn intact(&self, sae: Option<&SaeName>) -> Result<(), Error> {
        self.tokens.intact()?;
        let Some(cached) = sae.and_then(|sae| self.saes.get(sae)) else {
            return Ok(());
        };
        cached.stats.intact()?;
        cached.shards.iter().try_for_each(Shard::intact)
    }

    /// Whether no file was cut short since the cache was opened. One of which this is not so can only be opened anew.
    pub fn is_intact(&self) -> bool {
        let mut saes = self.saes.keys();
        self.tokens.intact().is_ok() && saes.all(|sae| self.intact(Some(sae)).is_ok())
    }

    /// On how many tokens a latent fires, and what its examples are read from.
    pub(crate) fn source(&self, sae: &SaeName, latent: u32) -> Result<(u64, Source<'_>), Error> {
        let cached = self.sae(sae)?;
        let extent = cached.stats.extent(latent);
        let (firing_tokens, max_activation) = extent.ok_or_else(|| cached.unknown(sae, latent))?;
        let source = Source {
            tokens: &self.tokens,
            shards: &cached.shards,
            dir: &cached.dir,
            latent,
            max_activation,
            limits: Limits::default(),
            excluded: Taken::default(),
        };
        Ok((firing_tokens, source))
    }

    /// The tokens of windows; of those that the cache does not have, none.
    pub(crate) fn tokens_of(&self, windows: &[ExampleId]) -> Taken {
        let mut tokens = Taken::default();
        for id in windows {
            let row = self.tokens.range(id.row);
            let start = (row.start + u64::from(id.start)).min(row.end);
            tokens.add(&(start..(start + u64::from(id.len)).min(row.end)));
        }
        tokens
    }

    /// The shards and statistics of an SAE.
    pub(crate) fn parts(&self, sae: &SaeName) -> Result<Parts<'_>, Error> {
        let cached = self.sae(sae)?;
        Ok(Parts {
            d_sae: cached.d_sae,
            dir: &cached.dir,
            shards: &cached.shards,
            stats: &cached.stats,
            computing: &cached.computing,
        })
    }

    /// The folder of the cache.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads every file and compares its digest with the manifest's.
    pub fn verify(&self) -> Result<(), Error> {
        verify(self.tokens.path(), &self.manifest.tokens.digest)?;
        for record in &self.manifest.saes {
            let cached = self.sae(&record.name)?;
            verify(cached.stats.path(), &record.stats_digest)?;
            for (shard, record) in cached.shards.iter().zip(&record.shards) {
                verify(shard.path(), &record.digest)?;
            }
        }
        Ok(())
    }

    fn sae(&self, sae: &SaeName) -> Result<&CachedSae, Error> {
        self.saes
            .get(sae)
            .ok_or_else(|| Error::UnknownSae { sae: sae.clone() })
    }
}

impl CachedSae {
    fn unknown(&self, sae: &SaeName, latent: u32) -> Error {
        Error::UnknownLatent {
            sae: sae.clone(),
            latent,
            d_sae: self.d_sae,
        }
    }
}

fn verify(path: &Path, digest: &str) -> Result<(), Error> {
    if files::digest_of(path)? == digest {
        Ok(())
    } else {
        Err(Error::corrupt(path, "the digest is not the manifest's"))
    }
}

fn check_tokens(manifest: &Manifest, tokens: &TokenTable) -> Result<(), Error> {
    let record = &manifest.tokens;
    let said = (record.bytes, record.tokens, record.rows, record.documents);
    let found = (
        tokens.bytes(),
        tokens.tokens(),
        tokens.rows(),
        tokens.documents(),
    );
    let longest = (0..tokens.rows())
        .map(|row| tokens.row_len(row))
        .max()
        .unwrap_or(0);
    if said != found || tokens.corpus_digest() != manifest.corpus_digest {
        return Err(Error::corrupt(
            tokens.path(),
            "the rows are not those of the manifest",
        ));
    }
    if longest as usize > manifest.settings.context_length {
        return Err(Error::corrupt(
            tokens.path(),
            format!("a row has {longest} tokens"),
        ));
    }
    Ok(())
}

fn open_sae(
    dir: &Path,
    manifest: &Manifest,
    tokens: &TokenTable,
    record: &SaeRecord,
) -> Result<CachedSae, Error> {
    let settings = &manifest.settings;
    let plan = plan::shards(tokens, settings.shard_tokens);
    let planned = plan.iter().map(|rows| (rows.start, rows.end));
    if !planned.eq(record.shards.iter().map(|shard| shard.rows)) {
        let detail = format!("the shards of {} do not cover the rows", record.name);
        return Err(Error::corrupt(&manifest_path(dir), detail));
    }
    let shards = record
        .shards
        .iter()
        .zip(plan)
        .enumerate()
        .map(|(at, (shard, rows))| {
            let path = shard_path(dir, &record.name, at);
            let opened = Shard::open(
                &path,
                settings.shard_spec(record.d_sae, rows),
                shard.activations,
            )?;
            check_length(&path, opened.bytes(), shard.bytes)?;
            Ok(opened)
        });
    let shards = shards.collect::<Result<_, Error>>()?;
    let stats = StatsTable::open(&stats_path(dir, &record.name), record.d_sae)?;
    check_length(stats.path(), stats.bytes(), record.stats_bytes)?;
    Ok(CachedSae {
        d_sae: record.d_sae,
        dir: sae_dir(dir, &record.name),
        shards,
        stats,
        computing: Mutex::new(()),
    })
}

fn check_length(path: &Path, found: u64, said: u64) -> Result<(), Error> {
    if found == said {
        Ok(())
    } else {
        Err(Error::corrupt(
            path,
            format!("the file has {found} bytes, the manifest says {said}"),
        ))
    }
}
