//! Source files: their length, their headers, their words.

use super::{files, none, read};

/// A file has one idea; past this length it has several.
const LONGEST: usize = 600;

#[test]
fn files_are_short() {
    let long = ["rs", "py"].into_iter().flat_map(files).filter_map(|path| {
        let generated = path.to_string_lossy().contains("_pb2");
        let lines = read(&path).lines().count();
        (lines > LONGEST && !generated).then(|| format!("{}: {lines} lines", path.display()))
    });
    none(long.collect(), "files have at most 600 lines");
}

#[test]
fn modules_say_why_they_exist() {
    let bare = files("rs").into_iter().filter(|path| {
        !read(path).starts_with("//!") && !read(path).starts_with("#![doc = include_str!")
    });
    none(
        bare.map(|path| path.display().to_string()).collect(),
        "every Rust file begins with //!",
    );
}

#[test]
fn words_are_those_of_the_glossary() {
    // One word per concept; these lost. `feature` is also Cargo's word, so it is looked for as an identifier only.
    let losers = [
        "feature_index",
        "feature_id",
        "neuron_",
        "hookpoint",
        "hook_fn",
        "ctx_len",
        "n_ctx_",
    ];
    let mut found = Vec::new();
    for path in files("rs")
        .into_iter()
        .chain(files("sql"))
        .chain(files("proto"))
    {
        if path.ends_with("tidy/sources.rs") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            found.extend(
                losers
                    .iter()
                    .filter(|word| code.contains(*word) && !code.contains('"'))
                    .map(|word| format!("{}:{}: {word}", path.display(), number + 1)),
            );
        }
    }
    none(
        found,
        "the glossary in server/ARCHITECTURE.md has another word",
    );
}

/// Files that open what only the server itself, or whoever installed it, puts there: the database's folder and programs, and the
/// files of caches, which are mapped; and two that only tests compile.
const OPEN_THEIR_OWN: [&str; 4] = [
    "server/store/src/embedded/",
    "server/cache/src/guard.rs",
    "server/nn/src/weights/golden.rs",
    "server/nn/src/weights/robustness.rs",
];

#[test]
fn what_callers_name_is_opened_in_one_place() {
    let ways = [
        "fs_err::File::open(",
        "fs::File::open(",
        "OpenOptions::new().read(true).open(",
        "fs::read(",
        "fs_err::read(",
        "fs::read_to_string(",
        "fs_err::read_to_string(",
        "Mmap::map(",
        "MmapOptions::new(",
        "serialize_from_file(",
        "Tokenizer::from_file(",
    ];
    let mut found = Vec::new();
    for path in files("rs") {
        let name = path.to_string_lossy();
        let of_tests = name.contains("/tests/") || name.contains("tests.rs");
        let exempt =
            OPEN_THEIR_OWN.iter().any(|own| name.starts_with(own)) || name.contains("/examples/");
        let there = name.starts_with("server/files/");
        if !name.starts_with("server/") || there || of_tests || exempt {
            continue;
        }
        let text = read(&path);
        let code = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            found.extend(
                ways.iter()
                    .filter(|way| code.contains(**way))
                    .map(|way| format!("{name}:{}: {way}", number + 1)),
            );
        }
    }
    none(found, "latentd_files opens what callers name");
}

#[test]
fn what_is_renamed_outlives_a_power_cut() {
    let renames = files("rs").into_iter().filter(|path| {
        let name = path.to_string_lossy();
        let text = read(path);
        // The log of the database that ran before may be lost.
        let exempt = name.starts_with("server/files/") || name.ends_with("embedded/cluster.rs");
        let ours = name.starts_with("server/") && !name.contains("tests");
        ours && !exempt && (text.contains("fs_err::rename(") || text.contains("fs::rename("))
    });
    none(
        renames.map(|path| path.display().to_string()).collect(),
        "latentd_files renames, and syncs the folder",
    );
}

#[test]
fn nothing_is_unfinished_or_silenced() {
    let marks = [
        "todo!(",
        "unimplemented!(",
        "#[ignore]",
        "FIXME",
        "XXX",
        "allow(clippy::too_many_arguments)",
    ];
    let mut found = Vec::new();
    for path in ["rs", "py", "sql", "proto", "sh"]
        .into_iter()
        .flat_map(files)
    {
        if path.ends_with("tidy/sources.rs") {
            continue;
        }
        let text = read(&path);
        found.extend(
            marks
                .iter()
                .filter(|m| text.contains(**m))
                .map(|m| format!("{}: {m}", path.display())),
        );
    }
    none(found, "no unfinished or silenced code");
}
