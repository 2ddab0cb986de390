//! What a handler knows of the call around its message: the request id, and until when an answer is of use.

use std::time::{Duration, Instant};

use http::HeaderMap;

/// Header that carries the request id, in and out.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Longest request id that is taken from a client.
const MAX_ID: usize = 128;

/// The call around a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// Id of the request: the client's, or a new one.
    pub(crate) id: String,
    /// When the client stops waiting.
    pub(crate) deadline: Option<Instant>,
}

impl Context {
    /// Reads `x-request-id` and `grpc-timeout`.
    pub(super) fn of(headers: &HeaderMap, now: Instant) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let sound = |id: &&str| {
            (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let id = match given.filter(sound) {
            Some(id) => id.to_owned(),
            None => uuid::Uuid::new_v4().simple().to_string(),
        };
        let timeout = headers
            .get("grpc-timeout")
            .and_then(|value| timeout(value.to_str().ok()?));
        let deadline =
            timeout.and_then(|timeout| now.checked_add(timeout.saturating_sub(super::SLACK)));
        Self { id, deadline }
    }

    /// The context that the layer left with a request.
    pub(crate) fn take<T>(request: &mut tonic::Request<T>) -> Self {
        request.extensions_mut().remove().unwrap_or_default()
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_says() {
        assert_eq!(timeout("15S"), Some(Duration::from_secs(15)));
        assert_eq!(timeout("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "S", "15", "1.5S", "123456789S", "15é", "-1S"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_odd_request_id_is_replaced() {
        let id = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, given.parse().unwrap());
            Context::of(&headers, Instant::now()).id
        };
        assert_eq!(id("abc-1"), "abc-1");
        assert_ne!(id("a b"), "a b");
        assert_ne!(id(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(Context::of(&HeaderMap::new(), Instant::now()).id.len(), 32);
    }
}
