//! From a parsed request to a job: what only the server's state can tell is checked here, so that a job that could not end well
//! is refused before it begins.

use std::collections::BTreeMap;

use latentd_domain::{
    ProviderId, Reason,
    autointerp::{AutointerpSpec, Capabilities, Latents, Limits, NonActivatingSource, ScorerSpec},
};
use latentd_proto::v1 as pb;
use latentd_store::{
    jobs::{NewJob, RequestKey},
    work_items::MAX_ITEMS,
};
use prost::Message;

use super::{named, request::Parsed};
use crate::{
    app::App,
    caches,
    grpc::{
        blocking,
        cache::{Named, Source},
        convert,
        error::Error,
        parse::Violations,
    },
    residency,
};

/// What makes a repeated request the same, if it has a request id.
pub(super) fn key(id: &str, request: &impl Message) -> Option<RequestKey> {
    (!id.is_empty()).then(|| RequestKey {
        id: id.to_owned(),
        digest: blake3::hash(&request.encode_to_vec()).to_hex().to_string(),
    })
}

/// Writes the job.
pub(super) async fn submit(
    app: &App,
    kind: &'static str,
    key: Option<RequestKey>,
    parsed: Parsed,
) -> Result<pb::Job, Error> {
    if let Some(key) = &key {
        // A repeated request is answered whatever has become of its cache and providers meanwhile.
        if let Some(job) = app.store.jobs().submitted(kind, key).await? {
            return Ok(convert::job(job));
        }
    }
    let spec = complete(app, parsed).await?;
    let job = NewJob {
        kind: kind.to_owned(),
        spec: serde_json::to_value(&spec).map_err(|error| Error::internal(error.to_string()))?,
        result: String::new(),
        request: key,
    };
    let submitted = app.store.interp().submit(&spec, &job).await?;
    Ok(convert::job(submitted.into_job()))
}

/// Fills in what the cache decides, and checks the rest against what is resident and registered.
async fn complete(app: &App, parsed: Parsed) -> Result<AutointerpSpec, Error> {
    let cache = parsed.cache.clone();
    let source = Named::of(cache, parsed.sae.clone()).open(app).await?;
    let sae_digest = resident_digest(app, &source)?;
    check_tokenizer(app, &source)?;
    let latents = latents(app, &parsed, &source).await?;
    let mut spec = AutointerpSpec {
        sae: parsed.sae,
        sae_digest,
        cache: source.id,
        latents,
        explainer: parsed.explainer,
        explanations: parsed.explanations,
        scorers: parsed.scorers,
        examples: parsed.examples,
        budget: parsed.budget,
    };
    check_size(&spec)?;
    let known = check_providers(app, &spec).await?;
    fill_lengths(&mut spec, &known);
    let similar = spec.examples.non_activating == NonActivatingSource::SimilarText;
    if similar {
        residency::any_sentence_encoder(app)?;
    }
    for scorer in &mut spec.scorers {
        if scorer.kind.uses_sentence_encoder() {
            let encoder = residency::sentence_encoder(app, scorer.encoder.as_ref())?;
            scorer.encoder = Some(encoder.id.clone());
        }
    }
    Ok(spec)
}

/// Digest of the SAE, which is resident with the weights that the cache was built with.
fn resident_digest(app: &App, source: &Source) -> Result<String, Error> {
    let resident = residency::sae(app, &source.sae)?;
    let saes = &source.cache.manifest().saes;
    let record = saes.iter().find(|record| record.name == source.sae);
    match record {
        Some(record) if record.digest == resident.info.digest => Ok(record.digest.clone()),
        _ => {
            let mut violations = Violations::default();
            let description = format!(
                "{} was built with other weights of {} than are resident",
                source.id, source.sae
            );
            violations.invalid("cache", description);
            violations.finish(None)
        }
    }
}

fn check_tokenizer(app: &App, source: &Source) -> Result<(), Error> {
    if caches::tokenizer(app, &source.cache).is_some() {
        return Ok(());
    }
    let message = format!(
        "the text of examples needs the tokenizer of {}, which is not resident as it was when the cache was built; load it",
        source.cache.manifest().model.name
    );
    Err(Error::new(Reason::UnknownModel, message))
}

/// The latents that were asked for, or those of the explanations.
async fn latents(app: &App, parsed: &Parsed, source: &Source) -> Result<Latents, Error> {
    let max = app.config.limits.max_latents;
    if let Some(asked) = &parsed.latents {
        let latents = asked.clone().within(&source.sae, source.d_sae, max)?;
        check_named(app, parsed, Some(&latents)).await?;
        return Ok(latents);
    }
    let found = if parsed.explanations.is_empty() {
        app.store.explanations().latents_of(&parsed.sae).await?
    } else {
        check_named(app, parsed, None).await?
    };
    if found.is_empty() {
        let message = format!("{} has no explanations to score", parsed.sae);
        return Err(Error::new(Reason::NoExplanation, message));
    }
    let mut violations = Violations::default();
    violations.at_most(
        "explanations",
        found.len() as u64,
        (max as u64, "max_latents"),
    );
    violations.check().map(|()| Latents::List(found))
}

/// Explanations that were named must exist, be of the SAE, and of one of the latents. Returns their latents, each once.
async fn check_named(
    app: &App,
    parsed: &Parsed,
    latents: Option<&Latents>,
) -> Result<Vec<u32>, Error> {
    if parsed.explanations.is_empty() {
        return Ok(Vec::new());
    }
    let named = parsed.explanations.clone();
    let found = app.store.explanations().get_many(&named).await?;
    let (sae, latents) = (parsed.sae.clone(), latents.cloned());
    // Both lists may hold a million entries.
    blocking(move || named::latents(&named, &found, &sae, latents.as_ref())).await
}

fn check_size(spec: &AutointerpSpec) -> Result<(), Error> {
    let items = spec.items() as u64;
    if items <= u64::from(MAX_ITEMS) {
        return Ok(());
    }
    let message = format!(
        "{} latents with {} scorers are {items} items of work, over the limit of {MAX_ITEMS}",
        spec.latents.len(),
        spec.scorers.len()
    );
    Err(Error::new(Reason::BatchTooLarge, message))
}

/// What is known of each provider of a job.
type Known = BTreeMap<ProviderId, Option<(Capabilities, Limits)>>;

/// The longest answer of each call is its provider's, where the request does not say.
fn fill_lengths(spec: &mut AutointerpSpec, known: &Known) {
    let of = |provider: &Option<ProviderId>| {
        let known = provider.as_ref().and_then(|id| known.get(id)).copied();
        known.flatten().map_or(0, |(_, limits)| limits.max_tokens)
    };
    if spec.explainer.max_tokens == 0 {
        spec.explainer.max_tokens = of(&spec.explainer.provider);
    }
    for scorer in &mut spec.scorers {
        if scorer.max_tokens == 0 {
            scorer.max_tokens = of(&scorer.provider);
        }
    }
}

/// Every provider is registered and can do what is asked of it.
async fn check_providers(app: &App, spec: &AutointerpSpec) -> Result<Known, Error> {
    let explainer = spec.explainer.provider.as_ref();
    let explainer = explainer.map(|id| ("explainer.provider".to_owned(), id));
    let scorers = spec
        .scorers
        .iter()
        .enumerate()
        .filter_map(|(index, scorer)| {
            let provider = scorer.provider.as_ref()?;
            Some((format!("scorers[{index}].provider"), provider))
        });
    let mut violations = Violations::default();
    let mut known = Known::new();
    for (field, id) in explainer.into_iter().chain(scorers) {
        if known.contains_key(id) {
            continue;
        }
        let found = match app.store.providers().get(id).await {
            Ok(provider) => Some((provider.capabilities, provider.limits)),
            Err(error @ latentd_store::Error::UnknownProvider(_)) => {
                violations.add(field, Reason::UnknownProvider, error.to_string());
                None
            }
            Err(error) => return Err(error.into()),
        };
        known.insert(id.clone(), found);
    }
    let able = |id: Option<&ProviderId>| {
        let found = id.and_then(|id| known.get(id).copied().flatten());
        found.map(|(can, _)| can)
    };
    let explainer = &spec.explainer;
    if let (Some(id), Some(can)) = (&explainer.provider, able(explainer.provider.as_ref()))
        && explainer.kind.needs_prompt_logprobs()
        && !can.prompt_logprobs
    {
        let lack = lacks_prompt_logprobs(explainer.kind.as_str(), id);
        violations.add("explainer.provider", Reason::ProviderLacksCapability, lack);
    }
    for (index, scorer) in spec.scorers.iter().enumerate() {
        let capabilities = able(scorer.provider.as_ref());
        if let Some(lack) = capabilities.and_then(|can| lack(scorer, can)) {
            let field = format!("scorers[{index}].provider");
            violations.add(field, Reason::ProviderLacksCapability, lack);
        }
    }
    violations.check()?;
    Ok(known)
}

fn lacks_prompt_logprobs(who: &str, provider: &ProviderId) -> String {
    format!(
        "{who} needs log-probabilities of given text, which {provider} did not give when it was probed; local models, llama.cpp \
         and vLLM do"
    )
}

/// What a scorer needs that its provider cannot do.
fn lack(scorer: &ScorerSpec, can: Capabilities) -> Option<String> {
    let provider = scorer.provider.as_ref()?;
    (scorer.kind.needs_prompt_logprobs() && !can.prompt_logprobs)
        .then(|| lacks_prompt_logprobs(scorer.kind.as_str(), provider))
}
