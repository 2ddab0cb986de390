//! Stage 0 of a latent: its explanations are written, or found.

use std::{slice, sync::Arc};

use latentd_autointerp::{Call, Explainer, Failure, Reply, Subject, provider::Provider as _};
use latentd_domain::{Reason, autointerp::ExplainerKind};
use latentd_store::{
    explanations::{NewExplanation, Provenance},
    interp::Outcome,
};

use super::{exchange::Trouble, item::skipped, work::Work};
use crate::providers::Registered;

pub(super) async fn run(work: &Work, latent: u32) -> Result<Outcome, Trouble> {
    match (work.spec.explainer.kind, &work.explainer) {
        (ExplainerKind::None, _) => existing(work, latent).await,
        (ExplainerKind::RandomBaseline, _) => baseline(work, latent).await,
        (_, Some(explainer)) => ask(work, latent, explainer.as_ref()).await,
        (_, None) => Err(Trouble::Failed(Failure::new(
            Reason::Internal,
            "the job has no explainer",
        ))),
    }
}

/// Shows examples to the provider, if the explainer asks one, and keeps what comes of it.
async fn ask(work: &Work, latent: u32, explainer: &dyn Explainer) -> Result<Outcome, Trouble> {
    let promoted = work.spec.explainer.kind.shows_promoted();
    let subject = match work.reader.read(latent, Vec::new(), promoted).await? {
        Ok(subject) => subject,
        Err(skip) => return Ok(skipped(&skip)),
    };
    work.note_explained(&subject);
    let question = match explainer.plan(&subject) {
        Ok(question) => question,
        Err(skip) => return Ok(skipped(&skip)),
    };
    let provider = match &work.spec.explainer.provider {
        Some(id) => Some(work.provider(Some(id)).await?),
        None => None,
    };
    let is_short = |reply: &Reply| {
        let read = explainer.read(&subject, slice::from_ref(reply));
        read.is_err_and(|failure| failure.reason == Reason::AnswerCutOff)
    };
    let mut asked = Asked {
        work,
        provider: provider.clone(),
        replies: Vec::new(),
        first: None,
    };
    asked.ask(&question.calls, &is_short).await?;
    let then = explainer.then(&subject, &asked.replies);
    asked
        .ask(&then.map_err(Trouble::Failed)?, &is_short)
        .await?;
    let text = explainer.read(&subject, &asked.replies);
    let text = text.map_err(Trouble::Failed)?;
    let model = provider.as_ref().map(|provider| provider.provider.model());
    let provenance = Provenance {
        provider: provider.as_ref().map(|provider| provider.id.clone()),
        provider_model: model.unwrap_or_default().to_owned(),
        prompt_version: explainer.prompt_version().to_owned(),
        examples: question.shown,
        exchange: asked.first,
        ..provenance(work, &subject)
    };
    Ok(made(work, &subject, text, provenance))
}

/// What was asked about one latent so far.
struct Asked<'a> {
    work: &'a Work,
    provider: Option<Arc<Registered>>,
    replies: Vec<Reply>,
    /// Hash of the first exchange.
    first: Option<String>,
}

impl Asked<'_> {
    async fn ask(
        &mut self,
        calls: &[Call],
        is_short: &(dyn Fn(&Reply) -> bool + Send + Sync),
    ) -> Result<(), Trouble> {
        for call in calls {
            let provider = self.provider.as_ref().ok_or_else(|| {
                let failure = Failure::new(Reason::Internal, "the explainer has no provider");
                Trouble::Failed(failure)
            })?;
            let exchanges = &self.work.exchanges;
            let heard = exchanges.ask_in_full(provider, call, is_short).await?;
            self.first.get_or_insert(heard.hash);
            self.replies.push(heard.reply);
        }
        Ok(())
    }
}

fn provenance(work: &Work, subject: &Subject) -> Provenance {
    Provenance {
        job: Some(work.exchanges.job.clone()),
        sae_digest: work.spec.sae_digest.clone(),
        cache: Some(work.spec.cache.clone()),
        seed: subject.seed,
        ..Provenance::default()
    }
}

fn made(work: &Work, subject: &Subject, text: String, provenance: Provenance) -> Outcome {
    let explanation = NewExplanation {
        sae: work.spec.sae.clone(),
        latent: subject.latent,
        text,
        explainer: work.spec.explainer.kind.as_str().to_owned(),
        provenance,
    };
    Outcome::Explained {
        explanations: vec![explanation],
        existing: Vec::new(),
    }
}

/// Explanations that are there already.
async fn existing(work: &Work, latent: u32) -> Result<Outcome, Trouble> {
    let explanations = work.app().store.explanations();
    let mut existing = explanations.of_latent(&work.spec.sae, latent).await?;
    if !work.spec.explanations.is_empty() {
        existing.retain(|found| work.spec.explanations.contains(&found.id));
    }
    if existing.is_empty() {
        return Err(no_explanation(format!(
            "latent {latent} has no explanation"
        )));
    }
    Ok(Outcome::Explained {
        explanations: Vec::new(),
        existing: existing.into_iter().map(|found| found.id).collect(),
    })
}

/// The explanation of another latent, for a baseline.
async fn baseline(work: &Work, latent: u32) -> Result<Outcome, Trouble> {
    let subject = match work.reader.read(latent, Vec::new(), false).await? {
        Ok(subject) => subject,
        Err(skip) => return Ok(skipped(&skip)),
    };
    let explanations = work.app().store.explanations();
    let other = explanations
        .random_other(&work.spec.sae, latent, subject.seed)
        .await?;
    let other = other.ok_or_else(|| {
        no_explanation("no other latent of the SAE has an explanation to be drawn".to_owned())
    })?;
    let provenance = Provenance {
        author: other.id.id().to_owned(),
        ..provenance(work, &subject)
    };
    Ok(made(work, &subject, other.text, provenance))
}

fn no_explanation(detail: String) -> Trouble {
    Trouble::Failed(Failure::new(Reason::NoExplanation, detail))
}
