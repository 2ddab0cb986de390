//! Search by meaning: the cosine of the query's embedding with that of each explanation. Embeddings are made when they are first
//! needed, and kept.

use std::{sync::Arc, time::Instant};

use latentd_domain::{ExplanationId, SaeName};
use latentd_engine::{EmbedWork, Lane, ModelEntry};
use latentd_store::explanations::{Candidate, Hit};

use crate::{
    app::App,
    grpc::{blocking, error::Error},
};

/// Explanations that are embedded at once.
const CHUNK: u32 = 256;
/// Embeddings that are compared at once: some megabytes.
const COMPARED: u32 = 4096;

/// A search with one sentence encoder.
pub(super) struct Search<'a> {
    pub(super) app: &'a App,
    pub(super) encoder: Arc<ModelEntry>,
    pub(super) deadline: Option<Instant>,
}

impl Search<'_> {
    /// The `limit` explanations nearest to `query`, nearest first.
    pub(super) async fn find(
        &self,
        query: String,
        sae: Option<&SaeName>,
        limit: u32,
    ) -> Result<Vec<Hit>, Error> {
        self.embed_missing(sae).await?;
        let mut embedded = self.embed(vec![query], Lane::Interactive).await?;
        let query = embedded
            .pop()
            .ok_or_else(|| Error::internal("a text without an embedding"))?;
        let query: Arc<[f32]> = query.into();
        let explanations = self.app.store.explanations();
        let mut nearest = Nearest::new(limit as usize);
        let mut after: Option<ExplanationId> = None;
        loop {
            let chunk = explanations
                .embeddings(self.kept_as(), sae, after.as_ref(), COMPARED)
                .await?;
            let Some(last) = chunk.last() else { break };
            after = Some(last.id.clone());
            let query = Arc::clone(&query);
            nearest = blocking(move || {
                for candidate in chunk {
                    nearest.add(cosine(&query, &candidate.embedding), candidate.id);
                }
                Ok(nearest)
            })
            .await?;
        }
        let nearest = blocking(move || Ok(nearest.into_sorted())).await?;
        let ids: Vec<ExplanationId> = nearest.iter().map(|(_, id)| id.clone()).collect();
        let found = explanations.get_many(&ids).await?;
        let hits = found.into_iter().filter_map(|explanation| {
            let (relevance, _) = nearest.iter().find(|(_, id)| *id == explanation.id)?;
            Some(Hit {
                relevance: *relevance,
                explanation,
            })
        });
        Ok(hits.collect())
    }

    /// Embeds the explanations that the encoder has not seen. What is done stays done if the call is broken off.
    async fn embed_missing(&self, sae: Option<&SaeName>) -> Result<(), Error> {
        let explanations = self.app.store.explanations();
        loop {
            let missing = explanations
                .without_embedding(self.kept_as(), sae, CHUNK)
                .await?;
            if missing.is_empty() {
                return Ok(());
            }
            let (ids, texts): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
            let embeddings = self.embed(texts, Lane::Bulk).await?;
            let made: Vec<Candidate> = ids
                .into_iter()
                .zip(embeddings)
                .map(|(id, embedding)| Candidate { id, embedding })
                .collect();
            explanations.put_embeddings(self.kept_as(), &made).await?;
        }
    }

    async fn embed(&self, texts: Vec<String>, lane: Lane) -> Result<Vec<Vec<f32>>, Error> {
        let work = EmbedWork {
            model: self.encoder.id.clone(),
            texts,
            lane,
            deadline: self.deadline,
        };
        let embeddings = self.app.engine.embed(work).await?.embeddings;
        let width = embeddings.width.max(1);
        let rows = embeddings.values.chunks_exact(width);
        Ok(rows.map(<[f32]>::to_vec).collect())
    }

    /// What embeddings are kept under: equal weights give equal embeddings, whatever the encoder is called.
    fn kept_as(&self) -> &str {
        &self.encoder.info.digest
    }
}

/// Embeddings have length 1, so their cosine is their product.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

/// The best few of many.
struct Nearest {
    limit: usize,
    found: Vec<(f64, ExplanationId)>,
}

impl Nearest {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            found: Vec::new(),
        }
    }

    fn add(&mut self, cosine: f64, id: ExplanationId) {
        self.found.push((cosine, id));
        // Sorting once in a while keeps the list short at little cost.
        if self.found.len() >= 2 * self.limit + 1024 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.found
            .sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.cmp(other)));
        self.found.truncate(self.limit);
    }

    fn into_sorted(mut self) -> Vec<(f64, ExplanationId)> {
        self.cut();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_kept_in_order() {
        let mut nearest = Nearest::new(3);
        for index in 0..5000 {
            let id = format!("e{index}").parse().unwrap();
            nearest.add(f64::from(index * 7919 % 5000), id);
        }
        let found: Vec<f64> = nearest.into_sorted().iter().map(|(c, _)| *c).collect();
        assert_eq!(found, [4999.0, 4998.0, 4997.0]);
    }

    #[test]
    fn a_cosine_is_the_product_of_unit_vectors() {
        assert!((cosine(&[0.6, 0.8], &[0.6, 0.8]) - 1.0).abs() < 1e-6);
        assert!(cosine(&[1.0, 0.0], &[0.0, 1.0]).abs() < 1e-9);
    }
}
