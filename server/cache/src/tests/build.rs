//! A whole build: the same bytes whenever and however often, and what `finish` refuses.

use latentd_domain::{ActivationDtype, SparseActivations};

use super::{
    dense::{files, sae},
    examples::dense_example,
};
use crate::{Cache, Error, ShardBuilder, TokenTable, finish, manifest_path, shard_path, shards};

#[test]
fn a_build_that_is_done_again_has_the_same_bytes() {
    let model = dense_example();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = model.build(first.path()).unwrap();
    model.build(second.path()).unwrap();
    assert_eq!(files(first.path()), files(second.path()));

    // Again over what is there, with what a crash leaves behind.
    fs_err::write(
        first
            .path()
            .join("saes/tiny.sae/shard-00000.safetensors.tmp"),
        b"half",
    )
    .unwrap();
    fs_err::write(first.path().join("tokens.ids.tmp"), b"half").unwrap();
    fs_err::remove_file(manifest_path(first.path())).unwrap();
    let table = TokenTable::open(first.path()).unwrap();
    let plan = shards(&table, model.shard_tokens);
    let again =
        plan.into_iter().enumerate().rev().map(|(at, rows)| {
            model.write_shard(&table, rows, &shard_path(first.path(), &sae(), at))
        });
    let mut again: Vec<_> = again.collect();
    again.reverse();
    assert_eq!(finish(first.path(), model.record(again)).unwrap(), manifest);
    assert_eq!(files(first.path()), files(second.path()));

    let cache = Cache::open(first.path()).unwrap();
    cache.verify().unwrap();
    let held: usize = files(first.path()).values().map(Vec::len).sum();
    assert_eq!(cache.size_bytes(), held as u64);
    assert_eq!(cache.manifest(), &manifest);
    assert_eq!(cache.tokens().rows(), manifest.tokens.rows);
    let text = fs_err::read_to_string(manifest_path(first.path())).unwrap();
    assert!(!text.contains(first.path().to_str().unwrap()));
}

#[test]
fn shards_that_are_not_those_of_the_plan_are_refused() {
    let model = dense_example();
    let dir = tempfile::tempdir().unwrap();
    let table = model.write_tokens(dir.path());
    let plan = shards(&table, model.shard_tokens).into_iter().enumerate();
    let summaries: Vec<_> = plan
        .map(|(at, rows)| model.write_shard(&table, rows, &shard_path(dir.path(), &sae(), at)))
        .collect();
    let mut few = summaries.clone();
    few.pop();
    assert!(matches!(
        finish(dir.path(), model.record(few)),
        Err(Error::InvalidBuild { .. })
    ));
    let mut swapped = summaries.clone();
    swapped[0].entries += 1;
    assert!(matches!(
        finish(dir.path(), model.record(swapped)),
        Err(Error::Corrupt { .. })
    ));
    fs_err::remove_file(shard_path(dir.path(), &sae(), 1)).unwrap();
    let missing = finish(dir.path(), model.record(summaries));
    assert!(
        matches!(missing, Err(Error::Corrupt { path, .. }) if path.ends_with("shard-00001.safetensors"))
    );
    assert!(matches!(
        Cache::open(dir.path()),
        Err(Error::Corrupt { .. })
    ));
}

#[test]
fn what_f16_cannot_hold_is_counted_in_the_manifest() {
    let mut model = dense_example();
    model.dtype = ActivationDtype::F16;
    model.context_length = 8;
    model.documents = vec![vec![1, 2, 3]];
    let dir = tempfile::tempdir().unwrap();
    let table = model.write_tokens(dir.path());
    let plan = shards(&table, model.shard_tokens);
    let mut activations = SparseActivations::default();
    for value in [1e6, 1e-9, 2.0, 65504.0] {
        activations.push(0, value);
        activations.end_row();
    }
    let mut builder = ShardBuilder::new(model.shard_spec(plan[0].clone()));
    builder.add_row(0, &activations, 0..4).unwrap();
    let summary = builder.write(&shard_path(dir.path(), &sae(), 0)).unwrap();
    let manifest = finish(dir.path(), model.record(vec![summary])).unwrap();
    let [record] = manifest.saes.as_slice() else {
        panic!("{manifest:?}")
    };
    assert_eq!((record.above_range, record.below_range), (1, 1));
    assert_eq!(Cache::open(dir.path()).unwrap().manifest(), &manifest);

    // Where nothing is beyond the range the manifest has the bytes that it always had.
    let ordinary = tempfile::tempdir().unwrap();
    dense_example().build(ordinary.path()).unwrap();
    let text = fs_err::read_to_string(manifest_path(ordinary.path())).unwrap();
    assert!(!text.contains("_range"), "{text}");
}
