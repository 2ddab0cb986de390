//! Items whose server died while it worked on them, and those that may be the cause of it.
//!
//! An item is its process's for as long as that is alive. A death counts against no attempt: most items had no part in it. What was
//! there at two deaths is a suspect, and is tried again when nothing else is at work: sixteen suspects at once, those that were there
//! at another death four at once, and then alone. Whoever comes to an end is cleared. Only an item that was alone at three deaths is
//! given up.

use latentd_domain::{JobId, Reason};
use sqlx::Row;

use super::{Interp, KINDS, stages::given_up};
use crate::{
    Error,
    leases::{Owner, Reaped},
    work_items::{self, WorkItem},
};

/// Deaths after which it is given up.
const GIVEN_UP: i16 = 7;

impl Interp<'_> {
    /// Takes items from processes that are dead: they wait again, or are given up if each server that worked on them alone died.
    pub(crate) async fn reap(self) -> Result<Reaped, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let rows = sqlx::query(
            "with lost as (
                 select w.job_id, w.ord from work_item w
                 where w.state = 1 and not exists (
                     select from process p where p.owner = w.lease_owner and p.lease_until > (select lease_now()))
                   and exists (select from interp_job i where i.job_id = w.job_id)
                 order by w.job_id, w.ord for update of w skip locked)
             update work_item w
             set state = case when w.lost + 1 >= $1 then 3 else 0 end, lease_owner = null, lease_until = null,
                 lost = w.lost + 1, attempt = greatest(w.attempt - 1, 0),
                 error = case when w.lost + 1 >= $1 then $2 end, reason = case when w.lost + 1 >= $1 then $3 end
             from lost where w.job_id = lost.job_id and w.ord = lost.ord
             returning w.job_id, w.ord, w.state",
        )
        .bind(GIVEN_UP)
        .bind(format!(
            "its server died {GIVEN_UP} times while it worked on this item, the last three times on nothing else"
        ))
        .bind(Reason::ServerDied.as_str())
        .fetch_all(&mut *transaction)
        .await?;
        let mut dead = Vec::new();
        for row in &rows {
            if row.try_get::<i16, _>("state")? == 3 {
                dead.push((row.try_get("job_id")?, row.try_get("ord")?));
            }
        }
        given_up(&mut transaction, &dead).await?;
        transaction.commit().await?;
        Ok(Reaped {
            returned: (rows.len() - dead.len()) as u64,
            dead: dead.len() as u64,
            failed_jobs: 0,
        })
    }

    /// Whether suspects wait, of other jobs than `without`.
    pub async fn suspects_wait(self, without: &[JobId]) -> Result<bool, Error> {
        let without: Vec<&str> = without.iter().map(JobId::id).collect();
        Ok(sqlx::query_scalar(
            "select exists (
                 select from work_item w join job j on j.id = w.job_id
                 where w.state = 0 and w.lost >= 2 and j.state = 'running' and j.kind = any($1) and not j.cancel_requested
                   and j.id <> all($2))",
        )
        .bind(KINDS)
        .bind(without)
        .fetch_one(self.0.pool())
        .await?)
    }

    /// Takes suspects that may be tried together, those that were there at the fewest deaths. Nothing else is to be at work in this
    /// process until they have come to an end.
    pub async fn claim_suspects(
        self,
        owner: Owner,
        without: &[JobId],
    ) -> Result<Vec<WorkItem>, Error> {
        let without: Vec<&str> = without.iter().map(JobId::id).collect();
        let rows = sqlx::query(
            "with open as (
                 select w.job_id, w.ord, w.lost from work_item w join job j on j.id = w.job_id
                 where w.state = 0 and w.lost >= 2 and j.state = 'running' and j.kind = any($1) and not j.cancel_requested
                   and j.id <> all($3)),
             fewest as (select min(lost) as lost from open),
             c as (
                 select w.job_id, w.ord from work_item w
                 where w.state = 0 and (w.job_id, w.ord) in (
                     select open.job_id, open.ord from open join fewest on open.lost = fewest.lost)
                 order by w.job_id, w.ord
                 limit (select case lost when 2 then 16 when 3 then 4 else 1 end from fewest)
                 for update of w skip locked)
             update work_item w
             set state = 1, lease_owner = $2, lease_until = 'infinity', epoch = w.epoch + 1, attempt = w.attempt + 1
             from c where w.job_id = c.job_id and w.ord = c.ord
             returning w.job_id, w.ord, w.attempt, w.epoch",
        )
        .bind(KINDS)
        .bind(owner.0)
        .bind(without)
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(work_items::read).collect()
    }
}
