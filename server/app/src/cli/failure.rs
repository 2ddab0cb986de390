//! What a failure says, and the code that the process ends with.

use std::{fmt::Write as _, io};

use latentd_client::{Code, Error, Violation};

use super::{output::Output, style::Style};
use crate::config;

/// The command cannot be carried out as it was written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Somebody stopped the command with Ctrl-C. That is not an error, and what it says tells how to go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Stopped(pub(super) String);

/// A job came to its end, and some of its items have no result.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct InPart(pub(super) String);

/// The exit code of a job that succeeded in part.
const IN_PART: u8 = 3;
/// The exit code of a program that Ctrl-C stopped, as shells have it.
const INTERRUPTED: u8 = 130;

/// Tells about the failure and returns the exit code.
pub(super) fn report(out: &Output, error: &anyhow::Error) -> u8 {
    // The reader of a pipe has seen enough.
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return 0;
    }
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        out.remark(stopped);
        return INTERRUPTED;
    }
    if let Some(in_part) = error.downcast_ref::<InPart>() {
        if out.json {
            out.remark(serde_json::json!({ "error": { "message": in_part.0 } }));
        } else {
            out.remark(in_part);
        }
        return IN_PART;
    }
    let client = error.downcast_ref::<Error>();
    match client {
        Some(error) if out.json => {
            let json = serde_json::json!({ "error": error });
            out.remark(json);
        }
        _ if out.json => {
            let json = serde_json::json!({ "error": { "message": format!("{error:#}") } });
            out.remark(json);
        }
        Some(error) => out.remark(describe(error, out.remarks)),
        None => out.remark(format!("{} {error:#}", out.remarks.bad("error:"))),
    }
    code(error)
}

fn code(error: &anyhow::Error) -> u8 {
    let address = error
        .downcast_ref::<Error>()
        .is_some_and(|error| error.code == Code::InvalidArgument && error.reason.is_empty());
    let usage = error.is::<Usage>() || error.is::<config::Error>();
    if usage || address { 2 } else { 1 }
}

/// A client's error with everything that it carries.
pub(super) fn describe(error: &Error, style: Style) -> String {
    let reason = if error.reason.is_empty() {
        String::new()
    } else {
        format!("{}: ", error.reason)
    };
    let mut text = format!(
        "{} {}{}",
        style.bad("error:"),
        style.bold(&reason),
        error.message
    );
    let told = |violation: &&Violation| {
        error.message == format!("{}: {}", violation.field, violation.description)
    };
    for violation in error.violations.iter().filter(|violation| !told(violation)) {
        let _ = write!(
            text,
            "
  {}: {}",
            style.bold(&violation.field),
            violation.description
        );
    }
    for (name, value) in error
        .metadata
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "page" | "known"))
    {
        let _ = write!(text, "\n  {} {value}", style.dim(&format!("{name}:")));
    }
    if !error.reason.is_empty() {
        let _ = write!(text, "\n  `latentd errors {}` says more", error.reason);
    }
    if error.is_connection() {
        text.push_str("\n  Is the server running? `latentd serve` starts one; --address or LATENTD_ADDRESS says where it is.");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn refused() -> Error {
        Error {
            code: Code::InvalidArgument,
            reason: "INVALID_REQUEST".into(),
            message: "two things are wrong".into(),
            metadata: BTreeMap::from([
                ("page".into(), "proto/errors/INVALID_REQUEST.md".into()),
                ("known".into(), "a, b".into()),
                ("request_id".into(), "abc".into()),
            ]),
            violations: vec![
                Violation {
                    field: "saes".into(),
                    description: "is empty".into(),
                },
                Violation {
                    field: "top_k".into(),
                    description: "must be positive".into(),
                },
            ],
            retry_after: None,
        }
    }

    #[test]
    fn an_error_tells_all_it_knows() {
        assert_eq!(
            describe(&refused(), Style::new(false)),
            "error: INVALID_REQUEST: two things are wrong\n  saes: is empty\n  top_k: must be positive\n  \
             request_id: abc\n  `latentd errors INVALID_REQUEST` says more"
        );
    }

    #[test]
    fn nothing_is_told_twice() {
        let mut error = refused();
        error.violations.truncate(1);
        error.message = "saes: is empty".into();
        let text = describe(&error, Style::new(false));
        assert_eq!(text.matches("is empty").count(), 1, "{text}");
    }

    #[test]
    fn exit_codes_tell_usage_from_failure() {
        assert_eq!(code(&refused().into()), 1);
        let local = Error {
            reason: String::new(),
            metadata: BTreeMap::new(),
            ..refused()
        };
        assert_eq!(code(&local.into()), 2);
        assert_eq!(code(&Usage("no prompt".into()).into()), 2);
        assert_eq!(code(&config::Error { problems: vec![] }.into()), 2);
        assert_eq!(code(&anyhow::anyhow!("no")), 1);
    }
}
