//! What a work item is about: a latent and its examples, read from the cache and divided.
//!
//! Every stage of a latent reads them anew; the same plan over the same cache gives the same examples, so that an explainer and
//! the scorers of its job never see the same window.

use std::sync::Arc;

use latentd_autointerp::{NonActivating, Shown, Skip, Subject, carry, sample};
use latentd_cache::Cache;
use latentd_domain::{
    Example, SaeName,
    autointerp::{AutointerpSpec, ExampleId, ExamplePlan},
};
use latentd_engine::Tokenizer;

use super::silent;
use crate::{
    app::Shared,
    grpc::{blocking, error::Error},
    residency,
};

/// Tokens that a latent promotes, for explainers that show them.
const PROMOTED: usize = 10;

/// What the examples of one job are read with.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) app: Shared,
    pub(super) cache: Arc<Cache>,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) sae: SaeName,
    pub(super) plan: ExamplePlan,
    /// The windows that are searched for similar text, embedded once for the job.
    pub(super) pool: Arc<silent::Pool>,
}

impl Reader {
    /// Opens what `spec` reads from.
    pub(super) async fn open(app: &Shared, spec: &AutointerpSpec) -> Result<Self, Error> {
        let cache = app.caches.get(&app.store, &spec.cache).await?;
        let model = residency::model(app, spec.sae.model())?;
        Ok(Self {
            app: Arc::clone(app),
            cache,
            tokenizer: Arc::clone(&model.tokenizer),
            sae: spec.sae.clone(),
            plan: spec.examples,
            pool: Arc::default(),
        })
    }

    /// The subject `latent`, without windows that overlap those of `exclude`; with the tokens that it promotes if an explainer
    /// shows them.
    pub(super) async fn read(
        &self,
        latent: u32,
        exclude: Vec<ExampleId>,
        promoted: bool,
    ) -> Result<Result<Subject, Skip>, Error> {
        let this = self.clone();
        // What an explainer was shown, of either kind, is no example on which the latent does not fire either.
        let mut shown = exclude.clone();
        let drawn = blocking(move || this.draw(latent, &exclude)).await?;
        let Drawn {
            firing_tokens,
            max_activation,
            split,
        } = match drawn {
            Ok(drawn) => drawn,
            Err(skip) => return Ok(Err(skip)),
        };
        shown.extend(split.train.iter().chain(&split.test).map(sample::id));
        let silent = silent::read(self, latent, &split, &shown).await?;
        let promoted = if promoted {
            self.promoted(latent).await?
        } else {
            Vec::new()
        };
        let fires = |examples: Vec<Example>| -> Vec<Shown> {
            examples
                .into_iter()
                .map(|example| self.shown(example, None))
                .collect()
        };
        Ok(Ok(Subject {
            sae: self.sae.clone(),
            latent,
            firing_tokens,
            max_activation,
            train: fires(split.train),
            test: fires(split.test),
            non_activating: silent.non_activating,
            contrast: silent.contrast,
            promoted,
            seed: seed(self.plan.seed, latent),
        }))
    }

    fn draw(&self, latent: u32, exclude: &[ExampleId]) -> Result<Result<Drawn, Skip>, Error> {
        let mut pools = Vec::new();
        let mut extent = (0, 0.0);
        for query in sample::queries(&self.plan) {
            let read = self.cache.examples(&self.sae, latent, &query)?;
            if read.firing_tokens == 0 {
                return Ok(Err(Skip::Dead));
            }
            extent = (read.firing_tokens, read.max_activation);
            pools.push(read.examples);
        }
        if let Err(skip) = sample::enough(&self.plan, &pools) {
            return Ok(Err(skip));
        }
        Ok(Ok(Drawn {
            firing_tokens: extent.0,
            max_activation: extent.1,
            split: sample::split(&self.plan, &pools, exclude),
        }))
    }

    async fn promoted(&self, latent: u32) -> Result<Vec<String>, Error> {
        let report = self
            .app
            .engine
            .latent(self.sae.clone(), latent, PROMOTED)
            .await?;
        Ok(report
            .top_logits
            .iter()
            .map(|&(token, _)| self.tokenizer.token_text(token).to_owned())
            .collect())
    }

    /// An example with the text of its tokens.
    pub(super) fn shown(&self, example: Example, non_activating: Option<NonActivating>) -> Shown {
        let tokens = self.tokenizer.token_texts(&example.ids);
        let mut non_activating = non_activating;
        if let Some((_, activations)) = non_activating
            .as_mut()
            .and_then(|origin| origin.neighbour.as_mut())
        {
            carry(&tokens, activations);
        }
        let mut activations = example.activations.clone();
        carry(&tokens, &mut activations);
        Shown {
            id: sample::id(&example),
            tokens,
            activations,
            quantile: example.quantile,
            non_activating,
        }
    }
}

/// Examples of a latent on which it fires.
struct Drawn {
    firing_tokens: u64,
    max_activation: f32,
    split: sample::Split,
}

/// A seed of its own for each latent.
fn seed(seed: u64, latent: u32) -> u64 {
    // The golden ratio's multiplier spreads neighbouring latents over all seeds.
    seed ^ u64::from(latent).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
