//! SearchExplanations: by words, or by meaning.

use latentd_proto::v1 as proto;
use serde::Serialize;

use super::Explanation;
use crate::{Client, Result, client::stub, retry::Repeat};

/// How explanations are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// By meaning where a sentence encoder is resident, else by words.
    #[default]
    Auto,
    /// By words: English full text, in the syntax of web searches.
    Words,
    /// By meaning: cosine of sentence embeddings.
    Meaning,
}

/// What to search for.
#[derive(Clone, Debug)]
#[must_use]
pub struct SearchRequest(proto::SearchExplanationsRequest);

impl SearchRequest {
    /// Explanations that are about `query`.
    pub fn new(query: impl Into<String>) -> Self {
        Self(proto::SearchExplanationsRequest {
            query: query.into(),
            ..Default::default()
        })
    }

    /// Only of this SAE: `{model}/{sae}`, or the full resource name.
    pub fn sae(mut self, sae: impl Into<String>) -> Self {
        self.0.sae = sae.into();
        self
    }

    /// Most explanations to return; 20 unless set.
    pub fn limit(mut self, limit: u32) -> Self {
        self.0.limit = limit;
        self
    }

    /// How to search.
    pub fn mode(mut self, mode: SearchMode) -> Self {
        self.0.set_mode(match mode {
            SearchMode::Auto => proto::SearchMode::Unspecified,
            SearchMode::Words => proto::SearchMode::Words,
            SearchMode::Meaning => proto::SearchMode::Meaning,
        });
        self
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchResults {
    /// Explanations with their relevance, best first.
    pub explanations: Vec<Explanation>,
    /// How they were found.
    pub mode: SearchMode,
}

impl Client {
    /// Finds explanations by their words or their meaning.
    pub async fn search_explanations(&self, request: SearchRequest) -> Result<SearchResults> {
        let reply = self.call(Repeat::Always, request.0, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .search_explanations(request)
                .await
        });
        Ok(reply.await?.into())
    }
}

impl From<proto::SearchExplanationsResponse> for SearchResults {
    fn from(reply: proto::SearchExplanationsResponse) -> Self {
        Self {
            mode: match reply.mode() {
                proto::SearchMode::Unspecified => SearchMode::Auto,
                proto::SearchMode::Words => SearchMode::Words,
                proto::SearchMode::Meaning => SearchMode::Meaning,
            },
            explanations: reply
                .explanations
                .into_iter()
                .map(Explanation::from)
                .collect(),
        }
    }
}
