//! Claims jobs, keeps their leases while they are at work, and records how they end.
//!
//! A job whose server was killed is claimed by the next one and goes on from its last commit. A job that is at work when the
//! server drains stops at its next batch and is given back.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use latentd_domain::{BuildCacheSpec, HasReason, autointerp::AutointerpSpec};
use latentd_store::leases::{JobLease, Outcome, Owner};
use tracing::Instrument;

use super::{BUILD_CACHE, Halt, Stop, Stopper, Uses, build_cache, interp, progress::Tracker};
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
/// Auto-interpretation jobs that one process leads at the same time: leading is little work.
const MAX_LED: usize = 32;

/// Works on jobs until the server drains.
pub(crate) async fn run(app: Shared) {
    tokio::select! {
        () = app.life.draining() => {}
        () = claim_forever(&app) => {}
    }
    app.jobs.each(|stopper| stopper.stop(Stop::Draining));
}

async fn claim_forever(app: &Shared) {
    let mut signals = app.store.signals();
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
    app.store.leases().reap().await?;
    claim_kinds(app, &[BUILD_CACHE], app.config.jobs.max_running).await?;
    claim_kinds(app, &latentd_store::interp::KINDS, MAX_LED).await
}

async fn claim_kinds(
    app: &Shared,
    kinds: &[&str],
    most: usize,
) -> Result<(), latentd_store::Error> {
    while app.jobs.count(kinds) < most {
        // An owner for each attempt: what an attempt leaves behind is not kept alive by the next one.
        let owner = Owner::new();
        let leases = app.store.leases();
        let Some(lease) = leases.claim_job(kinds, owner, LEASE).await? else {
            break;
        };
        let span = tracing::info_span!("job", job = %lease.job.id);
        let attempt = Attempt {
            app: Arc::clone(app),
            owner,
            lease,
            stopper: Stopper::default(),
        };
        let job = &attempt.lease.job;
        let stopper = attempt.stopper.clone();
        app.jobs
            .begin(owner, job.id.clone(), job.kind.clone(), stopper);
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
        // In boxes: an attempt is a large future, and few run at a time.
        let led = if job.kind == BUILD_CACHE {
            Box::pin(self.build()).await
        } else {
            Box::pin(self.lead()).await
        };
        if let Err(error) = led {
            self.fail(Error::internal(format!("the spec cannot be read: {error}")))
                .await;
        }
        self.app.jobs.end(self.owner);
    }

    async fn build(&self) -> Result<(), serde_json::Error> {
        let spec: BuildCacheSpec = serde_json::from_value(self.lease.job.spec.clone())?;
        let uses = Uses {
            saes: spec.saes.clone(),
            models: Vec::new(),
        };
        self.app.jobs.describe(self.owner, uses);
        let tracker = Tracker::new("tokens");
        let build = build_cache::Build {
            app: Arc::clone(&self.app),
            owner: self.owner,
            lease: self.lease.clone(),
            spec: Arc::new(spec),
            stopper: self.stopper.clone(),
            tracker: tracker.clone(),
        };
        Box::pin(self.see_through(build.run(), &tracker)).await;
        Ok(())
    }

    async fn lead(&self) -> Result<(), serde_json::Error> {
        let spec: AutointerpSpec = serde_json::from_value(self.lease.job.spec.clone())?;
        self.app.jobs.describe(self.owner, interp::uses(&spec));
        let tracker = Tracker::new("items");
        let leader = interp::Leader {
            app: Arc::clone(&self.app),
            job: self.lease.job.id.clone(),
            spec,
            stopper: self.stopper.clone(),
            tracker: tracker.clone(),
        };
        Box::pin(self.see_through(leader.run(), &tracker)).await;
        Ok(())
    }

    /// Runs `work` to its end, keeping the lease and telling how far it is, and records how it ended.
    async fn see_through(
        &self,
        work: impl Future<Output = Result<Outcome, Halt>>,
        tracker: &Tracker,
    ) {
        let ended = tokio::select! {
            ended = AssertUnwindSafe(work).catch_unwind() => ended,
            never = tracker.report(&self.app.store, &self.lease, &self.stopper) => match never {},
            never = self.renew() => match never {},
            never = self.watch_for_cancel() => match never {},
        };
        match ended {
            Ok(Ok(outcome)) => {
                let last = tracker.now();
                let leases = self.app.store.leases();
                // It says what failed, so it has to be there.
                let _ = persist(&self.app, || leases.set_progress(&self.lease, &last)).await;
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
                    let root = self.app.caches.root(&cache);
                    let id = job.id.clone();
                    let place = match &outcome {
                        Outcome::CacheReady { totals, .. } => Some(totals.place.clone()),
                        _ => None,
                    };
                    let tidied = blocking(move || {
                        build_cache::forget_origin(&root, &id);
                        // What earlier attempts finished is in the cache, too. What cannot be removed takes room, and no more.
                        if let Some(place) = place {
                            let _ = build_cache::remove_others(&root, &id, &place);
                        }
                        Ok(())
                    });
                    let _ = tidied.await;
                }
            }
            Err(Halt::Stopped(stop)) => {
                tracing::info!(%stop, "the end of the job was not recorded");
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
            let asked = self.app.store.jobs().cancel_requested(id).await;
            if asked.unwrap_or(false) {
                self.stopper.stop(Stop::Cancelled);
            }
            signals.job(id).await;
        }
    }
}

/// Calls the database until it answers and has room for what is written, or the server drains.
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
            Err(error) if error.passes() => {
                if app.life.is_draining() {
                    return Err(Halt::Stopped(Stop::Draining));
                }
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(%error, reason = %error.reason(), "waiting for the database");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
