//! BuildCache over files of other programs, and what the job says of those that it leaves out.

use latentd_client::{BuildCacheRequest, Corpus, Job, JobState};

use crate::harness::{
    corpus, golden,
    server::{SAE, TestServer, small},
};

async fn build(server: &TestServer, id: &str, corpus: Corpus) -> Job {
    let request = BuildCacheRequest::new(SAE, corpus)
        .cache_id(id)
        .context_length(32);
    let job = server.client.build_cache(request).await.unwrap();
    server.client.wait_job(&job.name).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_of_a_folder_is_said_by_the_job_and_its_events() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 2, 40);
    let packed = fs_err::read(golden("corpora/members.jsonl.gz")).unwrap();
    fs_err::write(folder.join("b.jsonl.gz"), packed).unwrap();
    fs_err::write(folder.join("c.csv"), "text\nleft out").unwrap();
    let folder = folder.display().to_string();
    let job = build(&server, "mixed", Corpus::new([&folder])).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(server.client.cache("mixed").await.unwrap().documents, 7);
    let [warning] = job.progress.warnings.as_slice() else {
        panic!("{:?}", job.progress.warnings)
    };
    assert!(warning.starts_with("1 of the corpus' folders"), "{warning}");
    assert!(warning.contains("c.csv"), "{warning}");
    let again = server.client.job(&job.name).await.unwrap();
    assert_eq!(again.progress.warnings, job.progress.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn datasets_and_tables_are_read_and_lists_are_refused_by_name() {
    let server = small().await;
    let path = |name: &str| golden("corpora").join(name).display().to_string();
    for (id, name, field) in [
        ("saved", "saved", "text"),
        ("arrow", "table.arrow", "nested.text"),
        ("frames", "frames.jsonl.zst", "text"),
    ] {
        let job = build(&server, id, Corpus::new([path(name)]).text_field(field)).await;
        assert_eq!(job.state, JobState::Succeeded, "{name}: {:?}", job.error);
    }
    let digest = async |id: &str| server.client.cache(id).await.unwrap().manifest_digest;
    assert_eq!(digest("saved").await, digest("arrow").await);
    assert_eq!(digest("saved").await, digest("frames").await);
    for name in ["table.parquet", "table.arrow"] {
        let id = name.replace('.', "-");
        let job = build(&server, &id, Corpus::new([path(name)]).text_field("list")).await;
        let error = job.error.unwrap();
        assert_eq!(error.reason, "MALFORMED_CORPUS");
        assert!(error.message.contains("holds lists"), "{error}");
    }
}
