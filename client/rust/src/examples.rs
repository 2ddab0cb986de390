//! StreamExamples of CacheService: the text windows in which latents fire.

use std::{
    fmt,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt as _};
use latentd_proto::v1::{
    self as proto, stream_examples_request::Selector, stream_examples_response::Event,
};
use serde::Serialize;
use tonic::{Code, Streaming};

use crate::{Client, Error, Result, client::stub, retry::Repeat};

/// How examples of a latent are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExampleMode {
    /// The windows with the highest peaks, strongest first.
    #[default]
    Top,
    /// Drawn at random from slices of equal count, 0 the strongest: delphi's quantiles.
    Quantile,
    /// Drawn at random from intervals of equal width, 0 the strongest: SAEDashboard's intervals.
    Bins,
    /// Windows where the latent fires, drawn at random.
    Random,
    /// Windows where it does not fire, drawn at random.
    NonActivating,
}

/// Where a window lies around its peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Centring {
    /// The peak three quarters into the window.
    #[default]
    Peak,
    /// The row is cut into windows from its start, and the one that holds the peak is taken.
    Grid,
    /// The peak in the middle of the window.
    Middle,
}

impl From<Centring> for proto::Centring {
    fn from(centring: Centring) -> Self {
        match centring {
            Centring::Peak => Self::Peak,
            Centring::Grid => Self::Grid,
            Centring::Middle => Self::Middle,
        }
    }
}

/// A window of text, and how a latent fires in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// Document in the corpus, in the order of the cache.
    pub document: u64,
    /// Row of the cache.
    pub row: u64,
    /// Position of the window's first token in the row.
    pub start: u32,
    /// Token ids of the window.
    pub ids: Vec<u32>,
    /// Text of each token; empty if it was left out.
    pub tokens: Vec<String>,
    /// Activation of the latent on each token; 0 where it does not fire.
    pub activations: Vec<f32>,
    /// Highest activation in the window.
    pub peak: f32,
    /// Index of the peak in the window; none in mode `NonActivating`.
    pub peak_index: Option<usize>,
    /// Quantile or interval that the window was drawn from.
    pub quantile: Option<u32>,
    /// Ends of the interval, in mode `Bins`.
    pub bin: Option<(f32, f32)>,
}

impl Example {
    /// The window as one text.
    pub fn text(&self) -> String {
        self.tokens.concat()
    }
}

/// The text, with the peak between `«` and `»`.
impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, token) in self.tokens.iter().enumerate() {
            if Some(index) == self.peak_index {
                write!(f, "«{token}»")?;
            } else {
                f.write_str(token)?;
            }
        }
        Ok(())
    }
}

/// Examples of one latent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatentExamples {
    /// Index of the latent.
    pub latent: u32,
    /// Tokens of the cache on which it fires.
    pub firing_tokens: u64,
    /// Share of the cache's tokens on which it fires.
    pub density: f64,
    /// Highest activation in the cache; `None` if it never fires.
    pub max_activation: Option<f32>,
    /// The examples; windows of one latent never overlap.
    pub examples: Vec<Example>,
}

/// Totals of a call for examples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExamplesSummary {
    /// Latents that were sent.
    pub latents: u32,
    /// Examples that were sent.
    pub examples: u64,
    /// Latents that never fire in the cache.
    pub silent_latents: u32,
    /// `caches/{cache}` that was read.
    pub cache: String,
}

/// Which examples to read.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExamplesRequest(proto::StreamExamplesRequest);

impl ExamplesRequest {
    /// Examples of `latents`, in that order.
    ///
    /// They come from the cache that holds `sae`, the only one or the pinned one, unless a cache is named.
    pub fn new(sae: impl Into<String>, latents: impl IntoIterator<Item = u32>) -> Self {
        let latents = latents.into_iter().collect();
        Self::select(sae.into(), Selector::Latents(proto::LatentSet { latents }))
    }

    /// Examples of a range of latents. An end of 0 takes all of them.
    pub fn range(sae: impl Into<String>, latents: Range<u32>) -> Self {
        let Range { start, end } = latents;
        Self::select(
            sae.into(),
            Selector::Range(proto::LatentRange { start, end }),
        )
    }

    fn select(sae: String, selector: Selector) -> Self {
        Self(proto::StreamExamplesRequest {
            sae,
            selector: Some(selector),
            ..Default::default()
        })
    }

    /// The cache to read from. With one named, the SAE may be empty if the cache holds one alone.
    pub fn cache(mut self, cache: impl Into<String>) -> Self {
        self.0.cache = cache.into();
        self
    }

    /// How examples are chosen.
    pub fn mode(mut self, mode: ExampleMode) -> Self {
        self.0.set_mode(match mode {
            ExampleMode::Top => proto::ExampleMode::Top,
            ExampleMode::Quantile => proto::ExampleMode::Quantile,
            ExampleMode::Bins => proto::ExampleMode::Bins,
            ExampleMode::Random => proto::ExampleMode::Random,
            ExampleMode::NonActivating => proto::ExampleMode::NonActivating,
        });
        self
    }

    /// Examples for each latent; 20 unless set.
    pub fn count(mut self, count: u32) -> Self {
        self.0.count = count;
        self
    }

    /// Quantiles or intervals; 10 unless set.
    pub fn groups(mut self, groups: u32) -> Self {
        self.0.groups = groups;
        self
    }

    /// Tokens in a window; 32 unless set.
    pub fn window(mut self, tokens: u32) -> Self {
        self.0.window = tokens;
        self
    }

    /// Where the window lies around its peak.
    pub fn centring(mut self, centring: Centring) -> Self {
        self.0.set_centring(centring.into());
        self
    }

    /// Seed of random choices. The same seed gives the same examples.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Leaves out the text of tokens.
    pub fn without_text(mut self) -> Self {
        self.0.omit_token_text = true;
        self
    }
}

/// Examples, latent by latent, in the order asked.
#[must_use = "the server sends on only as examples are taken"]
pub struct ExampleStream {
    replies: Streaming<proto::StreamExamplesResponse>,
    summary: Option<ExamplesSummary>,
    ended: bool,
}

impl ExampleStream {
    /// The totals, once the stream has ended well.
    pub fn summary(&self) -> Option<&ExamplesSummary> {
        self.summary.as_ref()
    }

    fn event(&mut self, event: Option<Event>) -> Option<Result<LatentExamples>> {
        match event {
            Some(Event::Latent(latent)) => Some(LatentExamples::try_from(latent)),
            Some(Event::Summary(summary)) => {
                let proto::ExamplesSummary {
                    latents,
                    examples,
                    silent_latents,
                    cache,
                } = summary;
                self.summary = Some(ExamplesSummary {
                    latents,
                    examples,
                    silent_latents,
                    cache,
                });
                None
            }
            None => Some(Err(Error::malformed("a message of the stream is empty"))),
        }
    }
}

impl Stream for ExampleStream {
    type Item = Result<LatentExamples>;

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

impl fmt::Debug for ExampleStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExampleStream")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Streams the examples of latents from a cache.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_CACHE`, `CACHE_NOT_READY`, `UNKNOWN_SAE`, `UNKNOWN_LATENT`, `INVALID_REQUEST` with all violations.
    pub async fn examples(&self, request: ExamplesRequest) -> Result<ExampleStream> {
        let replies = self.call(Repeat::Always, request.0, |mut request| async {
            // A timeout of the options is for calls with one answer; this one lasts as long as its reader.
            request.metadata_mut().remove("grpc-timeout");
            stub!(self, cache_service_client::CacheServiceClient)
                .stream_examples(request)
                .await
        });
        Ok(ExampleStream {
            replies: replies.await?,
            summary: None,
            ended: false,
        })
    }
}

impl TryFrom<proto::LatentExamples> for LatentExamples {
    type Error = Error;

    fn try_from(latent: proto::LatentExamples) -> Result<Self> {
        let examples: Result<Vec<Example>> =
            latent.examples.into_iter().map(Example::try_from).collect();
        Ok(Self {
            latent: latent.latent,
            firing_tokens: latent.firing_tokens,
            density: latent.density,
            max_activation: latent.max_activation,
            examples: examples?,
        })
    }
}

impl TryFrom<proto::Example> for Example {
    type Error = Error;

    fn try_from(example: proto::Example) -> Result<Self> {
        let length = example.ids.len();
        let peak_index = example.peak_index.map(|index| index as usize);
        let texts = example.tokens.is_empty() || example.tokens.len() == length;
        if !texts || example.activations.len() != length || peak_index.is_some_and(|i| i >= length)
        {
            return Err(Error::malformed(
                "the arrays of an example have different lengths",
            ));
        }
        Ok(Self {
            document: example.document,
            row: example.row,
            start: example.start,
            ids: example.ids,
            tokens: example.tokens,
            activations: example.activations,
            peak: example.peak,
            peak_index,
            quantile: example.quantile,
            bin: example.bin_min.zip(example.bin_max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_marks_its_peak() {
        let reply = proto::Example {
            ids: vec![1, 2],
            tokens: vec![" the".into(), " end".into()],
            activations: vec![0.0, 1.0],
            peak_index: Some(1),
            ..Default::default()
        };
        let example = Example::try_from(reply.clone()).unwrap();
        assert_eq!(example.to_string(), " the« end»");
        assert_eq!(example.text(), " the end");
        let outside = proto::Example {
            peak_index: Some(2),
            ..reply.clone()
        };
        let torn = proto::Example {
            activations: vec![],
            ..reply
        };
        assert!(Example::try_from(outside).is_err() && Example::try_from(torn).is_err());
    }
}
