//! Caches and their shards: what is on disk, as far as it is complete.

use latentd_domain::{
    BuildCacheSpec, CacheId, CorpusId, HookPoint, IdError, JobId, ModelId, SaeName,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{
    Error, Store,
    interp::KINDS,
    jobs::{self, NewJob, Submitted},
    page::{Listed, Page},
};

const TABLE: &str = "cache";
const LIST: &str = "caches";

/// The columns that [`read`] needs.
macro_rules! cache_columns {
    () => {
        "id, state, model_id, spec, job_id, model_digest, manifest_digest, tokens, row_count, documents, size_bytes, saes, \
         create_time, pinned, place, data_folder"
    };
}

/// State of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheState {
    /// Its job has not ended.
    Building,
    /// Complete and readable.
    Ready,
    /// Its job failed or was cancelled.
    Failed,
}

/// One SAE of a complete cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedSae {
    /// The SAE.
    pub sae: SaeName,
    /// Where its input was read.
    pub hook_point: HookPoint,
    /// Number of latents.
    pub d_sae: u32,
    /// Digest of the SAE's weights, in hexadecimal.
    pub digest: String,
    /// Stored activations.
    pub activations: u64,
    /// Latents that fired at least once.
    pub firing_latents: u32,
    /// Activations above the range of f16, stored as its largest number.
    #[serde(default)]
    pub above_range: u64,
    /// Activations below the range of f16, stored as its smallest number.
    #[serde(default)]
    pub below_range: u64,
}

/// What the manifest of a complete cache says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheTotals {
    /// Digest of the model's weights, in hexadecimal.
    pub model_digest: String,
    /// Digest of the manifest, in hexadecimal: equal digests mean equal bytes.
    pub manifest_digest: String,
    /// Tokens, special ones included.
    pub tokens: u64,
    /// Pieces of documents.
    pub rows: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Folder of the files, below the folder of the cache.
    pub place: String,
    /// One entry for each SAE, in the order of the request.
    pub saes: Vec<CachedSae>,
}

/// Stored activations of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Its id.
    pub id: CacheId,
    /// Where it stands.
    pub state: CacheState,
    /// The model that was run.
    pub model: ModelId,
    /// What it is built from.
    pub spec: BuildCacheSpec,
    /// The job that builds it.
    pub job: JobId,
    /// What its manifest says; zeros and empty until it is ready.
    pub totals: CacheTotals,
    /// When it was asked for.
    pub create_time: OffsetDateTime,
    /// It is the one that is taken where a request names one of its SAEs and no cache.
    pub pinned: bool,
    /// Id of the data folder that has its files; `None` for caches from before this was known.
    pub data_folder: Option<String>,
}

/// Where a cache stands, without what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: CacheState,
    /// The job that builds it.
    pub job: JobId,
    /// Digest of its manifest, in hexadecimal; empty until it is ready.
    pub manifest_digest: String,
    /// When it was asked for.
    pub create_time: OffsetDateTime,
    /// Folder of its files, below the folder of its id; empty for the latter itself, and until it is ready.
    pub place: String,
    /// Id of the data folder that has its files; `None` for caches from before this was known.
    pub data_folder: Option<String>,
}

impl From<Cache> for Standing {
    fn from(cache: Cache) -> Self {
        Self {
            state: cache.state,
            job: cache.job,
            manifest_digest: cache.totals.manifest_digest,
            create_time: cache.create_time,
            place: cache.totals.place,
            data_folder: cache.data_folder,
        }
    }
}

/// A cache that is hidden already, and whose files are to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its id.
    pub id: CacheId,
    /// The job that built it.
    pub job: JobId,
    /// Folder of its files, as in [`Standing`].
    pub place: String,
}

/// A complete shard file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheShard {
    /// The cache.
    pub cache: CacheId,
    /// The SAE.
    pub sae: SaeName,
    /// Piece of the corpus, which is also the number of the work item.
    pub ord: u32,
    /// Digest of the file, in hexadecimal.
    pub digest: String,
    /// Stored activations.
    pub entries: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
}

/// Statements on tables `cache` and `cache_shard`.
#[derive(Clone, Copy)]
pub struct Caches<'a>(pub(crate) &'a Store);

impl Caches<'_> {
    /// Asks for a cache: writes the cache and the job that builds it, or neither.
    ///
    /// A repeated request (by [`NewJob::request`]) gives the job that it started first, whatever became of the cache.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if the id is taken, [`Error::RequestIdReused`].
    pub async fn submit(
        self,
        spec: &BuildCacheSpec,
        model: &ModelId,
        job: &NewJob,
    ) -> Result<Submitted, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let submitted = jobs::insert(&mut transaction, job).await?;
        if let Submitted::Created(job) = &submitted {
            sqlx::query(
                "insert into cache (id, model_id, spec, job_id, data_folder) values ($1, $2, $3, $4, $5)",
            )
            .bind(spec.cache.id())
            .bind(model.id())
            .bind(Json(spec))
            .bind(job.id.id())
            .bind(self.0.data_folder())
            .execute(&mut *transaction)
            .await
            .map_err(|error| {
                Error::on_constraint(error, "cache_pkey", || Error::AlreadyExists {
                    resource: spec.cache.to_string(),
                })
            })?;
            sqlx::query("update job set data_folder = $2 where id = $1")
                .bind(job.id.id())
                .bind(self.0.data_folder())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            self.0.changed(&job.id);
        }
        Ok(submitted)
    }

    /// Looks a cache up.
    ///
    /// # Errors
    /// [`Error::UnknownCache`], also for a cache that is being deleted.
    pub async fn get(self, id: &CacheId) -> Result<Cache, Error> {
        let row = sqlx::query(concat!(
            "select ",
            cache_columns!(),
            " from cache where id = $1 and state <> 'deleting'"
        ))
        .bind(id.id())
        .fetch_optional(self.0.pool())
        .await?;
        read(&row.ok_or_else(|| Error::UnknownCache(id.clone()))?)
    }

    /// Looks up where a cache stands: what a reader asks before each read, since any server may have deleted or rebuilt it.
    ///
    /// # Errors
    /// [`Error::UnknownCache`], also for a cache that is being deleted.
    pub async fn standing(self, id: &CacheId) -> Result<Standing, Error> {
        let row = sqlx::query(
            "select state, job_id, manifest_digest, create_time, place, data_folder from cache
             where id = $1 and state <> 'deleting'",
        )
        .bind(id.id())
        .fetch_optional(self.0.pool())
        .await?;
        let row = row.ok_or_else(|| Error::UnknownCache(id.clone()))?;
        Ok(Standing {
            state: read_state(&row)?,
            job: read_job(&row)?,
            manifest_digest: row.try_get("manifest_digest")?,
            create_time: row.try_get("create_time")?,
            place: row.try_get("place")?,
            data_folder: row.try_get("data_folder")?,
        })
    }

    /// Lists caches, ordered by id.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`].
    pub async fn list(self, page: &Page) -> Result<Listed<Cache>, Error> {
        let after = page.after(LIST)?;
        let rows = sqlx::query(concat!(
            "select ",
            cache_columns!(),
            " from cache where state <> 'deleting' and ($1::text is null or id > $1) order by id limit $2"
        ))
        .bind(after)
        .bind(page.limit())
        .fetch_all(self.0.pool())
        .await?;
        let caches = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(page.cut(LIST, caches, |cache| cache.id.id().to_owned()))
    }

    /// Ready caches of this server's data folder that hold an SAE, the newest first, at most `most` of them; one that is pinned comes
    /// before all others.
    pub async fn holding(self, sae: &SaeName, most: u32) -> Result<Vec<Cache>, Error> {
        let rows = sqlx::query(concat!(
            "select ",
            cache_columns!(),
            " from cache where state = 'ready' and spec->'saes' ? $1
                and (data_folder is null or $3::text is null or data_folder = $3)
              order by pinned desc, (select number from job where job.id = job_id) desc, id limit $2"
        ))
        .bind(sae.to_string())
        .bind(i64::from(most))
        .bind(self.0.data_folder())
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Pins a cache and unpins the others that hold one of its SAEs, or unpins it.
    ///
    /// # Errors
    /// [`Error::UnknownCache`].
    pub async fn pin(self, id: &CacheId, pinned: bool) -> Result<Cache, Error> {
        let mut transaction = self.0.pool().begin().await?;
        if pinned {
            // One pin at a time, so that two never pin caches of one SAE. The lock ends with the transaction.
            sqlx::query("select pg_advisory_xact_lock(hashtext('latentd.pin'))")
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "update cache set pinned = false
                 where pinned and id <> $1 and spec->'saes' ?| array(
                     select jsonb_array_elements_text(spec->'saes') from cache where id = $1)",
            )
            .bind(id.id())
            .execute(&mut *transaction)
            .await?;
        }
        let row = sqlx::query(concat!(
            "update cache set pinned = $2 where id = $1 and state <> 'deleting' returning ",
            cache_columns!()
        ))
        .bind(id.id())
        .bind(pinned)
        .fetch_optional(&mut *transaction)
        .await?;
        let cache = read(&row.ok_or_else(|| Error::UnknownCache(id.clone()))?)?;
        transaction.commit().await?;
        Ok(cache)
    }

    /// Hides a cache, so that its files can be deleted; [`Caches::finish_delete`] then frees its id.
    ///
    /// # Errors
    /// [`Error::UnknownCache`], [`Error::CacheElsewhere`] if another data folder has its files, or [`Error::ResourceInUse`] while it is
    /// being built, or a job that has not ended reads it.
    pub async fn start_delete(self, id: &CacheId) -> Result<Hidden, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let row = sqlx::query(concat!(
            "select ",
            cache_columns!(),
            " from cache where id = $1 and state <> 'deleting' for update"
        ))
        .bind(id.id())
        .fetch_optional(&mut *transaction)
        .await?;
        let cache = read(&row.ok_or_else(|| Error::UnknownCache(id.clone()))?)?;
        if let Some(other) = self.0.is_elsewhere(cache.data_folder.as_deref()) {
            return Err(Error::CacheElsewhere {
                cache: id.clone(),
                data_folder: other.to_owned(),
            });
        }
        if cache.state == CacheState::Building {
            return Err(Error::ResourceInUse {
                resource: id.to_string(),
                user: cache.job.to_string(),
            });
        }
        let reader: Option<String> = sqlx::query_scalar(
            "select id from job
             where state in ('queued', 'running', 'paused') and kind = any($2) and spec->>'cache' = $1 order by id limit 1",
        )
        .bind(id.to_string())
        .bind(KINDS)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(reader) = reader {
            return Err(Error::ResourceInUse {
                resource: id.to_string(),
                user: format!("jobs/{reader}"),
            });
        }
        sqlx::query("update cache set state = 'deleting' where id = $1")
            .bind(id.id())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Hidden {
            id: cache.id,
            job: cache.job,
            place: cache.totals.place,
        })
    }

    /// Forgets a cache whose files are deleted: the one that `job` built, and no later one of the same id.
    pub async fn finish_delete(self, id: &CacheId, job: &JobId) -> Result<(), Error> {
        let hidden: bool = sqlx::query_scalar(
            "select exists (select from cache where id = $1 and job_id = $2 and state = 'deleting')",
        )
        .bind(id.id())
        .bind(job.id())
        .fetch_one(self.0.pool())
        .await?;
        if !hidden {
            return Ok(());
        }
        // First, a part at a time: with the row of the cache they would go all at once.
        self.delete_stats(id).await?;
        sqlx::query("delete from cache where id = $1 and job_id = $2 and state = 'deleting'")
            .bind(id.id())
            .bind(job.id())
            .execute(self.0.pool())
            .await?;
        Ok(())
    }

    /// Caches whose deletion was interrupted, of those whose files this server has: a server that starts deletes their files and
    /// calls [`Caches::finish_delete`].
    pub async fn deleting(self) -> Result<Vec<Hidden>, Error> {
        let rows = sqlx::query(
            "select id, job_id, place from cache
             where state = 'deleting' and (data_folder is null or data_folder = $1) order by id",
        )
        .bind(self.0.data_folder())
        .fetch_all(self.0.pool())
        .await?;
        let hidden = |row: &PgRow| {
            let id: String = row.try_get("id")?;
            Ok(Hidden {
                id: id
                    .parse()
                    .map_err(|error: IdError| Error::unreadable(TABLE, error))?,
                job: read_job(row)?,
                place: row.try_get("place")?,
            })
        };
        rows.iter().map(hidden).collect()
    }

    /// Uploaded corpora that caches which are being built are made from.
    pub async fn corpora_in_use(self) -> Result<Vec<CorpusId>, Error> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select distinct spec->'corpus'->>'uploaded' from cache
             where state = 'building' and spec->'corpus'->>'uploaded' is not null",
        )
        .fetch_all(self.0.pool())
        .await?;
        ids.iter()
            .map(|id| {
                id.parse()
                    .map_err(|error: IdError| Error::unreadable(TABLE, error))
            })
            .collect()
    }

    /// Shards of a cache that are complete, by SAE and number.
    pub async fn shards(self, id: &CacheId) -> Result<Vec<CacheShard>, Error> {
        let rows = sqlx::query(
            "select sae, ord, digest, entries, size_bytes from cache_shard where cache_id = $1 order by sae, ord",
        )
        .bind(id.id())
        .fetch_all(self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let sae: String = row.try_get("sae")?;
                Ok(CacheShard {
                    cache: id.clone(),
                    sae: sae
                        .parse()
                        .map_err(|error: IdError| Error::unreadable("cache_shard", error))?,
                    ord: row.try_get::<i32, _>("ord")?.max(0) as u32,
                    digest: row.try_get("digest")?,
                    entries: count(row, "entries")?,
                    size_bytes: count(row, "size_bytes")?,
                })
            })
            .collect()
    }
}

/// Records complete shard files, in the transaction that marks their work item as done.
pub(crate) async fn insert_shards(
    connection: &mut PgConnection,
    shards: &[CacheShard],
) -> Result<(), Error> {
    for shard in shards {
        sqlx::query(
            "insert into cache_shard (cache_id, sae, ord, digest, entries, size_bytes) values ($1, $2, $3, $4, $5, $6)
             on conflict (cache_id, sae, ord) do update
             set digest = excluded.digest, entries = excluded.entries, size_bytes = excluded.size_bytes",
        )
        .bind(shard.cache.id())
        .bind(shard.sae.to_string())
        .bind(signed_ord(shard.ord))
        .bind(&shard.digest)
        .bind(signed(shard.entries))
        .bind(signed(shard.size_bytes))
        .execute(&mut *connection)
        .await
        .map_err(|error| {
            Error::on_constraint(error, "cache_shard_cache_id_fkey", || Error::UnknownCache(shard.cache.clone()))
        })?;
    }
    Ok(())
}

/// Makes the cache of `job` ready, in the transaction that ends the job.
pub(crate) async fn complete(
    connection: &mut PgConnection,
    id: &CacheId,
    job: &JobId,
    totals: &CacheTotals,
) -> Result<(), Error> {
    let done = sqlx::query(
        "update cache set state = 'ready', model_digest = $3, manifest_digest = $4, tokens = $5, row_count = $6,
             documents = $7, size_bytes = $8, saes = $9, place = $10
         where id = $1 and job_id = $2 and state = 'building'",
    )
    .bind(id.id())
    .bind(job.id())
    .bind(&totals.model_digest)
    .bind(&totals.manifest_digest)
    .bind(signed(totals.tokens))
    .bind(signed(totals.rows))
    .bind(signed(totals.documents))
    .bind(signed(totals.size_bytes))
    .bind(Json(&totals.saes))
    .bind(&totals.place)
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 {
        Err(Error::UnknownCache(id.clone()))
    } else {
        Ok(())
    }
}

/// Counts fit by far: 2⁶³ bytes are nine exabytes.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Numbers of pieces are bounded by [`crate::work_items::MAX_ITEMS`].
fn signed_ord(ord: u32) -> i32 {
    i32::try_from(ord).unwrap_or(i32::MAX)
}

fn count(row: &PgRow, column: &str) -> Result<u64, Error> {
    Ok(row.try_get::<i64, _>(column)?.max(0) as u64)
}

fn read_state(row: &PgRow) -> Result<CacheState, Error> {
    match row.try_get("state")? {
        "building" => Ok(CacheState::Building),
        "ready" => Ok(CacheState::Ready),
        "failed" => Ok(CacheState::Failed),
        other => Err(Error::unreadable(TABLE, format!("state {other}"))),
    }
}

fn read_job(row: &PgRow) -> Result<JobId, Error> {
    let job: String = row.try_get("job_id")?;
    job.parse()
        .map_err(|error: IdError| Error::unreadable(TABLE, error))
}

fn read(row: &PgRow) -> Result<Cache, Error> {
    let unreadable = |error: IdError| Error::unreadable(TABLE, error);
    let undecodable = |error: sqlx::Error| Error::unreadable(TABLE, error);
    Ok(Cache {
        id: row
            .try_get::<String, _>("id")?
            .parse()
            .map_err(unreadable)?,
        state: read_state(row)?,
        model: row
            .try_get::<String, _>("model_id")?
            .parse()
            .map_err(unreadable)?,
        spec: row
            .try_get::<Json<BuildCacheSpec>, _>("spec")
            .map_err(undecodable)?
            .0,
        job: read_job(row)?,
        totals: CacheTotals {
            model_digest: row.try_get("model_digest")?,
            manifest_digest: row.try_get("manifest_digest")?,
            tokens: count(row, "tokens")?,
            rows: count(row, "row_count")?,
            documents: count(row, "documents")?,
            size_bytes: count(row, "size_bytes")?,
            place: row.try_get("place")?,
            saes: row
                .try_get::<Json<Vec<CachedSae>>, _>("saes")
                .map_err(undecodable)?
                .0,
        },
        create_time: row.try_get("create_time")?,
        pinned: row.try_get("pinned")?,
        data_folder: row.try_get("data_folder")?,
    })
}
