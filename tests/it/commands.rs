//! The command line, as a newcomer meets it: what the README and the demonstration print works when it is pasted, names that are
//! not known are answered with those that are, lists are lines for scripts, and a watch can be left.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use futures::TryStreamExt as _;
use latentd::demo;
use latentd_client::{
    BuildCacheRequest, Corpus, CreateProviderRequest, LatentStats, LatentStatsRequest,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{
    command::{Done, pipe, run, start, words},
    corpus, real, root,
    server::{SAE, TestServer, small},
};

/// Widest line that a terminal of 80 columns does not wrap.
const COLUMNS: usize = 80;

/// A server as the demonstration leaves it, with a small cache.
struct Demonstrated {
    server: TestServer,
    cache: String,
    latents: Vec<u32>,
}

impl Demonstrated {
    async fn new() -> Self {
        let server = real::server().await;
        let client = &server.client;
        let text = corpus::folder(server.path(), 4, 120).display().to_string();
        let request = BuildCacheRequest::new(real::SAE, Corpus::new([text]))
            .cache_id("demo-small")
            .context_length(64);
        let job = client.build_cache(request).await.unwrap();
        client.wait_job(&job.name).await.unwrap();
        client
            .create_provider(CreateProviderRequest::local("local", demo::MODEL_ID))
            .await
            .unwrap();
        let encoder = real::encoder().await.display().to_string();
        client.load_model(demo::ENCODER_ID, &encoder).await.unwrap();
        let request = LatentStatsRequest::new("demo-small").sae(real::SAE);
        let stats: Vec<LatentStats> = client.latent_stats(request).try_collect().await.unwrap();
        let enough = stats.iter().filter(|s| (25..60).contains(&s.count));
        let latents: Vec<u32> = enough.map(|stats| stats.latent).take(2).collect();
        assert_eq!(latents.len(), 2, "two latents with some examples");
        Self {
            server,
            cache: "demo-small".to_owned(),
            latents,
        }
    }

    async fn run(&self, words: &[String]) -> Done {
        run(&self.server.address(), self.server.path(), words).await
    }

    async fn line(&self, line: &str) -> Done {
        self.run(&words(line)).await
    }
}

/// Fails if a line would be wrapped; a word that is longer than half of it cannot be helped, and lines of
/// JSON are for programs.
fn fits(done: &Done, line: &str) {
    for text in done.out.lines().filter(|text| !text.starts_with('{')) {
        let wide = text.chars().count() > COLUMNS;
        let long_word = text
            .split(' ')
            .any(|word| word.chars().count() > COLUMNS / 2);
        assert!(
            !wide || long_word,
            "`{line}` prints a line that is too wide:\n{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_demo_and_the_readme_print_works_when_pasted() {
    let there = Demonstrated::new().await;
    let mut lines: Vec<Vec<String>> = demo::commands(real::SAE, there.latents[0], &there.cache);
    lines.extend(of_the_readme(&there.latents));
    assert!(lines.len() > 12, "{lines:?}");
    for command in lines {
        let line = command.join(" ");
        let done = there.run(&command).await;
        assert_eq!(done.code, 0, "`{line}`: {done:?}");
        assert!(!done.out.trim().is_empty(), "`{line}` says nothing");
        if command[0] != "completions" {
            fits(&done, &line);
        }
        if command[0] == "explain" {
            assert!(
                !done.out.contains(": 0 explained"),
                "`{line}`: {}",
                done.out
            );
        }
    }
}

/// The commands of the README's consoles that need nothing from elsewhere, over latents of the small cache.
fn of_the_readme(latents: &[u32]) -> Vec<Vec<String>> {
    let readme = fs_err::read_to_string(root().join("README.md")).unwrap();
    let elsewhere = [
        "demo",
        "serve",
        "psql",
        "openrouter",
        "localhost",
        "path/to",
        "SCORE",
        "FOLDER",
        "model load",
        "sae load",
        "bench",
    ];
    let consoles = readme.split("```console\n").skip(1);
    let lines = consoles
        .filter_map(|text| text.split("```").next())
        .flat_map(str::lines);
    lines
        .filter_map(|line| line.trim().strip_prefix("latentd "))
        .map(|line| line.split(" #").next().unwrap_or(line))
        // What is written into a file goes to the standard output here.
        .map(|line| line.split(" > ").next().unwrap_or(line).trim())
        .filter(|line| !elsewhere.iter().any(|word| line.contains(word)))
        .map(|line| {
            let both = format!("{},{}", latents[0], latents[1]);
            let line = line.replace("4490,2841", &both);
            let line = line.replace("2841", &latents[1].to_string());
            words(&line.replace("4490", &latents[0].to_string()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_not_known_are_answered_with_those_that_are() {
    let there = Demonstrated::new().await;
    for (line, known) in [
        ("sae get smollm2-135m/l10", "loaded: smollm2-135m/l9)"),
        (
            "encode --sae smollm2-135m/l10 hello",
            "loaded: smollm2-135m/l9)",
        ),
        ("model get smollm", "loaded: minilm, smollm2-135m)"),
        ("cache get brown", "there are: demo-small)"),
        ("examples 1 --cache brown", "there are: demo-small)"),
        ("provider get openrouter", "there are: local)"),
        ("job get nothing", "newest: "),
    ] {
        let done = there.line(line).await;
        assert_eq!(done.code, 1, "`{line}`: {done:?}");
        assert!(done.remarks.contains(known), "`{line}`: {}", done.remarks);
        assert!(
            done.remarks.contains("latentd errors UNKNOWN_"),
            "{}",
            done.remarks
        );
        assert!(
            !done.remarks.contains("models/"),
            "as commands take it: {}",
            done.remarks
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_one_object_a_line_for_scripts() {
    let there = Demonstrated::new().await;
    let stored = format!("explanations create {} {} tax", real::SAE, there.latents[0]);
    assert_eq!(there.line(&stored).await.code, 0);
    for line in [
        "model list",
        "sae list",
        "cache list",
        "cache stats demo-small --latents 1,2,3",
        "job list",
        "provider list",
        "explanations list",
        "explanations search tax",
        "model tokenize smollm2-135m one two",
        "errors",
    ] {
        let done = there.line(&format!("{line} --json")).await;
        assert_eq!(done.code, 0, "`{line}`: {done:?}");
        assert!(done.out.lines().count() > 0, "`{line}` lists something");
        for object in done.out.lines() {
            let value: serde_json::Value = serde_json::from_str(object).unwrap();
            assert!(value.is_object(), "`{line}`: {object}");
        }
        let done = there.line(line).await;
        assert_eq!(done.code, 0, "`{line}`: {done:?}");
        fits(&done, line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latent_that_is_always_on_does_not_head_a_table() {
    let there = Demonstrated::new().await;
    let heads = |done: &Done, latent: &str| {
        let rows = done.out.lines().map(str::trim_start);
        rows.filter(|row| row.starts_with(&format!("{latent} ")))
            .count()
            > 0
    };
    for line in [
        "cache stats demo-small --sort max",
        "encode --sae smollm2-135m/l9 \"The capital of France is Paris\"",
    ] {
        let done = there.line(line).await;
        assert!(!heads(&done, "1386"), "{}", done.out);
        assert!(
            done.out.contains("10 % of tokens"),
            "it is said: {}",
            done.out
        );
        let all = there.line(&format!("{line} --max-density 1")).await;
        assert!(heads(&all, "1386"), "{}", all.out);
        assert!(!all.out.contains("hidden"), "{}", all.out);
    }
    let marked = there
        .line("examples 1386 --cache demo-small --count 1")
        .await;
    assert!(marked.out.contains("almost always on"), "{}", marked.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_this_machine_are_uploaded_listed_and_deleted() {
    let server = small().await;
    let (address, home) = (server.address(), server.path());
    let texts: Vec<String> = (0..5).map(|seed| corpus::prose(seed, 30)).collect();
    let lines = texts.join("\n");
    let file = home.join("here.lines");
    fs_err::write(&file, &lines).unwrap();
    let build = format!("cache build --sae {SAE} --context-length 32");
    let upload = words(&format!(
        "{build} --id up --upload --format lines {}",
        file.display()
    ));
    let done = run(&address, home, &upload).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.remarks.contains("uploaded 5 documents as corpora/"),
        "{}",
        done.remarks
    );
    let done = pipe(
        lines,
        &address,
        home,
        &words(&format!("{build} --id in --stdin")),
    )
    .await;
    assert_eq!(done.code, 0, "{done:?}");
    let digest = async |cache| server.client.cache(cache).await.unwrap().manifest_digest;
    assert_eq!(digest("up").await, digest("in").await, "the same documents");

    // The same documents are one corpus.
    let listed = run(&address, home, &words("corpus list --json")).await;
    assert_eq!(listed.out.trim().lines().count(), 1, "{}", listed.out);
    let corpus: serde_json::Value = serde_json::from_str(listed.out.trim()).unwrap();
    let name = corpus["name"].as_str().unwrap();
    let table = run(&address, home, &words("corpus list")).await;
    assert!(table.out.contains("6 d"), "kept for a week: {}", table.out);
    let deleted = run(&address, home, &words(&format!("corpus delete {name}"))).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    let table = run(&address, home, &words("corpus list")).await;
    assert!(table.out.contains("no uploaded corpora"), "{}", table.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_left_is_no_error() {
    let server = real::server().await;
    let text = corpus::folder(server.path(), 40, 400);
    let text = text.display().to_string();
    let build = words(&format!("cache build --sae {} {text}", real::SAE));
    let (code, remarks) = left(&server.address(), server.path(), &build).await;
    assert_eq!(code, 130, "{remarks}");
    assert!(!remarks.contains("error"), "{remarks}");
    assert!(remarks.contains("latentd job watch "), "{remarks}");
}

/// Starts a command, presses Ctrl-C once it has said something, and returns its code and remarks.
async fn left(address: &str, home: &Path, words: &[String]) -> (i32, String) {
    let mut child = start(address, home, words);
    let watched = tokio::task::spawn_blocking(move || {
        let mut remarks = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        remarks.read_line(&mut text).unwrap();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        remarks.read_to_string(&mut text).unwrap();
        (child.wait().unwrap().code().unwrap(), text)
    });
    watched.await.unwrap()
}
