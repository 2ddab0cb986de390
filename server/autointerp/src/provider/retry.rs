//! Calls again what may succeed when it is called again.
//!
//! A failure of a moment is repeated here, after waits that double and are jittered, or as long as the provider asks for. What
//! does not pass goes back to the caller with one of two answers: back into the queue for later (the provider is asked too
//! much, or cannot be reached, which says nothing about this call), or never again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use latentd_domain::Reason;
use tokio::time::{Instant, sleep};

use super::{Again, CallError, Provider};
use crate::{Call, call::Exchanged};

/// How long work waits in the queue, where the provider does not say how long.
const LATER: Duration = Duration::from_secs(30);

/// How often and how long a call is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all.
    pub tries: u32,
    /// Wait before the second try, up to as much again at random; it doubles with each.
    pub first_wait: Duration,
    /// Longest wait here. Who asks for a longer one gets it in the queue.
    pub longest_wait: Duration,
    /// No try begins when so much time has passed since the first failure.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tries: 3,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(8),
            patience: Duration::from_mins(1),
        }
    }
}

impl Policy {
    fn waits(&self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .with_max_times(self.tries.saturating_sub(1) as usize)
            .build()
    }
}

/// Makes a call, again where it is worth it.
///
/// # Errors
///
/// [`CallError::again`] is [`Again::After`] if the work should be put back into the queue, else [`Again::Never`].
pub async fn call(
    provider: &dyn Provider,
    call: &Call,
    key: &str,
    policy: Policy,
) -> Result<Exchanged, CallError> {
    let mut waits = policy.waits();
    let mut tried = 0;
    let mut until = None;
    loop {
        let error = match provider.call(call, key).await {
            Ok(exchanged) => return Ok(exchanged),
            Err(error) => error,
        };
        tried += 1;
        let now = Instant::now();
        let until = *until.get_or_insert(now + policy.patience);
        let wait = match error.again {
            Again::Never => return Err(error),
            Again::Soon => waits.next(),
            Again::After(asked) if asked <= policy.longest_wait => {
                waits.next().map(|jitter| asked + jitter)
            }
            Again::After(_) => None,
        };
        match wait.filter(|wait| now + *wait <= until) {
            Some(wait) => {
                tracing::debug!(reason = %error.reason, detail = error.detail, wait_seconds = wait.as_secs_f64(), "a call is made again");
                sleep(wait).await;
            }
            None => return Err(given_up(error, tried)),
        }
    }
}

/// What becomes of a call that failed in its last try.
fn given_up(mut error: CallError, tried: u32) -> CallError {
    if tried > 1 {
        error.detail = format!("{} ({tried} tries)", error.detail);
    }
    error.again = match (error.reason, error.again) {
        (_, Again::After(wait)) => Again::After(wait.max(Duration::from_secs(1))),
        (Reason::ProviderRateLimited | Reason::ProviderUnreachable, _) => Again::After(LATER),
        _ => Again::Never,
    };
    error
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        Reply,
        call::Answer,
        provider::scripted::{Scripted, chat},
    };

    /// Fails as often as `errors` has elements, then answers.
    fn failing(errors: Vec<CallError>) -> Scripted {
        let at = AtomicUsize::new(0);
        Scripted::new(
            move |_| match errors.get(at.fetch_add(1, Ordering::SeqCst)) {
                Some(error) => Err(error.clone()),
                None => Ok(Reply::Chat(Answer::default())),
            },
        )
    }

    async fn outcome(errors: Vec<CallError>) -> (Result<(), Again>, usize, Duration) {
        let provider = failing(errors);
        let began = Instant::now();
        let result = call(&provider, &chat("hello"), "key", Policy::default()).await;
        (
            result.map(|_| ()).map_err(|error| error.again),
            provider.calls(),
            began.elapsed(),
        )
    }

    fn failed() -> CallError {
        CallError::soon(Reason::ProviderFailed, "500")
    }

    fn limited(seconds: u64) -> CallError {
        CallError::after(
            Reason::ProviderRateLimited,
            "429",
            Duration::from_secs(seconds),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_a_moment_passes() {
        let (result, calls, took) = outcome(vec![failed(), failed()]).await;
        assert_eq!((result, calls), (Ok(()), 3));
        let (least, most) = (Duration::from_millis(750), Duration::from_millis(1600));
        assert!((least..=most).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_failure_ends() {
        let (result, calls, _) = outcome(vec![failed(); 9]).await;
        assert_eq!((result, calls), (Err(Again::Never), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_succeed_is_not_repeated() {
        let never = CallError::never(Reason::ProviderUnauthorized, "401");
        let (result, calls, _) = outcome(vec![never; 9]).await;
        assert_eq!((result, calls), (Err(Again::Never), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_wait_is_held_here() {
        let (result, calls, took) = outcome(vec![limited(5)]).await;
        assert_eq!((result, calls), (Ok(()), 2));
        assert!(took >= Duration::from_secs(5), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_held_in_the_queue() {
        let (result, calls, took) = outcome(vec![limited(600)]).await;
        assert_eq!(result, Err(Again::After(Duration::from_mins(10))));
        assert_eq!((calls, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn what_says_nothing_about_the_call_goes_back_to_the_queue() {
        for reason in [Reason::ProviderRateLimited, Reason::ProviderUnreachable] {
            let (result, calls, _) = outcome(vec![CallError::soon(reason, ""); 9]).await;
            assert_eq!((result, calls), (Err(Again::After(LATER)), 3), "{reason}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let policy = Policy {
            tries: 100,
            ..Policy::default()
        };
        let provider = failing(vec![failed(); 200]);
        let began = Instant::now();
        let result = call(&provider, &chat("hello"), "key", policy).await;
        assert!(result.is_err() && provider.calls() < 20);
        assert!(began.elapsed() <= policy.patience);
    }
}
