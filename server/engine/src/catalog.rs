//! What is resident, as an immutable snapshot: readers hold an `Arc` and are never in the loader's way.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::SystemTime};

use latentd_domain::{Dtype, ModelId, ModelInfo, ModelKind, SaeInfo, SaeName};
use latentd_nn::{sae::SaeOptions, tokenizer::Tokenizer};

use crate::{
    Error,
    compute::{Resident, ResidentEncoder, ResidentModel, ResidentSae},
};

/// A resident model.
pub struct ModelEntry {
    /// Its id.
    pub id: ModelId,
    /// What is known of it.
    pub info: ModelInfo,
    /// Its tokenizer, usable on any thread.
    pub tokenizer: Arc<Tokenizer>,
    /// When it became resident.
    pub loaded_at: SystemTime,
    /// Tells apart a model from another that had the same id before it.
    pub(crate) serial: u64,
    pub(crate) source: ModelSource,
    pub(crate) resident: Resident,
}

impl ModelEntry {
    /// The language model.
    pub(crate) fn language(&self) -> Result<&Arc<dyn ResidentModel>, Error> {
        match &self.resident {
            Resident::Language(model) => Ok(model),
            Resident::Sentences(_) => Err(self.is_not(ModelKind::Language)),
        }
    }

    /// The sentence encoder.
    pub(crate) fn encoder(&self) -> Result<&Arc<dyn ResidentEncoder>, Error> {
        match &self.resident {
            Resident::Sentences(encoder) => Ok(encoder),
            Resident::Language(_) => Err(self.is_not(ModelKind::SentenceEncoder)),
        }
    }

    /// Nothing, if it is of the kind that is needed.
    ///
    /// # Errors
    ///
    /// [`Error::WrongModelKind`].
    pub fn must_be(&self, needed: ModelKind) -> Result<(), Error> {
        if self.info.kind == needed {
            Ok(())
        } else {
            Err(self.is_not(needed))
        }
    }

    fn is_not(&self, needed: ModelKind) -> Error {
        Error::WrongModelKind {
            model: self.id.clone(),
            needed,
        }
    }
}

/// A resident SAE.
pub struct SaeEntry {
    /// Its name.
    pub name: SaeName,
    /// What is known of it, the result of the self-test included.
    pub info: SaeInfo,
    /// When it became resident.
    pub loaded_at: SystemTime,
    pub(crate) serial: u64,
    pub(crate) source: SaeSource,
    pub(crate) resident: Arc<dyn ResidentSae>,
}

/// What a model was asked to be loaded from: asking again for the same is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelSource {
    pub(crate) path: PathBuf,
    pub(crate) dtype: Dtype,
}

/// What an SAE was asked to be loaded from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SaeSource {
    pub(crate) path: PathBuf,
    pub(crate) options: SaeOptions,
}

impl fmt::Debug for ModelEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelEntry")
            .field("id", &self.id)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SaeEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaeEntry")
            .field("name", &self.name)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// Every resident model and SAE at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Models by id.
    pub models: BTreeMap<ModelId, Arc<ModelEntry>>,
    /// SAEs by name.
    pub saes: BTreeMap<SaeName, Arc<SaeEntry>>,
}

impl Catalog {
    /// The SAEs of one model, by name.
    pub fn saes_of<'a>(&'a self, model: &'a ModelId) -> impl Iterator<Item = &'a Arc<SaeEntry>> {
        self.saes
            .values()
            .filter(move |entry| entry.name.model() == model)
    }

    /// The sentence encoders, by id.
    pub fn sentence_encoders(&self) -> impl Iterator<Item = &Arc<ModelEntry>> {
        self.models
            .values()
            .filter(|entry| entry.info.kind == ModelKind::SentenceEncoder)
    }

    /// Bytes that all of them take on the device.
    pub fn resident_bytes(&self) -> u64 {
        let models = self.models.values().map(|entry| entry.resident.bytes());
        let saes = self.saes.values().map(|entry| entry.info.resident_bytes);
        models.chain(saes).sum()
    }
}
