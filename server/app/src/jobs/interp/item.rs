//! One work item: the explanation of one latent (stage 0), or one scorer's work on it.

use latentd_autointerp::{Failure, Skip};
use latentd_domain::Reason;
use latentd_store::interp::Outcome;

use super::{exchange::Trouble, explain, score, work::Work};

/// Does an item. What fails for good is an outcome, too.
pub(super) async fn run(work: &Work, latent: u32, stage: usize) -> Result<Outcome, Trouble> {
    let outcome = match stage.checked_sub(1) {
        None => explain::run(work, latent).await,
        Some(scorer) => match work.scorers.get(scorer) {
            Some(scorer) => score::run(work, latent, scorer).await,
            None => Err(Trouble::Failed(Failure::new(
                Reason::Internal,
                format!("the job has no stage {stage}"),
            ))),
        },
    };
    match outcome {
        Err(Trouble::Failed(failure)) => Ok(failed(failure)),
        outcome => outcome,
    }
}

/// What became of an item that failed for good.
pub(super) fn failed(failure: Failure) -> Outcome {
    Outcome::Failed {
        reason: failure.reason,
        detail: failure.detail,
    }
}

/// What became of an item of a latent that is left out.
pub(super) fn skipped(skip: &Skip) -> Outcome {
    Outcome::Skipped {
        dead: *skip == Skip::Dead,
        reason: skip.reason(),
        detail: skip.to_string(),
    }
}
