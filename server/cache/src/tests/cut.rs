//! Files that are cut short while a cache is open: an error that names them, or what was read before, and a process that lives.

use latentd_domain::{Centring, ExampleQuery, HasReason, Reason, autointerp::ExampleId};

use super::{
    dense::{MODES, files, sae},
    examples::dense_example,
};
use crate::{Cache, Error, NeighbourQuery};

/// Everything that can be read of a cache, each as a text.
fn read(cache: &Cache) -> Vec<(String, Result<String, Error>)> {
    let mut out = Vec::new();
    let mut add = |what: String, read: Result<String, Error>| out.push((what, read));
    let window = [ExampleId {
        row: 0,
        start: 0,
        len: 3,
    }];
    for latent in 0..3 {
        let mut of =
            |what: &str, read: Result<String, Error>| add(format!("{what} {latent}"), read);
        of("stats", cache.stats(&sae(), latent).map(text));
        of("windows", cache.windows(&sae(), latent, &window).map(text));
        of("fires", cache.fires_in(&sae(), latent, &window).map(text));
        let near = cache.neighbours(&sae(), latent, 2);
        of("neighbours", near.map(text));
        let together = cache.co_occurring(&sae(), &[latent], 2);
        of("together", together.map(text));
        let near = [((latent + 1) % 3, 0.5)];
        let query = NeighbourQuery::default();
        let silent = cache.silent_windows_of(&sae(), latent, &near, &query);
        of("silent", silent.map(text));
        for mode in MODES {
            let examples = cache.examples(&sae(), latent, &query_of(mode));
            of(&format!("{mode:?}"), examples.map(text));
        }
    }
    add("texts".to_owned(), cache.texts(&window).map(text));
    let pool = cache.pool(&query_of(MODES[0]), &[]);
    add("pool".to_owned(), pool.map(text));
    out
}

fn query_of(mode: latentd_domain::ExampleMode) -> ExampleQuery {
    ExampleQuery {
        mode,
        count: 6,
        groups: 3,
        window: 4,
        centring: Centring::Peak,
        seed: 0,
    }
}

fn text(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

#[test]
fn a_file_that_is_cut_short_under_an_open_cache_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    dense_example().build(dir.path()).unwrap();
    let whole: Vec<_> = read(&Cache::open(dir.path()).unwrap())
        .into_iter()
        .map(|(what, text)| (what, text.unwrap()))
        .collect();
    for (name, bytes) in files(dir.path()) {
        if name == "manifest.json" {
            continue;
        }
        let path = dir.path().join(&name);
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let cache = Cache::open(dir.path()).unwrap();
            let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(length as u64).unwrap();
            let mut refused = 0;
            for ((what, before), (_, now)) in whole.iter().zip(read(&cache)) {
                match now {
                    Ok(now) => assert_eq!(&now, before, "{what}: {name} cut to {length}"),
                    Err(error) => {
                        assert_eq!(error.reason(), Reason::CacheCorrupt, "{what}: {error}");
                        assert!(error.to_string().contains(&name), "{what}: {error}");
                        refused += 1;
                    }
                }
            }
            // Neighbours are made again, and whole.
            let made_again = name.contains("neighbours");
            let lost = bytes[length..].iter().any(|&byte| byte != 0);
            assert_eq!(refused > 0, lost && !made_again, "{name} cut to {length}");
            assert_eq!(cache.is_intact(), refused == 0, "{name} cut to {length}");
            fs_err::write(&path, &bytes).unwrap();
        }
    }
}
