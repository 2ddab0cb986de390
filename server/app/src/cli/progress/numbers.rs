//! How far a job is, in words: what is done, how fast it goes, what it cost.

use std::{fmt::Write as _, time::Duration};

use latentd_client::{Job, JobState, Progress, Spent};

use super::super::format::{count, dollars, duration, plural};

/// How far a job is, or how far it came.
pub(in crate::cli) fn of(job: &Job) -> String {
    let still = Progress {
        rate: 0.0,
        eta: None,
        ..job.progress.clone()
    };
    numbers(if job.state.has_ended() || job.state == JobState::Paused {
        &still
    } else {
        &job.progress
    })
}

/// `120 000 of 200 000 tokens, 25 s to go, 3 200 a second`; of a job that calls providers,
/// `40 of 150 items (1 failed, 3 left out), 25 s to go, $0.12, 180 calls (20 reused), 96 000 tokens`.
pub(super) fn numbers(progress: &Progress) -> String {
    if progress.unit.is_empty() {
        return String::new();
    }
    let mut parts = vec![amount(progress)];
    parts.extend(pace(progress));
    parts.join(", ")
}

/// What is done: `40 of 150 items (1 failed, 3 left out)`.
pub(super) fn amount(progress: &Progress) -> String {
    let mut text = match progress.total {
        0 => format!("{} {}", count(progress.done), progress.unit),
        total => format!(
            "{} of {} {}",
            count(progress.done),
            count(total),
            progress.unit
        ),
    };
    let lost = [(progress.failed, "failed"), (progress.skipped, "left out")];
    let lost: Vec<String> = lost
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(number)))
        .collect();
    if !lost.is_empty() {
        let _ = write!(text, " ({})", lost.join(", "));
    }
    text
}

/// How fast it goes, how long it will take, and what it cost so far.
pub(super) fn pace(progress: &Progress) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(eta) = progress.eta {
        let eta = Duration::from_secs(eta.as_secs());
        parts.push(format!("{} to go", duration(eta)));
    }
    if progress.rate >= 1.0 {
        parts.push(format!("{} a second", count(progress.rate.round() as u64)));
    }
    if let Some(spent) = &progress.spent {
        parts.push(cost(spent));
    }
    parts
}

/// `$0.12, 180 calls (20 reused), 96 000 tokens`; without dollars where nothing has a price.
pub(in crate::cli) fn cost(spent: &Spent) -> String {
    let mut parts = Vec::new();
    if spent.dollars > 0.0 {
        parts.push(dollars(spent.dollars));
    }
    let reused = match spent.reused {
        0 => String::new(),
        reused => format!(" ({} reused)", count(reused)),
    };
    parts.push(format!("{}{reused}", plural(spent.calls, "call")));
    parts.push(plural(spent.tokens(), "token"));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_is_known() {
        let mut progress = Progress::default();
        assert_eq!(numbers(&progress), "");
        progress.unit = "tokens".into();
        progress.done = 1200;
        assert_eq!(numbers(&progress), "1 200 tokens");
        progress.total = 200_000;
        progress.rate = 3210.4;
        progress.eta = Some(Duration::from_millis(61_900));
        assert_eq!(
            numbers(&progress),
            "1 200 of 200 000 tokens, 1 min 1 s to go, 3 210 a second"
        );
    }

    #[test]
    fn numbers_say_what_it_costs() {
        let mut progress = Progress {
            unit: "items".into(),
            done: 40,
            total: 150,
            eta: Some(Duration::from_secs(25)),
            failed: 1,
            skipped: 3,
            spent: Some(Spent {
                calls: 180,
                reused: 20,
                prompt_tokens: 90_000,
                completion_tokens: 6000,
                dollars: 0.123,
            }),
            ..Progress::default()
        };
        assert_eq!(
            numbers(&progress),
            "40 of 150 items (1 failed, 3 left out), 25 s to go, $0.12, 180 calls (20 reused), 96 000 tokens"
        );
        progress.failed = 0;
        progress.eta = None;
        progress.spent = Some(Spent {
            calls: 1,
            ..Spent::default()
        });
        assert_eq!(
            numbers(&progress),
            "40 of 150 items (3 left out), 1 call, 0 tokens"
        );
    }
}
