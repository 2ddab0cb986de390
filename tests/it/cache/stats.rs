//! ListLatentStats: sums over the cache, page by page.

use futures::TryStreamExt;
use latentd_client::{LatentStats, LatentStatsRequest};

use crate::harness::{
    corpus,
    sae::D_SAE,
    server::{SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn statistics_add_up() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 10, 80);
    let cache = server.build("stats", &folder).await;
    let request = LatentStatsRequest::of_sae(SAE);
    let stats: Vec<LatentStats> = server
        .client
        .latent_stats(request)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(stats.len(), D_SAE);
    assert_eq!(
        stats.iter().map(|s| s.count).sum::<u64>(),
        cache.saes[0].activations
    );
    let firing = stats.iter().filter(|s| s.count > 0).count();
    assert_eq!(firing, cache.saes[0].firing_latents as usize);
    for latent in &stats {
        assert_eq!(latent.histogram.iter().sum::<u64>(), latent.count);
        let (Some(mean), Some(max), Some(mean_square)) =
            (latent.mean, latent.max, latent.mean_square)
        else {
            // What is over nothing is absent, and not 0.
            assert_eq!((latent.mean, latent.max, latent.count), (None, None, 0));
            continue;
        };
        assert!(latent.count > 0 && mean <= f64::from(max) + 1e-6);
        assert!(mean_square >= mean * mean - 1e-6);
    }
    let some: Vec<LatentStats> = server
        .client
        .latent_stats(
            LatentStatsRequest::new("stats")
                .sae(SAE)
                .latents([4, 40])
                .without_histograms(),
        )
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        some.iter().map(|s| (s.latent, s.count)).collect::<Vec<_>>(),
        [(4, stats[4].count), (40, stats[40].count)]
    );
    assert!(some.iter().all(|s| s.histogram.is_empty()));
}
