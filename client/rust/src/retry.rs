//! Which calls are made again, and when.
//!
//! Nothing is repeated that might then happen twice: calls that change something are repeated only after `QUEUE_FULL`,
//! which the server says before it begins, unless the API makes them idempotent.

use std::{future::Future, time::Duration};

use tonic::{Code, Response, Status};

use crate::{Client, Error, Result};

/// Longest wait that a server may ask for; a longer one ends the attempts.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How calls are repeated that the server could not take: `QUEUE_FULL`, and, where it is safe, `Unavailable`.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in all; 1 for no repetition.
    pub attempts: u32,
    /// Wait before the second attempt. It doubles from there, and is cut by a random part of up to a half.
    pub first_delay: Duration,
    /// Longest wait that this side chooses. A wait that the server asks for is kept as it is.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// The wait after the attempt `attempt`, counted from 1. `luck` is between 0 and 1.
    pub(crate) fn delay(&self, attempt: u32, asked: Option<Duration>, luck: f64) -> Duration {
        let doubled = self
            .first_delay
            .saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let own = doubled
            .min(self.max_delay)
            .mul_f64(1.0 - luck.clamp(0.0, 1.0) / 2.0);
        match asked {
            // Those that were refused together should not come back together.
            Some(asked) => asked + own,
            None => own,
        }
    }
}

/// Whether a call may be made again without knowing if it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Carrying it out twice is the same as once.
    Always,
    /// Only if it was certainly not carried out.
    IfRefused,
}

impl Repeat {
    fn allows(self, error: &Error) -> bool {
        match error.reason.as_str() {
            "QUEUE_FULL" => true,
            // Stays so until somebody restarts the server.
            "ENGINE_UNAVAILABLE" => false,
            _ => self == Self::Always && error.code == Code::Unavailable,
        }
    }
}

impl Client {
    /// Makes a call, again if need be.
    pub(crate) async fn call<Q, T, F>(
        &self,
        repeat: Repeat,
        message: Q,
        rpc: impl Fn(tonic::Request<Q>) -> F,
    ) -> Result<T>
    where
        Q: Clone,
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let policy = self.options.retry;
        let mut attempt = 1;
        loop {
            let error = match rpc(self.request(message.clone())).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => Error::from(status),
            };
            let wait = policy.delay(attempt, error.retry_after, fastrand::f64());
            if attempt >= policy.attempts || wait > LONGEST_WAIT || !repeat.allows(&error) {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_keep_what_the_server_asks() {
        let policy = RetryPolicy::default();
        let wait = |attempt| policy.delay(attempt, None, 0.0).as_millis();
        assert_eq!([wait(1), wait(2), wait(3)], [100, 200, 400]);
        assert_eq!(wait(40), 5000);
        assert_eq!(policy.delay(1, None, 1.0).as_millis(), 50);
        let asked = Some(Duration::from_secs(2));
        assert!(policy.delay(1, asked, 0.5) >= Duration::from_secs(2));
    }

    #[test]
    fn only_safe_calls_are_repeated() {
        let error = |code, reason: &str| {
            let mut error = Error::local(code, "");
            reason.clone_into(&mut error.reason);
            error
        };
        let full = error(Code::ResourceExhausted, "QUEUE_FULL");
        assert!(Repeat::Always.allows(&full) && Repeat::IfRefused.allows(&full));
        let gone = error(Code::Unavailable, "");
        assert!(Repeat::Always.allows(&gone) && !Repeat::IfRefused.allows(&gone));
        assert!(!Repeat::Always.allows(&error(Code::Unavailable, "ENGINE_UNAVAILABLE")));
        assert!(!Repeat::Always.allows(&error(Code::NotFound, "UNKNOWN_SAE")));
    }
}
