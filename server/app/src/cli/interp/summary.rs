//! What a job that explains and scores has found: latents, cost, and each scorer in a row.

use std::fmt::Write as _;

use latentd_client::{ExplainerSummary, JobSummary, ScorerSummary};

use super::{
    super::{
        format::{count, short},
        output::Output,
        progress::cost,
        table::{Table, pairs},
    },
    reasons,
};

/// The summary for people.
pub(in crate::cli) fn describe(summary: &JobSummary, out: &Output) -> String {
    let mut latents = format!(
        "{}: {} explained",
        count(summary.latents),
        count(summary.explained)
    );
    for (number, what) in [
        (summary.dead, "never fire"),
        (summary.skipped, "left out for too few examples"),
        (summary.failed, "failed"),
    ] {
        if number > 0 {
            let _ = write!(latents, ", {} {what}", count(number));
        }
    }
    let mut rows = vec![
        ("job", out.style.bold(&short(&summary.job))),
        ("cache", short(&summary.cache)),
        ("latents", latents),
        ("cost", cost(&summary.spent)),
    ];
    if let Some(reduced) = &summary.reduced {
        rows.push(("reduced", reasons::reduced(reduced)));
    }
    let of_scorers = summary.scorers.iter().flat_map(reasons::of_scorer);
    let why = reasons::lines(&summary.reasons)
        .into_iter()
        .chain(of_scorers);
    rows.extend(why.map(|line| ("why", line)));
    if summary.latents > 0 && summary.dead + summary.skipped == summary.latents {
        let all = "every latent was left out: nothing was explained or scored";
        rows.push(("warning", out.style.bad(all)));
    }
    let mut text = pairs(rows, out);
    if !summary.scorers.is_empty() {
        text.push('\n');
        text.push_str(&scorers(&summary.scorers).render(out.style, out.width));
    }
    if !summary.explainers.is_empty() {
        text.push('\n');
        text.push_str(&explainers(&summary.explainers).render(out.style, out.width));
    }
    text
}

/// A score, or a dash where it is not defined.
fn score(score: Option<f64>) -> String {
    score.map_or_else(|| "-".to_owned(), |score| format!("{score:.3}"))
}

/// Explainers side by side.
fn explainers(explainers: &[ExplainerSummary]) -> Table {
    let mut table = Table::new(["scorer", "explainer", ">latents", ">mean", ">median"]);
    for summary in explainers {
        let whose = match (summary.own, summary.explainer.as_str()) {
            (true, name) => format!("{name} (this job)"),
            (false, name @ ("top_tokens" | "random_baseline")) => format!("{name} (baseline)"),
            (false, name) => name.to_owned(),
        };
        table.row([
            summary.scorer.clone(),
            whose,
            count(summary.latents),
            score(summary.mean),
            score(summary.median),
        ]);
    }
    table
}

fn scorers(scorers: &[ScorerSummary]) -> Table {
    let mut table = Table::new([
        "scorer",
        ">latents",
        ">mean",
        ">median",
        ">examples",
        ">failed",
        "?>accuracy",
        "?>F1",
        "?>F1 by frequency",
        "?>TP",
        "?>FP",
        "?>TN",
        "?>FN",
    ]);
    for scorer in scorers {
        let mut cells = vec![
            scorer.scorer.clone(),
            count(scorer.latents),
            score(scorer.mean),
            score(scorer.median),
            count(scorer.n),
            count(scorer.n_failed),
        ];
        if scorer.classifies() {
            let shares = [
                scorer.balanced_accuracy,
                scorer.f1,
                scorer.frequency_weighted_f1,
            ];
            cells.extend(shares.map(score));
            let counts = [
                scorer.true_positives,
                scorer.false_positives,
                scorer.true_negatives,
                scorer.false_negatives,
            ];
            cells.extend(counts.map(count));
        } else {
            cells.extend(["-"; 7].map(str::to_owned));
        }
        table.row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use latentd_client::Spent;

    use super::{super::super::style::Style, *};

    fn plain() -> Output {
        let style = Style::new(false);
        Output {
            json: false,
            style,
            remarks: style,
            width: usize::MAX,
            interactive: false,
        }
    }

    fn sample() -> JobSummary {
        JobSummary {
            job: "jobs/j".into(),
            latents: 50,
            explained: 47,
            dead: 3,
            skipped: 0,
            failed: 0,
            reasons: Vec::new(),
            cache: "caches/c".into(),
            reduced: None,
            scorers: vec![
                ScorerSummary {
                    scorer: "detection".into(),
                    latents: 47,
                    mean: Some(0.71),
                    median: Some(0.725),
                    n: 4699,
                    n_failed: 1,
                    true_positives: 1650,
                    false_positives: 650,
                    true_negatives: 1700,
                    false_negatives: 699,
                    f1: Some(0.7098),
                    frequency_weighted_f1: Some(0.7),
                    balanced_accuracy: Some(0.7129),
                    reasons: Vec::new(),
                },
                ScorerSummary {
                    scorer: "surprisal".into(),
                    ..ScorerSummary::default()
                },
            ],
            spent: Spent {
                calls: 987,
                prompt_tokens: 1_000_000,
                dollars: 0.5,
                ..Spent::default()
            },
            explainers: vec![
                ExplainerSummary {
                    scorer: "detection".into(),
                    explainer: "default".into(),
                    own: true,
                    latents: 47,
                    mean: Some(0.71),
                    median: Some(0.725),
                    ..ExplainerSummary::default()
                },
                ExplainerSummary {
                    scorer: "detection".into(),
                    explainer: "top_tokens".into(),
                    ..ExplainerSummary::default()
                },
            ],
        }
    }

    #[test]
    fn a_summary_leaves_out_what_did_not_happen() {
        assert_eq!(
            describe(&sample(), &plain()),
            "\
job      j
cache    c
latents  50: 47 explained, 3 never fire
cost     $0.50, 987 calls, 1 000 000 tokens

scorer     latents   mean  median  examples  failed  accuracy     F1  F1 by frequency     TP   FP     TN   FN
detection       47  0.710   0.725     4 699       1     0.713  0.710            0.700  1 650  650  1 700  699
surprisal        0      -       -         0       0         -      -                -      -    -      -    -

scorer     explainer              latents   mean  median
detection  default (this job)          47  0.710   0.725
detection  top_tokens (baseline)        0      -       -
"
        );
    }

    #[test]
    fn latents_that_were_all_left_out_are_a_warning() {
        let left_out = JobSummary {
            explained: 0,
            dead: 3,
            skipped: 47,
            scorers: Vec::new(),
            explainers: Vec::new(),
            ..sample()
        };
        let text = describe(&left_out, &plain());
        assert!(text.contains("every latent was left out"), "{text}");
    }
}
