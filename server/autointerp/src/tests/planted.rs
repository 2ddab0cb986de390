//! Scorers tell right explanations from wrong ones, where it is known which are right.

use latentd_domain::autointerp::ScorerKind;

use super::{oracle, world};
use crate::stats::{Summary, auc};

/// How many examples of either kind a latent has.
const EXAMPLES: usize = 20;

fn score(kind: ScorerKind, latent: usize, explanation: &str) -> Summary {
    let scorer = world::scorer(kind, 5);
    let plan = scorer
        .plan(&world::subject(latent, EXAMPLES, 7), explanation)
        .unwrap();
    let replies: Vec<_> = plan
        .calls
        .iter()
        .map(|call| Ok(oracle::answer(call)))
        .collect();
    let rows = scorer.read(&plan, &replies);
    let failed: Vec<_> = rows.iter().filter_map(|row| row.failure.as_ref()).collect();
    assert!(failed.is_empty(), "{kind:?}: {failed:?}");
    scorer.summarize(&rows, 1)
}

/// How well the scores of right explanations are told from those of wrong ones.
fn separates(kind: ScorerKind) -> f64 {
    let latents = 0..world::WORDS.len();
    let scores: Vec<(f64, bool)> = latents
        .flat_map(|latent| {
            let other = (latent + 5) % world::WORDS.len();
            [(latent, true), (other, false)].map(|(explained, right)| {
                let summary = score(kind, latent, &world::explanation(explained));
                // A simulation that never fires has no correlation with anything.
                (summary.value.unwrap_or(0.0), right)
            })
        })
        .collect();
    auc(&scores).unwrap()
}

#[test]
fn right_explanations_are_told_from_wrong_ones() {
    for kind in ScorerKind::ALL
        .into_iter()
        .filter(|kind| kind.needs_explanation())
    {
        let auc = separates(kind);
        assert!(auc > 0.95, "{kind:?}: {auc}");
    }
}

#[test]
fn right_explanations_score_high_and_wrong_ones_by_chance() {
    for kind in [
        ScorerKind::Detection,
        ScorerKind::Fuzzing,
        ScorerKind::FuzzingActive,
    ] {
        let right = score(kind, 3, &world::explanation(3));
        assert_eq!(right.value, Some(1.0), "{kind:?}");
        assert_eq!(right.ci, Some((1.0, 1.0)), "{kind:?}");
        let wrong = score(kind, 3, &world::explanation(4)).value.unwrap();
        assert!(wrong < 0.65, "{kind:?}: {wrong}");
    }
    for kind in [ScorerKind::Simulation, ScorerKind::SimulationJson] {
        let right = score(kind, 3, &world::explanation(3));
        // It knows where the latent fires, and not how strongly.
        assert!(right.value.unwrap() > 0.9, "{kind:?}: {right:?}");
        assert!(right.metrics["rsquared"] > 0.5, "{kind:?}: {right:?}");
        assert!(
            right.metrics.contains_key("ev_correlation_q9"),
            "{kind:?}: {right:?}"
        );
    }
}

#[test]
fn scorers_without_an_explanation_see_the_pattern() {
    for kind in [ScorerKind::Intruder, ScorerKind::ExampleEmbedding] {
        let summary = score(kind, 2, "");
        assert!(summary.value.unwrap() > 0.9, "{kind:?}: {summary:?}");
        assert_eq!(summary.n_failed, 0);
    }
}
