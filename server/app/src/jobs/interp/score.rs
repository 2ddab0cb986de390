//! A later stage of a latent: one scorer grades its explanations, or the latent itself.

use futures::{FutureExt, StreamExt, stream};
use latentd_autointerp::{
    Call, Failure, Plan, Reply, Row, Scorer, Subject, is_cut_off, provider::Provider as _,
};
use latentd_domain::{
    Reason,
    autointerp::{ScorerKind, ScorerSpec},
};
use latentd_store::{
    explanations::Explanation,
    interp::Outcome,
    scores::{NewScore, ScoreExample},
};

use super::{
    encoder,
    exchange::{Heard, Trouble},
    item::skipped,
    work::{Grader, Work},
};
use crate::providers::Registered;

/// Calls of one item that wait for their provider at once.
const CALLS: usize = 64;

pub(super) async fn run(work: &Work, latent: u32, grader: &Grader) -> Result<Outcome, Trouble> {
    let job = &work.exchanges.job;
    let graded: Vec<Option<Explanation>> = if grader.spec.kind.needs_explanation() {
        let found = work.app().store.explanations().of_job(job, latent).await?;
        found.into_iter().map(Some).collect()
    } else {
        vec![None]
    };
    let provider = match &grader.spec.provider {
        Some(id) => Some(work.provider(Some(id)).await?),
        None => None,
    };
    let model = match (&provider, &grader.spec.encoder) {
        (Some(provider), _) => provider.provider.model().to_owned(),
        (None, Some(encoder)) => encoder.to_string(),
        (None, None) => String::new(),
    };
    let mut scores = Vec::with_capacity(graded.len());
    for explanation in graded {
        // What its explainer was shown is no test, also where another job had it explained.
        let exclude = explanation
            .as_ref()
            .map(|found| &found.provenance)
            .filter(|from| from.cache.as_ref() == Some(&work.spec.cache))
            .map_or_else(Vec::new, |from| from.examples.clone());
        let subject = match work.reader.read(latent, exclude, false).await? {
            Ok(subject) => subject,
            Err(skip) => return Ok(skipped(&skip)),
        };
        work.note_scored(&subject);
        let text = explanation.as_ref().map_or("", |found| found.text.as_str());
        let plan = match grader.scorer.plan(&subject, text) {
            Ok(plan) => plan,
            Err(skip) => return Ok(skipped(&skip)),
        };
        let answers = answers(work, grader, provider.as_deref(), &plan).await?;
        let grading = Grading {
            work,
            grader,
            subject: &subject,
            model: &model,
        };
        scores.push(grading.score(explanation.as_ref(), &plan, answers));
    }
    Ok(Outcome::Scored { scores })
}

/// An answer and the hash of its exchange, or why there is none.
type Answer = Result<(Reply, Option<String>), Failure>;

/// Makes the calls of a plan. Those that fail for good are answers, too; any other trouble is the item's.
async fn answers(
    work: &Work,
    grader: &Grader,
    provider: Option<&Registered>,
    plan: &Plan,
) -> Result<Vec<Answer>, Trouble> {
    // Boxed in a list: the compiler cannot see otherwise that they may be sent between threads.
    let calls: Vec<_> = plan
        .calls
        .iter()
        .map(|call| answer(work, grader, provider, call).boxed())
        .collect();
    let heard: Vec<Result<Answer, Trouble>> = stream::iter(calls).buffered(CALLS).collect().await;
    // All calls are seen to their end before trouble ends the item: what was answered is stored and not asked again.
    heard.into_iter().collect()
}

/// Makes one call.
async fn answer(
    work: &Work,
    grader: &Grader,
    provider: Option<&Registered>,
    call: &Call,
) -> Result<Answer, Trouble> {
    let heard = match (call, provider, &grader.spec.encoder) {
        (Call::Embed(embed), _, Some(model)) => {
            let reply = encoder::ask(work.app(), model, embed).await;
            return Ok(reply.map(|reply| (reply, None)));
        }
        (call, Some(provider), _) => {
            let exchanges = &work.exchanges;
            exchanges.ask_in_full(provider, call, &is_cut_off).await
        }
        (_, None, _) => Err(Trouble::Failed(Failure::new(
            Reason::Internal,
            "nobody to ask",
        ))),
    };
    match heard {
        Ok(Heard { reply, hash }) => Ok(Ok((reply, Some(hash)))),
        Err(Trouble::Failed(failure)) => Ok(Err(failure)),
        Err(trouble) => Err(trouble),
    }
}

/// What a score is of.
struct Grading<'a> {
    work: &'a Work,
    grader: &'a Grader,
    subject: &'a Subject,
    model: &'a str,
}

impl Grading<'_> {
    fn score(
        &self,
        explanation: Option<&Explanation>,
        plan: &Plan,
        answers: Vec<Answer>,
    ) -> NewScore {
        let mut hashes = Vec::with_capacity(answers.len());
        let mut replies = Vec::with_capacity(answers.len());
        for answer in answers {
            let (reply, hash) = match answer {
                Ok((reply, hash)) => (Ok(reply), hash),
                Err(failure) => (Err(failure), None),
            };
            replies.push(reply);
            hashes.push(hash);
        }
        let scorer: &dyn Scorer = self.grader.scorer.as_ref();
        let rows = scorer.read(plan, &replies);
        let summary = scorer.summarize(&rows, self.subject.seed);
        let spec = &self.grader.spec;
        NewScore {
            explanation: explanation.map(|found| found.id.clone()),
            sae: self.work.spec.sae.clone(),
            latent: self.subject.latent,
            scorer: spec.kind,
            value: summary.value,
            n: summary.n,
            n_failed: summary.n_failed,
            ci: summary.ci,
            metrics: summary.metrics,
            firing_tokens: self.subject.firing_tokens,
            provider: spec.provider.clone(),
            provider_model: self.model.to_owned(),
            prompt_version: scorer.prompt_version().to_owned(),
            calibration: calibration(spec),
            seed: self.subject.seed,
            examples: rows.into_iter().map(|row| example(row, &hashes)).collect(),
        }
    }
}

/// How the score was calibrated; only simulations are.
fn calibration(spec: &ScorerSpec) -> String {
    match spec.kind {
        ScorerKind::Simulation | ScorerKind::SimulationJson => spec.calibration.as_str().to_owned(),
        _ => String::new(),
    }
}

fn example(row: Row, hashes: &[Option<String>]) -> ScoreExample {
    ScoreExample {
        example: row.example,
        quantile: row.quantile,
        distance: row.distance.map(f64::from),
        label: row.label,
        prediction: row.prediction,
        probability: row.probability.map(f64::from),
        value: row.value,
        choice: row.choice,
        chosen: row.chosen,
        truth: row.truth,
        predicted: row.predicted,
        marked: row.marked,
        failure: row.failure.as_ref().map(|failure| failure.reason),
        failure_detail: row
            .failure
            .map(|failure| failure.detail)
            .unwrap_or_default(),
        exchange: hashes.get(row.call).cloned().flatten(),
    }
}
