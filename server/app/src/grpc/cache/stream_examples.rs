//! StreamExamples: one message for each latent, in the order asked, then a summary.
//!
//! Latents are read in chunks on blocking threads, a few chunks at a time and kept in order. The first chunks are small so
//! that the first message comes at once; nothing is read ahead of what the client takes by more than those few chunks, and by
//! more than one latent only while there is memory for what all streams read ahead.

use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt, stream, stream::FuturesOrdered};
use latentd_domain::{ExampleMode, ExampleQuery};
use latentd_engine::Tokenizer;
use latentd_proto::v1::{self as pb, stream_examples_response::Event};
use tonic::Status;

use super::{
    examples_request::{Chunks, Parsed, parse},
    source::{Source, tokenizer},
};
use crate::{
    app::Shared,
    buffers::{Room, Share},
    grpc::{blocking, convert, error::Error, layers::Context, shutting_down},
};

/// Chunks of one stream that are read at once.
const IN_FLIGHT: usize = 4;
/// Bytes of a chunk, about.
const CHUNK_BYTES: usize = 2 << 20;
/// Bytes that an example takes without its tokens, and with each of them, while it waits as a message: about, and rather more.
const EXAMPLE_BYTES: usize = 256;
const TOKEN_BYTES: usize = 96;

type Response = pb::StreamExamplesResponse;

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::StreamExamplesRequest,
) -> Result<impl Stream<Item = Result<Response, Status>>, Error> {
    let Parsed {
        named,
        latents,
        query,
        omit_token_text,
    } = parse(request, &app.config.limits)?;
    let source = named.open(&app).await?;
    let latents = latents.within(&source.sae, source.d_sae, app.config.limits.max_latents)?;
    let tokenizer = if omit_token_text {
        None
    } else {
        let or = ", or ask with omit_token_text";
        Some(tokenizer(&app, &source.cache, or)?)
    };
    let cache = source.id.to_string();
    let bytes = latent_bytes(&query);
    let ahead = app.buffers.ahead.clone();
    let reader = Arc::new(Reader {
        source,
        query,
        tokenizer,
    });
    let chunks = Chunks::of(latents, CHUNK_BYTES / bytes);
    let read = move |chunk| Arc::clone(&reader).read(chunk);
    Ok(with_summary(
        app,
        cache,
        in_order(chunks, bytes, ahead, read),
    ))
}

/// Bytes that the message of one latent takes, at most about.
fn latent_bytes(query: &ExampleQuery) -> usize {
    let groups = match query.mode {
        ExampleMode::Quantile | ExampleMode::Bins => query.groups.max(1),
        _ => 1,
    };
    let example = EXAMPLE_BYTES.saturating_add(query.window.saturating_mul(TOKEN_BYTES));
    example.saturating_mul(query.count.saturating_mul(groups).max(1))
}

/// Reads chunks in order, several at once while `ahead` has room for them. Without, the stream goes on latent by latent, so
/// that a hundred clients that take nothing hold a hundred messages and not thousands.
fn in_order<T, F>(
    chunks: Chunks,
    bytes: usize,
    ahead: Share,
    mut read: impl FnMut(Vec<u32>) -> F,
) -> impl Stream<Item = (T, Option<Room>)>
where
    F: Future<Output = T>,
{
    let state = (chunks, FuturesOrdered::new());
    let mut begin = move |chunk, room: Option<Room>| read(chunk).map(|read| (read, room));
    stream::unfold(
        (state, move |chunks: &mut Chunks, first: bool| {
            let len = chunks.len();
            if len == 0 {
                return None;
            }
            match ahead.try_take(len.saturating_mul(bytes)) {
                Some(room) => Some(begin(chunks.take(), Some(room))),
                None => first.then(|| begin(chunks.take_one(), None)),
            }
        }),
        |((mut chunks, mut under_way), mut begin)| async move {
            while under_way.len() < IN_FLIGHT {
                match begin(&mut chunks, under_way.is_empty()) {
                    Some(read) => under_way.push_back(read),
                    None => break,
                }
            }
            let read = under_way.next().await?;
            Some((read, ((chunks, under_way), begin)))
        },
    )
}

/// What every chunk is read with.
struct Reader {
    source: Source,
    query: ExampleQuery,
    tokenizer: Option<Arc<Tokenizer>>,
}

impl Reader {
    async fn read(self: Arc<Self>, latents: Vec<u32>) -> Result<Vec<pb::LatentExamples>, Error> {
        blocking(move || {
            let Source { cache, sae, .. } = &self.source;
            let read = |latent: u32| {
                let examples = cache.examples(sae, latent, &self.query)?;
                Ok(convert::latent_examples(
                    self.tokenizer.as_deref(),
                    examples,
                ))
            };
            latents.into_iter().map(read).collect()
        })
        .await
    }
}

/// Passes chunks on latent by latent, counts them, and ends with the totals. An error, or the server's shutdown, ends the
/// stream without.
fn with_summary(
    app: Shared,
    cache: String,
    chunks: impl Stream<Item = (Result<Vec<pb::LatentExamples>, Error>, Option<Room>)>,
) -> impl Stream<Item = Result<Response, Status>> {
    let flat = chunks.flat_map(|(chunk, room)| {
        let latents = match chunk {
            Ok(latents) => latents.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(Status::from(error))],
        };
        // The room is kept until the last latent of the chunk is taken.
        stream::iter(latents.into_iter().inspect(move |_| {
            let _ = &room;
        }))
    });
    let totals = pb::ExamplesSummary {
        cache,
        ..pb::ExamplesSummary::default()
    };
    let state = Some((Box::pin(flat), totals));
    stream::unfold(state, move |state| {
        let app = Arc::clone(&app);
        async move {
            let (mut latents, mut totals) = state?;
            if app.life.is_draining() {
                return Some((Err(shutting_down()), None));
            }
            match latents.next().await {
                Some(Ok(latent)) => {
                    totals.latents += 1;
                    totals.examples += latent.examples.len() as u64;
                    totals.silent_latents += u32::from(latent.firing_tokens == 0);
                    Some((Ok(response(Event::Latent(latent))), Some((latents, totals))))
                }
                Some(Err(status)) => Some((Err(status), None)),
                None => Some((Ok(response(Event::Summary(totals))), None)),
            }
        }
    })
}

fn response(event: Event) -> Response {
    Response { event: Some(event) }
}

#[cfg(test)]
mod tests {
    use latentd_domain::autointerp::Latents;

    use super::*;
    use crate::buffers::Buffers;

    #[tokio::test]
    async fn without_room_a_stream_goes_on_latent_by_latent() {
        let ahead = Buffers::new(4000).ahead;
        let read = |chunk: Vec<u32>| async move { chunk };
        let all = |share: Share| in_order(Chunks::of(Latents::Range(0, 20), 32), 100, share, read);
        let quick: Vec<_> = all(ahead.clone())
            .map(|(chunk, _)| chunk.len())
            .collect()
            .await;
        // Eight latents wait until those before them were taken, and then find room.
        assert_eq!(quick, [1, 2, 4, 8, 5]);
        // Others hold all the room.
        let held = ahead.try_take(1000);
        let slow: Vec<Vec<u32>> = all(ahead).map(|(chunk, _)| chunk).collect().await;
        let one_by_one: Vec<Vec<u32>> = (0..20).map(|latent| vec![latent]).collect();
        assert_eq!(slow, one_by_one);
        drop(held);
    }
}
