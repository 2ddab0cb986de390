//! Going on with sequences: new tokens are added to what is kept of those before them, and questions are asked of the logits.

use rayon::prelude::*;

use super::{attention::Pasts, decoder::Decoder, taps::Recorder};
use crate::{
    error::ComputeError,
    kernels::Kernels,
    logits::{Choice, Question, answer},
    packed::PackedTokens,
    past::{Answers, ExtensionOn, PastOn},
    taps::Taps,
};

/// Logits that exist at a time, unless one row has more: 16 MiB.
const TILE: usize = 1 << 22;

impl<K: Kernels> Decoder<K> {
    /// A past with room for `capacity` tokens.
    pub(crate) fn past(&self, capacity: usize) -> PastOn<K> {
        let layers = self.parts.blocks.iter();
        PastOn::new(
            capacity,
            layers.map(|block| block.attention.past(capacity)).collect(),
        )
    }

    /// Adds new tokens to sequences and answers what is asked. On an error no past has changed.
    ///
    /// # Errors
    ///
    /// A token id that the model does not have, a sequence that becomes too long, a question to a token that is not new.
    pub(crate) fn extend(
        &self,
        extensions: &mut [ExtensionOn<'_, K>],
    ) -> Result<Vec<Answers>, ComputeError> {
        let tokens = PackedTokens::new(extensions.iter().map(|extension| extension.ids));
        self.check(&tokens)?;
        for extension in &*extensions {
            self.check_extension(extension)?;
        }
        let mut rows = Vec::new();
        let mut questions = Vec::new();
        for (range, extension) in tokens.ranges().zip(&*extensions) {
            rows.extend(extension.questions.iter().map(|q| range.start + q.row));
            questions.extend_from_slice(extension.questions);
        }
        let pasts = extensions.iter_mut().map(|extension| &mut *extension.past);
        let pasts: Vec<&mut PastOn<K>> = pasts.collect();
        let mut answers = self
            .with_buffers(|buffers| {
                let taps = Taps::default();
                let mut recorder = Recorder::to_the_end(&taps, &self.device);
                let _runs_through =
                    self.forward((&tokens, Pasts::Of(pasts)), buffers, &mut recorder);
                if rows.is_empty() {
                    return Vec::new();
                }
                K::pick(&buffers.residual, &rows, &mut buffers.picked);
                self.parts
                    .final_norm
                    .apply(&buffers.picked, &mut buffers.normed);
                self.answers(&buffers.normed, &questions)
            })
            .into_iter();
        let mut all = Vec::with_capacity(extensions.len());
        for extension in extensions {
            extension.past.advance(extension.ids);
            all.push(answers.by_ref().take(extension.questions.len()).collect());
        }
        Ok(all)
    }

    /// The answer to each question from its row of `x`, the normalised end of the residual stream.
    fn answers(&self, x: &K::Dense, questions: &[Question]) -> Answers {
        let vocab = self.parts.vocab;
        let rows_a_tile = (TILE / vocab.max(1)).max(1);
        let mut part = K::Dense::default();
        let mut answers = Vec::with_capacity(questions.len());
        for (tile, questions) in questions.chunks(rows_a_tile).enumerate() {
            let first = tile * rows_a_tile;
            let rows: Vec<usize> = (first..first + questions.len()).collect();
            K::pick(x, &rows, &mut part);
            let logits = K::unembed(&part, self.unembedding(), &self.device);
            let logits = K::host(&logits);
            let of_tile = logits.values().par_chunks(vocab.max(1)).zip(questions);
            answers.par_extend(of_tile.map(|(logits, question)| answer(logits, question)));
        }
        answers
    }

    fn check_extension(&self, extension: &ExtensionOn<'_, K>) -> Result<(), ComputeError> {
        let (vocab, context_length) = (self.parts.vocab, self.parts.context_length);
        let tokens = extension.past.length() + extension.ids.len();
        if tokens > context_length.min(extension.past.capacity()) {
            return Err(ComputeError::PromptTooLong {
                tokens,
                context_length: context_length.min(extension.past.capacity()),
            });
        }
        for question in extension.questions {
            if question.row >= extension.ids.len() {
                return Err(ComputeError::Failed {
                    detail: format!(
                        "a question to token {} of {} new ones",
                        question.row,
                        extension.ids.len()
                    ),
                });
            }
            if let Choice::Given(id) = question.choice
                && id as usize >= vocab
            {
                return Err(ComputeError::UnknownToken { id, vocab });
            }
        }
        Ok(())
    }
}
