//! Times of the wire as the standard library's, and as text where results are serialized.

use std::time::{Duration, SystemTime};

use serde::{Serialize as _, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The time, or nothing where it is not set or cannot be held.
pub(crate) fn system_time(timestamp: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    SystemTime::try_from(timestamp?).ok()
}

/// `2025-11-22T08:20:00Z`.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(crate) fn rfc3339<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = time.and_then(|time| OffsetDateTime::from(time).format(&Rfc3339).ok());
    text.serialize(serializer)
}

/// Seconds as a number.
pub(crate) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.as_secs_f64().serialize(serializer)
}

/// Seconds as a number, or nothing.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(crate) fn some_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs_f64())
        .serialize(serializer)
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_serialize_as_scripts_expect() {
        let job = crate::Job::from(latentd_proto::v1::Job {
            name: "jobs/a".into(),
            state: latentd_proto::v1::JobState::Running.into(),
            create_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            progress: Some(latentd_proto::v1::Progress {
                eta_seconds: Some(1.5),
                ..Default::default()
            }),
            error: Some(tonic_types::Status {
                code: 3,
                message: "no".into(),
                details: vec![],
            }),
            ..Default::default()
        });
        let json = serde_json::to_value(job).unwrap();
        assert_eq!(json["state"], "running");
        assert_eq!(json["created"], "2023-11-14T22:13:20Z");
        assert_eq!(json["ended"], serde_json::Value::Null);
        assert_eq!(json["progress"]["eta_seconds"], 1.5);
        assert_eq!(json["error"]["code"], "INVALID_ARGUMENT");
    }
}
