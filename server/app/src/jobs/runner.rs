//! Claims jobs, keeps their leases while they are at work, and records how they end.
//!
//! A job whose server was killed is claimed by the next one and goes on from its last commit. A job that is at work when the
//! server drains stops at its next batch and is given back.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use latentd_domain::{BuildCacheSpec, Reason};
use latentd_store::leases::{JobLease, Outcome, Owner};
use tracing::Instrument;

use super::{BUILD_CACHE, Halt, Stop, Stopper, build_cache, origin, progress::Tracker};
use crate::{
    app::{App, Shared},
    grpc::{blocking, error::Error},
};

/// Length of a lease. A job of a server that was killed goes on this much later at most.
const LEASE: Duration = Duration::from_secs(30);
/// Time between two renewals.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Pause after the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Works on jobs until the server drains. `alone` says that no other process works on this database, so that leases of
/// earlier ones can be ended at once.
pub(crate) async fn run(app: Shared, alone: bool) {
    tokio::select! {
        () = app.life.draining() => {}
        () = claim_forever(&app, alone) => {}
    }
    app.jobs.each(|stopper| stopper.stop(Stop::Draining));
}

async fn claim_forever(app: &Shared, alone: bool) {
    let mut signals = app.store.signals();
    if alone && let Err(error) = app.store.leases().expire_others(Owner::new()).await {
        tracing::debug!(%error, "leases of earlier processes were not ended");
    }
    let mut away = false;
    loop {
        match claim(app).await {
            Ok(()) => {
                away = false;
                signals.any().await;
            }
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(%error, "jobs cannot be claimed for now");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn claim(app: &Shared) -> Result<(), latentd_store::Error> {
    let leases = app.store.leases();
    leases.reap().await?;
    while app.jobs.count() < app.config.jobs.max_running {
        // An owner for each attempt: what an attempt leaves behind is not kept alive by the next one.
        let owner = Owner::new();
        let Some(lease) = leases.claim_job(&[BUILD_CACHE], owner, LEASE).await? else {
            break;
        };
        let span = tracing::info_span!("job", job = %lease.job.id);
        let attempt = Attempt {
            app: Arc::clone(app),
            owner,
            lease,
            stopper: Stopper::default(),
        };
        app.jobs
            .begin(attempt.lease.job.id.clone(), attempt.stopper.clone());
        app.life.spawn(attempt.run().instrument(span));
    }
    Ok(())
}

/// One attempt at a job.
struct Attempt {
    app: Shared,
    owner: Owner,
    lease: JobLease,
    stopper: Stopper,
}

impl Attempt {
    async fn run(self) {
        let job = &self.lease.job;
        tracing::info!(kind = %job.kind, attempt = job.attempts, "job at work");
        match serde_json::from_value::<BuildCacheSpec>(job.spec.clone()) {
            Ok(spec) => self.build(spec).await,
            Err(error) => {
                self.fail(Error::internal(format!("the spec cannot be read: {error}")))
                    .await;
            }
        }
        self.app.jobs.end(&job.id);
    }

    async fn build(&self, spec: BuildCacheSpec) {
        let spec = Arc::new(spec);
        self.app
            .jobs
            .describe(&self.lease.job.id, Arc::clone(&spec));
        let tracker = Tracker::new();
        let build = build_cache::Build {
            app: Arc::clone(&self.app),
            owner: self.owner,
            lease: self.lease.clone(),
            spec,
            stopper: self.stopper.clone(),
            tracker: tracker.clone(),
        };
        let ended = tokio::select! {
            ended = AssertUnwindSafe(build.run()).catch_unwind() => ended,
            never = tracker.report(&self.app.store, &self.lease, &self.stopper) => match never {},
            never = self.renew() => match never {},
            never = self.watch_for_cancel() => match never {},
        };
        match ended {
            Ok(Ok(outcome)) => {
                let last = tracker.now();
                let _ = self
                    .app
                    .store
                    .leases()
                    .set_progress(&self.lease, &last)
                    .await;
                self.end(outcome).await;
            }
            Ok(Err(Halt::Stopped(stop))) => self.stopped(stop).await,
            Ok(Err(Halt::Failed(error))) => self.fail(error).await,
            Err(_) => self.fail(Error::internal("the job panicked")).await,
        }
    }

    async fn fail(&self, error: Error) {
        let failure = error.disclose().into_failure();
        tracing::warn!(reason = %failure.reason, error = %failure.message, "job failed");
        self.end(Outcome::Failed(failure)).await;
    }

    async fn stopped(&self, stop: Stop) {
        match stop {
            Stop::Cancelled => self.end(Outcome::Cancelled).await,
            Stop::LeaseLost => tracing::info!("job left to whoever has it now"),
            Stop::Draining => {
                tracing::info!("job stopped; it goes on with the next server");
                if let Err(error) = self.app.store.leases().release(self.owner).await {
                    // The lease runs out by itself.
                    tracing::debug!(%error, "the lease was not given back");
                }
            }
        }
    }

    /// Records how the job ended, however long the database is away.
    async fn end(&self, outcome: Outcome) {
        let leases = self.app.store.leases();
        match persist(&self.app, || leases.finish(&self.lease, &outcome)).await {
            Ok(job) => {
                tracing::info!(state = job.state.as_str(), "job ended");
                if let Ok(cache) = job.result.parse() {
                    let dir = self.app.caches.dir(&cache);
                    let forgotten = blocking(move || {
                        origin::forget(&dir);
                        Ok(())
                    });
                    let _ = forgotten.await;
                }
            }
            Err(Halt::Stopped(stop)) => {
                tracing::info!(?stop, "the end of the job was not recorded");
            }
            Err(Halt::Failed(error)) => {
                tracing::error!(%error, "the end of the job cannot be recorded");
            }
        }
    }

    /// Renews the lease, and stops the job when it was lost.
    async fn renew(&self) -> Infallible {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match self.app.store.leases().heartbeat(self.owner, LEASE).await {
                Ok(held) if held.iter().any(|held| held.job == self.lease.job.id) => {}
                Ok(_) => self.stopper.stop(Stop::LeaseLost),
                // The lease may outlast the outage; if it does not, the next heartbeat or commit says so.
                Err(error) => tracing::debug!(%error, "the lease was not renewed"),
            }
        }
    }

    /// Stops the job when somebody asks for it.
    async fn watch_for_cancel(&self) -> Infallible {
        let mut signals = self.app.store.signals();
        let id = &self.lease.job.id;
        loop {
            if self
                .app
                .store
                .jobs()
                .get(id)
                .await
                .is_ok_and(|job| job.cancel_requested)
            {
                self.stopper.stop(Stop::Cancelled);
            }
            signals.job(id).await;
        }
    }
}

/// Calls the database until it answers, or the server drains.
pub(super) async fn persist<T, F>(app: &App, mut call: impl FnMut() -> F) -> Result<T, Halt>
where
    F: Future<Output = Result<T, latentd_store::Error>>,
{
    let mut away = false;
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(latentd_store::Error::LeaseLost { .. }) => {
                return Err(Halt::Stopped(Stop::LeaseLost));
            }
            Err(latentd_store::Error::DatabaseUnavailable(error)) => {
                if app.life.is_draining() {
                    return Err(Halt::Stopped(Stop::Draining));
                }
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(%error, reason = %Reason::DatabaseUnavailable, "waiting for the database");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
