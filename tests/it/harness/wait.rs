//! Waiting for a condition, never for a time.

use std::{future::Future, time::Duration};

/// Asks again and again until `condition` holds; fails after a minute.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..3000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("after a minute, still not: {what}");
}
