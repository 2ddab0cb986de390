//! Caches that are open for reading: a cache is mapped once and then shared by every call that reads it.
//!
//! Any server on the database may delete a cache, and build another under its name. So each read asks the database which one
//! is meant, and a cache that is open counts only if its manifest has the digest that the database says.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use latentd_cache::Cache;
use latentd_domain::{CacheId, Reason};
use latentd_engine::Tokenizer;
use latentd_store::{
    Store,
    caches::{CacheState, Standing},
};

use crate::{
    app::App,
    grpc::{blocking, error::Error},
};

/// Caches that are kept open. Each costs address space and a few descriptors, not memory.
const KEPT: usize = 32;

/// Caches that are open, the one that was used last at the end.
pub(crate) struct OpenCaches {
    dir: PathBuf,
    open: Mutex<Vec<(CacheId, Arc<Cache>)>>,
}

impl OpenCaches {
    /// None open yet; their folders are in `dir`.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            open: Mutex::default(),
        }
    }

    /// The folder of all that bears this id. The files of a cache lie in a folder within, [`Standing::place`].
    pub(crate) fn root(&self, id: &CacheId) -> PathBuf {
        self.dir.join(id.id())
    }

    /// The cache, opened if it is not.
    pub(crate) async fn get(&self, store: &Store, id: &CacheId) -> Result<Arc<Cache>, Error> {
        let standing = store.caches().standing(id).await?;
        self.open(store, id, standing).await
    }

    /// The cache that stands as the database said just now, opened if it is not.
    pub(crate) async fn open(
        &self,
        store: &Store,
        id: &CacheId,
        record: Standing,
    ) -> Result<Arc<Cache>, Error> {
        if let Some(other) = store.is_elsewhere(record.data_folder.as_deref()) {
            let error = latentd_store::Error::CacheElsewhere {
                cache: id.clone(),
                data_folder: other.to_owned(),
            };
            return Err(error.into());
        }
        match record.state {
            CacheState::Ready => {}
            CacheState::Building => {
                let message = format!("{id} is still being built by {}", record.job);
                return Err(Error::new(Reason::CacheNotReady, message).with("job", record.job));
            }
            CacheState::Failed => {
                let message = format!(
                    "{id} was not finished: {} failed or was cancelled",
                    record.job
                );
                return Err(Error::new(Reason::CacheNotReady, message).with("job", record.job));
            }
        }
        if let Some(cache) = self.opened(id, &record.manifest_digest) {
            return Ok(cache);
        }
        let dir = self.root(id).join(&record.place);
        let cache = Arc::new(blocking(move || Ok(Cache::open(&dir)?)).await?);
        if cache.manifest().digest != record.manifest_digest {
            let message = format!("the files of {id} are not those that {} built", record.job);
            return Err(Error::new(Reason::CacheCorrupt, message));
        }
        self.keep(id, Arc::clone(&cache));
        Ok(cache)
    }

    /// Forgets a cache. Calls that read it go on until they end.
    pub(crate) fn forget(&self, id: &CacheId) {
        self.lock().retain(|(open, _)| open != id);
    }

    /// The cache if it is open and has this digest.
    fn opened(&self, id: &CacheId, digest: &str) -> Option<Arc<Cache>> {
        let mut open = self.lock();
        let at = open.iter().position(|(open, _)| open == id)?;
        let entry = open.remove(at);
        // One whose files were cut short is opened anew, which fails unless somebody put them right.
        if entry.1.manifest().digest != digest || !entry.1.is_intact() {
            return None;
        }
        let cache = Arc::clone(&entry.1);
        open.push(entry);
        Some(cache)
    }

    fn keep(&self, id: &CacheId, cache: Arc<Cache>) {
        let mut open = self.lock();
        open.retain(|(other, _)| other != id);
        if open.len() >= KEPT {
            open.remove(0);
        }
        open.push((id.clone(), cache));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(CacheId, Arc<Cache>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokenizer that a cache was made with, if it is resident: what the text of its tokens needs.
pub(crate) fn tokenizer(app: &App, cache: &Cache) -> Option<Arc<Tokenizer>> {
    let record = &cache.manifest().model;
    let catalog = app.engine.catalog();
    let entry = catalog.models.get(&record.name)?;
    (entry.tokenizer.digest() == record.tokenizer_digest).then(|| Arc::clone(&entry.tokenizer))
}
