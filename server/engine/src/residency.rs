//! The rules of loading and unloading: what may be added beside what, and what may be taken away.
//!
//! Every change makes a new [`Catalog`]; works that were submitted before keep their entries, so nothing is freed under a
//! running batch.

use std::{
    mem,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use latentd_domain::{ModelId, ModelInfo, SaeName};

use crate::{
    Error,
    catalog::{Catalog, ModelEntry, ModelSource, SaeEntry},
    compute::Content,
};

/// The current catalog and the only way to change it.
#[derive(Debug, Default)]
pub(crate) struct Residency {
    catalog: RwLock<Arc<Catalog>>,
    serial: AtomicU64,
}

/// Entries that left the catalog: dropping them gives the memory back, which takes a while.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    pub(crate) models: Vec<Arc<ModelEntry>>,
    pub(crate) saes: Vec<Arc<SaeEntry>>,
}

impl Removed {
    /// Bytes that they take on the device.
    pub(crate) fn bytes(&self) -> u64 {
        let models = self.models.iter().map(|entry| entry.resident.bytes());
        models
            .chain(self.saes.iter().map(|entry| entry.info.resident_bytes))
            .sum()
    }
}

impl Residency {
    /// The catalog as it is now.
    pub(crate) fn snapshot(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number that no entry had before.
    pub(crate) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// The model that is resident under `id`, if there is one and it is what `source` asks for. Its content is identified
    /// only where the source is not the one that it came from.
    pub(crate) fn resident_model(
        &self,
        id: &ModelId,
        source: &ModelSource,
        identify: impl FnOnce() -> Result<Content, Error>,
    ) -> Result<Option<Arc<ModelEntry>>, Error> {
        let Some(resident) = self.snapshot().models.get(id).cloned() else {
            return Ok(None);
        };
        let ModelInfo {
            digest,
            tokenizer_digest,
            ..
        } = &resident.info;
        let same = resident.source == *source
            || (resident.source.dtype == source.dtype && {
                let content = identify()?;
                content.weights == *digest && content.tokenizer == *tokenizer_digest
            });
        if same {
            Ok(Some(resident))
        } else {
            Err(taken(id))
        }
    }

    /// Adds a model under an id that is free.
    pub(crate) fn add_model(&self, entry: ModelEntry) -> Result<Arc<ModelEntry>, Error> {
        self.change(|catalog| {
            if catalog.models.contains_key(&entry.id) {
                return Err(taken(&entry.id));
            }
            let entry = Arc::new(entry);
            catalog.models.insert(entry.id.clone(), Arc::clone(&entry));
            Ok(entry)
        })
    }

    /// Adds an SAE of `model`, which must not have been unloaded meanwhile; if one of equal content is there under the
    /// name, that one stays.
    pub(crate) fn add_sae(
        &self,
        entry: SaeEntry,
        model: &ModelEntry,
    ) -> Result<Arc<SaeEntry>, Error> {
        self.change(|catalog| {
            if catalog
                .models
                .get(&model.id)
                .is_none_or(|resident| resident.serial != model.serial)
            {
                return Err(Error::UnknownModel {
                    model: model.id.clone(),
                });
            }
            if let Some(resident) = catalog.saes.get(&entry.name) {
                let same = resident.info.digest == entry.info.digest
                    && resident.source.options == entry.source.options;
                let resident = Arc::clone(resident);
                return if same {
                    Ok(resident)
                } else {
                    Err(taken(&entry.name))
                };
            }
            let entry = Arc::new(entry);
            catalog.saes.insert(entry.name.clone(), Arc::clone(&entry));
            Ok(entry)
        })
    }

    /// Takes a model away, and with `force` its SAEs too.
    pub(crate) fn remove_model(&self, id: &ModelId, force: bool) -> Result<Removed, Error> {
        self.change(|catalog| {
            let saes: Vec<SaeName> = catalog
                .saes_of(id)
                .map(|entry| entry.name.clone())
                .collect();
            let Some(entry) = catalog.models.get(id).cloned() else {
                return Err(Error::UnknownModel { model: id.clone() });
            };
            if !saes.is_empty() && !force {
                return Err(Error::ResourceInUse {
                    model: id.clone(),
                    saes: saes.len(),
                });
            }
            catalog.models.remove(id);
            let saes = saes
                .iter()
                .filter_map(|name| catalog.saes.remove(name))
                .collect();
            Ok(Removed {
                models: vec![entry],
                saes,
            })
        })
    }

    /// Takes an SAE away.
    pub(crate) fn remove_sae(&self, name: &SaeName) -> Result<Removed, Error> {
        self.change(|catalog| match catalog.saes.remove(name) {
            Some(entry) => Ok(Removed {
                models: Vec::new(),
                saes: vec![entry],
            }),
            None => Err(Error::UnknownSae { sae: name.clone() }),
        })
    }

    /// Takes everything away.
    pub(crate) fn clear(&self) {
        let mut current = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let all = mem::take(&mut *current);
        drop(current);
        drop(all);
    }

    /// Changes a copy of the catalog and puts it in place if that went well.
    fn change<T>(&self, change: impl FnOnce(&mut Catalog) -> Result<T, Error>) -> Result<T, Error> {
        let mut current = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let mut catalog = Catalog::clone(&current);
        let out = change(&mut catalog)?;
        *current = Arc::new(catalog);
        Ok(out)
    }
}

fn taken(name: &impl ToString) -> Error {
    Error::AlreadyExists {
        name: name.to_string(),
    }
}
