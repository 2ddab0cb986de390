//! Stage 0 of a latent: its explanations are written, or found.

use latentd_autointerp::{Explainer, Failure, Subject};
use latentd_domain::{Reason, autointerp::ExplainerKind};
use latentd_store::{
    explanations::{NewExplanation, Provenance},
    interp::Outcome,
};

use super::{exchange::Trouble, item::skipped, work::Work};

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

/// Shows examples to the provider and keeps what it says of them.
async fn ask(work: &Work, latent: u32, explainer: &dyn Explainer) -> Result<Outcome, Trouble> {
    let promoted = work.spec.explainer.kind == ExplainerKind::MaxActLogits;
    let subject = match work.reader.read(latent, Vec::new(), promoted).await? {
        Ok(subject) => subject,
        Err(skip) => return Ok(skipped(&skip)),
    };
    let question = match explainer.plan(&subject) {
        Ok(question) => question,
        Err(skip) => return Ok(skipped(&skip)),
    };
    let provider = work.provider(work.spec.explainer.provider.as_ref()).await?;
    let heard = work.exchanges.ask(&provider, &question.call).await?;
    let text = explainer.read(&heard.reply).map_err(Trouble::Failed)?;
    let provenance = Provenance {
        provider: Some(provider.id.clone()),
        provider_model: provider.provider.model().to_owned(),
        prompt_version: explainer.prompt_version().to_owned(),
        examples: question.shown,
        exchange: Some(heard.hash),
        ..provenance(work, &subject)
    };
    Ok(made(work, &subject, text, provenance))
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
