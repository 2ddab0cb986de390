//! ExplanationService: what language models say that latents mean, and how good that is.

mod explain;
mod export;
mod list;
mod parts;
mod plan;
mod scores;
mod search;
mod summary;

use std::time::SystemTime;

use latentd_proto::v1 as proto;
use serde::Serialize;

pub use explain::{ExplainRequest, ScoreRequest};
pub use export::{ExportForm, ExportLines, ExportRequest};
pub use list::ExplanationFilter;
pub use parts::{Budget, Calibration, Explainer, ExplainerKind, Scorer, ScorerKind};
pub use plan::{ExamplePlan, NonActivating, TrainSampler};
pub use scores::{Score, ScoreExample};
pub use search::{SearchMode, SearchRequest, SearchResults};
pub use summary::{ExampleReason, ExplainerSummary, JobSummary, Reduced, ScorerSummary};

use crate::{Client, Result, client::stub, retry::Repeat, time::system_time};

/// What somebody or something says that a latent means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Resource name: `models/{model}/saes/{sae}/latents/{latent}/explanations/{explanation}`.
    pub name: String,
    /// Index of the latent.
    pub latent: u32,
    /// The explanation.
    pub text: String,
    /// Who wrote it: the name of an explainer, or `hand`.
    pub explainer: String,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its scores, newest first.
    pub scores: Vec<Score>,
    /// When it was stored.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub created: Option<SystemTime>,
    /// How good a hit of a search it is: a rank by words, or a cosine by meaning.
    pub relevance: Option<f64>,
}

impl Explanation {
    /// The newest score that `scorer` gave.
    pub fn score(&self, scorer: ScorerKind) -> Option<&Score> {
        self.scores
            .iter()
            .find(|score| score.scorer == scorer.as_str())
    }
}

/// Where an explanation comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Provenance {
    /// `jobs/{job}`; empty if it was written by hand.
    pub job: String,
    /// `providers/{provider}`.
    pub provider: String,
    /// What the provider calls its model.
    pub provider_model: String,
    /// Version of the prompt, such as `default/1`.
    pub prompt_version: String,
    /// Digest of the weights of the SAE.
    pub sae_digest: String,
    /// `caches/{cache}` that the examples are from.
    pub cache: String,
    /// Examples that were shown, as `row:start+length`.
    pub examples: Vec<String>,
    /// Seed of random choices.
    pub seed: u64,
    /// Hash of the exchange with the provider.
    pub exchange: String,
    /// Who wrote it, where it was written by hand.
    pub author: String,
}

impl Client {
    /// One explanation with its scores, by its resource name or by its id alone.
    pub async fn explanation(&self, name: &str) -> Result<Explanation> {
        let request = proto::GetExplanationRequest {
            name: name.to_owned(),
        };
        let explanation = self.call(Repeat::Always, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .get_explanation(request)
                .await
        });
        Ok(explanation.await?.into())
    }

    /// Stores an explanation that somebody wrote. `author` says who, in any words, and may be empty.
    pub async fn create_explanation(
        &self,
        sae: &str,
        latent: u32,
        text: &str,
        author: &str,
    ) -> Result<Explanation> {
        let request = proto::CreateExplanationRequest {
            sae: sae.to_owned(),
            latent,
            text: text.to_owned(),
            author: author.to_owned(),
        };
        let explanation = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .create_explanation(request)
                .await
        });
        Ok(explanation.await?.into())
    }

    /// Deletes an explanation with its scores. Exchanges with providers stay stored.
    pub async fn delete_explanation(&self, name: &str) -> Result<()> {
        let request = proto::DeleteExplanationRequest {
            name: name.to_owned(),
        };
        let reply = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .delete_explanation(request)
                .await
        });
        reply.await.map(|proto::DeleteExplanationResponse {}| ())
    }
}

impl From<proto::Explanation> for Explanation {
    fn from(explanation: proto::Explanation) -> Self {
        Self {
            name: explanation.name,
            latent: explanation.latent,
            text: explanation.text,
            explainer: explanation.explainer,
            provenance: explanation
                .provenance
                .map(Provenance::from)
                .unwrap_or_default(),
            scores: explanation.scores.into_iter().map(Score::from).collect(),
            created: system_time(explanation.create_time),
            relevance: explanation.relevance,
        }
    }
}

impl From<proto::Provenance> for Provenance {
    fn from(provenance: proto::Provenance) -> Self {
        let proto::Provenance {
            job,
            provider,
            provider_model,
            prompt_version,
            sae_digest,
            cache,
            examples,
            seed,
            exchange,
            author,
        } = provenance;
        Self {
            job,
            provider,
            provider_model,
            prompt_version,
            sae_digest,
            cache,
            examples,
            seed,
            exchange,
            author,
        }
    }
}
