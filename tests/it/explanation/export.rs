//! ExportExplanations: the lines of a job in delphi's form and in Neuronpedia's.

use futures::TryStreamExt;
use latentd_client::{ExplainRequest, Explainer, ExportForm, ExportRequest, JobState, ScorerKind};
use serde_json::Value;

use super::explain::{run, with_cache};
use crate::harness::{
    endpoint,
    server::{SAE, TestServer},
};

async fn lines(server: &TestServer, request: ExportRequest) -> Vec<Value> {
    let lines = server.client.export_explanations(request).await.unwrap();
    let lines: Vec<String> = lines.try_collect().await.unwrap();
    assert!(lines.iter().all(|line| !line.contains('\n')));
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_exported_with_what_it_showed() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let request = ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
        .scorer(ScorerKind::Fuzzing)
        .examples(endpoint::few());
    let job = run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    // What is not of the job is left out.
    let other = server.client.create_explanation(SAE, 0, "by hand", "");
    other.await.unwrap();

    let of_job = |form| ExportRequest::new(form).job(&job.name);
    let delphi = lines(&server, of_job(ExportForm::Delphi)).await;
    assert_eq!(delphi.len(), 2 * latents.len());
    for (pair, latent) in delphi.chunks(2).zip(&latents) {
        assert_eq!(pair[0]["latent"], *latent);
        assert_eq!(pair[0]["explanation"], endpoint::EXPLANATION);
        assert_eq!(pair[1]["scorer"], "fuzz");
        let examples = pair[1]["score"].as_array().unwrap();
        assert_eq!(examples.len(), 8);
        for example in examples {
            assert_eq!(example["str_tokens"].as_array().unwrap().len(), 8);
            let activations = example["activations"].as_array().unwrap();
            let fires = activations.iter().any(|value| value.as_f64() > Some(0.0));
            assert_eq!(example["activating"], fires);
        }
    }

    let rows = lines(&server, of_job(ExportForm::Neuronpedia)).await;
    assert_eq!(rows.len(), 2 * latents.len());
    let explanation = &rows[0]["Explanation"];
    assert_eq!(explanation["modelId"], "small");
    assert_eq!(explanation["index"], latents[0].to_string());
    let score = &rows[1]["ExplanationScore"];
    assert_eq!(score["explanationId"], explanation["id"]);
    assert_eq!(score["explanationScoreTypeName"], "eleuther_fuzz");

    let all = lines(&server, ExportRequest::new(ExportForm::Delphi).sae(SAE)).await;
    assert_eq!(all.len(), delphi.len() + 1);
}
