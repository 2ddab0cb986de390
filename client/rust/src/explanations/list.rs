//! ListExplanations: explanations by SAE, latent and score.

use latentd_proto::v1 as proto;

use super::{Explanation, ScorerKind};
use crate::{Client, Pages, client::stub, retry::Repeat};

/// Which explanations to list.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ExplanationFilter(proto::ListExplanationsRequest);

impl ExplanationFilter {
    /// All explanations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only of this SAE: `{model}/{sae}`, or the full resource name.
    pub fn sae(mut self, sae: impl Into<String>) -> Self {
        self.0.sae = sae.into();
        self
    }

    /// Only of these latents.
    pub fn latents(mut self, latents: impl IntoIterator<Item = u32>) -> Self {
        self.0.latents = latents.into_iter().collect();
        self
    }

    /// Only by this explainer, such as `default` or `hand`.
    pub fn explainer(mut self, explainer: impl Into<String>) -> Self {
        self.0.explainer = explainer.into();
        self
    }

    /// Only those with a score of this scorer.
    pub fn scorer(mut self, scorer: ScorerKind) -> Self {
        scorer.as_str().clone_into(&mut self.0.scorer);
        self
    }

    /// Only those with a score of the scorer of at least this.
    pub fn min_score(mut self, score: f64) -> Self {
        self.0.min_score = Some(score);
        self
    }

    /// Only those with a score of the scorer of at most this.
    pub fn max_score(mut self, score: f64) -> Self {
        self.0.max_score = Some(score);
        self
    }

    /// Only of this job: `{job}`, or `jobs/{job}`.
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.0.job = job.into();
        self
    }
}

impl Client {
    /// Explanations with their scores, by SAE, latent and time.
    pub fn explanations(&self, filter: ExplanationFilter) -> Pages<Explanation> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            let request = proto::ListExplanationsRequest {
                page_token,
                ..filter.0.clone()
            };
            async move {
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, explanation_service_client::ExplanationServiceClient)
                            .list_explanations(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.explanations
                        .into_iter()
                        .map(Explanation::from)
                        .collect(),
                    page.next_page_token,
                ))
            }
        })
    }
}
