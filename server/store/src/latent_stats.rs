//! Statistics of the latents of a cache, for SQL: what ListLatentStats says, as rows.

use latentd_domain::{CacheId, JobId, LatentStats, SaeName};

use crate::{Error, caches::Caches};

/// Rows of one statement.
const CHUNK: usize = 50_000;
/// Rows that are deleted at once.
const DELETED: i64 = 200_000;

impl Caches<'_> {
    /// Stores statistics of latents of the cache that `job` builds, as far as they are not there yet.
    ///
    /// # Errors
    /// [`Error::UnknownCache`], also if another job builds the cache of this id by now.
    pub async fn put_stats(
        self,
        (cache, job): (&CacheId, &JobId),
        sae: &SaeName,
        stats: &[LatentStats],
    ) -> Result<(), Error> {
        for stats in stats.chunks(CHUNK) {
            let column = |value: fn(&LatentStats) -> Option<f64>| {
                stats.iter().map(value).collect::<Vec<_>>()
            };
            let latents: Vec<i32> = stats.iter().map(|latent| latent.latent as i32).collect();
            let firing: Vec<i64> = stats.iter().map(|latent| latent.count as i64).collect();
            let max: Vec<Option<f32>> = stats.iter().map(|latent| latent.max).collect();
            let builds: bool = sqlx::query_scalar(
                "with b as (select from cache where id = $1 and job_id = $9 for key share),
                 i as (
                     insert into latent_stat (cache_id, sae, latent, firing_tokens, density, max_activation,
                         mean_activation, mean_square)
                     select $1, $2, c.* from b, unnest($3::int[], $4::bigint[], $5::double precision[], $6::real[],
                         $7::double precision[], $8::double precision[]) c
                     on conflict (cache_id, sae, latent) do nothing)
                 select exists (select from b)",
            )
            .bind(cache.id())
            .bind(sae.to_string())
            .bind(latents)
            .bind(firing)
            .bind(column(|latent| Some(latent.density)))
            .bind(max)
            .bind(column(|latent| latent.mean))
            .bind(column(|latent| latent.mean_square))
            .bind(job.id())
            .fetch_one(self.0.pool())
            .await?;
            if !builds {
                return Err(Error::UnknownCache(cache.clone()));
            }
        }
        Ok(())
    }

    /// Deletes the statistics of a cache, a part at a time: a cache of many SAEs has millions of rows.
    pub(crate) async fn delete_stats(self, cache: &CacheId) -> Result<(), Error> {
        loop {
            let deleted = sqlx::query(
                "delete from latent_stat where ctid = any(array(
                     select ctid from latent_stat where cache_id = $1 limit $2))",
            )
            .bind(cache.id())
            .bind(DELETED)
            .execute(self.0.pool())
            .await?;
            if deleted.rows_affected() < DELETED as u64 {
                return Ok(());
            }
        }
    }
}
