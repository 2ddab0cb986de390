//! Models that must be resident: what LoadModel was told, so that a restart can do it again.

use latentd_domain::{Dtype, ModelId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

use crate::{Error, Store};

const TABLE: &str = "model";

/// A model that must be resident.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// Folder or file on the server's disk.
    pub path: String,
    /// Number format that was asked for; `None` where the server chose.
    pub dtype: Option<Dtype>,
    /// Digest of the weights, in hexadecimal.
    pub digest: String,
    /// When it was loaded for the first time under this id.
    pub load_time: OffsetDateTime,
}

/// What to remember of a model.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// Its id.
    pub id: ModelId,
    /// Folder or file on the server's disk.
    pub path: String,
    /// Number format that was asked for; `None` where the server chose.
    pub dtype: Option<Dtype>,
    /// Digest of the weights, in hexadecimal.
    pub digest: String,
}

/// Statements on table `model`.
#[derive(Clone, Copy)]
pub struct Models<'a>(pub(crate) &'a Store);

impl Models<'_> {
    /// Remembers a model, or replaces what is remembered under its id.
    pub async fn put(self, model: &NewModel) -> Result<(), Error> {
        sqlx::query(
            "insert into model (id, path, dtype, digest) values ($1, $2, $3, $4)
             on conflict (id) do update set path = excluded.path, dtype = excluded.dtype, digest = excluded.digest",
        )
        .bind(model.id.id())
        .bind(&model.path)
        .bind(model.dtype.map(Dtype::as_str))
        .bind(&model.digest)
        .execute(self.0.pool())
        .await?;
        Ok(())
    }

    /// Forgets a model and its SAEs. Returns whether it was there.
    pub async fn remove(self, id: &ModelId) -> Result<bool, Error> {
        let done = sqlx::query("delete from model where id = $1")
            .bind(id.id())
            .execute(self.0.pool())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All of them, in the order in which they were loaded.
    pub async fn list(self) -> Result<Vec<Model>, Error> {
        let rows = sqlx::query(
            "select id, path, dtype, digest, load_time from model order by load_time, id",
        )
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &PgRow) -> Result<Model, Error> {
    let dtype = match row.try_get::<Option<String>, _>("dtype")?.as_deref() {
        None => None,
        Some("f32") => Some(Dtype::F32),
        Some("bf16") => Some(Dtype::Bf16),
        Some(other) => return Err(Error::unreadable(TABLE, format!("dtype {other}"))),
    };
    Ok(Model {
        id: row
            .try_get::<String, _>("id")?
            .parse()
            .map_err(|error: latentd_domain::IdError| Error::unreadable(TABLE, error))?,
        path: row.try_get("path")?,
        dtype,
        digest: row.try_get("digest")?,
        load_time: row.try_get("load_time")?,
    })
}
