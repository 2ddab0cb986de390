//! The one error of this crate: a gRPC status with its details taken apart.
//!
//! The server puts a `reason` (google.rpc.ErrorInfo) on every failure, every violation of a bad request at once
//! (BadRequest), and how long to wait where waiting helps (RetryInfo).

use std::{collections::BTreeMap, error::Error as _, fmt, time::Duration};

use serde::{Serialize, Serializer};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, RpcStatusExt as _, StatusExt as _};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Key of [`Error::metadata`] under which the server's id of the failed request is kept.
const REQUEST_ID: &str = "request_id";

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Error {
    /// Status code of gRPC. A connection that cannot be made, or breaks, is `Unavailable`.
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    /// Why the server refused, such as `UNKNOWN_SAE`; empty where the server was not reached.
    pub reason: String,
    /// What went wrong, in words.
    pub message: String,
    /// What the reason is about, such as the limit that was passed; `request_id` finds the call in the server's log.
    pub metadata: BTreeMap<String, String>,
    /// Everything that is wrong with the request.
    pub violations: Vec<Violation>,
    /// When to try again, if the server said so.
    #[serde(
        rename = "retry_after_seconds",
        serialize_with = "crate::time::some_seconds"
    )]
    pub retry_after: Option<Duration>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Path of the field, such as `prompts[3]`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Error {
    /// An error that this side found.
    pub(crate) fn local(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: String::new(),
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    fn from_details(details: &ErrorDetails) -> Self {
        let mut error = Self::local(Code::Unknown, "");
        if let Some(info) = details.error_info() {
            error.reason.clone_from(&info.reason);
            error.metadata = info.metadata.clone().into_iter().collect();
        }
        if let Some(request) = details.request_info() {
            error
                .metadata
                .insert(REQUEST_ID.to_owned(), request.request_id.clone());
        }
        if let Some(bad) = details.bad_request() {
            let violations = bad.field_violations.iter();
            error.violations = violations
                .map(|v| Violation {
                    field: v.field.clone(),
                    description: v.description.clone(),
                })
                .collect();
        }
        error.retry_after = details.retry_info().and_then(|retry| retry.retry_delay);
        error
    }

    /// A reply that breaks the API's promises.
    pub(crate) fn malformed(what: impl fmt::Display) -> Self {
        Self::local(Code::DataLoss, format!("malformed reply: {what}"))
    }

    /// The page that explains the reason, as a path in the repository: `proto/errors/UNKNOWN_SAE.md`.
    pub fn page(&self) -> Option<String> {
        let named = self.metadata.get("page").cloned();
        named.or_else(|| {
            (!self.reason.is_empty()).then(|| format!("proto/errors/{}.md", self.reason))
        })
    }

    /// Whether the server could not be reached, as opposed to having refused.
    pub fn is_connection(&self) -> bool {
        self.code == Code::Unavailable && self.reason.is_empty()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => f.write_str(&spelled(self.code))?,
            reason => f.write_str(reason)?,
        }
        write!(f, ": {}", self.message)?;
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { " (" } else { "; " };
            write!(
                f,
                "{separator}{}: {}",
                violation.field, violation.description
            )?;
        }
        if !self.violations.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let mut error = Self::from_details(&status.get_error_details());
        error.code = code(&status);
        error.message = message(&status);
        if let Some(id) = status
            .metadata()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
        {
            error
                .metadata
                .entry(REQUEST_ID.to_owned())
                .or_insert_with(|| id.to_owned());
        }
        error
    }
}

impl From<tonic_types::Status> for Error {
    /// A status that came inside a message: that of a job, or of one batch of a stream.
    fn from(status: tonic_types::Status) -> Self {
        let mut error = Self::from_details(&status.get_error_details());
        error.code = Code::from_i32(status.code);
        error.message = status.message;
        error
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn code_name<S: Serializer>(code: &Code, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&spelled(*code))
}

/// The code as gRPC spells it: `INVALID_ARGUMENT`.
fn spelled(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The status code, where a broken connection is `Unavailable`.
///
/// Only a status that was made on this side has a source. tonic then reports a connection that broke in the middle of a
/// reply as `Unknown` or `Internal`, and one that closed before it began as `Cancelled`, though trying again is all that is
/// needed.
fn code(status: &Status) -> Code {
    match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled if status.source().is_some() => {
            Code::Unavailable
        }
        code => code,
    }
}

/// The message, with what lies behind it if it was made on this side.
fn message(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use prost::Message as _;

    use super::*;

    fn refused() -> Status {
        let mut details = ErrorDetails::new();
        details
            .set_error_info(
                "INVALID_REQUEST",
                "latentd",
                HashMap::from([("limit".into(), "8".into())]),
            )
            .set_retry_info(Some(Duration::from_millis(250)))
            .set_request_info("abc", "")
            .add_bad_request_violation("prompts[1]", "is empty")
            .add_bad_request_violation("top_k", "must be positive");
        Status::with_error_details(Code::InvalidArgument, "two things are wrong", details)
    }

    #[test]
    fn details_are_taken_apart() {
        let error = Error::from(refused());
        assert_eq!(error.code, Code::InvalidArgument);
        assert_eq!(error.reason, "INVALID_REQUEST");
        assert_eq!(
            error.page().as_deref(),
            Some("proto/errors/INVALID_REQUEST.md")
        );
        assert_eq!(error.metadata["limit"], "8");
        assert_eq!(error.metadata["request_id"], "abc");
        assert_eq!(error.violations.len(), 2);
        assert_eq!(error.retry_after, Some(Duration::from_millis(250)));
        assert_eq!(
            error.to_string(),
            "INVALID_REQUEST: two things are wrong (prompts[1]: is empty; top_k: must be positive)"
        );
    }

    #[test]
    fn a_status_inside_a_message_is_the_same_error() {
        let outer = refused();
        let inner = tonic_types::Status::decode(outer.details()).unwrap();
        assert_eq!(Error::from(inner), Error::from(outer));
    }

    #[test]
    fn a_status_without_details_has_no_reason() {
        let error = Error::from(Status::unavailable("nobody there"));
        assert!(error.is_connection());
        assert_eq!(error.page(), None);
        assert_eq!(error.to_string(), "UNAVAILABLE: nobody there");
    }
}
