//! Several servers on one database: those that can work on a job do, and those that cannot do no harm.

use latentd_client::{ExplainRequest, Explainer, JobState, ScorerKind};
use latentd_store::test_support::DataDir;

use super::explain;
use crate::harness::{
    endpoint,
    server::{self, SAE},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_cache_leaves_the_job_to_others() {
    let (able, latents) = explain::with_cache().await;
    // On another disk: the cache is not there.
    let unable = server::on(DataDir::new(), able.database_url.clone(), &[]).await;
    let endpoint = endpoint::start().await;
    endpoint::register(&able, "fake", &endpoint).await;
    // Whoever leads the job, and whoever claims its items first.
    for seed in 0..4 {
        let request = ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
            .scorer(ScorerKind::Detection)
            .examples(endpoint::few().seed(seed));
        let job = able.client.explain(request).await.unwrap();
        let job = unable.client.wait_job(&job.name).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
        assert_eq!((job.progress.failed, job.progress.skipped), (0, 0));
    }
}
