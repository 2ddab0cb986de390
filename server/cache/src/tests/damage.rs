//! Files that were truncated or changed: an error that names them, or the same data, and never a panic.

use std::path::Path;

use super::{
    dense::{MODES, files, query, sae},
    examples::dense_example,
};
use latentd_domain::{Centring, ExampleQuery, HasReason, Reason};
use proptest::prelude::*;

use crate::{Cache, Error};

/// Reads everything that can be read.
fn read(dir: &Path) -> Result<(), Error> {
    let cache = Cache::open(dir)?;
    for latent in 0..3 {
        cache.stats(&sae(), latent)?;
        for mode in MODES {
            for centring in [Centring::Peak, Centring::Grid] {
                let query = ExampleQuery {
                    mode,
                    count: 6,
                    groups: 3,
                    window: 4,
                    centring,
                    seed: 0,
                };
                cache.examples(&sae(), latent, &query)?;
            }
        }
    }
    Ok(())
}

fn with_damage(name: &str, damaged: &[u8], whole: &[u8], dir: &Path, check: impl FnOnce()) {
    let path = dir.join(name);
    fs_err::write(&path, damaged).unwrap();
    check();
    fs_err::write(&path, whole).unwrap();
}

#[test]
fn every_truncation_is_found_at_open() {
    let dir = tempfile::tempdir().unwrap();
    dense_example().build(dir.path()).unwrap();
    for (name, whole) in files(dir.path()) {
        for length in (0..whole.len()).step_by(if whole.len() > 2000 { 13 } else { 1 }) {
            with_damage(&name, &whole[..length], &whole, dir.path(), || {
                let opened = Cache::open(dir.path());
                // The line feed at the end of the manifest is not missed.
                if name == "manifest.json" && length + 1 == whole.len() {
                    opened.unwrap();
                } else {
                    let error = opened.expect_err(&name);
                    assert_eq!(
                        error.reason(),
                        Reason::CacheCorrupt,
                        "{name} cut to {length}: {error}"
                    );
                }
            });
        }
        let longer = [whole.as_slice(), b"junk"].concat();
        with_damage(&name, &longer, &whole, dir.path(), || {
            assert_eq!(
                Cache::open(dir.path()).expect_err(&name).reason(),
                Reason::CacheCorrupt
            );
        });
        fs_err::remove_file(dir.path().join(&name)).unwrap();
        assert_eq!(
            Cache::open(dir.path()).expect_err(&name).reason(),
            Reason::CacheCorrupt
        );
        fs_err::write(dir.path().join(&name), &whole).unwrap();
    }
    Cache::open(dir.path()).unwrap().verify().unwrap();
}

#[test]
fn every_changed_bit_is_found_by_verify_and_none_panics() {
    let dir = tempfile::tempdir().unwrap();
    dense_example().build(dir.path()).unwrap();
    for (name, whole) in files(dir.path()) {
        for bit in (0..whole.len() * 8).step_by(if whole.len() > 2000 { 29 } else { 5 }) {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            with_damage(&name, &damaged, &whole, dir.path(), || {
                if let Err(error) = read(dir.path()) {
                    assert_eq!(
                        error.reason(),
                        Reason::CacheCorrupt,
                        "{name} bit {bit}: {error}"
                    );
                }
                let verified = Cache::open(dir.path()).and_then(|cache| cache.verify());
                // White space between the values of a manifest may change.
                let harmless =
                    name == "manifest.json" && damaged.trim_ascii() == whole.trim_ascii();
                let blank = |byte: u8| byte.is_ascii_whitespace();
                let spacing =
                    name == "manifest.json" && blank(whole[bit / 8]) && blank(damaged[bit / 8]);
                assert!(verified.is_err() || harmless || spacing, "{name} bit {bit}");
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn junk_in_the_columns_never_panics(
        junk in prop::collection::vec(any::<u8>(), 1..40), at in 0..10_000_usize, which in 0..8_usize, query in query(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        dense_example().build(dir.path()).unwrap();
        let all: Vec<_> = files(dir.path()).into_iter().filter(|(name, _)| name != "manifest.json").collect();
        let (name, mut bytes) = all[which % all.len()].clone();
        let at = at % bytes.len();
        for (place, byte) in bytes[at..].iter_mut().zip(&junk) {
            *place = *byte;
        }
        fs_err::write(dir.path().join(name), bytes).unwrap();
        let found = Cache::open(dir.path()).and_then(|cache| cache.examples(&sae(), 1, &query));
        if let Err(error) = found {
            prop_assert_eq!(error.reason(), Reason::CacheCorrupt);
        }
    }
}
