//! StreamExamples: one message for each latent, in the order asked, then a summary.
//!
//! Latents are read in chunks on blocking threads, a few chunks at a time and kept in order. The first chunks are small so
//! that the first message comes at once; nothing is read ahead of what the client takes by more than those few chunks.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use latentd_domain::ExampleQuery;
use latentd_engine::Tokenizer;
use latentd_proto::v1::{self as pb, stream_examples_response::Event};
use tonic::Status;

use super::{
    examples_request::{Parsed, chunks, parse},
    source::{Source, tokenizer},
};
use crate::{
    app::Shared,
    grpc::{blocking, convert, error::Error, layers::Context, shutting_down},
};

/// Chunks of one stream that are read at once.
const IN_FLIGHT: usize = 4;

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
    let reader = Arc::new(Reader {
        source,
        query,
        tokenizer,
    });
    let chunks = stream::iter(chunks(latents))
        .map(move |chunk| Arc::clone(&reader).read(chunk))
        .buffered(IN_FLIGHT);
    Ok(with_summary(app, cache, chunks))
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
    chunks: impl Stream<Item = Result<Vec<pb::LatentExamples>, Error>>,
) -> impl Stream<Item = Result<Response, Status>> {
    let flat = chunks.flat_map(|chunk| match chunk {
        Ok(latents) => stream::iter(latents.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(Status::from(error))]),
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
