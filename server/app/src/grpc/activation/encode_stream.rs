//! EncodeStream: many batches on one call. Replies come in the order of requests, a few batches are under way at once, and
//! the server reads on only as replies are taken. A batch that fails is answered with its error, and the stream goes on.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use latentd_proto::v1::{self as pb, encode_stream_response::Event, encode_stream_result::Outcome};
use tonic::{Status, Streaming};

use super::encode;
use crate::{
    app::Shared,
    grpc::{error::Error, known, layers::Context, shutting_down},
};

/// Batches of one stream that are under way at once: enough to keep the device busy while replies travel.
const IN_FLIGHT: usize = 4;

type Response = pb::EncodeStreamResponse;

pub(super) async fn handle(
    app: Shared,
    context: Context,
    requests: Streaming<pb::EncodeStreamRequest>,
) -> Result<impl Stream<Item = Result<Response, Status>>, Error> {
    let results = until_draining(Arc::clone(&app), requests)
        .map(move |request| answer(Arc::clone(&app), context.clone(), request))
        .buffered(IN_FLIGHT);
    Ok(with_summary(results))
}

/// The requests, up to the server's shutdown, which is an error at the end.
fn until_draining(
    app: Shared,
    requests: Streaming<pb::EncodeStreamRequest>,
) -> impl Stream<Item = Result<pb::EncodeStreamRequest, Status>> {
    let soft = app.life.soft().clone();
    let end = stream::once(async move { app.life.is_draining().then(|| Err(shutting_down())) });
    requests
        .take_until(soft.cancelled_owned())
        .chain(end.filter_map(std::future::ready))
}

async fn answer(
    app: Shared,
    context: Context,
    request: Result<pb::EncodeStreamRequest, Status>,
) -> Result<pb::EncodeStreamResult, Status> {
    let pb::EncodeStreamRequest { id, request } = request?;
    let request = request.unwrap_or_default();
    let outcome = match Box::pin(encode::handle(Arc::clone(&app), context, request)).await {
        Ok(response) => Outcome::Response(response),
        Err(error) => Outcome::Error(known::listed(&app, error).await.disclose().into_proto()),
    };
    Ok(pb::EncodeStreamResult {
        id,
        outcome: Some(outcome),
    })
}

/// Passes results on, counts them, and ends with the totals. An error ends the stream without.
fn with_summary(
    results: impl Stream<Item = Result<pb::EncodeStreamResult, Status>>,
) -> impl Stream<Item = Result<Response, Status>> {
    let state = Some((Box::pin(results), pb::EncodeStreamSummary::default()));
    stream::unfold(state, |state| async move {
        let (mut results, mut totals) = state?;
        match results.next().await {
            Some(Ok(result)) => {
                count(&mut totals, &result);
                Some((Ok(response(Event::Result(result))), Some((results, totals))))
            }
            Some(Err(status)) => Some((Err(status), None)),
            None => Some((Ok(response(Event::Summary(totals))), None)),
        }
    })
}

fn response(event: Event) -> Response {
    Response { event: Some(event) }
}

fn count(totals: &mut pb::EncodeStreamSummary, result: &pb::EncodeStreamResult) {
    match &result.outcome {
        Some(Outcome::Response(response)) => {
            totals.succeeded += 1;
            totals.tokens += response
                .cost
                .as_ref()
                .map_or(0, |cost| u64::from(cost.tokens));
        }
        Some(Outcome::Error(_)) | None => totals.failed += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: u64, outcome: Outcome) -> pb::EncodeStreamResult {
        pb::EncodeStreamResult {
            id,
            outcome: Some(outcome),
        }
    }

    #[tokio::test]
    async fn the_last_message_has_the_totals() {
        let response = pb::EncodeResponse {
            cost: Some(pb::Cost {
                tokens: 7,
                ..pb::Cost::default()
            }),
            ..pb::EncodeResponse::default()
        };
        let error = tonic_types::Status {
            code: 3,
            message: String::new(),
            details: vec![],
        };
        let results = [
            result(1, Outcome::Response(response)),
            result(2, Outcome::Error(error)),
        ];
        let events: Vec<_> = with_summary(stream::iter(results.map(Ok))).collect().await;
        assert_eq!(events.len(), 3);
        let last = events.into_iter().next_back().unwrap().unwrap().event;
        let totals = pb::EncodeStreamSummary {
            succeeded: 1,
            failed: 1,
            tokens: 7,
        };
        assert_eq!(last, Some(Event::Summary(totals)));
    }

    #[tokio::test]
    async fn a_broken_stream_has_no_summary() {
        let results = [Err(Status::unavailable("gone"))];
        let events: Vec<_> = with_summary(stream::iter(results)).collect().await;
        assert_eq!(events.len(), 1);
        assert!(events[0].is_err());
    }
}
