//! Providers of language models: where they are, what may be asked of them, what they can do. Never their keys.

use latentd_domain::{
    IdError, ProviderId,
    autointerp::{Capabilities, Limits, Prices, ProviderKind},
};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{
    Error, Store,
    interp::KINDS,
    page::{Listed, Page},
};

const TABLE: &str = "provider";
const LIST: &str = "providers";

macro_rules! provider_columns {
    () => {
        "id, kind, base_url, model, key_source, limits, prices, capabilities, create_time, probe_time, version"
    };
}

/// A provider that is registered.
#[derive(Clone, Debug, PartialEq)]
pub struct NewProvider {
    /// Its id.
    pub id: ProviderId,
    /// How it is reached.
    pub kind: ProviderKind,
    /// Base URL of an endpoint; empty for a local model.
    pub base_url: String,
    /// What the endpoint calls its model, or the id of a resident model.
    pub model: String,
    /// Where a server finds the key: `env:NAME`, `file:/path`, or empty.
    pub key_source: String,
    /// What may be asked of it.
    pub limits: Limits,
    /// What it costs.
    pub prices: Prices,
    /// What it can do, if that was found out.
    pub capabilities: Option<Capabilities>,
}

/// A language model that jobs may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// How it is reached.
    pub kind: ProviderKind,
    /// Base URL of an endpoint; empty for a local model.
    pub base_url: String,
    /// What the endpoint calls its model, or the id of a resident model.
    pub model: String,
    /// Where a server finds the key: `env:NAME`, `file:/path`, or empty.
    pub key_source: String,
    /// What may be asked of it.
    pub limits: Limits,
    /// What it costs.
    pub prices: Prices,
    /// What it can do.
    pub capabilities: Capabilities,
    /// When it was registered first.
    pub create_time: OffsetDateTime,
    /// When its capabilities were found out; `None` if they never were.
    pub probe_time: Option<OffsetDateTime>,
    /// Grows with every change.
    pub version: u64,
}

/// Statements on table `provider`.
#[derive(Clone, Copy)]
pub struct Providers<'a>(pub(crate) &'a Store);

impl Providers<'_> {
    /// Registers a provider, or replaces the one of that id.
    pub async fn put(self, provider: &NewProvider) -> Result<Provider, Error> {
        let row = sqlx::query(concat!(
            "insert into provider as p (id, kind, base_url, model, key_source, limits, prices, capabilities, probe_time)
             values ($1, $2, $3, $4, $5, $6, $7, $8, case when $9 then now() end)
             on conflict (id) do update set kind = excluded.kind, base_url = excluded.base_url, model = excluded.model,
                 key_source = excluded.key_source, limits = excluded.limits, prices = excluded.prices,
                 capabilities = excluded.capabilities, probe_time = excluded.probe_time, version = p.version + 1
             returning ",
            provider_columns!()
        ))
        .bind(provider.id.id())
        .bind(kind_name(provider.kind))
        .bind(&provider.base_url)
        .bind(&provider.model)
        .bind(&provider.key_source)
        .bind(Json(provider.limits))
        .bind(Json(provider.prices))
        .bind(Json(provider.capabilities.unwrap_or_default()))
        .bind(provider.capabilities.is_some())
        .fetch_one(self.0.pool())
        .await?;
        read(&row)
    }

    /// Looks a provider up.
    ///
    /// # Errors
    /// [`Error::UnknownProvider`].
    pub async fn get(self, id: &ProviderId) -> Result<Provider, Error> {
        let row = sqlx::query(concat!(
            "select ",
            provider_columns!(),
            " from provider where id = $1"
        ))
        .bind(id.id())
        .fetch_optional(self.0.pool())
        .await?;
        read(&row.ok_or_else(|| Error::UnknownProvider(id.clone()))?)
    }

    /// Lists providers, ordered by id.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`].
    pub async fn list(self, page: &Page) -> Result<Listed<Provider>, Error> {
        let after = page.after(LIST)?;
        let rows = sqlx::query(concat!(
            "select ",
            provider_columns!(),
            " from provider where $1::text is null or id > $1 order by id limit $2"
        ))
        .bind(after)
        .bind(page.limit())
        .fetch_all(self.0.pool())
        .await?;
        let providers = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(page.cut(LIST, providers, |provider| provider.id.id().to_owned()))
    }

    /// Stores what a provider was found out to be able to do.
    ///
    /// # Errors
    /// [`Error::UnknownProvider`].
    pub async fn set_capabilities(
        self,
        id: &ProviderId,
        capabilities: Capabilities,
    ) -> Result<Provider, Error> {
        let row = sqlx::query(concat!(
            "update provider set capabilities = $2, probe_time = now(), version = version + 1 where id = $1 returning ",
            provider_columns!()
        ))
        .bind(id.id())
        .bind(Json(capabilities))
        .fetch_optional(self.0.pool())
        .await?;
        read(&row.ok_or_else(|| Error::UnknownProvider(id.clone()))?)
    }

    /// Forgets a provider. Exchanges with it stay.
    ///
    /// # Errors
    /// [`Error::UnknownProvider`], or [`Error::ResourceInUse`] while a job that has not ended uses it.
    pub async fn delete(self, id: &ProviderId) -> Result<(), Error> {
        let mut transaction = self.0.pool().begin().await?;
        // Against a job that is asked for at this moment: that takes a share of this lock.
        sqlx::query("select id from provider where id = $1 for update")
            .bind(id.id())
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or_else(|| Error::UnknownProvider(id.clone()))?;
        let user: Option<String> = sqlx::query_scalar(
            "select id from job
             where state in ('queued', 'running', 'paused') and kind = any($2)
               and (spec->'explainer'->>'provider' = $1
                 or exists (select from jsonb_array_elements(spec->'scorers') s where s->>'provider' = $1))
             order by id limit 1",
        )
        .bind(id.to_string())
        .bind(KINDS)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(job) = user {
            return Err(Error::ResourceInUse {
                resource: id.to_string(),
                user: format!("jobs/{job}"),
            });
        }
        sqlx::query("delete from provider where id = $1")
            .bind(id.id())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

const fn kind_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Openai => "openai",
        ProviderKind::Local => "local",
    }
}

fn read(row: &PgRow) -> Result<Provider, Error> {
    let undecodable = |error: sqlx::Error| Error::unreadable(TABLE, error);
    let kind = match row.try_get("kind")? {
        "openai" => ProviderKind::Openai,
        "local" => ProviderKind::Local,
        other => return Err(Error::unreadable(TABLE, format!("kind {other}"))),
    };
    Ok(Provider {
        id: row
            .try_get::<String, _>("id")?
            .parse()
            .map_err(|error: IdError| Error::unreadable(TABLE, error))?,
        kind,
        base_url: row.try_get("base_url")?,
        model: row.try_get("model")?,
        key_source: row.try_get("key_source")?,
        limits: row
            .try_get::<Json<Limits>, _>("limits")
            .map_err(undecodable)?
            .0,
        prices: row
            .try_get::<Json<Prices>, _>("prices")
            .map_err(undecodable)?
            .0,
        capabilities: row
            .try_get::<Json<Capabilities>, _>("capabilities")
            .map_err(undecodable)?
            .0,
        create_time: row.try_get("create_time")?,
        probe_time: row.try_get("probe_time")?,
        version: row.try_get::<i64, _>("version")?.max(0) as u64,
    })
}
