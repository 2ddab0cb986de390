//! Which jobs this process works on, for those who stop them or ask what is in use.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use latentd_domain::{JobId, ModelId, SaeName};

use super::Stopper;

/// What a job needs to stay resident.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    /// SAEs, and with them their models.
    pub(crate) saes: Vec<SaeName>,
    /// Models beside those of the SAEs: local providers and sentence encoders.
    pub(crate) models: Vec<ModelId>,
}

impl Uses {
    /// Whether it needs this model.
    pub(crate) fn model(&self, id: &ModelId) -> bool {
        self.models.contains(id) || self.saes.iter().any(|sae| sae.model() == id)
    }

    /// Whether it needs this SAE.
    pub(crate) fn sae(&self, name: &SaeName) -> bool {
        self.saes.contains(name)
    }
}

/// Jobs that this process works on.
#[derive(Default)]
pub(crate) struct RunningJobs(Mutex<BTreeMap<JobId, Running>>);

struct Running {
    kind: String,
    stopper: Stopper,
    uses: Uses,
}

impl RunningJobs {
    /// The job that `uses` something, if there is one.
    pub(crate) fn user_of(&self, uses: impl Fn(&Uses) -> bool) -> Option<JobId> {
        let jobs = self.lock();
        let user = jobs.iter().find(|(_, job)| uses(&job.uses));
        user.map(|(id, _)| id.clone())
    }

    pub(super) fn begin(&self, id: JobId, kind: String, stopper: Stopper) {
        let uses = Uses::default();
        self.lock().insert(
            id,
            Running {
                kind,
                stopper,
                uses,
            },
        );
    }

    pub(super) fn describe(&self, id: &JobId, uses: Uses) {
        if let Some(job) = self.lock().get_mut(id) {
            job.uses = uses;
        }
    }

    pub(super) fn end(&self, id: &JobId) {
        self.lock().remove(id);
    }

    /// How many there are of these kinds.
    pub(super) fn count(&self, kinds: &[&str]) -> usize {
        self.lock()
            .values()
            .filter(|job| kinds.contains(&job.kind.as_str()))
            .count()
    }

    pub(super) fn each(&self, visit: impl FnMut(&Stopper)) {
        self.lock().values().map(|job| &job.stopper).for_each(visit);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
