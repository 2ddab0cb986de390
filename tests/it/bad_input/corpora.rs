//! Corpora that cannot be read: the job fails with the reason and the place.

use std::{
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use latentd_client::{BuildCacheRequest, Corpus, CorpusFormat, Error, JobState};
use latentd_domain::Reason;

use super::lives_on;
use crate::harness::server::{SAE, TestServer, small};

/// The error that a build over the corpus ends with, whether the call or the job says it.
async fn failure(server: &TestServer, corpus: Corpus) -> Error {
    let request = BuildCacheRequest::new(SAE, corpus).context_length(32);
    match server.client.build_cache(request).await {
        Err(error) => error,
        Ok(job) => {
            let job = server.client.wait_job(&job.name).await.unwrap();
            assert_eq!(job.state, JobState::Failed);
            job.error.expect("a failed job says why")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_corpora_fail_with_the_place() {
    let server = small().await;
    let file = |name: &str, bytes: &[u8]| -> String {
        let path: PathBuf = server.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let good = "{\"text\": \"The cat sat.\"}\n";
    let cases = [
        (Corpus::new(["/nowhere/at/all"]), Reason::PathNotReadable),
        (
            Corpus::new([file("bytes.txt", b"good text \xff\xfe bad")]),
            Reason::CorpusNotUtf8,
        ),
        (
            Corpus::new([file(
                "bytes.jsonl",
                &[good.as_bytes(), b"{\"text\": \"\xff\"}\n"].concat(),
            )]),
            Reason::CorpusNotUtf8,
        ),
        (
            Corpus::new([file("lines.txt", b"one\ntwo \xff\n")]).format(CorpusFormat::Lines),
            Reason::CorpusNotUtf8,
        ),
        (
            Corpus::new([file(
                "broken.jsonl",
                format!("{good}{{\"text\": ").as_bytes(),
            )]),
            Reason::MalformedCorpus,
        ),
        (
            Corpus::new([file("field.jsonl", good.as_bytes())]).text_field("body"),
            Reason::MalformedCorpus,
        ),
        (
            Corpus::new([file("not.parquet", b"PAR1 but not really")]),
            Reason::MalformedCorpus,
        ),
        (Corpus::new([file("empty.txt", b"")]), Reason::EmptyCorpus),
    ];
    for (corpus, reason) in cases {
        let error = failure(&server, corpus).await;
        assert_eq!(error.reason, reason.as_str(), "{error}");
    }
    let jsonl = file("second.jsonl", format!("{good}oops\n").as_bytes());
    let error = failure(&server, Corpus::new([jsonl])).await;
    assert!(
        error.message.contains("second.jsonl") && error.message.contains('2'),
        "file and line: {error}"
    );
    lives_on(&server).await;
}

/// A file of blank lines holds no document at which a build could see that it was cancelled; this one has 13 GB of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_cancelled_while_it_reads() {
    let server = small().await;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b'\n'; 64 << 20]).unwrap();
    let path = server.path().join("blank.jsonl.gz");
    fs_err::write(&path, packer.finish().unwrap().repeat(200)).unwrap();
    let corpus = Corpus::new([path.display().to_string()]);
    let request = BuildCacheRequest::new(SAE, corpus).context_length(32);
    let job = server.client.build_cache(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    server.client.cancel_job(&job.name).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), server.client.wait_job(&job.name));
    let ended = ended.await.expect("the build ends soon").unwrap();
    assert_eq!(ended.state, JobState::Cancelled, "{:?}", begun.elapsed());
    lives_on(&server).await;
}
