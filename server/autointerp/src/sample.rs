//! Which examples are shown to whom: what an explainer sees and what scorers see share no window.
//!
//! delphi draws both from one list with one seed, so that explanations are graded on what they were written from; here one
//! pool is drawn and then divided. Scorers are served first, the same number from each quantile, so that a test is as hard
//! whatever the explainer is shown.

use std::collections::HashMap;

use latentd_domain::{
    Example, ExampleMode, ExampleQuery,
    autointerp::{ExampleId, ExamplePlan, TrainSampler},
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::Skip;

/// Examples beside those of the latent that the contrastive explainer is shown.
pub const CONTRAST: usize = 5;

/// Examples of a latent, divided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// For the explainer, strongest first.
    pub train: Vec<Example>,
    /// For scorers, strongest first.
    pub test: Vec<Example>,
}

/// Examples on which a latent does not fire, divided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Silent<T> {
    /// For scorers.
    pub non_activating: Vec<T>,
    /// For the contrastive explainer.
    pub contrast: Vec<T>,
}

/// The pools of examples to read from the cache for `plan`, on which the latent fires.
pub fn queries(plan: &ExamplePlan) -> Vec<ExampleQuery> {
    // As many as tell whether there are enough, where that is more than are shown.
    let count = (plan.n_train + plan.n_test).max(plan.min_examples);
    let query = |mode| ExampleQuery {
        mode,
        count,
        groups: plan.n_quantiles.max(1),
        window: plan.window,
        centring: plan.centring,
        seed: plan.seed,
    };
    match plan.train_sampler {
        TrainSampler::Quantiles => vec![query(ExampleMode::Quantile)],
        TrainSampler::Top | TrainSampler::Mix => {
            vec![query(ExampleMode::Quantile), query(ExampleMode::Top)]
        }
        TrainSampler::Random => vec![query(ExampleMode::Quantile), query(ExampleMode::Random)],
    }
}

/// The pool to read for [`silent`] where examples on which the latent does not fire are taken from anywhere in the cache.
pub fn silent_query(plan: &ExamplePlan) -> ExampleQuery {
    ExampleQuery {
        mode: ExampleMode::NonActivating,
        // Some of them overlap examples that are shown, and are left out.
        count: (plan.n_non_activating + CONTRAST) * 5 / 4,
        groups: 1,
        window: plan.window,
        centring: plan.centring,
        seed: plan.seed,
    }
}

/// The window of an example.
pub fn id(example: &Example) -> ExampleId {
    ExampleId {
        row: example.row,
        start: example.start,
        len: example.ids.len() as u32,
    }
}

/// Whether the latent has as many examples as `plan` demands.
pub fn enough(plan: &ExamplePlan, pools: &[Vec<Example>]) -> Result<(), Skip> {
    let have = unite(pools).len();
    if have < plan.min_examples.max(1) {
        return Err(Skip::Scarce {
            have,
            need: plan.min_examples.max(1),
            scored: plan.n_test > 0,
        });
    }
    Ok(())
}

/// Divides the pools that [`queries`] asks for, in its order.
///
/// Nothing that overlaps a window of `exclude` (what an explainer was shown before) is among them. Where there are fewer than
/// the plan asks for, both get their share. The same pools give the same test, whether or not a former division's train
/// examples are excluded.
pub fn split(plan: &ExamplePlan, pools: &[Vec<Example>], exclude: &[ExampleId]) -> Split {
    let all = unite(pools);
    let quantiles = pools.first().map_or(&[][..], Vec::as_slice);
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    // Latents differ in their strongest window, so each has random numbers of its own.
    rng.set_stream(all.first().map_or(0, |example| example.row));
    let asked = plan.n_train + plan.n_test;
    let (n_train, n_test) = if all.len() < asked {
        // Rounded up for the test.
        let n_test = (all.len() * plan.n_test).div_ceil(asked);
        (all.len() - n_test, n_test)
    } else {
        (plan.n_train, plan.n_test)
    };
    let mut taken = Taken(exclude.to_vec());
    let mut test = even(quantiles, n_test, &mut taken, &mut rng);
    let mut train = match plan.train_sampler {
        TrainSampler::Top => strongest(&all, n_train, &mut taken),
        TrainSampler::Quantiles => even(quantiles, n_train, &mut taken, &mut rng),
        TrainSampler::Random => {
            let mut pool = pools
                .get(1)
                .map_or_else(Vec::new, |pool| pool.iter().collect());
            pool.shuffle(&mut rng);
            first(pool, n_train, &mut taken)
        }
        TrainSampler::Mix => {
            let top = (n_train as f64 * plan.ratio_top.clamp(0.0, 1.0)).round() as usize;
            let mut train = strongest(&all, top, &mut taken);
            train.extend(even(quantiles, n_train - train.len(), &mut taken, &mut rng));
            train
        }
    };
    for part in [&mut train, &mut test] {
        part.sort_by(|a, b| b.peak.total_cmp(&a.peak).then_with(|| id(a).cmp(&id(b))));
    }
    Split { train, test }
}

/// Divides candidates on which the latent does not fire, in the order of preference. None of them overlaps another, or a
/// window of `shown`.
pub fn silent<T>(
    plan: &ExamplePlan,
    candidates: Vec<T>,
    shown: &[ExampleId],
    id: impl Fn(&T) -> ExampleId,
) -> Silent<T> {
    let mut taken = Taken(shown.to_vec());
    let kept: Vec<T> = candidates
        .into_iter()
        .filter(|candidate| taken.take(id(candidate)))
        .take(plan.n_non_activating + CONTRAST)
        .collect();
    // Both are spread over the order of preference: neither has all the hard ones.
    let contrast = if plan.n_non_activating == 0 {
        CONTRAST.min(kept.len())
    } else {
        CONTRAST.min(kept.len() / 2)
    };
    let every = kept.len().checked_div(contrast).unwrap_or(usize::MAX);
    let mut out = Silent {
        non_activating: Vec::new(),
        contrast: Vec::new(),
    };
    for (index, candidate) in kept.into_iter().enumerate() {
        if index % every == every - 1 && out.contrast.len() < contrast {
            out.contrast.push(candidate);
        } else if out.non_activating.len() < plan.n_non_activating {
            out.non_activating.push(candidate);
        }
    }
    out
}

/// Windows that are used up.
struct Taken(Vec<ExampleId>);

impl Taken {
    /// Takes a window, unless it overlaps one that was taken.
    fn take(&mut self, id: ExampleId) -> bool {
        let free = !self.0.iter().any(|taken| taken.overlaps(&id));
        if free {
            self.0.push(id);
        }
        free
    }
}

/// All examples once, strongest first, with the quantile where it is known.
fn unite(pools: &[Vec<Example>]) -> Vec<Example> {
    let mut all: Vec<Example> = Vec::new();
    let mut places: HashMap<ExampleId, usize> = HashMap::new();
    for example in pools.iter().flatten() {
        places.entry(id(example)).or_insert_with(|| {
            all.push(example.clone());
            all.len() - 1
        });
    }
    all.sort_by(|a, b| b.peak.total_cmp(&a.peak).then_with(|| id(a).cmp(&id(b))));
    all
}

/// `count` examples, the same number from each quantile as far as they go; what a quantile lacks the others give.
fn even(pool: &[Example], count: usize, taken: &mut Taken, rng: &mut ChaCha8Rng) -> Vec<Example> {
    let mut quantiles: Vec<Vec<&Example>> = pool
        .chunk_by(|a, b| a.quantile == b.quantile)
        .map(|quantile| quantile.iter().collect())
        .collect();
    for quantile in &mut quantiles {
        quantile.shuffle(rng);
    }
    let mut rest: Vec<_> = quantiles.into_iter().map(Vec::into_iter).collect();
    let mut out = Vec::new();
    while out.len() < count && !rest.is_empty() {
        rest.retain_mut(|quantile| {
            if out.len() >= count {
                return true;
            }
            let next = quantile.find(|example| taken.take(id(example)));
            out.extend(next.cloned());
            next.is_some()
        });
    }
    out
}

/// The strongest `count`.
fn strongest(all: &[Example], count: usize, taken: &mut Taken) -> Vec<Example> {
    first(all.iter().collect(), count, taken)
}

/// The first `count` that are free.
fn first(pool: Vec<&Example>, count: usize, taken: &mut Taken) -> Vec<Example> {
    pool.into_iter()
        .filter(|example| taken.take(id(example)))
        .take(count)
        .cloned()
        .collect()
}
