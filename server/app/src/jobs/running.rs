//! Which jobs this process works on, for those who stop them or ask what is in use.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use latentd_domain::{JobId, ModelId, SaeName};
use latentd_store::leases::Owner;

use super::{Stop, Stopper};

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

/// Attempts at jobs under way in this process, by their owner. After an outage there may be two attempts at one job for a
/// moment: the one whose lease ran out, and the one that claimed the job again.
#[derive(Default)]
pub(crate) struct RunningJobs(Mutex<HashMap<Owner, Running>>);

struct Running {
    job: JobId,
    kind: String,
    stopper: Stopper,
    uses: Uses,
}

impl RunningJobs {
    /// The job that `uses` something, if there is one.
    pub(crate) fn user_of(&self, uses: impl Fn(&Uses) -> bool) -> Option<JobId> {
        let running = self.lock();
        let users = running.values().filter(|running| uses(&running.uses));
        users.map(|running| running.job.clone()).min()
    }

    /// Notes an attempt. An earlier one at the same job has lost its lease and is told to stop.
    pub(super) fn begin(&self, owner: Owner, job: JobId, kind: String, stopper: Stopper) {
        let mut running = self.lock();
        for earlier in running.values().filter(|earlier| earlier.job == job) {
            earlier.stopper.stop(Stop::LeaseLost);
        }
        let uses = Uses::default();
        running.insert(
            owner,
            Running {
                job,
                kind,
                stopper,
                uses,
            },
        );
    }

    pub(super) fn describe(&self, owner: Owner, uses: Uses) {
        if let Some(running) = self.lock().get_mut(&owner) {
            running.uses = uses;
        }
    }

    pub(super) fn end(&self, owner: Owner) {
        self.lock().remove(&owner);
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_lost_its_lease_takes_no_other_with_it() {
        let running = RunningJobs::default();
        let job: JobId = "j".parse().unwrap();
        let (first, second) = (Owner::new(), Owner::new());
        let (old, new) = (Stopper::default(), Stopper::default());
        let uses = Uses {
            models: vec!["m".parse().unwrap()],
            ..Uses::default()
        };
        running.begin(first, job.clone(), "build_cache".into(), old.clone());
        running.begin(second, job.clone(), "build_cache".into(), new.clone());
        running.describe(second, uses);
        assert!(old.check().is_err() && new.check().is_ok());
        assert_eq!(running.count(&["build_cache"]), 2);

        running.end(first);
        let model = "m".parse().unwrap();
        assert_eq!(running.user_of(|uses| uses.model(&model)), Some(job));
        assert_eq!(running.count(&["build_cache"]), 1);
        running.each(|stopper| stopper.stop(Stop::Draining));
        assert!(
            new.check().is_err(),
            "a drain reaches the attempt that is left"
        );
    }
}
