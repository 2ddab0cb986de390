//! The one place that turns a failure into what a client sees: a gRPC code, an `ErrorInfo` with the reason, the fields that
//! are wrong, and when to try again. What is of no use to a client is logged here, once, and withheld.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use latentd_domain::{HasReason, Reason};
use latentd_store::jobs::JobFailure;
use prost::Message;
use rustix::io::Errno;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "latentd";

/// Text of one error's violations and message, in bytes. Status and details travel in headers, which clients limit to 8 KiB
/// and more; encoded for them the details grow by a third, and the message is there twice.
const MAX_TEXT: usize = 2048;

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field: `prompts[3].text`.
    pub field: String,
    /// What is wrong, in words.
    pub description: String,
    /// Why, as a reason of its own.
    pub reason: Reason,
}

/// A failure on its way to a client.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    message: String,
    metadata: BTreeMap<&'static str, String>,
    violations: Vec<Violation>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl HasReason for Error {
    fn reason(&self) -> Reason {
        self.reason
    }
}

/// The gRPC code of a reason.
pub const fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidRequest
        | Reason::EmptyBatch
        | Reason::BatchTooLarge
        | Reason::PromptTooLong
        | Reason::UnknownToken
        | Reason::UnknownHookPoint
        | Reason::MissingNormFactor => Code::InvalidArgument,
        Reason::UnknownModel
        | Reason::UnknownSae
        | Reason::UnknownLatent
        | Reason::UnknownCache
        | Reason::UnknownCorpus
        | Reason::UnknownJob
        | Reason::UnknownProvider
        | Reason::UnknownExplanation
        | Reason::UnknownScore => Code::NotFound,
        Reason::AlreadyExists | Reason::RequestIdReused => Code::AlreadyExists,
        Reason::ResourceInUse
        | Reason::JobEnded
        | Reason::CacheNotReady
        | Reason::PathNotReadable
        | Reason::MalformedSafetensors
        | Reason::MalformedGguf
        | Reason::MalformedConfig
        | Reason::MalformedTokenizer
        | Reason::MissingTensor
        | Reason::ShapeMismatch
        | Reason::NonFiniteWeights
        | Reason::UnsupportedModel
        | Reason::UnsupportedSae
        | Reason::SelfTestFailed
        | Reason::MalformedCorpus
        | Reason::CorpusNotUtf8
        | Reason::EmptyCorpus
        | Reason::JobNotPausable
        | Reason::CacheElsewhere
        | Reason::JobNotPaused
        | Reason::ProviderLacksCapability
        | Reason::ProviderKeyMissing
        | Reason::ProviderUnauthorized
        | Reason::ProviderNotFound
        | Reason::ProviderRejected
        | Reason::ProviderMalformedReply
        | Reason::AnswerRefused
        | Reason::AnswerNotParsed
        | Reason::AnswerCutOff
        | Reason::AnswerCount
        | Reason::TooFewExamples
        | Reason::LatentNeverFires
        | Reason::NothingSucceeded
        | Reason::AmbiguousCache
        | Reason::NoExplanation
        | Reason::NoSentenceEncoder
        | Reason::WrongModelKind => Code::FailedPrecondition,
        Reason::KeyNotAllowed | Reason::PathNotAllowed => Code::PermissionDenied,
        Reason::CacheCorrupt => Code::DataLoss,
        Reason::DiskFull
        | Reason::QueueFull
        | Reason::BuffersFull
        | Reason::TooManyOpenFiles
        | Reason::OutOfDeviceMemory
        | Reason::ProviderRateLimited => Code::ResourceExhausted,
        Reason::DatabaseUnavailable
        | Reason::EngineUnavailable
        | Reason::ShuttingDown
        | Reason::ProviderUnreachable
        | Reason::ProviderFailed
        | Reason::ProviderTimeout => Code::Unavailable,
        Reason::DeadlineExceeded | Reason::MessageUnfinished => Code::DeadlineExceeded,
        Reason::Cancelled => Code::Cancelled,
        Reason::StorageFailed | Reason::ServerDied | Reason::Internal => Code::Internal,
    }
}

/// What a client is told in place of the message, where the message speaks of the server's inside.
const fn withheld(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Internal => Some(
            "a defect of the server; its log has the details under this request's x-request-id",
        ),
        Reason::StorageFailed => Some(
            "the server could not read or write its own files; its log has the details under this request's x-request-id",
        ),
        Reason::DatabaseUnavailable => Some("the database does not answer"),
        _ => None,
    }
}

/// When it is worth to try again.
const fn retry_after(reason: Reason) -> Option<Duration> {
    match reason {
        Reason::QueueFull => Some(Duration::from_millis(250)),
        Reason::DatabaseUnavailable | Reason::BuffersFull | Reason::TooManyOpenFiles => {
            Some(Duration::from_secs(1))
        }
        _ => None,
    }
}

impl Error {
    /// A failure that clients may read about.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// A defect of the server: `what` is logged and withheld.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Reason::Internal, what)
    }

    /// Any error of the other crates, with its sources.
    pub fn from_reason(error: &dyn HasReason) -> Self {
        if lacks_descriptors(error) {
            let message = format!("the server has too many files open: {}", chain(error));
            return Self::new(Reason::TooManyOpenFiles, message);
        }
        Self::new(error.reason(), chain(error))
    }

    /// A request with fields that are wrong; at least one.
    pub fn violations(violations: Vec<Violation>) -> Self {
        let mut reasons = violations.iter().map(|violation| violation.reason);
        let first = reasons.next().unwrap_or(Reason::InvalidRequest);
        let reason = if reasons.all(|reason| reason == first) {
            first
        } else {
            Reason::InvalidRequest
        };
        let message = match violations.as_slice() {
            [violation] => format!("{}: {}", violation.field, violation.description),
            [first, rest @ ..] => {
                format!(
                    "{}: {}; and {} more",
                    first.field,
                    first.description,
                    rest.len()
                )
            }
            [] => "the request is malformed".to_owned(),
        };
        Self {
            violations: bounded(violations),
            ..Self::new(reason, message)
        }
    }

    /// Adds to `ErrorInfo.metadata`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.insert(key, value.to_string());
        self
    }

    /// Whether the metadata holds the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// Adds a remark to the message.
    pub(super) fn noting(mut self, remark: &str) -> Self {
        self.message = format!("{} ({remark})", self.message);
        self
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What clients may see; the rest is logged here, in the span of the call, and withheld.
    pub fn disclose(self) -> Disclosed {
        let Self {
            reason,
            message,
            metadata,
            violations,
        } = self;
        let message = match withheld(reason) {
            Some(public) => {
                tracing::error!(%reason, error = %message, "a call or job failed");
                public.to_owned()
            }
            None => shortened(message),
        };
        let metadata = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        Disclosed {
            reason,
            message,
            metadata,
            violations,
        }
    }
}

/// Whether the system refused to open one more file, whatever the work made of it.
fn lacks_descriptors(error: &dyn std::error::Error) -> bool {
    let (process, system) = (Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error());
    std::iter::successors(error.source(), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .filter_map(std::io::Error::raw_os_error)
        .any(|code| code == process || code == system)
}

/// A failure without what is withheld from clients.
#[derive(Clone, Debug)]
pub struct Disclosed {
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<Violation>,
}

impl Disclosed {
    fn into_status(self) -> Status {
        let mut details = ErrorDetails::new();
        let page = (
            "page".to_owned(),
            format!("proto/errors/{}.md", self.reason),
        );
        let metadata = self
            .metadata
            .into_iter()
            .chain([page])
            .collect::<HashMap<_, _>>();
        details.set_error_info(self.reason.as_str(), DOMAIN, metadata);
        if !self.violations.is_empty() {
            let violations: Vec<_> = self.violations.into_iter().map(field_violation).collect();
            details.set_bad_request(violations);
        }
        if let Some(delay) = retry_after(self.reason) {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code(self.reason), self.message, details)
    }

    /// As `google.rpc.Status`, for replies that carry an error inside.
    pub fn into_proto(self) -> tonic_types::Status {
        proto_of(&self.into_status())
    }

    /// As a job keeps it.
    pub fn into_failure(self) -> JobFailure {
        JobFailure {
            reason: self.reason,
            message: self.message,
            metadata: self.metadata,
        }
    }
}

impl From<JobFailure> for Disclosed {
    fn from(failure: JobFailure) -> Self {
        let JobFailure {
            reason,
            message,
            metadata,
        } = failure;
        Self {
            reason,
            message,
            metadata,
            violations: Vec::new(),
        }
    }
}

/// A gRPC status as `google.rpc.Status`, details included.
pub fn proto_of(status: &Status) -> tonic_types::Status {
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// As many violations as fit into an error; of the rest, their number.
fn bounded(violations: Vec<Violation>) -> Vec<Violation> {
    let count = violations.len();
    let mut left = MAX_TEXT;
    let mut kept = Vec::new();
    for mut violation in violations {
        violation.description = shortened(violation.description);
        let size = violation.field.len() + violation.description.len();
        if size > left && !kept.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        kept.push(violation);
    }
    if kept.len() < count {
        kept.push(Violation {
            field: String::new(),
            description: format!("and {} more fields", count - kept.len()),
            reason: Reason::InvalidRequest,
        });
    }
    kept
}

/// Text cut to half of what an error may hold.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT / 2 {
        let end = text.floor_char_boundary(MAX_TEXT / 2);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn field_violation(violation: Violation) -> FieldViolation {
    FieldViolation {
        field: violation.field,
        description: violation.description,
        reason: violation.reason.as_str().to_owned(),
        localized_message: None,
    }
}

/// An error and its sources in one line; a source that the error's own text repeats is left out.
fn chain(error: &dyn HasReason) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        error.disclose().into_status()
    }
}

macro_rules! from_crate_errors {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::from_reason(&error)
            }
        })*
    };
}

from_crate_errors!(
    latentd_cache::Error,
    latentd_engine::Error,
    latentd_store::Error
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reaches_the_client() {
        for &reason in Reason::ALL {
            let status = Status::from(Error::new(reason, "why").with("key", 1));
            assert_ne!(status.code(), Code::Ok, "{reason}");
            assert_ne!(status.code(), Code::Unknown, "{reason}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(
                (info.reason.as_str(), info.domain.as_str()),
                (reason.as_str(), DOMAIN)
            );
            assert_eq!(info.metadata["key"], "1");
        }
    }

    #[test]
    fn every_page_names_the_code() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/errors");
        for &reason in Reason::ALL {
            let page = fs_err::read_to_string(pages.join(format!("{reason}.md"))).unwrap();
            let code = super::super::layers::name(code(reason));
            assert!(
                page.starts_with(&format!("# {reason}\n\ngRPC code: `{code}`\n")),
                "{reason}"
            );
        }
    }

    #[test]
    fn internals_are_withheld() {
        let status = Status::from(Error::internal("index 7 out of range in planner.rs"));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("planner"));
        let status = Status::from(Error::new(
            Reason::DatabaseUnavailable,
            "host 10.0.0.7 refused",
        ));
        assert!(!status.message().contains("10.0.0.7"));
    }

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let status = Status::from(Error::new(Reason::QueueFull, "full"));
        assert!(
            status
                .get_details_retry_info()
                .unwrap()
                .retry_delay
                .is_some()
        );
        let status = Status::from(Error::new(Reason::UnknownSae, "no"));
        assert!(status.get_details_retry_info().is_none());
    }

    #[test]
    fn violations_of_one_kind_keep_their_reason() {
        let violation = |field: &str, reason| Violation {
            field: field.to_owned(),
            description: "bad".to_owned(),
            reason,
        };
        let same = Error::violations(vec![
            violation("a", Reason::PromptTooLong),
            violation("b", Reason::PromptTooLong),
        ]);
        assert_eq!(same.reason(), Reason::PromptTooLong);
        let mixed = Error::violations(vec![
            violation("a", Reason::PromptTooLong),
            violation("b", Reason::EmptyBatch),
        ]);
        assert_eq!(mixed.reason(), Reason::InvalidRequest);
        let fields = Status::from(mixed)
            .get_details_bad_request()
            .unwrap()
            .field_violations;
        assert_eq!(fields[1].reason, "EMPTY_BATCH");
    }

    #[test]
    fn an_error_fits_into_headers() {
        let violation = |index: usize| Violation {
            field: format!("prompts[{index}]"),
            description: "é".repeat(if index == 0 { 10_000 } else { 40 }),
            reason: Reason::PromptTooLong,
        };
        let error = Error::violations((0..1000).map(violation).collect());
        assert_eq!(error.reason(), Reason::PromptTooLong);
        let status = Status::from(error);
        let details = status.get_details_bad_request().unwrap().field_violations;
        assert!(details.last().unwrap().description.ends_with("more fields"));
        assert!(status.details().len() + 2 * status.message().len() < 6000);
    }

    #[test]
    fn an_error_inside_a_reply_has_the_same_details() {
        let proto = Error::new(Reason::UnknownSae, "no SAE")
            .disclose()
            .into_proto();
        assert_eq!(proto.code, Code::NotFound as i32);
        assert_eq!(proto.details.len(), 1);
    }
}
