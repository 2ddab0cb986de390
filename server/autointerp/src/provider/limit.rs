//! Keeps a provider within its limits: calls under way, calls a minute, tokens a minute.
//!
//! The limits are of all servers on one database together. Each server takes its share, a fixed slice that changes as servers
//! come and go, so that no call waits for the database.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use latentd_domain::{
    Reason,
    autointerp::{Capabilities, Limits, Usage},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{
    Again, CallError, Provider,
    bucket::{Bucket, Rate},
    retry,
};
use crate::{
    Call,
    call::{Context, Exchanged},
};

/// Bytes of a token of English, about.
const BYTES_A_TOKEN: usize = 4;
/// Tokens that an answer is taken to have until it is there, at most.
const ANSWER_TOKENS: u64 = 500;

/// Which share of the limits is this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Place of this server among those that live, from 0: the first get what is left over when slots are divided. Without a
    /// place each server takes the same, rounded down, and at least one slot.
    pub index: Option<u32>,
    /// Servers that live.
    pub of: u32,
}

impl From<u32> for Share {
    /// The share of one of so many servers, without a place.
    fn from(of: u32) -> Self {
        Self { index: None, of }
    }
}

impl Share {
    const ALL: Self = Self {
        index: Some(0),
        of: 1,
    };

    /// This server's part of so many slots. The parts of servers with places add up to them; one of them may be nothing.
    fn slots(self, limit: u32) -> u32 {
        let of = self.of.max(1);
        let (part, left) = (limit / of, limit % of);
        match self.index {
            Some(index) => part + u32::from(index < left),
            None => part.max(1),
        }
    }

    /// This server's part of a rate.
    fn rate(self, limit: f64) -> f64 {
        limit / f64::from(self.of.max(1))
    }
}

/// What this server may ask of a provider.
#[derive(Debug)]
pub struct Limiter {
    slots: Arc<Slots>,
    requests: Bucket,
    tokens: Bucket,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    share: Share,
    paused_until: Option<Instant>,
}

/// Calls that may be under way. Their number can shrink below those that are: what is too much goes when it ends.
#[derive(Debug)]
struct Slots {
    free: Arc<Semaphore>,
    /// Slots that exist, and slots that should.
    count: Mutex<(usize, usize)>,
}

impl Slots {
    fn set(&self, target: usize) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.1 = target;
        if count.0 < target {
            self.free.add_permits(target - count.0);
            count.0 = target;
        } else {
            count.0 -= self.free.forget_permits(count.0 - target);
        }
    }

    fn put_back(&self, slot: OwnedSemaphorePermit) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if count.0 > count.1 {
            count.0 -= 1;
            slot.forget();
        }
    }
}

/// One of the calls that may be under way. It is free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.slots.put_back(permit);
        }
    }
}

/// A call that may be made. The slot is free again when this is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    limiter: &'a Limiter,
    slot: Slot,
    estimate: u64,
}

impl Limiter {
    /// All of `limits`, until [`Limiter::set_share`] says that there are other servers.
    pub fn new(limits: Limits) -> Self {
        let limiter = Self {
            slots: Arc::new(Slots {
                free: Arc::new(Semaphore::new(0)),
                count: Mutex::default(),
            }),
            requests: Bucket::new(None),
            tokens: Bucket::new(None),
            state: Mutex::new(State {
                limits,
                share: Share::ALL,
                paused_until: None,
            }),
        };
        limiter.apply(limits, Share::ALL);
        limiter
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another share from now on: the number of servers that live, or a [`Share`].
    pub fn set_share(&self, share: impl Into<Share>) {
        let mut state = self.state();
        state.share = share.into();
        self.apply(state.limits, state.share);
    }

    /// Other limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.state();
        state.limits = limits;
        self.apply(limits, state.share);
    }

    fn apply(&self, limits: Limits, share: Share) {
        let slots = share.slots(limits.max_in_flight.max(1));
        self.slots.set(slots as usize);
        let rate = |limit: f64| Rate::a_minute(share.rate(limit), 1.0);
        self.requests
            .set(rate(f64::from(limits.requests_per_minute)));
        self.tokens.set(rate(limits.tokens_per_minute as f64));
    }

    /// Calls that may be under way at once. It is 0 where there are more servers than slots: such a server should take no work.
    pub fn in_flight(&self) -> usize {
        let count = self.slots.count.lock();
        count.unwrap_or_else(PoisonError::into_inner).1
    }

    /// No call begins before `wait` has passed: the provider asked for that.
    pub fn pause(&self, wait: Duration) {
        let mut state = self.state();
        let until = Instant::now() + wait;
        state.paused_until = Some(state.paused_until.map_or(until, |old| old.max(until)));
    }

    /// Lets no more calls begin; those that wait for their turn are told so. Calls under way go on.
    pub fn close(&self) {
        self.slots.free.close();
    }

    /// Waits until a call may be made that takes about so many tokens. `None` once the limiter is closed.
    pub async fn acquire(&self, tokens_estimate: u64) -> Option<Permit<'_>> {
        let permit = Arc::clone(&self.slots.free).acquire_owned().await.ok()?;
        let permit = Permit {
            limiter: self,
            slot: Slot {
                slots: Arc::clone(&self.slots),
                permit: Some(permit),
            },
            estimate: tokens_estimate,
        };
        self.requests.take(1.0).await;
        self.tokens.take(tokens_estimate as f64).await;
        loop {
            let until = self.state().paused_until;
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return (!self.slots.free.is_closed()).then_some(permit),
            }
        }
    }
}

impl Permit<'_> {
    /// Says what the call took in truth.
    pub fn settle(&mut self, usage: Usage) {
        let took = usage.prompt_tokens + usage.completion_tokens;
        let difference = took as f64 - self.estimate as f64;
        self.estimate = took;
        self.limiter.tokens.owe(difference);
    }

    /// Keeps the slot and nothing else, until what is returned is dropped.
    pub fn into_slot(self) -> Slot {
        self.slot
    }
}

/// A provider within its limits: each try waits for its turn, and a Retry-After holds for all.
#[derive(Clone, Debug)]
pub struct Limited {
    provider: Arc<dyn Provider>,
    limiter: Arc<Limiter>,
}

impl Limited {
    /// `provider`, within what `limiter` allows.
    pub fn new(provider: Arc<dyn Provider>, limiter: Arc<Limiter>) -> Self {
        Self { provider, limiter }
    }

    /// What it is limited by.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Makes a call as [`retry::call`] does. The slot of its last try is taken until what is returned beside the answer is dropped:
    /// who keeps it until the answer is stored has no more answers in hand than calls may be under way.
    ///
    /// # Errors
    ///
    /// Those of [`retry::call`].
    pub async fn exchange(
        &self,
        call: &Call,
        key: &str,
        policy: retry::Policy,
    ) -> (Result<Exchanged, CallError>, Option<Slot>) {
        let keeping = Keeping {
            limited: self,
            slot: Mutex::new(None),
        };
        let result = retry::call(&keeping, call, key, policy).await;
        let slot = keeping.slot.into_inner();
        (result, slot.unwrap_or_else(PoisonError::into_inner))
    }

    async fn once(&self, call: &Call, key: &str) -> (Result<Exchanged, CallError>, Option<Slot>) {
        let Some(mut permit) = self.limiter.acquire(estimate(call)).await else {
            let closed = CallError::never(Reason::ShuttingDown, "not sent");
            return (Err(closed), None);
        };
        let result = self.provider.call(call, key).await;
        match &result {
            Ok(exchanged) => permit.settle(exchanged.usage),
            Err(CallError {
                reason: Reason::ProviderRateLimited,
                again: Again::After(wait),
                ..
            }) => self.limiter.pause(*wait),
            Err(_) => {}
        }
        (result, Some(permit.into_slot()))
    }
}

/// The same, and keeps the slot of the last try.
#[derive(Debug)]
struct Keeping<'a> {
    limited: &'a Limited,
    slot: Mutex<Option<Slot>>,
}

impl Keeping<'_> {
    fn set(&self, slot: Option<Slot>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = slot;
    }
}

impl Provider for Keeping<'_> {
    fn identity(&self) -> &str {
        self.limited.identity()
    }

    fn model(&self) -> &str {
        self.limited.model()
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Exchanged, CallError>> {
        async move {
            // Before it waits for another: nobody waits for others with a slot in hand.
            self.set(None);
            let (result, slot) = self.limited.once(call, key).await;
            self.set(slot);
            result
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>> {
        self.limited.probe()
    }
}

impl Provider for Limited {
    fn identity(&self) -> &str {
        self.provider.identity()
    }

    fn model(&self) -> &str {
        self.provider.model()
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Exchanged, CallError>> {
        async move { self.once(call, key).await.0 }.boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>> {
        self.provider.probe()
    }
}

/// Tokens of a text of so many bytes, about.
pub fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_A_TOKEN) as u64
}

/// Tokens of the prompt of a call, about.
pub fn prompt_tokens(call: &Call) -> u64 {
    let messages = |messages: &[crate::Message]| {
        let content = |message: &crate::Message| message.content.len();
        messages.iter().map(content).sum::<usize>()
    };
    tokens(match call {
        Call::Chat(chat) => messages(&chat.messages),
        Call::Complete(complete) => complete.prompt.len(),
        Call::ScoreText(score) => {
            let context = match &score.context {
                Context::Text(text) => text.len(),
                Context::Chat(chat) => messages(chat),
            };
            context + score.text.len()
        }
        Call::Embed(embed) => embed.texts.iter().map(String::len).sum(),
    })
}

/// Tokens that a call takes, about: its prompt, and an answer of middling length.
pub fn estimate(call: &Call) -> u64 {
    let answer = match call {
        Call::Chat(chat) => u64::from(chat.max_tokens).min(ANSWER_TOKENS),
        Call::Complete(complete) => u64::from(complete.max_tokens).min(ANSWER_TOKENS),
        Call::ScoreText(_) | Call::Embed(_) => 0,
    };
    prompt_tokens(call) + answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::{
        Reply,
        call::Answer,
        provider::scripted::{Scripted, chat},
    };

    fn limits(max_in_flight: u32, requests_per_minute: u32, tokens_per_minute: u64) -> Limits {
        Limits {
            max_in_flight,
            requests_per_minute,
            tokens_per_minute,
            timeout_seconds: 1,
            ..Limits::default()
        }
    }

    /// The most calls that were under way at once, of `calls` that take a second each.
    async fn most_at_once(limiter: &Limiter, calls: usize) -> usize {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        join_all((0..calls).map(|_| async {
            let _permit = limiter.acquire(1).await;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
        }))
        .await;
        most.into_inner()
    }

    #[test]
    fn shares_add_up() {
        for limit in [1, 7, 64] {
            for of in 1..10 {
                let share = |index| Share {
                    index: Some(index),
                    of,
                };
                let slots: u32 = (0..of).map(|index| share(index).slots(limit)).sum();
                assert_eq!(slots, limit, "{limit} among {of}");
            }
        }
        assert_eq!(Share::from(3).slots(64), 21);
        assert_eq!(Share::from(100).slots(64), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_under_way_are_limited() {
        let limiter = Limiter::new(limits(5, 0, 0));
        assert_eq!(most_at_once(&limiter, 20).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_grows_and_shrinks_while_calls_are_under_way() {
        let limiter = Limiter::new(limits(8, 0, 0));
        let permits = join_all((0..8).map(|_| limiter.acquire(1))).await;
        limiter.set_share(4);
        assert_eq!(limiter.in_flight(), 2);
        drop(permits);
        assert_eq!(most_at_once(&limiter, 10).await, 2);
        limiter.set_share(2);
        assert_eq!(most_at_once(&limiter, 10).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_a_minute_are_limited() {
        let limiter = Limiter::new(limits(100, 60, 0));
        let began = Instant::now();
        most_at_once(&limiter, 61).await;
        assert!(began.elapsed() >= Duration::from_mins(1));
        assert!(began.elapsed() <= Duration::from_secs(63));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_took_counts() {
        let limiter = Limiter::new(limits(100, 0, 6000));
        let mut permit = limiter.acquire(100).await;
        permit.as_mut().unwrap().settle(Usage {
            prompt_tokens: 2000,
            completion_tokens: 1100,
        });
        drop(permit);
        let began = Instant::now();
        drop(limiter.acquire(100).await);
        let took = began.elapsed().as_secs();
        assert!((29..34).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_for_all() {
        let first = AtomicUsize::new(0);
        let provider = Scripted::new(move |_| match first.fetch_add(1, Ordering::SeqCst) {
            0 => Err(CallError::after(
                Reason::ProviderRateLimited,
                "429",
                Duration::from_secs(20),
            )),
            _ => Ok(Reply::Chat(Answer::default())),
        });
        let limiter = Arc::new(Limiter::new(limits(1, 0, 0)));
        let limited = Limited::new(Arc::new(provider), limiter);
        let began = Instant::now();
        let call = chat("hello");
        let (one, other) = tokio::join!(limited.call(&call, "a"), limited.call(&call, "b"));
        assert!(one.is_err() && other.is_ok());
        assert_eq!(began.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_taken_until_its_answer_is_stored() {
        let provider = Scripted::new(|_| Ok(Reply::Chat(Answer::default())));
        let limited = Limited::new(Arc::new(provider), Arc::new(Limiter::new(limits(1, 0, 0))));
        let (call, policy) = (chat("hello"), retry::Policy::default());
        let (first, slot) = limited.exchange(&call, "a", policy).await;
        assert!(first.is_ok());
        let second = limited.exchange(&call, "b", policy);
        tokio::pin!(second);
        let waits = tokio::time::timeout(Duration::from_mins(1), &mut second).await;
        assert!(waits.is_err(), "the first answer is still in hand");
        drop(slot);
        assert!(second.await.0.is_ok());
    }
}
