//! One exchange with a provider: taken from the store if it was made before, else made once and stored before anything is read
//! out of it.
//!
//! What the store says: an answered exchange is never sent again; one that is under way elsewhere is waited for; one whose
//! process died without an answer is sent again, under the same `Idempotency-Key`.

use std::{sync::Arc, time::Duration};

use latentd_autointerp::{
    Call, Failure, Reply,
    call::Exchanged,
    provider::{Again, CallError, Provider as _, retry},
};
use latentd_domain::{JobId, Reason, autointerp::Usage};
use latentd_store::{
    exchanges::{Answered, Begin, Begun},
    jobs::JobState,
    pauses::PauseReason,
};

use super::{
    ledger::{Ledger, Room},
    under_way::UnderWay,
    writer::Writer,
};
use crate::{
    app::Shared,
    grpc::error::Error,
    jobs::{Halt, Stop, runner::persist},
    providers::Registered,
};

/// Pause before looking again at an exchange that is under way elsewhere.
const ELSEWHERE: Duration = Duration::from_millis(500);
/// Pause before asking again for room in a budget that calls under way may use up.
const TAKEN: Duration = Duration::from_millis(200);
/// Longest that a call can take, its wait for its turn included. A call of a process that died is begun again much sooner.
const LONGEST: Duration = Duration::from_hours(24);
/// How long work waits in the queue when the server itself is the trouble.
const LATER: Duration = Duration::from_secs(5);

/// A reply, and where it is kept.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) reply: Reply,
    /// Hash of the exchange.
    pub(super) hash: String,
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There will be none: what it was for has failed.
    Failed(Failure),
    /// There may be one later.
    Later(CallError),
    /// The job waits: its budget is spent, or nobody can use the provider as it is.
    Paused,
    /// This server has no share in the provider's limits: others work on it.
    Elsewhere,
    /// This server lacks the model or the cache: others work on it.
    Unable,
    /// The work is to stop.
    Stopped(Stop),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let reason = error.reason();
        let passes = matches!(
            reason,
            Reason::DatabaseUnavailable
                | Reason::QueueFull
                | Reason::ShuttingDown
                | Reason::DiskFull
                | Reason::UnknownModel
        );
        if passes {
            return Self::Later(CallError {
                reason,
                detail: error.to_string(),
                again: Again::After(LATER),
            });
        }
        Self::Failed(Failure::new(reason, error.to_string()))
    }
}

impl From<latentd_store::Error> for Trouble {
    fn from(error: latentd_store::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<Halt> for Trouble {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Stopped(stop) => Self::Stopped(stop),
            Halt::Failed(error) => error.into(),
        }
    }
}

/// Makes exchanges for the items of one job.
#[derive(Clone)]
pub(super) struct Exchanges {
    pub(super) app: Shared,
    pub(super) job: JobId,
    pub(super) ledger: Arc<Ledger>,
    pub(super) writer: Writer,
}

impl Exchanges {
    /// Asks `provider`, and once more with more room where its answer `is_short`: it was cut off, and what there is of it is no
    /// answer. Each is an exchange of its own.
    pub(super) async fn ask_in_full(
        &self,
        provider: &Registered,
        call: &Call,
        is_short: &(dyn Fn(&Reply) -> bool + Send + Sync),
    ) -> Result<Heard, Trouble> {
        let heard = self.ask(provider, call).await?;
        match call.with_more_room().filter(|_| is_short(&heard.reply)) {
            Some(longer) => self.ask(provider, &longer).await,
            None => Ok(heard),
        }
    }

    /// Asks `provider`, or remembers what it said.
    pub(super) async fn ask(&self, provider: &Registered, call: &Call) -> Result<Heard, Trouble> {
        let hash = call.hash(provider.provider.identity());
        loop {
            if let Some(reply) = self.known(&hash).await? {
                return Ok(Heard { reply, hash });
            }
            if self.app.life.is_draining() {
                return Err(Trouble::Stopped(Stop::Draining));
            }
            if provider.limiter.in_flight() == 0 {
                return Err(Trouble::Elsewhere);
            }
            self.writer.room().await;
            let _reserved = match self.reserve().await? {
                Room::Reserved(reserved) => reserved,
                Room::Taken => {
                    tokio::time::sleep(TAKEN).await;
                    continue;
                }
                Room::Spent => {
                    self.pause_spent().await?;
                    continue;
                }
            };
            let Some(under_way) = self.writer.take(&self.app, &hash) else {
                tokio::time::sleep(ELSEWHERE).await;
                continue;
            };
            match self.begin(provider, call, &hash).await? {
                Begun::Answered(stored) => {
                    under_way.settle();
                    self.writer.reused(&self.job);
                    let reply = read(stored.reply)?;
                    return Ok(Heard { reply, hash });
                }
                Begun::Elsewhere => {
                    under_way.settle();
                    tokio::time::sleep(ELSEWHERE).await;
                }
                Begun::Mine => {
                    let reply = self.send(provider, call, &hash, under_way).await?;
                    return Ok(Heard { reply, hash });
                }
            }
        }
    }

    /// Room in the budget for one call. Before it says that there is none it asks the database: somebody may have raised it.
    async fn reserve(&self) -> Result<Room<'_>, Trouble> {
        let room = self.ledger.reserve();
        if !matches!(room, Room::Spent) {
            return Ok(room);
        }
        let interp = self.app.store.interp();
        let mark = self.ledger.mark();
        let budget = persist(&self.app, || interp.budget(&self.job)).await?;
        let spent = persist(&self.app, || interp.progress(&self.job))
            .await?
            .spent;
        self.ledger.refresh(mark, budget, spent);
        Ok(self.ledger.reserve())
    }

    /// Pauses the job because its budget is spent. Returns if it is not after all: somebody raised it meanwhile.
    async fn pause_spent(&self) -> Result<(), Trouble> {
        let jobs = self.app.store.jobs();
        let seen = self.ledger.budget();
        let job = persist(&self.app, || jobs.pause_spent(&self.job, seen)).await;
        match job {
            Ok(job) if job.state == JobState::Running || job.state == JobState::Queued => Ok(()),
            Ok(_) => Err(Trouble::Paused),
            Err(Halt::Failed(error)) if error.reason() == Reason::JobEnded => Err(Trouble::Paused),
            Err(halt) => Err(halt.into()),
        }
    }

    async fn known(&self, hash: &str) -> Result<Option<Reply>, Trouble> {
        let exchanges = self.app.store.exchanges();
        let found = persist(&self.app, || exchanges.find(hash)).await?;
        let Some(stored) = found.and_then(|exchange| exchange.answer) else {
            return Ok(None);
        };
        self.writer.reused(&self.job);
        read(stored.reply).map(Some)
    }

    async fn begin(
        &self,
        provider: &Registered,
        call: &Call,
        hash: &str,
    ) -> Result<Begun, Trouble> {
        let begin = [Begin {
            hash: hash.to_owned(),
            provider: provider.id.clone(),
            model: provider.provider.model().to_owned(),
            job: self.job.clone(),
            request: serde_json::to_value(call).unwrap_or_default(),
        }];
        let exchanges = self.app.store.exchanges();
        let process = self.writer.process();
        let begun = persist(&self.app, || exchanges.begin(&begin, process, LONGEST)).await?;
        begun
            .into_iter()
            .next()
            .ok_or_else(|| Trouble::Failed(Failure::new(Reason::Internal, "a call was not begun")))
    }

    /// Makes a call that this process has begun. Whatever becomes of it, `under_way` settles it.
    async fn send(
        &self,
        provider: &Registered,
        call: &Call,
        hash: &str,
        under_way: UnderWay,
    ) -> Result<Reply, Trouble> {
        let policy = retry::Policy {
            patience: self.app.config.interp.retry(),
            ..retry::Policy::default()
        };
        // The slot stays taken until the database knows what came of the call: no more answers are in hand than calls may be under
        // way, also while it is away.
        let (result, slot) = provider.provider.exchange(call, hash, policy).await;
        match result {
            Ok(Exchanged { reply, usage }) => {
                let micros = provider.prices.micros(usage);
                let answered = Answered {
                    hash: hash.to_owned(),
                    job: self.job.clone(),
                    reply: serde_json::to_value(&reply).unwrap_or_default(),
                    usage,
                    micros,
                };
                self.writer.answered(answered, under_way, slot).await?;
                self.ledger.spent(usage, micros);
                Ok(reply)
            }
            Err(error) => {
                let trouble = self.failed(provider, hash, error, under_way).await;
                drop(slot);
                Err(trouble?)
            }
        }
    }

    /// Writes down that a call failed, and says what that means for its item.
    async fn failed(
        &self,
        provider: &Registered,
        hash: &str,
        error: CallError,
        under_way: UnderWay,
    ) -> Result<Trouble, Trouble> {
        let exchanges = self.app.store.exchanges();
        if error.reason == Reason::ShuttingDown {
            let process = self.writer.process();
            persist(&self.app, || exchanges.give_back(hash, process)).await?;
            under_way.settle();
            return Ok(Trouble::Stopped(Stop::Draining));
        }
        let (process, why) = (self.writer.process(), (error.reason, error.detail.as_str()));
        persist(&self.app, || exchanges.fail(hash, &self.job, process, why)).await?;
        under_way.settle();
        self.ledger.spent(Usage::default(), 0);
        if error.is_of_the_provider() {
            tracing::warn!(provider = %provider.id, job = %self.job, %error, "every call would fail so: the job waits");
            return Ok(self.pause_for_provider().await);
        }
        Ok(match error.again {
            Again::Never => Trouble::Failed(Failure::new(error.reason, error.detail)),
            Again::Soon | Again::After(_) => Trouble::Later(error),
        })
    }

    /// Pauses the job because every call of a provider would fail. The item goes on when somebody resumes the job.
    pub(super) async fn pause_for_provider(&self) -> Trouble {
        let jobs = self.app.store.jobs();
        let paused = persist(&self.app, || {
            jobs.request_pause(&self.job, PauseReason::Provider)
        });
        match paused.await {
            Ok(_) => Trouble::Paused,
            // It may have ended meanwhile.
            Err(Halt::Failed(error)) if error.reason() == Reason::JobEnded => Trouble::Paused,
            Err(halt) => halt.into(),
        }
    }
}

fn read(reply: serde_json::Value) -> Result<Reply, Trouble> {
    serde_json::from_value(reply).map_err(|error| {
        let detail = format!("the stored reply cannot be read: {error}");
        Trouble::Failed(Failure::new(Reason::Internal, detail))
    })
}
