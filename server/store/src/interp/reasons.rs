//! Why items of a job failed or were left out, and why examples could not be scored: grouped by reason and counted.

use latentd_domain::{JobId, Reason, autointerp::AutointerpSpec};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};

use super::{Interp, counts::count};
use crate::{Error, jobs::reason_name};

/// Most reasons that are told apart.
const MOST: i64 = 16;
/// Longest detail, in characters: a job's progress carries it, and an event for each change of that.
const DETAIL: i32 = 300;

/// Items that ended alike without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemReason {
    /// The reason.
    #[serde(with = "reason_name")]
    pub reason: Reason,
    /// They failed; otherwise there was nothing to do for them.
    pub failed: bool,
    /// How many.
    pub items: u64,
    /// What exactly became of the first of them, for people.
    pub detail: String,
    /// Some of their latents, lowest first.
    pub latents: Vec<u32>,
}

/// Examples of one scorer that could not be scored for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleReason {
    /// Number of the scorer in its job, from 1.
    pub stage: i16,
    /// The reason.
    pub reason: Reason,
    /// How many.
    pub examples: u64,
    /// What exactly became of one of them, for people.
    pub detail: String,
    /// Some of their latents, lowest first.
    pub latents: Vec<u32>,
}

impl Interp<'_> {
    /// Why items of a job failed or were left out, those with the most items first. Items that only follow from another have no
    /// reason of their own and are not among them. Reads the items that have one.
    pub async fn reasons(
        self,
        job: &JobId,
        spec: &AutointerpSpec,
    ) -> Result<Vec<ItemReason>, Error> {
        let rows = sqlx::query(
            "with ended as (
                 select state, coalesce(reason, 'INTERNAL') as reason, ord from work_item
                 where job_id = $1 and state in (3, 5) and (reason is not null or error is not null)),
             groups as (
                 select state, reason, count(*) as items, min(ord) as first from ended group by state, reason
                 order by items desc, reason, state limit $3)
             select g.state, g.reason, g.items, left(coalesce(w.error, ''), $4) as detail,
                 array(select distinct e.ord / $2 from ended e where e.state = g.state and e.reason = g.reason
                       order by 1 limit 5) as places
             from groups g join work_item w on w.job_id = $1 and w.ord = g.first
             order by g.items desc, g.reason, g.state",
        )
        .bind(job.id())
        .bind(spec.stages() as i32)
        .bind(MOST)
        .bind(DETAIL)
        .fetch_all(self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let places: Vec<i32> = row.try_get("places")?;
                let latents = places.iter().map(|&place| place.max(0) as usize);
                let mut latents: Vec<u32> = latents
                    .filter_map(|place| spec.latents.get(place))
                    .collect();
                latents.sort_unstable();
                Ok(ItemReason {
                    reason: reason(row)?,
                    failed: row.try_get::<i16, _>("state")? == super::stages::DEAD,
                    items: count(row, "items")?,
                    detail: row.try_get("detail")?,
                    latents,
                })
            })
            .collect()
    }

    /// Why examples of a job could not be scored, by scorer, those with the most examples first.
    pub(super) async fn example_reasons(self, job: &JobId) -> Result<Vec<ExampleReason>, Error> {
        let rows = sqlx::query(
            "with failed as (
                 select s.stage, e.failure as reason, s.latent, e.failure_detail from score s
                 join score_example e on e.score_id = s.id
                 where s.job_id = $1 and s.n_failed > 0 and e.failure is not null),
             groups as (
                 select stage, reason, count(*) as examples, min(left(failure_detail, $3)) as detail,
                     row_number() over (partition by stage order by count(*) desc, reason) as place
                 from failed group by stage, reason)
             select g.stage, g.reason, g.examples, g.detail,
                 array(select distinct f.latent from failed f where f.stage = g.stage and f.reason = g.reason
                       order by 1 limit 5) as latents
             from groups g where g.place <= $2 order by g.stage, g.place",
        )
        .bind(job.id())
        .bind(MOST)
        .bind(DETAIL)
        .fetch_all(self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let latents: Vec<i32> = row.try_get("latents")?;
                Ok(ExampleReason {
                    stage: row.try_get("stage")?,
                    reason: reason(row)?,
                    examples: count(row, "examples")?,
                    detail: row.try_get("detail")?,
                    latents: latents.iter().map(|&latent| latent as u32).collect(),
                })
            })
            .collect()
    }
}

/// The reason of a group; one that a newer version wrote reads as INTERNAL.
fn reason(row: &PgRow) -> Result<Reason, Error> {
    let name: &str = row.try_get("reason")?;
    Ok(Reason::parse(name).unwrap_or(Reason::Internal))
}
