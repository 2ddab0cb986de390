//! CreateExplanation, GetExplanation, ListExplanations, DeleteExplanation.

use futures::TryStreamExt;
use latentd_client::{Explanation, ExplanationFilter, ScorerKind};
use latentd_domain::Reason;

use crate::harness::server::{RELU, SAE, small};

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_is_kept_listed_and_deleted() {
    let server = small().await;
    let client = &server.client;
    let rivers = client
        .create_explanation(SAE, 7, " rivers ", "ada")
        .await
        .unwrap();
    assert_eq!((rivers.text.as_str(), rivers.latent), ("rivers", 7));
    assert_eq!(rivers.explainer, "hand");
    assert_eq!(rivers.provenance.author, "ada");
    assert!(!rivers.provenance.sae_digest.is_empty());
    let latent = "models/small/saes/topk/latents/7/explanations/";
    assert!(rivers.name.starts_with(latent), "{}", rivers.name);

    // Equal work is the same explanation.
    let again = client
        .create_explanation(SAE, 7, "rivers", "ada")
        .await
        .unwrap();
    assert_eq!(again, rivers);
    for (sae, index, text) in [(SAE, 3, "bridges"), (SAE, 7, "water"), (RELU, 7, "stones")] {
        client
            .create_explanation(sae, index, text, "")
            .await
            .unwrap();
    }

    let texts = |filter: ExplanationFilter| async {
        let listed: Vec<Explanation> = client.explanations(filter).try_collect().await.unwrap();
        let texts: Vec<String> = listed.into_iter().map(|e| e.text).collect();
        texts
    };
    let of_sae = ExplanationFilter::new().sae(SAE);
    assert_eq!(texts(of_sae.clone()).await, ["bridges", "rivers", "water"]);
    assert_eq!(texts(of_sae.clone().latents([3])).await, ["bridges"]);
    assert_eq!(
        texts(ExplanationFilter::new().explainer("hand"))
            .await
            .len(),
        4
    );
    assert!(texts(of_sae.scorer(ScorerKind::Detection)).await.is_empty());

    // The id alone names it, too.
    let id = rivers.name.rsplit('/').next().unwrap();
    assert_eq!(client.explanation(id).await.unwrap(), rivers);
    client.delete_explanation(&rivers.name).await.unwrap();
    let gone = client.explanation(id).await.unwrap_err();
    assert_eq!(gone.reason, Reason::UnknownExplanation.as_str());
    let gone = client.delete_explanation(id).await.unwrap_err();
    assert_eq!(gone.reason, Reason::UnknownExplanation.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_is_of_a_latent_that_there_is() {
    let server = small().await;
    let create = |sae: &'static str, latent, text: &'static str| {
        server.client.create_explanation(sae, latent, text, "")
    };
    let reason = |error: latentd_client::Error| error.reason;
    let unknown = create("small/nothing", 1, "x").await.unwrap_err();
    assert_eq!(reason(unknown), Reason::UnknownSae.as_str());
    let beyond = create(SAE, 96, "x").await.unwrap_err();
    assert_eq!(reason(beyond), Reason::UnknownLatent.as_str());
    let empty = create(SAE, 1, " ").await.unwrap_err();
    assert_eq!(reason(empty), Reason::InvalidRequest.as_str());
    let score = server.client.score_details("nothing").await.unwrap_err();
    assert_eq!(reason(score), Reason::UnknownScore.as_str());
}
