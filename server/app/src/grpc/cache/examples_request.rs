//! What a StreamExamples asks for, read from its message, and the order in which its latents are read.

use std::ops::Range;

use latentd_domain::{ExampleMode, ExampleQuery, autointerp::Latents};
use latentd_proto::v1::{self as pb, stream_examples_request::Selector};

use super::source::Named;
use crate::{
    config::Limits,
    grpc::{error::Error, latents::Asked, parse::Violations},
};

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
    pub(super) latents: Asked,
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
        centring: violations.centring("centring", request.centring),
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

fn selector(violations: &mut Violations, selector: Option<Selector>, max: usize) -> Option<Asked> {
    match selector {
        None => {
            violations.invalid("selector", "one of latents and range must be set");
            None
        }
        Some(Selector::Latents(set)) => Some(Asked::listed(violations, set, max)),
        Some(Selector::Range(range)) => Some(Asked::range(violations, range)),
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

/// Latents cut into chunks: small ones first.
pub(super) struct Chunks {
    latents: Latents,
    next: usize,
    size: usize,
    largest: usize,
}

impl Chunks {
    /// `largest` bounds a chunk further.
    pub(super) fn of(latents: Latents, largest: usize) -> Self {
        let largest = largest.clamp(1, CHUNK);
        Self {
            latents,
            next: 0,
            size: FIRST_CHUNK,
            largest,
        }
    }

    /// Latents of the next chunk; 0 at the end.
    pub(super) fn len(&self) -> usize {
        self.size.min(self.latents.len() - self.next)
    }

    /// Takes the next chunk.
    pub(super) fn take(&mut self) -> Vec<u32> {
        let range = self.range(self.len());
        self.size = self.largest.min(self.size * 2);
        self.get(range)
    }

    /// Takes a chunk of one latent.
    pub(super) fn take_one(&mut self) -> Vec<u32> {
        let range = self.range(self.len().min(1));
        self.get(range)
    }

    fn range(&mut self, len: usize) -> Range<usize> {
        let start = self.next;
        self.next += len;
        start..self.next
    }

    fn get(&self, range: Range<usize>) -> Vec<u32> {
        range.filter_map(|index| self.latents.get(index)).collect()
    }
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
        let all = |latents, largest| {
            let mut chunks = Chunks::of(latents, largest);
            std::iter::from_fn(move || Some(chunks.take()).filter(|chunk| !chunk.is_empty()))
        };
        for count in [0, 1, 2, 7, 100, 1000] {
            let latents: Vec<u32> = all(Latents::Range(0, count), 32).flatten().collect();
            assert_eq!(latents, (0..count).collect::<Vec<_>>());
        }
        let sizes = |largest| -> Vec<usize> {
            all(Latents::Range(0, 100), largest)
                .map(|chunk| chunk.len())
                .collect()
        };
        assert_eq!(sizes(1000), [1, 2, 4, 8, 16, 32, 32, 5]);
        assert_eq!(sizes(3)[..4], [1, 2, 3, 3]);
        let listed: Vec<u32> = all(Latents::List(vec![9, 2, 5]), 32).flatten().collect();
        assert_eq!(listed, [9, 2, 5]);
        let mut chunks = Chunks::of(Latents::Range(5, 9), 32);
        assert_eq!((chunks.take_one(), chunks.take_one()), (vec![5], vec![6]));
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
            Asked::Range {
                start: 0,
                end: None
            }
        );
    }
}
