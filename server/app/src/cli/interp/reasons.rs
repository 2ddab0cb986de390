//! Why items of a job failed or were left out, in lines for people.

use latentd_client::{ItemReason, Reduced, ScorerSummary};

use super::super::format::{count, plural};

/// A line for each reason; the names of fields are those of the flags.
pub(in crate::cli) fn lines(reasons: &[ItemReason]) -> Vec<String> {
    let line = |reason: &ItemReason| {
        let what = if reason.failed { "failed" } else { "left out" };
        format!(
            "{} {what}: {}{}{}",
            plural(reason.items, "item"),
            reason.reason,
            after(": ", &flags(&reason.detail)),
            such_as(&reason.latents)
        )
    };
    reasons.iter().map(line).collect()
}

/// A line for each reason for which examples of a scorer could not be scored.
pub(in crate::cli) fn of_scorer(scorer: &ScorerSummary) -> Vec<String> {
    let line = |reason: &latentd_client::ExampleReason| {
        format!(
            "{}: {} failed: {}{}{}",
            scorer.scorer,
            plural(reason.examples, "example"),
            reason.reason,
            after(": ", &reason.detail),
            such_as(&reason.latents)
        )
    };
    scorer.reasons.iter().map(line).collect()
}

/// What was reduced, for people.
pub(in crate::cli) fn reduced(reduced: &Reduced) -> String {
    let mut shown = Vec::new();
    for (fewest, asked, whom) in [
        (reduced.n_train, reduced.n_train_asked, "the explainer"),
        (reduced.n_test, reduced.n_test_asked, "scorers"),
    ] {
        if fewest < asked {
            shown.push(format!("down to {fewest} of {asked} for {whom}"));
        }
    }
    format!(
        "{} had fewer examples than asked for, {}{}",
        plural(reduced.latents, "latent"),
        shown.join(" and "),
        such_as(&reduced.examples)
    )
}

/// The fields of an example plan as the flags that set them.
fn flags(detail: &str) -> String {
    let mut text = detail.to_owned();
    for (field, flag) in [
        ("min_examples ", "--min-examples "),
        ("n_train ", "--n-train "),
        ("n_test ", "--n-test "),
    ] {
        text = text.replace(field, flag);
    }
    text
}

fn after(before: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{before}{text}")
    }
}

fn such_as(latents: &[u32]) -> String {
    let latents: Vec<String> = latents.iter().map(|&latent| count(latent.into())).collect();
    match latents.as_slice() {
        [] => String::new(),
        [one] => format!(" (latent {one})"),
        [..] => format!(" (latents such as {})", latents.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_with_the_flags_that_help() {
        let reason = ItemReason {
            reason: "TOO_FEW_EXAMPLES".into(),
            failed: false,
            items: 31,
            detail: "22 examples, 45 needed: min_examples 22 n_train 9 n_test 13 would do".into(),
            latents: vec![17, 99],
        };
        assert_eq!(
            lines(&[reason]),
            [
                "31 items left out: TOO_FEW_EXAMPLES: 22 examples, 45 needed: --min-examples 22 --n-train 9 \
              --n-test 13 would do (latents such as 17, 99)"
            ]
        );
        let reduced = Reduced {
            latents: 1,
            n_train: 4,
            n_train_asked: 40,
            n_test: 6,
            n_test_asked: 50,
            examples: vec![7],
        };
        assert_eq!(
            super::reduced(&reduced),
            "1 latent had fewer examples than asked for, down to 4 of 40 for the explainer and down to 6 of 50 for \
             scorers (latent 7)"
        );
    }
}
