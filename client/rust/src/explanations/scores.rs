//! Scores: how good an explanation is, as one scorer sees it, and every example that it was judged by.

use std::{collections::BTreeMap, time::SystemTime};

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Result, client::stub, retry::Repeat, time::system_time};

/// How good an explanation is, as one scorer sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Resource name: `scores/{score}`.
    pub name: String,
    /// Explanation that was scored; empty for scorers that need none.
    pub explanation: String,
    /// Index of the latent.
    pub latent: u32,
    /// Name of the scorer, as [`ScorerKind::as_str`](crate::ScorerKind::as_str) has it.
    pub scorer: String,
    /// The score: balanced accuracy of detection and fuzzing, correlation of simulation, AUC of surprisal and embedding,
    /// accuracy of intruder. None if no example could be scored, or the score is not defined for those that could.
    pub value: Option<f64>,
    /// Ends of the 95 % confidence interval of `value`, by bootstrap over examples.
    pub interval: Option<(f64, f64)>,
    /// Examples that were scored.
    pub n: u32,
    /// Examples that could not be scored; they count as neither right nor wrong.
    pub n_failed: u32,
    /// Other measures by name, such as `f1`, `precision`, `recall`, `auc`, `rsquared`.
    pub metrics: BTreeMap<String, f64>,
    /// `jobs/{job}`.
    pub job: String,
    /// `providers/{provider}`; empty for a sentence encoder.
    pub provider: String,
    /// What the provider calls its model, or the sentence encoder.
    pub provider_model: String,
    /// Version of the prompt, such as `detection/1`.
    pub prompt_version: String,
    /// How a simulation was calibrated; empty for other scorers.
    pub calibration: String,
    /// One for each example that was shown; only from [`Client::score_details`].
    pub examples: Vec<ScoreExample>,
    /// When it was stored.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub created: Option<SystemTime>,
}

/// One example that a scorer was shown, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreExample {
    /// Example, as `row:start+length`.
    pub example: String,
    /// Quantile that it was drawn from, 0 the strongest; none where the latent does not fire.
    pub quantile: Option<u32>,
    /// The latent fires on it, or with fuzzing the marks are right.
    pub label: Option<bool>,
    /// What the provider said.
    pub prediction: Option<bool>,
    /// Probability of that the provider says yes, where it gives probabilities.
    pub probability: Option<f64>,
    /// Cosine (embedding), difference of cosines (example embedding), or fall of the loss in nats a token (surprisal).
    pub value: Option<f64>,
    /// Position of the intruder among the texts of its prompt.
    pub choice: Option<u32>,
    /// Position that the provider named.
    pub chosen: Option<u32>,
    /// Activation of each token (simulation), or loss of each token without the explanation (surprisal).
    pub truth: Vec<f32>,
    /// Predicted activation of each token (simulation), or loss of each token with the explanation (surprisal).
    pub predicted: Vec<f32>,
    /// Indexes of the tokens that were marked.
    pub marked: Vec<u32>,
    /// Similarity that chose it as an example on which the latent does not fire, where one did.
    pub distance: Option<f64>,
    /// Why it was not scored: an error reason; empty if it was.
    pub failure: String,
    /// Hash of the exchange with the provider.
    pub exchange: String,
}

impl Client {
    /// One score, with a row for each example that was shown.
    pub async fn score_details(&self, name: &str) -> Result<Score> {
        let request = proto::GetScoreRequest {
            name: name.to_owned(),
        };
        let score = self.call(Repeat::Always, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .get_score(request)
                .await
        });
        Ok(score.await?.into())
    }
}

impl From<proto::Score> for Score {
    fn from(score: proto::Score) -> Self {
        Self {
            name: score.name,
            explanation: score.explanation,
            latent: score.latent,
            scorer: score.scorer,
            value: score.value,
            interval: score.ci_low.zip(score.ci_high),
            n: score.n,
            n_failed: score.n_failed,
            metrics: score.metrics.into_iter().collect(),
            job: score.job,
            provider: score.provider,
            provider_model: score.provider_model,
            prompt_version: score.prompt_version,
            calibration: score.calibration,
            examples: score.examples.into_iter().map(ScoreExample::from).collect(),
            created: system_time(score.create_time),
        }
    }
}

impl From<proto::ScoreExample> for ScoreExample {
    fn from(example: proto::ScoreExample) -> Self {
        let proto::ScoreExample {
            example,
            quantile,
            label,
            prediction,
            probability,
            value,
            choice,
            chosen,
            truth,
            predicted,
            marked,
            distance,
            failure,
            exchange,
        } = example;
        Self {
            example,
            quantile,
            label,
            prediction,
            probability,
            value,
            choice,
            chosen,
            truth,
            predicted,
            marked,
            distance,
            failure,
            exchange,
        }
    }
}
