//! What the items of one job have in common in this process: its spec, its examples, its explainer and scorers, its books.

use std::sync::Arc;

use latentd_autointerp::{Explainer, Scorer, Subject, explainer, scorer};
use latentd_domain::{
    JobId, ProviderId, Reason,
    autointerp::{AutointerpSpec, ScorerSpec},
};
use latentd_store::interp::Shown;

use super::{
    exchange::{Exchanges, Trouble},
    ledger::Ledger,
    subject::Reader,
    writer::Writer,
};
use crate::{
    app::{App, Shared},
    grpc::error::Error,
    jobs::{Stopper, runner::persist},
    providers::Registered,
};

/// A job, as this process works on it.
pub(super) struct Work {
    pub(super) spec: AutointerpSpec,
    pub(super) reader: Reader,
    pub(super) explainer: Option<Box<dyn Explainer>>,
    pub(super) scorers: Vec<Grader>,
    pub(super) exchanges: Exchanges,
    pub(super) ledger: Arc<Ledger>,
    /// Stops the items that are at work.
    pub(super) stopper: Stopper,
}

/// A scorer of a job.
pub(super) struct Grader {
    pub(super) spec: ScorerSpec,
    pub(super) scorer: Box<dyn Scorer>,
}

impl Work {
    /// Opens what the job reads from.
    pub(super) async fn open(
        app: &Shared,
        job: JobId,
        spec: AutointerpSpec,
        writer: Writer,
    ) -> Result<Self, Error> {
        let reader = Reader::open(app, &spec).await?;
        let ledger = Arc::new(Ledger::new(spec.budget));
        let exchanges = Exchanges {
            app: Arc::clone(app),
            job,
            ledger: Arc::clone(&ledger),
            writer,
        };
        let grader = |spec: &ScorerSpec| Grader {
            scorer: scorer::from_spec(spec),
            spec: spec.clone(),
        };
        Ok(Self {
            reader,
            explainer: explainer::from_spec(&spec.explainer),
            scorers: spec.scorers.iter().map(grader).collect(),
            exchanges,
            ledger,
            stopper: Stopper::default(),
            spec,
        })
    }

    /// The parts of the server.
    pub(super) fn app(&self) -> &App {
        &self.exchanges.app
    }

    /// Notes that an explainer is shown fewer examples of a latent than the plan asks for, or its scorers will be.
    pub(super) fn note_explained(&self, subject: &Subject) {
        self.note(subject, subject.train.len());
    }

    /// Notes that a scorer is shown fewer. What is left of the explainer's share, without what it was shown before, is nothing that
    /// anybody is shown.
    pub(super) fn note_scored(&self, subject: &Subject) {
        self.note(subject, self.spec.examples.n_train);
    }

    fn note(&self, subject: &Subject, n_train: usize) {
        let plan = &self.spec.examples;
        let n_test = subject.test.len();
        if n_train < plan.n_train || n_test < plan.n_test {
            let shown = Shown {
                n_train: n_train as u32,
                n_test: n_test as u32,
            };
            let Exchanges { job, writer, .. } = &self.exchanges;
            writer.reduced(job, subject.latent, shown);
        }
    }

    /// A provider of the job.
    pub(super) async fn provider(
        &self,
        id: Option<&ProviderId>,
    ) -> Result<Arc<Registered>, Trouble> {
        let id =
            id.ok_or_else(|| Error::new(Reason::UnknownProvider, "the job has no provider"))?;
        match self.app().providers.get(id).await {
            Err(error)
                if matches!(
                    error.reason(),
                    Reason::ProviderKeyMissing | Reason::KeyNotAllowed
                ) =>
            {
                tracing::warn!(provider = %id, job = %self.exchanges.job, %error, "nobody can be asked: the job waits");
                Err(self.exchanges.pause_for_provider().await)
            }
            // A resident model that is not: other servers may have it.
            Err(error) if error.reason() == Reason::UnknownModel => {
                let processes = self.app().store.processes();
                if persist(self.app(), || processes.alive()).await? > 1 {
                    return Err(Trouble::Unable);
                }
                tracing::warn!(provider = %id, job = %self.exchanges.job, %error, "nobody can be asked: the job waits");
                Err(self.exchanges.pause_for_provider().await)
            }
            found => Ok(found?),
        }
    }
}
