//! What a StreamExamples asks for, read from its message, and the order in which its latents are read.

use std::ops::Range;

use latentd_domain::{Centring, ExampleMode, ExampleQuery};
use latentd_proto::v1::{self as pb, stream_examples_request::Selector};

use super::source::{Named, Source};
use crate::{
    config::Limits,
    grpc::{
        error::Error,
        latents::{check_known, check_set},
        parse::Violations,
    },
};

/// Field of listed latents.
const LISTED: &str = "latents.latents";
/// Latents in the first chunk; each one after it is twice as long, up to the next constant.
const FIRST_CHUNK: usize = 1;
/// Latents in a chunk.
const CHUNK: usize = 32;
/// Values of requests that do not say.
const DEFAULT_COUNT: u32 = 20;
const DEFAULT_GROUPS: u32 = 10;
const DEFAULT_WINDOW: u32 = 32;

/// A parsed request.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) named: Named,
    pub(super) latents: Latents,
    pub(super) query: ExampleQuery,
    pub(super) omit_token_text: bool,
}

/// Reads the message; `limits` bound it.
pub(super) fn parse(request: pb::StreamExamplesRequest, limits: &Limits) -> Result<Parsed, Error> {
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
            check_set(violations, LISTED, &latents, max);
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

/// Which latents, by index, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Latents {
    Listed(Vec<u32>),
    Range { start: u32, end: Option<u32> },
}

impl Latents {
    /// Checks them against the SAE and the limit.
    pub(super) fn within(self, source: &Source, max: usize) -> Result<Self, Error> {
        let d_sae = source.d_sae as usize;
        match self {
            Self::Listed(latents) => {
                check_known(LISTED, &latents, &source.sae, d_sae)?;
                Ok(Self::Listed(latents))
            }
            Self::Range { start, end } => {
                check_known("range.start", &[start], &source.sae, d_sae)?;
                let end = end.unwrap_or(source.d_sae);
                check_known("range.end", &[end.saturating_sub(1)], &source.sae, d_sae)?;
                let mut violations = Violations::default();
                let count = u64::from(end.saturating_sub(start));
                violations.at_most("range", count, (max as u64, "max_latents"));
                violations.check().map(|()| Self::Range {
                    start,
                    end: Some(end),
                })
            }
        }
    }

    /// Cuts them into chunks: small ones first.
    pub(super) fn chunks(self) -> Box<dyn Iterator<Item = Vec<u32>> + Send> {
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
        let status = tonic::Status::from(error);
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
