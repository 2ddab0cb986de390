//! The end of work items, a batch in one transaction: their results, what becomes of the other stages of their latents, and the
//! counters, all or nothing.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use latentd_domain::{ExplanationId, Reason};
use sqlx::{PgConnection, Row};

use super::{
    Interp,
    stages::{DEAD, DONE, Deltas, SKIPPED, Shape, WAITS, follow, shapes},
};
use crate::{
    Error, explanations,
    explanations::NewExplanation,
    leases::{MAX_ATTEMPTS, Owner},
    scores::{self, NewScore, Placed},
    text,
    work_items::WorkItem,
};

/// What came of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Of stage 0: the latent has explanations, and its scorers may begin.
    Explained {
        /// Explanations that were made.
        explanations: Vec<NewExplanation>,
        /// Explanations that were there before and are to be scored.
        existing: Vec<ExplanationId>,
    },
    /// Of a scorer: the scores, one for each explanation.
    Scored {
        /// The scores.
        scores: Vec<NewScore>,
    },
    /// There is nothing to do. Of stage 0, the whole latent is left out.
    Skipped {
        /// The latent never fires.
        dead: bool,
        /// Why it is left out.
        reason: Reason,
        /// Why exactly, for people.
        detail: String,
    },
    /// It could not be done. Of stage 0, only scorers that need no explanation go on.
    Failed {
        /// Why.
        reason: Reason,
        /// Why exactly, for people.
        detail: String,
    },
    /// It could not be done now and is tried again later; after too many attempts it has failed.
    Again {
        /// Not before so long.
        after: Duration,
        /// Why.
        reason: Reason,
        /// Why exactly, for people.
        detail: String,
    },
}

/// An item that is over, or is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The item, as it was claimed.
    pub item: WorkItem,
    /// What came of it.
    pub outcome: Outcome,
}

impl Completion {
    /// State of the item, its reason and detail, and the seconds that it is held back.
    fn end(&self) -> (i16, Option<Reason>, Option<&str>, f64) {
        match &self.outcome {
            Outcome::Explained { .. } | Outcome::Scored { .. } => (DONE, None, None, 0.0),
            Outcome::Skipped { reason, detail, .. } => (SKIPPED, Some(*reason), Some(detail), 0.0),
            Outcome::Failed { reason, detail } => (DEAD, Some(*reason), Some(detail), 0.0),
            Outcome::Again {
                after,
                reason,
                detail,
            } => {
                let last = self.item.attempt >= MAX_ATTEMPTS as u32;
                let (state, after) = if last {
                    (DEAD, 0.0)
                } else {
                    (WAITS, after.as_secs_f64())
                };
                (state, Some(*reason), Some(detail), after)
            }
        }
    }
}

impl Interp<'_> {
    /// Ends items with their results, in one transaction. Tells for each whether it was accepted: an item that was given to someone
    /// else meanwhile, or whose job ended, is not, and nothing of it is stored. Each item comes at most once.
    pub async fn complete(
        self,
        completions: &[Completion],
        owner: Owner,
    ) -> Result<Vec<bool>, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let accepted = end_items(&mut transaction, completions).await?;
        let is_accepted = |completion: &&Completion| {
            accepted.contains(&(
                completion.item.job.id().to_owned(),
                completion.item.ord as i32,
            ))
        };
        let ended: Vec<&Completion> = completions.iter().filter(is_accepted).collect();
        let shapes = shapes(&mut transaction, ended.iter().map(|c| c.item.job.id())).await?;
        store_results(&mut transaction, &ended, &shapes).await?;

        let mut deltas = Deltas::default();
        let mut followers = Vec::new();
        for completion in &ended {
            let (state, ..) = completion.end();
            let Some(shape) = shapes.get(completion.item.job.id()) else {
                continue;
            };
            let dead = matches!(completion.outcome, Outcome::Skipped { dead: true, .. });
            let first = shape.stage(completion.item.ord) == 0;
            deltas.over(&completion.item.job, state, first, dead);
            if first && state != WAITS {
                followers.extend(shape.followers(&completion.item.job, completion.item.ord, state));
            }
        }
        follow(&mut transaction, &followers, &mut deltas).await?;
        deltas.add(&mut transaction, owner.0).await?;
        transaction.commit().await?;
        Ok(completions
            .iter()
            .map(|completion| is_accepted(&completion))
            .collect())
    }
}

/// Writes the states of items, in the order in which rows are locked everywhere. Returns those that were accepted.
async fn end_items(
    connection: &mut PgConnection,
    completions: &[Completion],
) -> Result<HashSet<(String, i32)>, Error> {
    let ends: Vec<_> = completions.iter().map(Completion::end).collect();
    let rows = sqlx::query(
        "with c as (
             select w.job_id, w.ord, c.state, c.reason, c.error, c.seconds from work_item w
             join unnest($1::text[], $2::int[], $3::int[], $4::smallint[], $5::text[], $6::text[], $7::double precision[])
                 c(job_id, ord, epoch, state, reason, error, seconds)
               on w.job_id = c.job_id and w.ord = c.ord and w.epoch = c.epoch
             where w.state = 1 order by w.job_id, w.ord for update of w)
         update work_item w
         set state = c.state, lease_owner = null, lease_until = null, reason = c.reason, error = c.error,
             lost = 0,
             run_after = case when c.state = 0 then (select lease_now()) + make_interval(secs => c.seconds) else w.run_after end
         from c where w.job_id = c.job_id and w.ord = c.ord
         returning w.job_id, w.ord",
    )
    .bind(completions.iter().map(|c| c.item.job.id()).collect::<Vec<_>>())
    .bind(completions.iter().map(|c| c.item.ord as i32).collect::<Vec<_>>())
    .bind(completions.iter().map(|c| c.item.epoch).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.0).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.1.map(Reason::as_str)).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.2.map(text::short)).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.3).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("job_id")?, row.try_get("ord")?)))
        .collect()
}

/// Stores the explanations and scores of items that are done.
async fn store_results(
    connection: &mut PgConnection,
    ended: &[&Completion],
    shapes: &HashMap<String, Shape>,
) -> Result<(), Error> {
    let (mut made, mut links, mut placed) = (Vec::new(), Vec::new(), Vec::new());
    for Completion { item, outcome } in ended {
        match outcome {
            Outcome::Explained {
                explanations,
                existing,
            } => {
                made.extend(explanations);
                links.extend(explanations.iter().map(|made| (&item.job, made.id())));
                links.extend(existing.iter().map(|id| (&item.job, id.id().to_owned())));
            }
            Outcome::Scored { scores } => {
                let stage = shapes
                    .get(item.job.id())
                    .map_or(0, |shape| shape.stage(item.ord));
                placed.extend(scores.iter().map(|score| Placed { item, stage, score }));
            }
            Outcome::Skipped { .. } | Outcome::Failed { .. } | Outcome::Again { .. } => {}
        }
    }
    explanations::insert(connection, &made).await?;
    explanations::link(connection, &links).await?;
    scores::insert(connection, &placed).await
}
