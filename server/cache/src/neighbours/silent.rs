//! Windows in which a latent is silent although a neighbour of it fires there strongly: hard examples for telling the two
//! apart (delphi, `latents/constructors.py`, `neighbour_non_activation_windows`).
//!
//! Neighbours are gone through from the nearest. Each gives its strongest windows in which the latent does not fire, as many as
//! the query says; windows of different neighbours do not overlap and have different texts. Of a neighbour that fires where
//! the latent does nearly always, some hundreds of windows are looked at and no more.

use latentd_domain::{
    Centring, Example, ExampleMode, ExampleQuery, SaeName, autointerp::ExampleId,
};

use crate::{
    Cache, Error,
    examples::{self, Drawn, Placement, Source, Spread, Window},
};

/// Rounds of looking at windows of one neighbour; each looks at four times as many as the one before.
const ROUNDS: usize = 3;

/// Windows of the first round for each that is wanted.
const FIRST_ROUND: usize = 4;

/// Which windows of neighbours to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourQuery<'a> {
    /// How many.
    pub count: usize,
    /// How many of one neighbour, at most.
    pub per_neighbour: usize,
    /// Tokens in a window.
    pub window: usize,
    /// Where the window lies around the neighbour's peak.
    pub centring: Centring,
    /// No window has a token of these.
    pub exclude: &'a [ExampleId],
}

impl Default for NeighbourQuery<'_> {
    /// delphi's: 50 windows, at most 10 of a neighbour.
    fn default() -> Self {
        Self {
            count: 50,
            per_neighbour: 10,
            window: 32,
            centring: Centring::Peak,
            exclude: &[],
        }
    }
}

/// A window in which a latent is silent and a neighbour of it fires.
#[derive(Clone, Debug, PartialEq)]
pub struct NeighbourExample {
    /// The window, as it is for the latent: without an activation.
    pub example: Example,
    /// The neighbour.
    pub neighbour: u32,
    /// Its similarity to the latent, as the caller gave it.
    pub similarity: f32,
    /// Its activation on each token.
    pub neighbour_activations: Vec<f32>,
}

impl Cache {
    /// Windows in which `latent` does not fire, strong ones of `neighbours`, which come with their similarity, nearest first.
    /// Fewer than asked for are found where there are no more.
    ///
    /// Fails with `UnknownSae`, `UnknownLatent`, or `CacheCorrupt` where the shards do not fit the rows.
    pub fn silent_windows_of(
        &self,
        sae: &SaeName,
        latent: u32,
        neighbours: &[(u32, f32)],
        query: &NeighbourQuery<'_>,
    ) -> Result<Vec<NeighbourExample>, Error> {
        self.guarded(Some(sae), || {
            let (_, mut own) = self.source(sae, latent)?;
            own.excluded = self.tokens_of(query.exclude);
            let placement = query.placement();
            let mut kept = Spread::new(&own, placement);
            let mut out = Vec::new();
            for &(neighbour, similarity) in neighbours {
                let wanted = query.per_neighbour.min(query.count - out.len());
                if wanted == 0 {
                    break;
                }
                if neighbour == latent {
                    continue;
                }
                let (_, source) = self.source(sae, neighbour)?;
                let windows = silent(&own, &source, placement, (wanted, &mut kept))?;
                let drawn = windows.into_iter().map(Drawn::from).collect();
                out.extend(
                    examples::filled(&source, drawn)?
                        .into_iter()
                        .map(|example| NeighbourExample::new(example, neighbour, similarity)),
                );
            }
            Ok(out)
        })
    }
}

impl NeighbourQuery<'_> {
    fn placement(&self) -> Placement {
        Placement::new(&ExampleQuery {
            mode: ExampleMode::Top,
            count: self.count,
            groups: 1,
            window: self.window,
            centring: self.centring,
            seed: 0,
        })
    }
}

impl NeighbourExample {
    /// From an example of the neighbour.
    fn new(mut example: Example, neighbour: u32, similarity: f32) -> Self {
        let silent = vec![0.0; example.activations.len()];
        let neighbour_activations = std::mem::replace(&mut example.activations, silent);
        (example.peak, example.peak_index) = (0.0, None);
        Self {
            example,
            neighbour,
            similarity,
            neighbour_activations,
        }
    }
}

/// The strongest windows of `source`, `wanted` of them, that may be `kept` and in which the latent of `own` is silent.
fn silent(
    own: &Source<'_>,
    source: &Source<'_>,
    placement: Placement,
    (wanted, kept): (usize, &mut Spread<'_>),
) -> Result<Vec<Window>, Error> {
    let mut firings = examples::merge(source.shards, source.latent).take(source.limits.candidates);
    let mut spread = Spread::new(source, placement);
    let mut out = Vec::new();
    let mut looked_at = wanted.saturating_mul(FIRST_ROUND);
    for _ in 0..ROUNDS {
        let mut windows = Vec::new();
        while windows.len() < looked_at {
            let Some(firing) = firings.next() else { break };
            windows.extend(spread.offer(firing)?);
        }
        for (window, fires) in windows.iter().zip(examples::fires(own, &windows)) {
            if out.len() < wanted && !fires && !own.excludes(window) && kept.keep_silent(window) {
                out.push(*window);
            }
        }
        if out.len() >= wanted || windows.is_empty() {
            break;
        }
        looked_at = looked_at.saturating_mul(4);
    }
    Ok(out)
}
