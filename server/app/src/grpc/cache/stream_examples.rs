//! StreamExamples: one message for each latent, in the order asked, then a summary.
//!
//! Latents are read in chunks on blocking threads, a few chunks at a time and kept in order. The first chunks are small so
//! that the first message comes at once; nothing is read ahead of what the client takes by more than those few chunks.

use std::{ops::Range, sync::Arc};

use futures::{Stream, StreamExt, stream};
use latentd_domain::{Centring, ExampleMode, ExampleQuery, Reason};
use latentd_engine::Tokenizer;
use latentd_proto::v1::{
    self as pb, stream_examples_request::Selector, stream_examples_response::Event,
};
use tonic::Status;

use super::source::{Named, Source};
use crate::{
    app::{App, Shared},
    config::Limits,
    grpc::{
        blocking, convert,
        error::Error,
        layers::Context,
        parse::{Violations, listed},
        shutting_down,
    },
};

/// Chunks of one stream that are read at once.
const IN_FLIGHT: usize = 4;
/// Latents in the first chunk; each one after it is twice as long, up to the next constant.
const FIRST_CHUNK: usize = 1;
/// Latents in a chunk.
const CHUNK: usize = 32;
/// Values of requests that do not say.
const DEFAULT_COUNT: u32 = 20;
const DEFAULT_GROUPS: u32 = 10;
const DEFAULT_WINDOW: u32 = 32;

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
    let latents = latents.within(&source, app.config.limits.max_latents)?;
    let tokenizer = if omit_token_text {
        None
    } else {
        Some(tokenizer(&app, &source)?)
    };
    let reader = Arc::new(Reader {
        source,
        query,
        tokenizer,
    });
    let chunks = stream::iter(latents.chunks())
        .map(move |chunk| Arc::clone(&reader).read(chunk))
        .buffered(IN_FLIGHT);
    Ok(with_summary(app, chunks))
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

/// Which latents, by index, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Latents {
    Listed(Vec<u32>),
    Range { start: u32, end: Option<u32> },
}

impl Latents {
    /// Checks them against the SAE and the limit.
    fn within(self, source: &Source, max: usize) -> Result<Self, Error> {
        let d_sae = source.d_sae;
        let mut violations = Violations::default();
        let latents = match self {
            Self::Listed(latents) => {
                let beyond: Vec<u32> = latents.iter().copied().filter(|&it| it >= d_sae).collect();
                if !beyond.is_empty() {
                    unknown(&mut violations, "latents.latents", source, &listed(&beyond));
                }
                Self::Listed(latents)
            }
            Self::Range { start, end } => {
                let end = end.unwrap_or(d_sae);
                if start >= d_sae {
                    unknown(&mut violations, "range.start", source, &start.to_string());
                } else if end > d_sae {
                    unknown(
                        &mut violations,
                        "range.end",
                        source,
                        &format!("{d_sae} to {}", end - 1),
                    );
                }
                let count = u64::from(end.saturating_sub(start));
                violations.at_most("range", count, (max as u64, "max_latents"));
                Self::Range {
                    start,
                    end: Some(end),
                }
            }
        };
        violations.check().map(|()| latents)
    }

    /// Cuts them into chunks: small ones first.
    fn chunks(self) -> Box<dyn Iterator<Item = Vec<u32>> + Send> {
        match self {
            Self::Listed(latents) => {
                let bounds = chunk_bounds(latents.len());
                Box::new(bounds.map(move |range| latents.get(range).unwrap_or_default().to_vec()))
            }
            Self::Range { start, end } => {
                let count = end.unwrap_or(start).saturating_sub(start) as usize;
                Box::new(
                    chunk_bounds(count)
                        .map(move |range| range.map(|offset| start + offset as u32).collect()),
                )
            }
        }
    }
}

fn chunk_bounds(count: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let mut size = FIRST_CHUNK;
    std::iter::from_fn(move || {
        let range = start..count.min(start + size);
        start = range.end;
        size = CHUNK.min(size * 2);
        (!range.is_empty()).then_some(range)
    })
}

fn unknown(violations: &mut Violations, field: &str, source: &Source, which: &str) {
    let Source { sae, d_sae, .. } = source;
    let description = format!("{sae} has {d_sae} latents, numbered from 0; not {which}");
    violations.add(field, Reason::UnknownLatent, description);
}

/// The tokenizer that the cache was made with, for the text of tokens.
fn tokenizer(app: &App, source: &Source) -> Result<Arc<Tokenizer>, Error> {
    let record = &source.cache.manifest().model;
    let catalog = app.engine.catalog();
    let model = catalog.models.get(&record.name);
    let same = model.filter(|entry| entry.tokenizer.digest() == record.tokenizer_digest);
    same.map(|entry| Arc::clone(&entry.tokenizer)).ok_or_else(|| {
        let message = format!(
            "the text of tokens needs the tokenizer of {}, which is not resident as it was when the cache was built; \
             load it, or ask with omit_token_text",
            record.name
        );
        Error::new(Reason::UnknownModel, message)
    })
}

#[derive(Debug)]
struct Parsed {
    named: Named,
    latents: Latents,
    query: ExampleQuery,
    omit_token_text: bool,
}

fn parse(request: pb::StreamExamplesRequest, limits: &Limits) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let named = Named::parse(&mut violations, &request.cache, &request.sae);
    let latents = selector(&mut violations, request.selector, limits.max_latents);
    let or = |given: u32, default| if given == 0 { default } else { given };
    let query = ExampleQuery {
        mode: mode(&mut violations, request.mode),
        count: or(request.count, DEFAULT_COUNT) as usize,
        groups: or(request.groups, DEFAULT_GROUPS) as usize,
        window: or(request.window, DEFAULT_WINDOW) as usize,
        centring: centring(&mut violations, request.centring),
        seed: request.seed,
    };
    let max_examples = (limits.max_examples as u64, "max_examples");
    violations.at_most("count", query.count as u64, max_examples);
    violations.at_most("groups", query.groups as u64, max_examples);
    violations.at_most(
        "window",
        query.window as u64,
        (limits.max_window as u64, "max_window"),
    );
    let omit_token_text = request.omit_token_text;
    violations.finish(latents.map(|latents| Parsed {
        named,
        latents,
        query,
        omit_token_text,
    }))
}

fn selector(
    violations: &mut Violations,
    selector: Option<Selector>,
    max: usize,
) -> Option<Latents> {
    match selector {
        None => {
            violations.invalid("selector", "one of latents and range must be set");
            None
        }
        Some(Selector::Latents(pb::LatentSet { latents })) => {
            if latents.is_empty() {
                violations.invalid("latents.latents", "at least one latent is needed");
            }
            violations.at_most(
                "latents.latents",
                latents.len() as u64,
                (max as u64, "max_latents"),
            );
            let mut sorted = latents.clone();
            sorted.sort_unstable();
            let twice = sorted
                .iter()
                .zip(sorted.iter().skip(1))
                .filter(|(a, b)| a == b);
            let mut twice: Vec<u32> = twice.map(|(&latent, _)| latent).collect();
            twice.dedup();
            if !twice.is_empty() {
                let description = format!("these are there twice: {}", listed(&twice));
                violations.invalid("latents.latents", description);
            }
            Some(Latents::Listed(latents))
        }
        Some(Selector::Range(pb::LatentRange { start, end })) => {
            if end != 0 && end <= start {
                violations.invalid(
                    "range.end",
                    format!("{end} is not above the start, {start}"),
                );
            }
            Some(Latents::Range {
                start,
                end: (end != 0).then_some(end),
            })
        }
    }
}

fn mode(violations: &mut Violations, value: i32) -> ExampleMode {
    match pb::ExampleMode::try_from(value) {
        Ok(pb::ExampleMode::Unspecified | pb::ExampleMode::Top) => ExampleMode::Top,
        Ok(pb::ExampleMode::Quantile) => ExampleMode::Quantile,
        Ok(pb::ExampleMode::Bins) => ExampleMode::Bins,
        Ok(pb::ExampleMode::Random) => ExampleMode::Random,
        Ok(pb::ExampleMode::NonActivating) => ExampleMode::NonActivating,
        Err(_) => {
            violations.invalid("mode", format!("{value} is no value of ExampleMode"));
            ExampleMode::Top
        }
    }
}

fn centring(violations: &mut Violations, value: i32) -> Centring {
    match pb::Centring::try_from(value) {
        Ok(pb::Centring::Unspecified | pb::Centring::Peak) => Centring::Peak,
        Ok(pb::Centring::Grid) => Centring::Grid,
        Ok(pb::Centring::Middle) => Centring::Middle,
        Err(_) => {
            violations.invalid("centring", format!("{value} is no value of Centring"));
            Centring::Peak
        }
    }
}

/// Passes chunks on latent by latent, counts them, and ends with the totals. An error, or the server's shutdown, ends the
/// stream without.
fn with_summary(
    app: Shared,
    chunks: impl Stream<Item = Result<Vec<pb::LatentExamples>, Error>>,
) -> impl Stream<Item = Result<Response, Status>> {
    let flat = chunks.flat_map(|chunk| match chunk {
        Ok(latents) => stream::iter(latents.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(Status::from(error))]),
    });
    let state = Some((Box::pin(flat), pb::ExamplesSummary::default()));
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
    use super::*;
    use crate::config::Config;

    fn limits() -> Limits {
        Config::with_data_dir(std::path::Path::new("/nowhere"))
            .unwrap()
            .limits
    }

    #[test]
    fn chunks_begin_small_and_miss_nothing() {
        for count in [0, 1, 2, 7, 100, 1000] {
            let all: Vec<usize> = chunk_bounds(count).flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
        let sizes: Vec<usize> = chunk_bounds(100).map(|range| range.len()).collect();
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 32, 5]);
        let chunks: Vec<u32> = Latents::Range {
            start: 5,
            end: Some(9),
        }
        .chunks()
        .flatten()
        .collect();
        assert_eq!(chunks, [5, 6, 7, 8]);
    }

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::StreamExamplesRequest {
            selector: Some(Selector::Latents(pb::LatentSet {
                latents: vec![1, 1],
            })),
            mode: 99,
            centring: 99,
            count: 1 << 30,
            groups: 1 << 30,
            window: 1 << 30,
            ..pb::StreamExamplesRequest::default()
        };
        let error = parse(request, &limits()).unwrap_err();
        let status = Status::from(error);
        let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
        let names: Vec<&str> = details
            .field_violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        let expected = [
            "cache",
            "latents.latents",
            "mode",
            "centring",
            "count",
            "groups",
            "window",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn zeros_take_the_defaults() {
        let request = pb::StreamExamplesRequest {
            cache: "c".to_owned(),
            selector: Some(Selector::Range(pb::LatentRange { start: 0, end: 0 })),
            ..pb::StreamExamplesRequest::default()
        };
        let parsed = parse(request, &limits()).unwrap();
        assert_eq!(
            (parsed.query.count, parsed.query.groups, parsed.query.window),
            (20, 10, 32)
        );
        assert_eq!(
            parsed.latents,
            Latents::Range {
                start: 0,
                end: None
            }
        );
    }
}
