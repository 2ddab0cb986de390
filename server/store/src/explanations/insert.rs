//! Storing explanations, and which job works with which: within the transaction that completes a work item, or alone.

use std::collections::HashSet;

use latentd_domain::{CacheId, ExplanationId, JobId, ProviderId};
use sqlx::PgConnection;

use super::NewExplanation;
use crate::{Error, text};

/// Stores explanations, as far as they are not there yet.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    explanations: &[&NewExplanation],
) -> Result<(), Error> {
    if explanations.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(String, &NewExplanation)> = explanations
        .iter()
        .map(|explanation| (explanation.id(), *explanation))
        .collect();
    // Two transactions that store the same explanations then wait for each other, and never both.
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let texts = |value: fn(&NewExplanation) -> &str| -> Vec<String> {
        rows.iter()
            .map(|(_, explanation)| text::storable(value(explanation)))
            .collect()
    };
    let optional = |value: fn(&NewExplanation) -> Option<&str>| -> Vec<Option<String>> {
        rows.iter()
            .map(|(_, explanation)| value(explanation).map(text::storable))
            .collect()
    };
    sqlx::query(
        "insert into explanation (id, sae, latent, text, explainer, job_id, provider, provider_model, prompt_version,
             sae_digest, cache_id, examples, seed, exchange, author)
         select c.id, c.sae, c.latent, c.text, c.explainer, c.job_id, c.provider, c.provider_model, c.prompt_version,
             c.sae_digest, c.cache_id, string_to_array(c.examples, ' '), c.seed, c.exchange, c.author
         from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                 $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::text[])
             with ordinality c(id, sae, latent, text, explainer, job_id, provider, provider_model, prompt_version,
                 sae_digest, cache_id, examples, seed, exchange, author, n)
         order by c.n
         on conflict (id) do nothing",
    )
    .bind(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|(_, explanation)| explanation.sae.to_string())
            .collect::<Vec<_>>(),
    )
    .bind(
        rows.iter()
            .map(|(_, explanation)| explanation.latent as i32)
            .collect::<Vec<_>>(),
    )
    .bind(texts(|e| &e.text))
    .bind(texts(|e| &e.explainer))
    .bind(optional(|e| e.provenance.job.as_ref().map(JobId::id)))
    .bind(optional(|e| e.provenance.provider.as_ref().map(ProviderId::id)))
    .bind(texts(|e| &e.provenance.provider_model))
    .bind(texts(|e| &e.provenance.prompt_version))
    .bind(texts(|e| &e.provenance.sae_digest))
    .bind(optional(|e| e.provenance.cache.as_ref().map(CacheId::id)))
    .bind(rows.iter().map(|(_, e)| examples(e)).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|(_, explanation)| explanation.provenance.seed.cast_signed())
            .collect::<Vec<_>>(),
    )
    .bind(optional(|e| e.provenance.exchange.as_deref()))
    .bind(texts(|e| &e.provenance.author))
    .execute(connection)
    .await?;
    Ok(())
}

/// Ids hold no blanks, so a list of them travels as one text.
fn examples(explanation: &NewExplanation) -> String {
    let ids: Vec<String> = explanation
        .provenance
        .examples
        .iter()
        .map(ToString::to_string)
        .collect();
    ids.join(" ")
}

/// Those of `ids` that exist, and keep existing until the transaction ends.
pub(crate) async fn live(
    connection: &mut PgConnection,
    ids: &[&str],
) -> Result<HashSet<String>, Error> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let live: Vec<String> = sqlx::query_scalar(
        "select id from explanation where id = any($1) order by id for key share",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(live.into_iter().collect())
}

/// Records that a job works with explanations, as far as these exist.
pub(crate) async fn link(
    connection: &mut PgConnection,
    links: &[(&JobId, String)],
) -> Result<(), Error> {
    let ids: Vec<&str> = links.iter().map(|(_, id)| id.as_str()).collect();
    let live = live(connection, &ids).await?;
    let mut links: Vec<_> = links.iter().filter(|(_, id)| live.contains(id)).collect();
    if links.is_empty() {
        return Ok(());
    }
    links.sort();
    sqlx::query(
        "insert into job_explanation (job_id, latent, explanation_id)
         select c.job_id, e.latent, e.id from unnest($1::text[], $2::text[]) c(job_id, id) join explanation e on e.id = c.id
         on conflict do nothing",
    )
    .bind(links.iter().map(|(job, _)| job.id()).collect::<Vec<_>>())
    .bind(links.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The texts of ids.
pub(crate) fn texts(ids: &[ExplanationId]) -> Vec<&str> {
    ids.iter().map(ExplanationId::id).collect()
}
