//! SaeService.

use futures::TryStreamExt;

use crate::harness::{
    sae::{D_IN, D_SAE},
    server::{RELU, SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn saes_are_described_with_their_self_test() {
    let server = small().await;
    let sae = server.client.sae(SAE).await.unwrap();
    assert_eq!(
        (sae.d_in as usize, sae.d_sae as usize, sae.k),
        (D_IN, D_SAE, Some(6))
    );
    assert_eq!(sae.hook_point, "blocks.1.hook_resid_post");
    let test = sae.self_test.as_ref().expect("every SAE is tested at load");
    assert!(
        test.l0 > 0.0 && test.l0 <= 6.0 && test.fvu.is_finite() && test.tokens > 100,
        "{test:?}"
    );
    assert_eq!(test.declared_l0, Some(6.0));
    let listed: Vec<_> = server
        .client
        .saes(Some("small"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        listed.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["models/small/saes/relu", "models/small/saes/topk"]
    );
    assert!(server.client.unload_sae(RELU).await.unwrap() > 0);
    assert_eq!(
        server.client.sae(RELU).await.unwrap_err().reason,
        "UNKNOWN_SAE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latent_has_norms_logits_and_neighbours() {
    let server = small().await;
    let latent = server.client.latent(&format!("{SAE}/5"), 4).await.unwrap();
    assert_eq!(latent.name, "models/small/saes/topk/latents/5");
    assert_eq!(
        (
            latent.top_logits.len(),
            latent.bottom_logits.len(),
            latent.neighbours.len()
        ),
        (4, 4, 4)
    );
    assert!(latent.top_logits.is_sorted_by(|a, b| a.logit >= b.logit));
    assert!(latent.bottom_logits.is_sorted_by(|a, b| a.logit <= b.logit));
    assert!(
        latent
            .neighbours
            .iter()
            .all(|n| n.latent != 5 && n.cosine.abs() <= 1.0001)
    );
    let error = server
        .client
        .latent(&format!("{SAE}/{D_SAE}"), 4)
        .await
        .unwrap_err();
    assert_eq!(error.reason, "UNKNOWN_LATENT");
}
