//! GetWindows: windows of a cache, by their ids.

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Result, client::stub, retry::Repeat};

/// A window of a cache: tokens that follow each other in a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Its id: `row:start+length`, in tokens.
    pub id: String,
    /// Document in the corpus, in the order of the cache.
    pub document: u64,
    /// Row of the cache.
    pub row: u64,
    /// Position of its first token in the row.
    pub start: u32,
    /// Token ids.
    pub ids: Vec<u32>,
    /// Text of each token.
    pub tokens: Vec<String>,
    /// Activation of the latent on each token, 0 where it does not fire; empty if no latent was named.
    pub activations: Vec<f32>,
}

/// Which windows to read.
#[derive(Clone, Debug)]
#[must_use]
pub struct WindowsRequest(proto::GetWindowsRequest);

impl WindowsRequest {
    /// The windows `ids` of `cache`, each `row:start+length`.
    pub fn new(cache: impl Into<String>, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(proto::GetWindowsRequest {
            cache: cache.into(),
            windows: ids.into_iter().map(Into::into).collect(),
            ..Default::default()
        })
    }

    /// With the activations of a latent. The SAE may be empty if the cache holds one alone.
    pub fn latent(mut self, sae: impl Into<String>, latent: u32) -> Self {
        (self.0.sae, self.0.latent) = (sae.into(), Some(latent));
        self
    }
}

impl Client {
    /// Windows of a cache, in the order asked.
    ///
    /// # Errors
    ///
    /// `INVALID_REQUEST` if the cache has no such window, `UNKNOWN_CACHE`, and `UNKNOWN_MODEL` if the tokenizer that the
    /// cache was made with is not resident.
    pub async fn windows(&self, request: WindowsRequest) -> Result<Vec<Window>> {
        let reply = self.call(Repeat::Always, request.0, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .get_windows(request)
                .await
        });
        Ok(reply.await?.windows.into_iter().map(Window::from).collect())
    }
}

impl From<proto::Window> for Window {
    fn from(window: proto::Window) -> Self {
        let proto::Window {
            id,
            document,
            row,
            start,
            ids,
            tokens,
            activations,
        } = window;
        Self {
            id,
            document,
            row,
            start,
            ids,
            tokens,
            activations,
        }
    }
}
