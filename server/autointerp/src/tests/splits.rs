//! What an explainer sees and what scorers see share no token.

use std::collections::HashSet;

use latentd_domain::{
    Example,
    autointerp::{ExampleId, ExamplePlan, TrainSampler},
};
use proptest::prelude::*;

use crate::sample::{self, CONTRAST};

const SAMPLERS: [TrainSampler; 4] = [
    TrainSampler::Top,
    TrainSampler::Random,
    TrainSampler::Quantiles,
    TrainSampler::Mix,
];

/// A population of windows that fall by peak, in as many quantiles as the plan says.
fn population(plan: &ExamplePlan, count: usize) -> Vec<Example> {
    let size = (count / plan.n_quantiles).max(1);
    (0..count)
        .map(|index| Example {
            document: index as u64,
            // Two windows to a row, which do not overlap.
            row: index as u64 / 2,
            start: 8 * (index as u32 % 2),
            ids: vec![1; 8],
            activations: vec![0.0; 8],
            peak: 100.0 - index as f32 / 10.0,
            peak_index: Some(0),
            quantile: Some((index / size).min(plan.n_quantiles - 1) as u32),
            bin: None,
        })
        .collect()
}

/// The pools that the plan asks for, out of a population.
fn pools(plan: &ExamplePlan, population: &[Example]) -> Vec<Vec<Example>> {
    let queries = sample::queries(plan);
    let count = queries[0].count;
    // Every so-manieth stands for a draw from the quantiles.
    let count = count.min(population.len());
    let drawn = (0..count).map(|at| population[at * population.len() / count].clone());
    let drawn: Vec<Example> = drawn.collect();
    let mut pools = vec![drawn];
    if queries.len() > 1 {
        let plain = population.iter().take(count).cloned();
        pools.push(
            plain
                .map(|example| Example {
                    quantile: None,
                    ..example
                })
                .collect(),
        );
    }
    pools
}

fn ids(examples: &[Example]) -> Vec<ExampleId> {
    examples.iter().map(sample::id).collect()
}

fn plan(sampler: TrainSampler, n_train: usize, n_test: usize) -> ExamplePlan {
    ExamplePlan {
        n_train,
        n_test,
        train_sampler: sampler,
        window: 8,
        ..ExamplePlan::default()
    }
}

#[test]
fn the_test_is_drawn_evenly() {
    for sampler in SAMPLERS {
        let plan = plan(sampler, 40, 50);
        let split = sample::split(&plan, &pools(&plan, &population(&plan, 400)), &[]);
        assert_eq!(
            (split.train.len(), split.test.len()),
            (40, 50),
            "{sampler:?}"
        );
        for quantile in 0..10 {
            let of = split
                .test
                .iter()
                .filter(|example| example.quantile == Some(quantile));
            assert_eq!(of.count(), 5, "{sampler:?}");
        }
    }
}

#[test]
fn samplers_draw_what_they_say() {
    let peaks = |sampler| {
        let plan = plan(sampler, 40, 50);
        let split = sample::split(&plan, &pools(&plan, &population(&plan, 400)), &[]);
        split
            .train
            .iter()
            .map(|example| example.peak)
            .collect::<Vec<_>>()
    };
    let top = peaks(TrainSampler::Top);
    assert!(top.iter().all(|&peak| peak > 94.0), "{top:?}");
    let spread = peaks(TrainSampler::Quantiles);
    assert!(spread.iter().any(|&peak| peak < 64.0), "{spread:?}");
    let mix = peaks(TrainSampler::Mix);
    assert!(
        mix.iter().filter(|&&peak| peak > 98.0).count() >= 8,
        "{mix:?}"
    );
    assert!(mix.iter().any(|&peak| peak < 64.0), "{mix:?}");
}

#[test]
fn too_few_are_shared_out() {
    let plan = plan(TrainSampler::Quantiles, 40, 50);
    let pools = pools(&plan, &population(&plan, 45));
    assert_eq!(sample::enough(&plan, &pools), Ok(()));
    let split = sample::split(&plan, &pools, &[]);
    assert_eq!((split.train.len(), split.test.len()), (20, 25));
    let least = plan.min_examples;
    assert_eq!(least, 10);
    assert!(sample::enough(&plan, &[pools[0][..least].to_vec()]).is_ok());
    assert!(sample::enough(&plan, &[pools[0][..least - 1].to_vec()]).is_err());
    assert_eq!(sample::split(&plan, &[], &[]), sample::Split::default());
}

#[test]
fn what_an_explainer_saw_changes_nothing_for_scorers() {
    for sampler in SAMPLERS {
        for count in [45, 90, 400] {
            let plan = plan(sampler, 40, 50);
            let pools = pools(&plan, &population(&plan, count));
            let first = sample::split(&plan, &pools, &[]);
            let second = sample::split(&plan, &pools, &ids(&first.train));
            assert_eq!(first.test, second.test, "{sampler:?} {count}");
        }
    }
}

proptest! {
    #[test]
    fn train_and_test_share_nothing(
        count in 0usize..300,
        n_train in 0usize..60,
        n_test in 1usize..60,
        sampler in prop::sample::select(SAMPLERS.to_vec()),
        seed in 0u64..1000,
        excluded in prop::collection::vec((0u64..150, 0u32..12), 0..20),
    ) {
        let plan = ExamplePlan { seed, ..plan(sampler, n_train, n_test) };
        let exclude: Vec<ExampleId> =
            excluded.into_iter().map(|(row, start)| ExampleId { row, start, len: 8 }).collect();
        let split = sample::split(&plan, &pools(&plan, &population(&plan, count)), &exclude);
        prop_assert!(split.train.len() <= n_train && split.test.len() <= n_test);
        let (train, test) = (ids(&split.train), ids(&split.test));
        for (at, one) in train.iter().chain(&test).enumerate() {
            for other in train.iter().chain(&test).skip(at + 1).chain(&exclude) {
                prop_assert!(!one.overlaps(other));
            }
        }
        prop_assert!(split.test.is_sorted_by(|a, b| a.peak >= b.peak));
    }

    #[test]
    fn examples_that_do_not_fire_share_nothing_either(
        candidates in prop::collection::vec((0u64..40, 0u32..24), 0..90),
        shown in prop::collection::vec((0u64..40, 0u32..24), 0..20),
        n_non_activating in 1usize..60,
    ) {
        let at = |(row, start)| ExampleId { row, start, len: 8 };
        let shown: Vec<ExampleId> = shown.into_iter().map(at).collect();
        let candidates: Vec<ExampleId> = candidates.into_iter().map(at).collect();
        let plan = ExamplePlan { n_non_activating, ..ExamplePlan::default() };
        let silent = sample::silent(&plan, candidates, &shown, |id| *id);
        prop_assert!(silent.non_activating.len() <= n_non_activating);
        prop_assert!(silent.contrast.len() <= CONTRAST);
        let all: Vec<&ExampleId> = silent.non_activating.iter().chain(&silent.contrast).collect();
        prop_assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        for (at, one) in all.iter().enumerate() {
            for other in all.iter().skip(at + 1).copied().chain(&shown) {
                prop_assert!(!one.overlaps(other));
            }
        }
    }
}

#[test]
fn both_kinds_of_example_that_do_not_fire_are_of_every_rank() {
    let plan = ExamplePlan::default();
    let candidates: Vec<ExampleId> = (0..60)
        .map(|row| ExampleId {
            row,
            start: 0,
            len: 8,
        })
        .collect();
    let silent = sample::silent(&plan, candidates, &[], |id| *id);
    assert_eq!(
        (silent.non_activating.len(), silent.contrast.len()),
        (50, 5)
    );
    assert!(
        silent.contrast.iter().any(|id| id.row < 15)
            && silent.contrast.iter().any(|id| id.row > 40)
    );
}
