//! Neighbours and windows of neighbours against the naive reading.

use latentd_domain::{ActivationDtype, Centring, ExampleMode, ExampleQuery, autointerp::ExampleId};
use proptest::prelude::*;

use crate::{Error, MAX_NEIGHBOURS, NeighbourQuery, layout::neighbours_path, sae_dir};

use super::{
    dense::{Dense, dense, query, sae},
    examples::dense_example,
};

/// The Jaccard index of every pair, from a dense matrix of what fires where.
fn brute_force(model: &Dense, latent: u32, count: usize) -> Vec<(u32, f32)> {
    let rows = model.rows();
    let places: Vec<(usize, usize)> = rows
        .iter()
        .enumerate()
        .flat_map(|(row, (_, ids))| (0..ids.len()).map(move |position| (row, position)))
        .collect();
    let fires = |latent: u32| -> Vec<bool> {
        let stored = |&(row, position): &(usize, usize)| model.stored(latent, row, position) > 0.0;
        places.iter().map(stored).collect()
    };
    let own = fires(latent);
    let mut all: Vec<(u32, f64)> = (0..model.d_sae)
        .filter(|&other| other != latent)
        .map(|other| {
            let other_fires = fires(other);
            let pairs = own.iter().zip(&other_fires);
            let both = pairs.clone().filter(|(a, b)| **a && **b).count();
            let either = pairs.filter(|(a, b)| **a || **b).count();
            (other, both as f64 / either.max(1) as f64)
        })
        .filter(|&(_, jaccard)| jaccard > 0.0)
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(count);
    all.into_iter()
        .map(|(other, jaccard)| (other, jaccard as f32))
        .collect()
}

fn overlaps(ids: &[ExampleId]) -> bool {
    let before = |at: usize| ids.iter().take(at);
    ids.iter()
        .enumerate()
        .any(|(at, id)| before(at).any(|other| other.overlaps(id)))
}

fn query_of<'a>(
    query: &ExampleQuery,
    per_neighbour: usize,
    exclude: &'a [ExampleId],
) -> NeighbourQuery<'a> {
    NeighbourQuery {
        count: query.count,
        per_neighbour,
        window: query.window,
        centring: query.centring,
        exclude,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn neighbours_are_those_of_the_dense_matrix(
        model in dense(), d_sae in 1..24_u32, count in 0..30_usize,
    ) {
        let model = Dense { d_sae, ..model };
        let Some((dir, cache)) = model.open() else { return Ok(()) };
        let latents: Vec<u32> = (0..d_sae).rev().collect();
        let found = cache.co_occurring(&sae(), &latents, count).unwrap();
        for (&latent, found) in latents.iter().zip(&found) {
            prop_assert_eq!(found, &brute_force(&model, latent, count));
            prop_assert_eq!(&cache.neighbours(&sae(), latent, count).unwrap(), found);
        }
        prop_assert!(neighbours_path(&sae_dir(dir.path(), &sae()), 0).exists());
        cache.verify().unwrap();
    }

    #[test]
    fn windows_of_neighbours_are_silent(
        model in dense(), query in query(), per_neighbour in 0..4_usize, latent in 0..3_u32,
    ) {
        let Some((_dir, cache)) = model.open() else { return Ok(()) };
        let neighbours: Vec<(u32, f32)> = (0..3).map(|other| (other, 1.0 - other as f32 / 4.0)).collect();
        let top = cache.examples(&sae(), latent, &ExampleQuery { mode: ExampleMode::Top, count: 1, ..query }).unwrap();
        let exclude: Vec<ExampleId> = top.examples.iter().map(latentd_domain::Example::id).collect();
        let found = cache.silent_windows_of(&sae(), latent, &neighbours, &query_of(&query, per_neighbour, &exclude)).unwrap();
        prop_assert!(found.len() <= query.count);
        let ids: Vec<ExampleId> = found.iter().map(|found| found.example.id()).collect();
        prop_assert!(!overlaps(&ids));
        prop_assert!(ids.iter().all(|id| !exclude.iter().any(|other| other.overlaps(id))));
        prop_assert_eq!(cache.fires_in(&sae(), latent, &ids).unwrap(), vec![false; ids.len()]);
        let examples: Vec<_> = found.iter().map(|found| found.example.clone()).collect();
        prop_assert_eq!(cache.windows(&sae(), latent, &ids).unwrap(), examples);
        for (found, id) in found.iter().zip(&ids) {
            prop_assert_ne!(found.neighbour, latent);
            prop_assert_eq!(found.similarity, neighbours[found.neighbour as usize].1);
            let theirs = cache.windows(&sae(), found.neighbour, &[*id]).unwrap();
            prop_assert_eq!(&theirs[0].activations, &found.neighbour_activations);
            prop_assert!(theirs[0].peak > 0.0);
        }
        // From one neighbour, and one of them: no more than was asked for, and none where there is one to find.
        for &(neighbour, _) in neighbours.iter().filter(|&&(other, _)| other != latent) {
            let of = found.iter().filter(|found| found.neighbour == neighbour);
            prop_assert!(of.count() <= per_neighbour);
        }
        if found.is_empty() && query.count > 0 && per_neighbour > 0 {
            let whole = ExampleQuery { mode: ExampleMode::Top, count: usize::MAX, ..query };
            for &(neighbour, _) in neighbours.iter().filter(|&&(other, _)| other != latent) {
                let all = cache.examples_apart(&sae(), neighbour, &whole, &exclude).unwrap().examples;
                let ids: Vec<ExampleId> = all.iter().map(latentd_domain::Example::id).collect();
                let looked_at = (4 + 16 + 64) * per_neighbour;
                let silent = cache.fires_in(&sae(), latent, &ids).unwrap().into_iter().take(looked_at);
                prop_assert!(silent.into_iter().all(|fires| fires));
            }
        }
    }

    #[test]
    fn excluded_windows_are_nowhere(model in dense(), query in query(), latent in 0..3_u32) {
        let Some((_dir, cache)) = model.open() else { return Ok(()) };
        let all = ExampleQuery { mode: ExampleMode::Top, count: usize::MAX, ..query };
        let all = cache.examples(&sae(), latent, &all).unwrap().examples;
        let exclude: Vec<ExampleId> = all.iter().step_by(2).map(latentd_domain::Example::id).collect();
        let rest: Vec<ExampleId> = all.iter().skip(1).step_by(2).map(latentd_domain::Example::id).collect();
        let found = cache.examples_apart(&sae(), latent, &query, &exclude).unwrap().examples;
        for id in found.iter().map(latentd_domain::Example::id) {
            prop_assert!(!exclude.iter().any(|other| other.overlaps(&id)));
            prop_assert!(query.mode == ExampleMode::NonActivating || rest.contains(&id));
        }
        if query.mode == ExampleMode::Top {
            let ids: Vec<ExampleId> = found.iter().map(latentd_domain::Example::id).collect();
            prop_assert_eq!(&ids[..], &rest[..rest.len().min(query.count)]);
        }
        // What was read once is read again by its id.
        let ids: Vec<ExampleId> = all.iter().rev().map(latentd_domain::Example::id).collect();
        let again = cache.windows(&sae(), latent, &ids).unwrap();
        prop_assert!(again.iter().eq(all.iter().rev()));
        let pool = cache.pool(&query, &exclude).unwrap();
        let ids: Vec<ExampleId> = pool.iter().map(latentd_domain::Example::id).collect();
        prop_assert!(!overlaps(&ids) && ids.len() <= query.count);
        prop_assert!(ids.iter().all(|id| !exclude.iter().any(|other| other.overlaps(id))));
        for example in &pool {
            let row = cache.tokens().row(example.row);
            let start = example.start as usize;
            prop_assert_eq!(&example.ids, &row[start..start + example.ids.len()]);
        }
    }
}

#[test]
fn what_is_kept_is_made_again_where_it_does_not_fit() {
    let model = dense_example();
    let (dir, cache) = model.open().unwrap();
    let expected = cache.neighbours(&sae(), 1, 5).unwrap();
    let path = neighbours_path(&sae_dir(dir.path(), &sae()), 0);
    let kept = fs_err::read(&path).unwrap();
    fs_err::write(&path, &kept[..kept.len() - 1]).unwrap();
    assert_eq!(cache.neighbours(&sae(), 1, 5).unwrap(), expected);
    assert_eq!(fs_err::read(&path).unwrap(), kept);

    // Of other shards.
    let other = Dense { salt: 4, ..model };
    let (other_dir, other_cache) = other.open().unwrap();
    let others = other_cache.neighbours(&sae(), 1, 5).unwrap();
    assert_ne!(others, expected);
    fs_err::copy(
        neighbours_path(&sae_dir(other_dir.path(), &sae()), 0),
        &path,
    )
    .unwrap();
    assert_eq!(cache.neighbours(&sae(), 1, 5).unwrap(), expected);
    assert_eq!(fs_err::read(&path).unwrap(), kept);
}

#[test]
fn as_many_are_kept_as_is_said() {
    let model = Dense {
        d_sae: 150,
        context_length: 32,
        shard_tokens: 64,
        dtype: ActivationDtype::F32,
        documents: (0..8)
            .map(|document| (0..30).map(|id| 1 + document * 30 + id).collect())
            .collect(),
        salt: 1,
        density: 500,
    };
    let (_dir, cache) = model.open().unwrap();
    let found = cache.neighbours(&sae(), 149, usize::MAX).unwrap();
    assert_eq!(found.len(), MAX_NEIGHBOURS);
    assert_eq!(found, brute_force(&model, 149, MAX_NEIGHBOURS));
}

#[test]
fn windows_that_are_not_there_are_refused() {
    let (_dir, cache) = dense_example().open().unwrap();
    let last = cache.tokens().rows();
    for id in [
        "0:0+0",
        "0:0+99",
        "0:8+1",
        "0:4294967295+1",
        &format!("{last}:0+1"),
        "18446744073709551615:0+1",
    ] {
        let id: ExampleId = id.parse().unwrap();
        let refused = cache.windows(&sae(), 0, &[id]);
        assert!(matches!(refused, Err(Error::UnknownWindow { .. })), "{id}");
        // To exclude what is not there changes nothing.
        let query = ExampleQuery {
            mode: ExampleMode::Top,
            count: 3,
            groups: 1,
            window: 4,
            centring: Centring::Grid,
            seed: 0,
        };
        let without = cache.examples_apart(&sae(), 0, &query, &[id]).unwrap();
        if id.start > 0 || id.len == 0 || id.row >= last {
            assert_eq!(without, cache.examples(&sae(), 0, &query).unwrap());
        }
    }
    assert!(matches!(
        cache.co_occurring(&sae(), &[0, 3], 1),
        Err(Error::UnknownLatent { latent: 3, .. })
    ));
    assert!(matches!(
        cache.neighbours(&sae(), 3, 1),
        Err(Error::UnknownLatent { .. })
    ));
    assert_eq!(
        cache.co_occurring(&sae(), &[], 1).unwrap(),
        Vec::<Vec<(u32, f32)>>::new()
    );
}
