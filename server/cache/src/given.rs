//! Windows that a caller names, read for any latent, and windows that have nothing to do with a latent.

use latentd_domain::{Example, ExampleMode, ExampleQuery, SaeName, autointerp::ExampleId};

use crate::{
    Cache, Error,
    examples::{self, Limits, Source, Taken, Window},
};

impl Cache {
    /// The windows `ids`, in their order, with the activations of `latent` on them.
    ///
    /// Fails with `UnknownSae`, `UnknownLatent`, or `UnknownWindow` if the cache has no such window.
    pub fn windows(
        &self,
        sae: &SaeName,
        latent: u32,
        ids: &[ExampleId],
    ) -> Result<Vec<Example>, Error> {
        self.guarded(Some(sae), || {
            let (_, source) = self.source(sae, latent)?;
            Ok(examples::given(&source, &self.placed(ids)?))
        })
    }

    /// The windows `ids`, in their order, with activations of 0.
    ///
    /// Fails with `UnknownWindow` if the cache has no such window.
    pub fn texts(&self, ids: &[ExampleId]) -> Result<Vec<Example>, Error> {
        self.guarded(None, || {
            Ok(examples::given(&self.silent_source(), &self.placed(ids)?))
        })
    }

    /// Whether `latent` fires in each of the windows `ids`.
    ///
    /// Fails as [`Cache::windows`].
    pub fn fires_in(
        &self,
        sae: &SaeName,
        latent: u32,
        ids: &[ExampleId],
    ) -> Result<Vec<bool>, Error> {
        self.guarded(Some(sae), || {
            let (_, source) = self.source(sae, latent)?;
            Ok(examples::fires(&source, &self.placed(ids)?))
        })
    }

    /// Windows at random places of the whole cache, whichever latents fire in them: `count` of them, placed and seeded as
    /// `query` says, none with a token of `exclude`. No two overlap or have the same text; activations are 0. They are what
    /// texts of all latents can be compared with, and so embedded once.
    pub fn pool(&self, query: &ExampleQuery, exclude: &[ExampleId]) -> Result<Vec<Example>, Error> {
        let query = ExampleQuery {
            mode: ExampleMode::NonActivating,
            ..*query
        };
        self.guarded(None, || {
            let source = Source {
                excluded: self.tokens_of(exclude),
                ..self.silent_source()
            };
            examples::read(&source, &query)
        })
    }

    /// A latent without shards fires nowhere, so every window is one of those in which it is silent.
    fn silent_source(&self) -> Source<'_> {
        Source {
            tokens: self.tokens(),
            shards: &[],
            dir: self.dir(),
            latent: 0,
            max_activation: 0.0,
            limits: Limits::default(),
            excluded: Taken::default(),
        }
    }

    fn placed(&self, ids: &[ExampleId]) -> Result<Vec<Window>, Error> {
        let placed = |&id: &ExampleId| {
            let row_len = self.tokens().row_len(id.row);
            let within = id
                .start
                .checked_add(id.len)
                .is_some_and(|end| end <= row_len);
            // Row numbers have 32 bits in every cache.
            let row = u32::try_from(id.row).ok().filter(|_| within && id.len > 0);
            row.map(|row| Window {
                row,
                start: id.start,
                len: id.len,
                peak_position: id.start,
                peak: 0.0,
            })
            .ok_or(Error::UnknownWindow { id })
        };
        ids.iter().map(placed).collect()
    }
}
