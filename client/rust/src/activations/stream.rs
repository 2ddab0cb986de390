//! EncodeStream: many batches on one call, with back-pressure in both directions.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt as _};
use latentd_proto::v1::{
    self as proto, encode_stream_response::Event, encode_stream_result::Outcome,
};
use serde::Serialize;
use tokio::sync::Semaphore;
use tonic::{Code, Streaming};

use super::{EncodeRequest, Encoded};
use crate::{Client, Error, Result, client::stub};

/// Batches that may be unanswered at once: enough to hide the way there and back.
const AHEAD: usize = 64;

/// The answer to one batch.
#[derive(Clone, Debug)]
pub struct EncodedBatch {
    /// Place of the batch among the requests, from 0.
    pub index: u64,
    /// The encoded batch, or why this batch failed. The stream goes on either way.
    pub result: Result<Encoded>,
}

/// Totals of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamSummary {
    /// Batches that were encoded.
    pub succeeded: u64,
    /// Batches that failed.
    pub failed: u64,
    /// Tokens that were encoded.
    pub tokens: u64,
}

/// Answers in the order of the requests. An error of the stream itself ends it.
#[must_use = "requests are taken only as answers are"]
pub struct EncodeStream {
    replies: Streaming<proto::EncodeStreamResponse>,
    /// Room for further requests.
    room: Arc<Semaphore>,
    summary: Option<StreamSummary>,
    ended: bool,
}

impl EncodeStream {
    /// The totals, once the stream has ended well.
    pub fn summary(&self) -> Option<StreamSummary> {
        self.summary
    }

    fn event(&mut self, event: Option<Event>) -> Option<Result<EncodedBatch>> {
        match event {
            Some(Event::Result(result)) => {
                self.room.add_permits(1);
                Some(batch(result))
            }
            Some(Event::Summary(proto::EncodeStreamSummary {
                succeeded,
                failed,
                tokens,
            })) => {
                self.summary = Some(StreamSummary {
                    succeeded,
                    failed,
                    tokens,
                });
                None
            }
            None => Some(Err(Error::malformed("a message of the stream is empty"))),
        }
    }
}

fn batch(result: proto::EncodeStreamResult) -> Result<EncodedBatch> {
    let index = result.id;
    let result = match result.outcome {
        Some(Outcome::Response(response)) => Encoded::try_from(response),
        Some(Outcome::Error(status)) => Err(Error::from(status)),
        None => return Err(Error::malformed("a batch has no outcome")),
    };
    Ok(EncodedBatch { index, result })
}

impl Stream for EncodeStream {
    type Item = Result<EncodedBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            let item = match ready!(self.replies.poll_next_unpin(cx)) {
                Some(Ok(message)) => self.event(message.event),
                Some(Err(status)) => Some(Err(status.into())),
                None if self.summary.is_some() => {
                    self.ended = true;
                    None
                }
                None => Some(Err(Error::local(Code::Unavailable, "the stream broke off"))),
            };
            if let Some(item) = item {
                self.ended = item.is_err();
                return Poll::Ready(Some(item));
            }
        }
        Poll::Ready(None)
    }
}

impl fmt::Debug for EncodeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodeStream")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Encodes a stream of batches on one call. Requests are taken as answers are: at most 64 are under way.
    ///
    /// Nothing is repeated: what was not answered when the stream breaks is for the caller to send again.
    pub async fn encode_stream<S>(&self, requests: S) -> Result<EncodeStream>
    where
        S: Stream<Item = EncodeRequest> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(AHEAD));
        let rooms = Arc::clone(&room);
        let messages = requests.enumerate().then(move |(index, request)| {
            let room = Arc::clone(&rooms);
            async move {
                if let Ok(permit) = room.acquire().await {
                    permit.forget();
                }
                proto::EncodeStreamRequest {
                    id: index as u64,
                    request: Some(request.into_proto()),
                }
            }
        });
        let replies = stub!(self, activation_service_client::ActivationServiceClient)
            .encode_stream(messages)
            .await?
            .into_inner();
        Ok(EncodeStream {
            replies,
            room,
            summary: None,
            ended: false,
        })
    }
}
