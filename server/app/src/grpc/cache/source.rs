//! Which cache and SAE a read is about: both may be left to the server where there is only one answer.

use std::sync::Arc;

use latentd_cache::Cache;
use latentd_domain::{CacheId, Reason, SaeName};
use latentd_engine::Tokenizer;
use latentd_store::caches::Cache as StoredCache;

use crate::{
    app::App,
    caches,
    grpc::{convert, error::Error, parse::Violations},
};

/// Caches that are told of where one has to be chosen.
const CANDIDATES: u32 = 20;

/// What a read names; at least one of the two.
#[derive(Debug)]
pub(in crate::grpc) struct Named {
    cache: Option<CacheId>,
    sae: Option<SaeName>,
}

/// An open cache and one of its SAEs.
#[derive(Debug)]
pub(in crate::grpc) struct Source {
    pub(in crate::grpc) id: CacheId,
    pub(in crate::grpc) cache: Arc<Cache>,
    pub(in crate::grpc) sae: SaeName,
    pub(in crate::grpc) d_sae: u32,
}

impl Named {
    /// Reads the fields `cache` and `sae`.
    pub(super) fn parse(violations: &mut Violations, cache: &str, sae: &str) -> Self {
        if cache.is_empty() && sae.is_empty() {
            violations.invalid("cache", "one of cache and sae must be set");
        }
        Self {
            cache: violations.optional("cache", cache),
            sae: violations.optional("sae", sae),
        }
    }

    /// Names an SAE, and a cache unless it is the one that is taken where none is named.
    pub(in crate::grpc) fn of(cache: Option<CacheId>, sae: SaeName) -> Self {
        Self {
            cache,
            sae: Some(sae),
        }
    }

    /// Opens what is named.
    pub(in crate::grpc) async fn open(self, app: &App) -> Result<Source, Error> {
        let (id, cache) = match (self.cache, &self.sae) {
            (Some(id), _) => {
                let cache = app.caches.get(&app.store, &id).await?;
                (id, cache)
            }
            (None, Some(sae)) => {
                let taken = taken(app, sae).await?;
                let id = taken.id.clone();
                let cache = app.caches.open(&app.store, &id, taken.into()).await?;
                (id, cache)
            }
            (None, None) => return Err(Error::internal("a read without a cache or an SAE")),
        };
        let sae = match self.sae {
            Some(sae) => sae,
            None => only_sae(&id, &cache)?,
        };
        let unknown = || latentd_cache::Error::UnknownSae { sae: sae.clone() };
        let d_sae = convert::cached_d_sae(&cache, &sae).ok_or_else(unknown)?;
        Ok(Source {
            id,
            cache,
            sae,
            d_sae,
        })
    }
}

/// The tokenizer that the cache was made with, for the text of tokens; `or` says what else can be done.
pub(super) fn tokenizer(app: &App, cache: &Cache, or: &str) -> Result<Arc<Tokenizer>, Error> {
    caches::tokenizer(app, cache).ok_or_else(|| {
        let message = format!(
            "the text of tokens needs the tokenizer of {}, which is not resident as it was when the cache was built; \
             load it{or}",
            cache.manifest().model.name
        );
        Error::new(Reason::UnknownModel, message)
    })
}

fn only_sae(id: &CacheId, cache: &Cache) -> Result<SaeName, Error> {
    match cache.manifest().saes.as_slice() {
        [record] => Ok(record.name.clone()),
        records => {
            let names: Vec<String> = records
                .iter()
                .map(|record| record.name.to_string())
                .collect();
            let mut violations = Violations::default();
            violations.invalid("sae", format!("{id} holds several: {}", names.join(", ")));
            violations.check()?;
            Err(Error::internal("no violation"))
        }
    }
}

/// The cache that is taken where none is named: the only ready one that holds the SAE, or the one that is pinned.
pub(super) async fn taken(app: &App, sae: &SaeName) -> Result<StoredCache, Error> {
    let mut holding = app.store.caches().holding(sae, CANDIDATES).await?;
    match holding.as_slice() {
        [] => Err(Error::new(
            Reason::UnknownCache,
            format!("no ready cache holds {sae}"),
        )),
        [_, _, ..] if holding.iter().all(|cache| !cache.pinned) => Err(ambiguous(sae, &holding)),
        [..] => Ok(holding.remove(0)),
    }
}

fn ambiguous(sae: &SaeName, candidates: &[StoredCache]) -> Error {
    let described: Vec<String> = candidates
        .iter()
        .map(|cache| format!("{} ({} tokens)", cache.id, cache.totals.tokens))
        .collect();
    let names: Vec<String> = candidates
        .iter()
        .map(|cache| cache.id.to_string())
        .collect();
    let message = format!(
        "several caches hold {sae}: name one of {}, or pin one",
        described.join(", ")
    );
    Error::new(Reason::AmbiguousCache, message).with("caches", names.join(", "))
}
