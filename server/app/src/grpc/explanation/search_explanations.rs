//! SearchExplanations: by words in Postgres, or by meaning with the resident sentence encoder.

use latentd_domain::{Reason, SaeName};
use latentd_proto::v1::{self as pb, SearchMode};

use super::{meaning, message};
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
    residency,
};

/// Hits if the request does not say.
const DEFAULT_LIMIT: u32 = 20;
/// Longest query, in bytes.
const MAX_QUERY: usize = 4096;

pub(super) async fn handle(
    app: Shared,
    context: Context,
    request: pb::SearchExplanationsRequest,
) -> Result<pb::SearchExplanationsResponse, Error> {
    let Parsed {
        query,
        sae,
        limit,
        mode,
    } = parse(request, app.config.limits.max_page_size)?;
    let encoder = match mode {
        SearchMode::Words => None,
        SearchMode::Meaning => Some(residency::any_sentence_encoder(&app)?),
        SearchMode::Unspecified => residency::any_sentence_encoder(&app).ok(),
    };
    let (mode, hits) = if let Some(encoder) = encoder {
        let search = meaning::Search {
            app: &app,
            encoder,
            deadline: context.deadline,
        };
        let hits = search.find(query, sae.as_ref(), limit).await?;
        (SearchMode::Meaning, hits)
    } else {
        let explanations = app.store.explanations();
        let hits = explanations.search_words(&query, sae.as_ref(), limit);
        (SearchMode::Words, hits.await?)
    };
    Ok(pb::SearchExplanationsResponse {
        explanations: hits.into_iter().map(message::hit).collect(),
        mode: mode.into(),
    })
}

#[derive(Debug)]
struct Parsed {
    query: String,
    sae: Option<SaeName>,
    limit: u32,
    mode: SearchMode,
}

fn parse(request: pb::SearchExplanationsRequest, max: usize) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    if request.query.trim().is_empty() {
        violations.add("query", Reason::InvalidRequest, "must be set");
    }
    if request.query.len() > MAX_QUERY {
        violations.invalid("query", format!("is longer than {MAX_QUERY} bytes"));
    }
    violations.at_most(
        "limit",
        u64::from(request.limit),
        (max as u64, "max_page_size"),
    );
    let parsed = Parsed {
        sae: violations.optional("sae", &request.sae),
        limit: match request.limit {
            0 => DEFAULT_LIMIT,
            given => given,
        },
        mode: violations.choice("mode", request.mode, "SearchMode"),
        query: request.query,
    };
    violations.check().map(|()| parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_words_and_a_limit() {
        let request = pb::SearchExplanationsRequest {
            query: "rivers".to_owned(),
            ..pb::SearchExplanationsRequest::default()
        };
        let parsed = parse(request.clone(), 100).unwrap();
        assert_eq!((parsed.limit, parsed.mode), (20, SearchMode::Unspecified));
        let bad = pb::SearchExplanationsRequest {
            query: " ".to_owned(),
            limit: 101,
            mode: 9,
            ..request
        };
        let error = parse(bad, 100).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidRequest);
    }
}
