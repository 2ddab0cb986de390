//! Paths that lead where requests must not: secrets of the server, and files outside the folders that the configuration lists.

use std::path::Path;

use latentd_client::{BuildCacheRequest, Corpus, CorpusFormat, JobState, LoadSaeRequest};
use latentd_domain::Reason;

use super::{lives_on, refused};
use crate::harness::{
    golden, sae,
    server::{SAE, bare, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_alone_may_read_is_not_read_for_others() {
    let server = small().await;
    // The environment of the server, where keys are, and through a link that looks like a corpus.
    let link = server.path().join("corpus.txt");
    fs_err::os::unix::fs::symlink("/proc/self/environ", &link).unwrap();
    for path in ["/proc/self/environ", &link.display().to_string()] {
        let corpus = Corpus::new([path]).format(CorpusFormat::Text);
        let request = BuildCacheRequest::new(SAE, corpus);
        let job = server.client.build_cache(request).await.unwrap();
        let job = server.client.wait_job(&job.name).await.unwrap();
        assert_eq!(job.state, JobState::Failed);
        let error = job.error.unwrap();
        assert_eq!(error.reason, Reason::PathNotReadable.as_str(), "{error}");
        assert!(error.message.contains("nothing is read"), "{error}");
    }
    lives_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_name_files_in_the_roots_alone() {
    let allowed = tempfile::tempdir().unwrap();
    let roots = format!(
        "{}:{}",
        golden("models").display(),
        allowed.path().display()
    );
    let server = bare(&[("paths.roots", &roots)]).await;
    let model = golden("models/llama").display().to_string();
    server.client.load_model("small", &model).await.unwrap();
    let elsewhere = server.path().join("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    fs_err::write(elsewhere.join("text.txt"), "a text").unwrap();
    let link = allowed.path().join("link");
    fs_err::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    for path in [&elsewhere, &link] {
        let path = path.display().to_string();
        refused(
            server.client.load_model("other", &path).await,
            Reason::PathNotAllowed,
        );
        let request = LoadSaeRequest::new("small", "s", &path);
        refused(
            server.client.load_sae(request).await,
            Reason::PathNotAllowed,
        );
    }
    let folder = allowed.path().join("sae");
    sae::write(&folder, &sae::config(), 1);
    let request = LoadSaeRequest::new("small", "topk", folder.display().to_string());
    server.client.load_sae(request).await.unwrap();
    let build = |path: &Path| {
        let corpus = Corpus::new([path.display().to_string()]);
        server
            .client
            .build_cache(BuildCacheRequest::new(SAE, corpus))
    };
    let error = refused(build(&elsewhere).await, Reason::PathNotAllowed);
    assert_eq!(error.violations[0].field, "corpus.paths[0]");
    fs_err::write(allowed.path().join("text.txt"), "a text").unwrap();
    assert!(build(&allowed.path().join("text.txt")).await.is_ok());
}
