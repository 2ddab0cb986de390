//! Every mode of examples against the naive reading.

use std::collections::HashSet;

use latentd_domain::{Centring, Example, ExampleMode, ExampleQuery};
use proptest::prelude::*;

use crate::examples::{Limits, MAX_CANDIDATES, read};

use super::dense::{Dense, Naive, dense, place, query, sae};

/// What holds of every example, whatever the mode.
fn check(model: &Dense, latent: u32, example: &Example) -> Result<(), TestCaseError> {
    let rows = model.rows();
    let row = example.row as usize;
    let start = example.start as usize;
    prop_assert_eq!(example.document, rows[row].0);
    prop_assert_eq!(&example.ids, &rows[row].1[start..start + example.ids.len()]);
    let stored: Vec<f32> = (0..example.ids.len())
        .map(|token| model.stored(latent, row, start + token))
        .collect();
    prop_assert_eq!(&example.activations, &stored);
    let highest = stored.iter().copied().fold(0.0, f32::max);
    prop_assert_eq!(example.peak, highest);
    let first = stored
        .iter()
        .position(|&activation| activation == highest && highest > 0.0);
    prop_assert_eq!(example.peak_index.map(|index| index as usize), first);
    Ok(())
}

fn naive(example: &Example) -> (usize, usize, Vec<u32>) {
    (
        example.row as usize,
        example.start as usize,
        example.ids.clone(),
    )
}

fn of(window: &Naive) -> (usize, usize, Vec<u32>) {
    (window.row, window.window.start, window.ids.clone())
}

fn check_mode(
    model: &Dense,
    latent: u32,
    query: &ExampleQuery,
    examples: &[Example],
) -> Result<(), TestCaseError> {
    let population: Vec<Naive> = model.population(latent, query);
    let at = |example: &Example| {
        population
            .iter()
            .position(|window| of(window) == naive(example))
    };
    let places: Vec<Option<usize>> = examples.iter().map(at).collect();
    let share =
        |group: usize| query.count / query.groups + usize::from(group < query.count % query.groups);
    match query.mode {
        ExampleMode::Top => {
            let expected: Vec<_> = (0..query.count.min(population.len())).map(Some).collect();
            prop_assert_eq!(places, expected);
        }
        ExampleMode::Quantile => {
            let size = (population.len() / query.groups).max(1);
            prop_assert!(places.is_sorted() && places.iter().all(Option::is_some));
            for (example, place) in examples.iter().zip(&places) {
                prop_assert_eq!(
                    example.quantile.map(|quantile| quantile as usize),
                    place.map(|place| place / size)
                );
            }
            for group in 0..query.groups {
                let slice = if (group + 1) * size <= population.len() {
                    size
                } else {
                    0
                };
                let found = examples
                    .iter()
                    .filter(|example| example.quantile == Some(group as u32))
                    .count();
                prop_assert_eq!(found, share(group).min(slice), "group {}", group);
            }
        }
        ExampleMode::Bins => {
            let max = population.first().map_or(0.0, |window| window.peak);
            let width = f64::from(max) / query.groups as f64;
            prop_assert!(places.is_sorted() && places.iter().all(Option::is_some));
            let mut found = vec![0; query.groups];
            for example in examples {
                let (low, high) = example.bin.unwrap();
                let group = example.quantile.unwrap() as usize;
                found[group] += 1;
                prop_assert!(low <= example.peak && (example.peak < high || group == 0));
                prop_assert!((f64::from(high - low) - width).abs() <= width * 1e-3);
                prop_assert!(
                    (f64::from(high) - width * (query.groups - group) as f64).abs() <= width * 1e-3
                );
            }
            // Away from the ends of intervals, where rounding decides, as many are found as there are to find.
            let mut held = vec![0; query.groups];
            let mut sure = true;
            for window in &population {
                let from_top = query.groups as f64 - f64::from(window.peak) / width;
                sure &= (from_top - from_top.round()).abs() > 1e-4 || window.peak == max;
                held[(from_top.max(0.0) as usize).min(query.groups - 1)] += 1;
            }
            if sure {
                let expected: Vec<usize> = held
                    .into_iter()
                    .enumerate()
                    .map(|(group, held)| share(group).min(held))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
        ExampleMode::Random => {
            let distinct: HashSet<_> = places.iter().flatten().collect();
            prop_assert_eq!(distinct.len(), examples.len());
            prop_assert_eq!(examples.len(), query.count.min(population.len()));
        }
        ExampleMode::NonActivating => check_silent(model, latent, query, examples)?,
    }
    Ok(())
}

/// No window fires, and where fewer were found than asked there is no token left to place another.
fn check_silent(
    model: &Dense,
    latent: u32,
    query: &ExampleQuery,
    examples: &[Example],
) -> Result<(), TestCaseError> {
    prop_assert!(examples.iter().all(|example| example.peak == 0.0));
    if examples.len() == query.count {
        return Ok(());
    }
    for (row, (_, ids)) in model.rows().into_iter().enumerate() {
        for position in 0..ids.len() {
            let window = place(query, position, ids.len());
            let fires = window
                .clone()
                .any(|position| model.stored(latent, row, position) > 0.0);
            let text = &ids[window.clone()];
            let repeats = examples.iter().any(|example| example.ids == text);
            // A window that repeats a text still keeps others off: what overlaps one repeats or is kept off too.
            let near = model_overlap(query, row, &ids, position, examples);
            prop_assert!(
                fires || repeats || near,
                "row {} position {}",
                row,
                position
            );
        }
    }
    Ok(())
}

/// Whether the window of a token overlaps an example, or a window of the same row with the text of one.
fn model_overlap(
    query: &ExampleQuery,
    row: usize,
    ids: &[u32],
    position: usize,
    examples: &[Example],
) -> bool {
    let window = place(query, position, ids.len());
    let overlaps = |start: usize, end: usize| start < window.end && window.start < end;
    examples.iter().any(|example| {
        let start = example.start as usize;
        example.row as usize == row && overlaps(start, start + example.ids.len())
    }) || (0..ids.len()).any(|other| {
        let other = place(query, other, ids.len());
        overlaps(other.start, other.end)
            && examples
                .iter()
                .any(|example| example.ids == ids[other.clone()])
    })
}

/// No two windows overlap or have the same text.
fn check_apart(examples: &[Example]) -> Result<(), TestCaseError> {
    for (at, a) in examples.iter().enumerate() {
        for b in &examples[..at] {
            let apart = a.row != b.row
                || a.start + a.ids.len() as u32 <= b.start
                || b.start + b.ids.len() as u32 <= a.start;
            prop_assert!(apart && a.ids != b.ids);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_sample_of_rows_has_the_windows_that_these_rows_have(
        model in dense(), query in query(), candidates in 0..30_usize, entries in 0..60_usize,
    ) {
        let Some((_dir, cache)) = model.open() else { return Ok(()) };
        let (_, mut source) = cache.source(&sae(), 1).unwrap();
        source.limits = Limits { candidates, entries };
        let found = read(&source, &query).unwrap();
        // The peak of each is its highest activation: no row is looked at in part.
        for example in &found {
            check(&model, 1, example)?;
        }
        check_apart(&found)?;
        prop_assert_eq!(&found, &read(&source, &query).unwrap());
        if query.mode == ExampleMode::Top {
            let whole = cache.examples(&sae(), 1, &query).unwrap().examples;
            prop_assert!(whole.starts_with(&found) && (found.len() == whole.len() || found.len() <= candidates));
        }
    }

    #[test]
    fn examples_are_those_of_the_naive_reading(model in dense(), query in query(), latent in 0..3_u32) {
        let Some((_dir, cache)) = model.open() else { return Ok(()) };
        let found = cache.examples(&sae(), latent, &query).unwrap();
        for example in &found.examples {
            check(&model, latent, example)?;
        }
        check_apart(&found.examples)?;
        check_mode(&model, latent, &query, &found.examples)?;
        prop_assert_eq!(&found, &cache.examples(&sae(), latent, &query).unwrap());

        let stats = cache.stats(&sae(), latent).unwrap();
        prop_assert_eq!((found.firing_tokens, found.max_activation), (stats.count, stats.max.unwrap_or(0.0)));
    }

    #[test]
    fn statistics_are_those_of_stored_activations(model in dense(), latent in 0..3_u32) {
        let Some((_dir, cache)) = model.open() else { return Ok(()) };
        let stats = cache.stats(&sae(), latent).unwrap();
        let rows = model.rows();
        let stored: Vec<f32> = rows
            .iter()
            .enumerate()
            .flat_map(|(row, (_, ids))| (0..ids.len()).map(move |position| (row, position)))
            .map(|(row, position)| model.stored(latent, row, position))
            .filter(|&activation| activation > 0.0)
            .collect();
        let n = stored.len() as f64;
        let unmasked = rows.iter().flat_map(|(_, ids)| ids).filter(|&&id| id != 0).count();
        prop_assert_eq!(stats.count, stored.len() as u64);
        prop_assert_eq!(stats.max, stored.iter().copied().reduce(f32::max));
        prop_assert_eq!(stats.density, stored.len() as f64 / unmasked as f64);
        let mean = stored.iter().map(|&a| f64::from(a)).sum::<f64>() / n;
        let mean_square = stored.iter().map(|&a| f64::from(a) * f64::from(a)).sum::<f64>() / n;
        for (found, expected) in [(stats.mean, mean), (stats.mean_square, mean_square)] {
            match found {
                Some(found) => prop_assert!((found - expected).abs() < 1e-9),
                None => prop_assert!(stored.is_empty(), "a mean of nothing is not 0"),
            }
        }
        prop_assert_eq!(stats.histogram.iter().sum::<u64>(), stats.count);
    }
}

#[test]
fn the_seed_decides_and_each_latent_has_its_own_numbers() {
    let model = Dense {
        d_sae: 3,
        context_length: 16,
        shard_tokens: 64,
        dtype: latentd_domain::ActivationDtype::F16,
        documents: (0..40)
            .map(|document| (0..50).map(|id| 1 + document * 50 + id).collect())
            .collect(),
        salt: 7,
        density: 200,
    };
    let (_dir, cache) = model.open().unwrap();
    let draw = |mode, seed| {
        let query = ExampleQuery {
            mode,
            count: 10,
            groups: 5,
            window: 4,
            centring: Centring::Peak,
            seed,
        };
        cache.examples(&sae(), 1, &query).unwrap().examples
    };
    for mode in [
        ExampleMode::Quantile,
        ExampleMode::Bins,
        ExampleMode::Random,
        ExampleMode::NonActivating,
    ] {
        assert_eq!(draw(mode, 1), draw(mode, 1));
        assert_ne!(draw(mode, 1), draw(mode, 2), "{mode:?}");
        assert_eq!(draw(mode, 1).len(), 10, "{mode:?}");
    }
    assert_eq!(draw(ExampleMode::Top, 1), draw(ExampleMode::Top, 2));
}

#[test]
fn unknown_names_and_odd_queries_are_answered() {
    let (_dir, cache) = dense_example().open().unwrap();
    let query = |mode, count, groups, window| ExampleQuery {
        mode,
        count,
        groups,
        window,
        centring: Centring::Peak,
        seed: 0,
    };
    let top = query(ExampleMode::Top, 1, 1, 8);
    let unknown = cache.examples(&"tiny/other".parse().unwrap(), 0, &top);
    assert!(matches!(unknown, Err(crate::Error::UnknownSae { .. })));
    assert!(matches!(
        cache.examples(&sae(), 3, &top),
        Err(crate::Error::UnknownLatent {
            latent: 3,
            d_sae: 3,
            ..
        })
    ));
    assert!(matches!(
        cache.stats(&sae(), u32::MAX),
        Err(crate::Error::UnknownLatent { .. })
    ));
    for mode in super::dense::MODES {
        for (count, groups, window) in [
            (0, 0, 0),
            (usize::MAX, usize::MAX, usize::MAX),
            (5, usize::MAX, 1),
        ] {
            let found = cache
                .examples(&sae(), 0, &query(mode, count, groups, window))
                .unwrap();
            assert!(found.examples.len() <= count);
        }
    }
}

#[test]
fn a_latent_that_fires_everywhere_is_sampled_evenly() {
    let model = Dense {
        d_sae: 1,
        context_length: 129,
        shard_tokens: 20_000,
        dtype: latentd_domain::ActivationDtype::F32,
        documents: (0..2000)
            .map(|document| (0..128).map(|id| 1 + document * 128 + id).collect())
            .collect(),
        salt: 1,
        density: 1000,
    };
    let (_dir, cache) = model.open().unwrap();
    assert!(cache.stats(&sae(), 0).unwrap().count as usize > MAX_CANDIDATES);
    let query = ExampleQuery {
        mode: ExampleMode::Random,
        count: 1000,
        groups: 1,
        window: 16,
        centring: Centring::Peak,
        seed: 9,
    };
    let found = cache.examples(&sae(), 0, &query).unwrap().examples;
    assert_eq!(found.len(), 1000);
    let early = found.iter().filter(|example| example.row < 1000).count();
    assert!(
        (400..600).contains(&early),
        "{early} of 1000 come from the first half of the rows"
    );
}

pub(super) fn dense_example() -> Dense {
    Dense {
        d_sae: 3,
        context_length: 8,
        shard_tokens: 20,
        dtype: latentd_domain::ActivationDtype::F16,
        documents: vec![(1..30).collect(), (5..12).collect(), vec![9], vec![]],
        salt: 3,
        density: 300,
    }
}
