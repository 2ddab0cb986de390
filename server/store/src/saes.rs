//! SAEs that must be resident: what LoadSae was told, so that a restart can do it again.

use latentd_domain::{HookPoint, IdError, SaeName};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{Error, Store};

const TABLE: &str = "sae";

/// What LoadSae was told beyond the path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadOptions {
    /// Factor of the input's normalisation, where the files lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_scaling_factor: Option<f32>,
    /// Hook point to use instead of the one that the files name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_point: Option<HookPoint>,
}

/// An SAE that must be resident.
#[derive(Clone, Debug, PartialEq)]
pub struct Sae {
    /// Its name.
    pub name: SaeName,
    /// Folder on the server's disk.
    pub path: String,
    /// What LoadSae was told beyond the path.
    pub options: LoadOptions,
    /// Digest of the weights, in hexadecimal.
    pub digest: String,
    /// When it was loaded for the first time under this name.
    pub load_time: OffsetDateTime,
}

/// What to remember of an SAE.
#[derive(Clone, Debug)]
pub struct NewSae {
    /// Its name.
    pub name: SaeName,
    /// Folder on the server's disk.
    pub path: String,
    /// What LoadSae was told beyond the path.
    pub options: LoadOptions,
    /// Digest of the weights, in hexadecimal.
    pub digest: String,
}

/// Statements on table `sae`.
#[derive(Clone, Copy)]
pub struct Saes<'a>(pub(crate) &'a Store);

impl Saes<'_> {
    /// Remembers an SAE, or replaces what is remembered under its name.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] if its model is not remembered.
    pub async fn put(self, sae: &NewSae) -> Result<(), Error> {
        sqlx::query(
            "insert into sae (model_id, id, path, options, digest) values ($1, $2, $3, $4, $5)
             on conflict (model_id, id) do update
             set path = excluded.path, options = excluded.options, digest = excluded.digest",
        )
        .bind(sae.name.model().id())
        .bind(sae.name.id())
        .bind(&sae.path)
        .bind(Json(&sae.options))
        .bind(&sae.digest)
        .execute(self.0.pool())
        .await
        .map_err(|error| {
            Error::on_constraint(error, "sae_model_id_fkey", || {
                Error::UnknownModel(sae.name.model().clone())
            })
        })?;
        Ok(())
    }

    /// Forgets an SAE. Returns whether it was there.
    pub async fn remove(self, name: &SaeName) -> Result<bool, Error> {
        let done = sqlx::query("delete from sae where model_id = $1 and id = $2")
            .bind(name.model().id())
            .bind(name.id())
            .execute(self.0.pool())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All of them, in the order in which they were loaded.
    pub async fn list(self) -> Result<Vec<Sae>, Error> {
        let rows = sqlx::query(
            "select model_id, id, path, options, digest, load_time from sae order by load_time, model_id, id",
        )
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &PgRow) -> Result<Sae, Error> {
    let unreadable = |error: IdError| Error::unreadable(TABLE, error);
    let model = row
        .try_get::<String, _>("model_id")?
        .parse()
        .map_err(unreadable)?;
    let options: Json<LoadOptions> = row
        .try_get("options")
        .map_err(|error| Error::unreadable(TABLE, error))?;
    Ok(Sae {
        name: SaeName::new(model, row.try_get("id")?).map_err(unreadable)?,
        path: row.try_get("path")?,
        options: options.0,
        digest: row.try_get("digest")?,
        load_time: row.try_get("load_time")?,
    })
}
