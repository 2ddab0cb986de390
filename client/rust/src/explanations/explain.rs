//! ExplainLatents and ScoreExplanations: jobs that write and grade explanations.

use std::ops::Range;

use latentd_proto::v1::{
    self as proto, explain_latents_request::Selector as Explained,
    score_explanations_request::Selector as Scored,
};

use super::{Budget, ExamplePlan, Explainer, Scorer};
use crate::{Client, Job, Result, client::stub, retry::Repeat};

/// Latents to explain, and, where scorers are given, to score.
///
/// A request id is chosen at random unless one is given, so that a job whose answer is lost is not begun twice.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExplainRequest(proto::ExplainLatentsRequest);

impl ExplainRequest {
    /// Explains `latents` of `sae`: `{model}/{sae}`, or the full resource name.
    ///
    /// Examples come from the cache that holds `sae`, the only one or the pinned one, unless a cache is named.
    pub fn new(
        sae: impl Into<String>,
        latents: impl IntoIterator<Item = u32>,
        explainer: Explainer,
    ) -> Self {
        let latents = latents.into_iter().collect();
        let selector = Explained::Latents(proto::LatentSet { latents });
        Self::select(sae.into(), selector, explainer)
    }

    /// Explains a range of latents. An end of 0 takes all of them.
    pub fn range(sae: impl Into<String>, latents: Range<u32>, explainer: Explainer) -> Self {
        let Range { start, end } = latents;
        let selector = Explained::Range(proto::LatentRange { start, end });
        Self::select(sae.into(), selector, explainer)
    }

    fn select(sae: String, selector: Explained, explainer: Explainer) -> Self {
        Self(proto::ExplainLatentsRequest {
            sae,
            selector: Some(selector),
            explainer: Some(explainer.0),
            ..Default::default()
        })
    }

    /// The cache that examples are from.
    pub fn cache(mut self, cache: impl Into<String>) -> Self {
        self.0.cache = cache.into();
        self
    }

    /// Adds a scorer: a [`ScorerKind`](crate::ScorerKind), or a [`Scorer`] with settings of its own.
    pub fn scorer(mut self, scorer: impl Into<Scorer>) -> Self {
        self.0.scorers.push(scorer.into().0);
        self
    }

    /// How examples are drawn.
    pub fn examples(mut self, plan: ExamplePlan) -> Self {
        self.0.examples = Some(plan.0);
        self
    }

    /// What the job may spend before it pauses; no limit unless set.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.0.budget = Some(budget.into());
        self
    }

    /// Id of this request: the same id again is the same job, in this process or in another one.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

/// Explanations to score: those of all latents of an SAE, unless latents or names are given.
///
/// A request id is chosen at random unless one is given, so that a job whose answer is lost is not begun twice.
#[derive(Clone, Debug)]
#[must_use]
pub struct ScoreRequest(proto::ScoreExplanationsRequest);

impl ScoreRequest {
    /// Scores explanations of `sae`, `{model}/{sae}` or the full resource name, with a
    /// [`ScorerKind`](crate::ScorerKind), or a [`Scorer`] with settings of its own.
    pub fn new(sae: impl Into<String>, scorer: impl Into<Scorer>) -> Self {
        Self(proto::ScoreExplanationsRequest {
            sae: sae.into(),
            scorers: vec![scorer.into().0],
            ..Default::default()
        })
    }

    /// Only the explanations of these latents.
    pub fn latents(mut self, latents: impl IntoIterator<Item = u32>) -> Self {
        let latents = latents.into_iter().collect();
        self.0.selector = Some(Scored::Latents(proto::LatentSet { latents }));
        self
    }

    /// Only the explanations of a range of latents. An end of 0 takes all of them.
    pub fn range(mut self, latents: Range<u32>) -> Self {
        let Range { start, end } = latents;
        self.0.selector = Some(Scored::Range(proto::LatentRange { start, end }));
        self
    }

    /// Only these explanations, by name.
    pub fn explanations<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.0.explanations = names.into_iter().map(Into::into).collect();
        self
    }

    /// The cache that examples are from.
    pub fn cache(mut self, cache: impl Into<String>) -> Self {
        self.0.cache = cache.into();
        self
    }

    /// Adds another scorer.
    pub fn and_scorer(mut self, scorer: impl Into<Scorer>) -> Self {
        self.0.scorers.push(scorer.into().0);
        self
    }

    /// How examples are drawn. What the explainer was shown is left out.
    pub fn examples(mut self, plan: ExamplePlan) -> Self {
        self.0.examples = Some(plan.0);
        self
    }

    /// What the job may spend before it pauses; no limit unless set.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.0.budget = Some(budget.into());
        self
    }

    /// Id of this request: the same id again is the same job, in this process or in another one.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

impl Client {
    /// Starts a job that explains latents and, where scorers are given, scores the explanations. [`Client::watch_job`] tells
    /// how it goes and what it costs; [`Client::job_summary`] what it found.
    pub async fn explain(&self, request: ExplainRequest) -> Result<Job> {
        let mut request = request.0;
        name(&mut request.request_id);
        let job = self.call(Repeat::Always, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .explain_latents(request)
                .await
        });
        Ok(job.await?.into())
    }

    /// Starts a job that scores explanations that exist.
    pub async fn score(&self, request: ScoreRequest) -> Result<Job> {
        let mut request = request.0;
        name(&mut request.request_id);
        let job = self.call(Repeat::Always, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .score_explanations(request)
                .await
        });
        Ok(job.await?.into())
    }
}

/// Gives a request an id if it has none.
fn name(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = uuid::Uuid::new_v4().to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Calibration, ExplainerKind, NonActivating, ScorerKind, TrainSampler};

    #[test]
    fn what_is_not_set_is_left_to_the_server() {
        let request = ExplainRequest::new("m/s", [3, 1], Explainer::by("p")).0;
        assert_eq!(
            request.selector,
            Some(Explained::Latents(proto::LatentSet {
                latents: vec![3, 1]
            }))
        );
        assert!(request.scorers.is_empty() && request.examples.is_none());
        assert!(request.budget.is_none() && request.cache.is_empty());
    }

    #[test]
    fn what_is_set_is_sent() {
        let plan = ExamplePlan::new()
            .train(4)
            .test(5, 6)
            .train_sampler(TrainSampler::Mix)
            .non_activating(NonActivating::NeighboursDecoder)
            .min_examples(0);
        let request = ExplainRequest::range("m/s", 0..0, Explainer::new(ExplainerKind::None))
            .scorer(ScorerKind::Detection)
            .scorer(Scorer::new(ScorerKind::Simulation).calibration(Calibration::Linear))
            .examples(plan)
            .budget(Budget {
                dollars: 0.5,
                ..Budget::default()
            })
            .0;
        let plan = request.examples.unwrap();
        assert_eq!(
            (plan.n_train, plan.n_test, plan.n_non_activating),
            (4, 5, 6)
        );
        assert_eq!(plan.train_sampler(), proto::example_plan::Sampler::Mix);
        assert_eq!(
            plan.non_activating(),
            proto::example_plan::NonActivating::NeighboursDecoder
        );
        assert_eq!(plan.min_examples, Some(0));
        assert_eq!(
            request.scorers[1].calibration(),
            proto::scorer::Calibration::Linear
        );
        assert_eq!(request.budget.unwrap().dollars, 0.5);
        let scored = ScoreRequest::new("m/s", ScorerKind::Intruder).0;
        assert!(scored.selector.is_none() && scored.explanations.is_empty());
    }
}
