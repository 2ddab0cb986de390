//! Text to token ids and back, exactly as transformers does it, whatever file the tokenizer comes from.
//!
//! The `tokenizers` crate does the work. Around it: a tokenizer built from GGUF metadata ([`gguf`]), beginning-of-sequence
//! tokens under the caller's control instead of the post-processor's, no truncation or padding that a file may ask for,
//! and a table of every token's text ([`text`]), because examples show millions of tokens.

mod chat;
mod definition;
mod gguf;
mod meter;
mod pieces;
#[cfg(test)]
mod tests;
mod text;
mod whole;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::OnceLock,
};

use chat::ChatTemplate;
pub use chat::{ChatError, ChatMessage};
use definition::Definition;
use latentd_domain::{TokenSequence, missing_bos};
use latentd_files::Interrupt;
use text::TokenTexts;

use crate::{
    error::{ComputeError, LoadError},
    weights::{config::SpecialIds, gguf::Gguf},
};

/// A tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    texts: TokenTexts,
    /// Whether long texts can be cut into pieces that have the same tokens.
    can_cut: bool,
    /// By id.
    special: Vec<bool>,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Tokens that end an answer.
    ends: Vec<u32>,
    chat: Result<ChatTemplate, ChatError>,
    /// Ids of tokens that are text of their own, by its first byte; made when first asked for.
    by_first_byte: OnceLock<Vec<Vec<u32>>>,
    digest: String,
}

impl Tokenizer {
    /// The tokenizer of a `tokenizer.json` on its own, without the configuration of a model beside it.
    ///
    /// # Errors
    /// [`LoadError::PathNotReadable`] and [`LoadError::MalformedTokenizer`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::from_json(path, SpecialIds::default())
    }

    /// The tokenizer of a `tokenizer.json`. Beginning and end of sequence are those of the `tokenizer_config.json` beside
    /// it; where it does not say, those of `fallback`, the model's configuration.
    pub(crate) fn from_json(path: &Path, fallback: SpecialIds) -> Result<Self, LoadError> {
        let definition = Definition::read(path)?;
        let special = definition::special_ids(path, &definition, fallback)?;
        let tokenizer = Self::new(definition, special, path)?;
        Ok(tokenizer.conversing(chat::beside(path), chat::ends_beside(path)))
    }

    /// The tokenizer of a sentence encoder. Beginning and end of sequence are the tokens that enclose a text, `[CLS]` and
    /// `[SEP]` if the `tokenizer_config.json` beside it does not name others.
    pub(crate) fn of_encoder(path: &Path) -> Result<Self, LoadError> {
        let definition = Definition::read(path)?;
        let special = definition::enclosing_ids(path, &definition)?;
        Self::new(definition, special, path)
    }

    /// The tokenizer in the metadata of a GGUF file.
    pub(crate) fn from_gguf(file: &Gguf) -> Result<Self, LoadError> {
        let path = file.checkpoint.path();
        let metadata = &file.metadata;
        let malformed = |detail| LoadError::MalformedTokenizer {
            path: path.to_owned(),
            detail,
        };
        let (definition, special) = gguf::definition(metadata, &file.head).map_err(malformed)?;
        let template = metadata
            .string("tokenizer.chat_template")
            .map_err(malformed)?;
        let template = template.map(str::to_owned).ok_or(ChatError::NoTemplate);
        let mut ends = Vec::new();
        for key in ["eot_token_id", "eom_token_id"] {
            let id = metadata.unsigned(&format!("tokenizer.ggml.{key}"));
            ends.extend(id.map_err(malformed)?.and_then(|id| u32::try_from(id).ok()));
        }
        let tokenizer = Self::new(definition, special, path)?;
        Ok(tokenizer.conversing(template, ends))
    }

    /// The same, with a chat template and more tokens that end an answer. A template that is malformed is no reason not to
    /// load a model; whoever asks for a conversation is told.
    fn conversing(mut self, template: Result<String, ChatError>, ends: Vec<u32>) -> Self {
        let text = |id: Option<u32>| id.and_then(|id| self.inner.id_to_token(id));
        let special = [text(self.bos), text(self.eos)];
        self.chat = template.and_then(|source| ChatTemplate::parse(source, special));
        for id in ends {
            if (id as usize) < self.special.len() && !self.ends.contains(&id) {
                self.ends.push(id);
            }
        }
        self
    }

    fn new(definition: Definition, special: SpecialIds, path: &Path) -> Result<Self, LoadError> {
        let malformed = |detail| LoadError::MalformedTokenizer {
            path: path.to_owned(),
            detail,
        };
        let Definition {
            inner,
            spelling,
            can_cut,
        } = definition;
        let ids = definition::ids(&inner).map_err(malformed)?;
        let texts = TokenTexts::new(&inner, spelling, ids);
        let mut is_special = vec![false; ids];
        for (id, token) in inner.get_added_tokens_decoder() {
            if let Some(flag) = is_special.get_mut(id as usize) {
                *flag = token.special;
            }
        }
        for id in [special.bos, special.eos].into_iter().flatten() {
            let flag = is_special.get_mut(id as usize).ok_or_else(|| {
                malformed(format!(
                    "the special token {id} is not below the {ids} ids that it has"
                ))
            })?;
            *flag = true;
        }
        let digest = definition::digest(&inner, special).map_err(malformed)?;
        Ok(Self {
            inner,
            texts,
            can_cut,
            special: is_special,
            bos: special.bos,
            eos: special.eos,
            ends: special.eos.into_iter().collect(),
            chat: Err(ChatError::NoTemplate),
            by_first_byte: OnceLock::new(),
            digest,
        })
    }

    /// The tokens of a text, with their places in it.
    ///
    /// Strings of special tokens in the text become those tokens, as in transformers. With `prepend_bos` the
    /// beginning-of-sequence token comes first, unless the text begins with it or the model has none. A token that is a
    /// part of a character has the byte range of the whole character.
    ///
    /// # Errors
    /// [`ComputeError::NotTokenizable`] where the tokenizer's definition has a hole, and [`ComputeError::TextTooLong`].
    pub fn encode(&self, text: &str, prepend_bos: bool) -> Result<TokenSequence, ComputeError> {
        self.encode_up_to(text, prepend_bos, usize::MAX, &Interrupt::new())
    }

    /// The tokens of [`Tokenizer::encode`], or only the first of them where there are more than `limit`: then more than `limit`
    /// come back, and the rest of the text is not looked at.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], and [`ComputeError::Interrupted`].
    pub fn encode_up_to(
        &self,
        text: &str,
        prepend_bos: bool,
        limit: usize,
        interrupt: &Interrupt,
    ) -> Result<TokenSequence, ComputeError> {
        if u32::try_from(text.len()).is_err() {
            return Err(ComputeError::TextTooLong {
                bytes: text.len(),
                limit: u32::MAX as usize,
            });
        }
        // A token for every four bytes is what texts have; one byte for a token would be the most.
        let room = (text.len() / 4).min(limit).min(pieces::PIECE) + 1;
        let mut sequence = TokenSequence {
            ids: Vec::with_capacity(room),
            byte_starts: Vec::with_capacity(room),
            byte_ends: Vec::with_capacity(room),
            special: Vec::with_capacity(room),
        };
        for (offset, piece) in self.pieces(text) {
            if sequence.ids.len() > limit {
                break;
            }
            may_go_on(piece, interrupt)?;
            let encoding = contain(|| self.inner.encode(piece, false))?;
            let mut push = |id, start, end| {
                sequence.ids.push(id);
                sequence.byte_starts.push(start as u32);
                sequence.byte_ends.push(end as u32);
                sequence.special.push(self.is_special(id));
            };
            let first = (offset == 0).then(|| self.missing_bos(encoding.get_ids(), prepend_bos));
            if let Some(bos) = first.flatten() {
                push(bos, 0, 0);
            }
            for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
                push(id, offset + start, offset + end);
            }
        }
        Ok(sequence)
    }

    /// The ids alone of [`Tokenizer::encode`], cheaper: for corpora.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_ids(&self, text: &str, prepend_bos: bool) -> Result<Vec<u32>, ComputeError> {
        self.encode_ids_until(text, prepend_bos, &Interrupt::new())
    }

    /// [`Tokenizer::encode_ids`], unless it is stopped before.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], and [`ComputeError::Interrupted`].
    pub fn encode_ids_until(
        &self,
        text: &str,
        prepend_bos: bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<u32>, ComputeError> {
        let mut ids = Vec::new();
        for (offset, piece) in self.pieces(text) {
            may_go_on(piece, interrupt)?;
            let encoding = contain(|| self.inner.encode_fast(piece, false))?;
            let first = (offset == 0).then(|| self.missing_bos(encoding.get_ids(), prepend_bos));
            ids.extend(first.flatten());
            ids.extend_from_slice(encoding.get_ids());
        }
        Ok(ids)
    }

    fn pieces<'a>(&self, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        pieces::of(text, self.can_cut)
    }

    fn missing_bos(&self, ids: &[u32], prepend_bos: bool) -> Option<u32> {
        missing_bos(self.bos.filter(|_| prepend_bos), ids)
    }

    /// The text of each token of a sequence, spaces as spaces. A character that several tokens spell is the text of the one that
    /// completes it, and the others before it have none; what is no character, because the sequence begins or ends inside one,
    /// is U+FFFD. The texts joined are the text of the sequence. Empty for an id that the tokenizer does not have.
    pub fn token_texts(&self, ids: &[u32]) -> Vec<String> {
        self.texts.in_a_row(ids)
    }

    /// The bytes of one token, which may be a part of a character. Empty for an id that the tokenizer does not have.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.texts.bytes(id)
    }

    /// The text of one token by itself, spaces as spaces; bytes that are not UTF-8 by themselves are shown as U+FFFD. Empty for
    /// an id that the tokenizer does not have. A table look-up. For tokens in a row there is [`Tokenizer::token_texts`].
    pub fn token_text(&self, id: u32) -> &str {
        self.texts.get(id)
    }

    /// Whether a token is special, such as beginning-of-sequence.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// Beginning-of-sequence token, if there is one. Its id may be 0.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// End-of-sequence token, if there is one.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Tokens that end an answer: end of sequence, and what the model's files name beside it, such as the end of a turn.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The prompt of a conversation, in the form of the model's chat template. With `add_generation_prompt` it ends where the
    /// answer begins. Its special tokens are written as text, which [`Tokenizer::encode`] turns into those tokens; it has
    /// its own beginning of sequence, if it should have one.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn chat(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        match &self.chat {
            Ok(template) => template.render(messages, add_generation_prompt),
            Err(error) => Err(error.clone()),
        }
    }

    /// The ids of all tokens that are neither special nor a part of a character, by the first byte of their text.
    pub(crate) fn ids_by_first_byte(&self) -> &[Vec<u32>] {
        self.by_first_byte.get_or_init(|| {
            let mut ids = vec![Vec::new(); 256];
            for id in (0..self.vocab() as u32).filter(|&id| !self.is_special(id)) {
                let text = self.token_text(id);
                let first = text.bytes().next().map(usize::from);
                let whole = !text.contains(char::REPLACEMENT_CHARACTER);
                if let Some(ids) = first.filter(|_| whole).and_then(|first| ids.get_mut(first)) {
                    ids.push(id);
                }
            }
            ids
        })
    }

    /// The text of a sequence of tokens, special ones left out.
    ///
    /// # Errors
    /// [`ComputeError::NotTokenizable`] where the tokenizer's definition has a hole.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ComputeError> {
        self.inner.decode(ids, true).map_err(not_tokenizable)
    }

    /// One more than the largest token id. A model's own vocabulary may be larger (padding) and never smaller.
    pub fn vocab(&self) -> usize {
        self.special.len()
    }

    /// BLAKE3 digest in hexadecimal of what the tokenizer does: its definition as the `tokenizers` crate writes it, without
    /// truncation, padding and post-processor, and its beginning and end of sequence.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Asked before each piece.
fn may_go_on(piece: &str, interrupt: &Interrupt) -> Result<(), ComputeError> {
    if piece.len() > pieces::LARGEST {
        return Err(ComputeError::TextTooLong {
            bytes: piece.len(),
            limit: pieces::LARGEST,
        });
    }
    interrupt.check().map_err(|_| ComputeError::Interrupted)
}

/// Runs the tokenizer. A pattern of its file that takes too many steps on a text makes the library panic.
fn contain<T>(encode: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, ComputeError> {
    let done = catch_unwind(AssertUnwindSafe(encode));
    let done = done.map_err(|_| ComputeError::NotTokenizable {
        detail: "a pattern of the tokenizer takes too many steps on this text".to_owned(),
    })?;
    done.map_err(not_tokenizable)
}

fn not_tokenizable(error: tokenizers::Error) -> ComputeError {
    ComputeError::NotTokenizable {
        detail: error.to_string(),
    }
}
