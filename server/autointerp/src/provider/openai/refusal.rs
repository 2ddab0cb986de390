//! What an HTTP reply that is not an answer means: the reason, and whether to ask again. Pure.

use std::time::{Duration, SystemTime};

use latentd_domain::Reason;
use reqwest::{
    Response, StatusCode, Url,
    header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
};
use serde::Deserialize;
use serde_json::Value;

use crate::provider::CallError;

/// Bytes of a reply that an error repeats.
const EXCERPT: usize = 300;
/// Longest wait that a provider is believed.
const LONGEST: Duration = Duration::from_hours(1);

/// An error as OpenAI writes it. Others write a text in place of the object.
#[derive(Debug, Deserialize)]
struct Envelope {
    error: Value,
}

/// Whether the reply may hold an answer.
pub(super) fn accept(response: &Response, body: &[u8], now: SystemTime) -> Result<(), CallError> {
    refuse(response.status(), response.headers(), body, now).map_or(Ok(()), Err)
}

fn refuse(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Option<CallError> {
    let wait = retry_after(headers, now);
    let error = serde_json::from_slice::<Envelope>(body)
        .ok()
        .map(|envelope| envelope.error)
        .filter(|error| !error.is_null());
    if !status.is_success() {
        let said = match &error {
            Some(error) => message(error),
            None => withheld(body).to_owned(),
        };
        let to = match headers.get(LOCATION) {
            Some(location) if status.is_redirection() => {
                format!("; it points to {}", origin(location.as_bytes()))
            }
            _ => String::new(),
        };
        let detail = format!("HTTP {}{to}: {said}", status.as_u16());
        return Some(of_code(status.as_u16(), error.as_ref(), wait, detail));
    }
    // OpenRouter reports failures of the provider behind it with status 200.
    let error = error?;
    let code = error.get("code").and_then(|code| {
        let text = || code.as_str().and_then(|text| text.parse().ok());
        code.as_u64().or_else(text)
    });
    let detail = format!("an error in place of an answer: {}", message(&error));
    let code = code
        .and_then(|code| u16::try_from(code).ok())
        .unwrap_or(500);
    Some(of_code(code, Some(&error), wait, detail))
}

/// The error that a status or a code in an error stands for.
fn of_code(code: u16, error: Option<&Value>, wait: Option<Duration>, detail: String) -> CallError {
    let passing = |reason| match wait {
        Some(wait) => CallError::after(reason, &*detail, wait),
        None => CallError::soon(reason, &*detail),
    };
    let lasting = |reason| CallError::never(reason, &*detail);
    match code {
        // OpenAI says 429 to an account without credit; that does not pass.
        429 if names(error, "insufficient_quota") => lasting(Reason::ProviderUnauthorized),
        429 => passing(Reason::ProviderRateLimited),
        401..=403 => lasting(Reason::ProviderUnauthorized),
        300..=399 | 404 | 405 | 410 => lasting(Reason::ProviderNotFound),
        408 => passing(Reason::ProviderTimeout),
        409 | 425 => passing(Reason::ProviderFailed),
        400..=499 => lasting(Reason::ProviderRejected),
        // Gateways whose endpoint is down, and endpoints that are overloaded or still load their model.
        502..=504 | 520..=524 | 529 => passing(Reason::ProviderUnreachable),
        _ => passing(Reason::ProviderFailed),
    }
}

fn names(error: Option<&Value>, word: &str) -> bool {
    ["code", "type"].iter().any(|field| {
        error
            .and_then(|error| error.get(field))
            .and_then(Value::as_str)
            .is_some_and(|text| text == word)
    })
}

/// Retry-After, in seconds or as a date. A date is compared with the date of the reply, so that clocks need not agree.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(RETRY_AFTER)?;
    let wait = if let Ok(seconds) = value.parse::<f64>() {
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        let date = |text| httpdate::parse_http_date(text).ok();
        let now = text(DATE).and_then(date).unwrap_or(now);
        date(value)?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

/// What an error says, if it is of OpenAI's form: an object with a message, or a text. Whoever registers a provider chooses its
/// address, which may be that of a service inside: what such a service sends is not for them to read.
fn message(error: &Value) -> String {
    let message = error.get("message").unwrap_or(error);
    match message.as_str() {
        Some(text) => excerpt(text.as_bytes()),
        None => "an error without a message".to_owned(),
    }
}

/// What is said of a reply in place of what it holds.
fn withheld(body: &[u8]) -> &'static str {
    let begin = body.trim_ascii_start();
    if begin.is_empty() {
        "the reply is empty"
    } else if begin.starts_with(b"<") {
        "the reply is HTML or XML; is the base URL right?"
    } else {
        "the reply is not of OpenAI's API"
    }
}

/// Where a redirect leads, without the path and what may be in it.
fn origin(location: &[u8]) -> String {
    let url = str::from_utf8(location)
        .ok()
        .and_then(|text| text.parse::<Url>().ok());
    url.map_or_else(
        || "another path".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

/// A reply that is not of the API.
pub(super) fn malformed(body: &[u8], error: &serde_json::Error) -> CallError {
    let what = withheld(body);
    let (line, column) = (error.line(), error.column());
    // The parser's own words quote values.
    let missing = error.to_string();
    let missing = missing
        .split_once(" at line ")
        .map_or("", |(what, _)| what)
        .strip_prefix("missing field")
        .map(|field| format!("; it lacks the field{field}"));
    CallError::soon(
        Reason::ProviderMalformedReply,
        format!(
            "{what} (line {line}, column {column}{})",
            missing.unwrap_or_default()
        ),
    )
}

/// The beginning of a reply, in one line.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..EXCERPT).unwrap_or(body));
    let words: Vec<_> = text.split_whitespace().collect();
    let mut line = words.join(" ").replace(char::is_control, "");
    if body.len() > EXCERPT {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{super::wire::ChatReply, *};
    use crate::provider::Again;

    fn refused(status: u16, headers: &[(HeaderName, &str)], body: &str) -> CallError {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        refuse(status, &map, body.as_bytes(), SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn every_status_has_an_outcome() {
        let never = [
            (400, Reason::ProviderRejected),
            (401, Reason::ProviderUnauthorized),
            (402, Reason::ProviderUnauthorized),
            (403, Reason::ProviderUnauthorized),
            (404, Reason::ProviderNotFound),
            (307, Reason::ProviderNotFound),
            (413, Reason::ProviderRejected),
            (422, Reason::ProviderRejected),
        ];
        for (status, reason) in never {
            let error = refused(status, &[], "no");
            assert_eq!(
                (error.reason, error.again),
                (reason, Again::Never),
                "{status}"
            );
            let said = "the reply is not of OpenAI's API";
            assert_eq!(error.detail, format!("HTTP {status}: {said}"));
        }
        let soon = [
            (408, Reason::ProviderTimeout),
            (429, Reason::ProviderRateLimited),
            (500, Reason::ProviderFailed),
            (502, Reason::ProviderUnreachable),
            (503, Reason::ProviderUnreachable),
            (529, Reason::ProviderUnreachable),
        ];
        for (status, reason) in soon {
            let error = refused(status, &[], "");
            assert_eq!(
                (error.reason, error.again),
                (reason, Again::Soon),
                "{status}"
            );
        }
    }

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let wait = |headers: &[(HeaderName, &str)]| refused(429, headers, "").again;
        assert_eq!(
            wait(&[(RETRY_AFTER, "7")]),
            Again::After(Duration::from_secs(7))
        );
        assert_eq!(
            wait(&[(RETRY_AFTER, "0.5")]),
            Again::After(Duration::from_millis(500))
        );
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let sent = "Sun, 06 Nov 1994 08:49:07 GMT";
        assert_eq!(
            wait(&[(RETRY_AFTER, date), (DATE, sent)]),
            Again::After(Duration::from_secs(30))
        );
        assert_eq!(
            wait(&[(RETRY_AFTER, sent), (DATE, date)]),
            Again::After(Duration::ZERO)
        );
        // Without a date the machine's clock holds; a wait is never longer than an hour.
        assert_eq!(wait(&[(RETRY_AFTER, date)]), Again::After(LONGEST));
        for nonsense in ["soon", "-1", "NaN", ""] {
            assert_eq!(wait(&[(RETRY_AFTER, nonsense)]), Again::Soon, "{nonsense}");
        }
    }

    #[test]
    fn an_account_without_credit_does_not_pass() {
        let body = r#"{"error":{"code":"insufficient_quota","message":"no credit"}}"#;
        let error = refused(429, &[], body);
        assert_eq!(
            (error.reason, error.again),
            (Reason::ProviderUnauthorized, Again::Never)
        );
        assert_eq!(error.detail, "HTTP 429: no credit");
    }

    #[test]
    fn an_error_with_status_200_is_an_error() {
        let error = refused(200, &[], r#"{"error":{"code":429,"message":"slow down"}}"#);
        assert_eq!(error.reason, Reason::ProviderRateLimited);
        let error = refused(200, &[], r#"{"error":"overloaded"}"#);
        assert_eq!(error.reason, Reason::ProviderFailed);
        assert!(error.detail.ends_with("overloaded"), "{}", error.detail);
    }

    #[test]
    fn details_are_one_short_line() {
        let message = "<p>\n\u{7}é</p>\n".repeat(1000);
        let body = serde_json::json!({"error": {"message": message}}).to_string();
        let error = refused(500, &[], &body);
        assert!(error.detail.len() < 2 * EXCERPT && !error.detail.contains(char::is_control));
    }

    #[test]
    fn what_a_service_inside_sends_is_not_repeated() {
        let bodies = [
            "s3cret",
            r#"{"AccessKeyId":"s3cret"}"#,
            r#""s3cret""#,
            r#"{"error":{"token":"s3cret"}}"#,
            r#"{"error":["s3cret"]}"#,
            "<html>s3cret",
            r#"{"choices":"s3cret"}"#,
        ];
        for body in bodies {
            let error = refused(500, &[], body);
            assert!(!error.detail.contains("s3cret"), "{}", error.detail);
            let place = "https://inside.example:8443/s3cret?token=s3cret";
            let error = refused(307, &[(LOCATION, place)], body);
            assert!(!error.detail.contains("s3cret"), "{}", error.detail);
            assert!(error.detail.contains("https://inside.example:8443"));
            if let Err(unread) = serde_json::from_str::<ChatReply>(body) {
                let error = malformed(body.as_bytes(), &unread);
                assert!(!error.detail.contains("s3cret"), "{}", error.detail);
            }
        }
        let unread = serde_json::from_str::<Envelope>("{}").unwrap_err();
        let error = malformed(b"{}", &unread);
        assert!(
            error.detail.contains("lacks the field `error`"),
            "{}",
            error.detail
        );
    }
}
