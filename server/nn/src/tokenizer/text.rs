//! What each token looks like as text, in one table that is built once.

use std::{borrow::Cow, collections::HashMap, iter};

use super::whole::{self, Broken};

use serde_json::Value;

/// How a tokenizer spells bytes and spaces in its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Every byte is a printable character (GPT-2's alphabet).
    ByteLevel,
    /// A space is `▁`, and `<0x0A>` is a byte.
    SentencePiece,
    /// As it is.
    Plain,
}

impl Spelling {
    /// What the parts of a `tokenizer.json` imply.
    pub(super) fn of(tokenizer: &Value) -> Self {
        let parts: Vec<&Value> = ["decoder", "pre_tokenizer", "normalizer"]
            .into_iter()
            .filter_map(|part| tokenizer.get(part))
            .collect();
        if parts.iter().any(|part| mentions(part, "ByteLevel")) {
            Self::ByteLevel
        } else if tokenizer.pointer("/model/byte_fallback") == Some(&Value::Bool(true))
            || parts
                .iter()
                .any(|part| mentions(part, "Metaspace") || mentions(part, "▁"))
        {
            Self::SentencePiece
        } else {
            Self::Plain
        }
    }
}

/// Whether a string occurs anywhere in a value. Values from `serde_json` are at most 128 deep.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string == text,
        Value::Array(values) => values.iter().any(|value| mentions(value, text)),
        Value::Object(values) => values.values().any(|value| mentions(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The text of every token, in one string.
#[derive(Debug)]
pub(super) struct TokenTexts {
    all: String,
    /// Where each token's text ends, by id.
    ends: Vec<u32>,
    /// The bytes of tokens that are not text by themselves, by id.
    parts: HashMap<u32, Box<[u8]>>,
    broken: Broken,
}

impl TokenTexts {
    /// The texts of the tokens below `ids`.
    pub(super) fn new(inner: &tokenizers::Tokenizer, spelling: Spelling, ids: usize) -> Self {
        let added = inner.get_added_tokens_decoder();
        let bytes = byte_of_character();
        let mut all = String::new();
        let mut ends = Vec::with_capacity(ids);
        let mut parts = HashMap::new();
        for id in 0..ids as u32 {
            if let Some(token) = inner.id_to_token(id) {
                let spelled = match spelling {
                    _ if added.contains_key(&id) => Cow::Borrowed(token.as_bytes()),
                    Spelling::ByteLevel => byte_level(&token, &bytes),
                    Spelling::SentencePiece => sentence_piece(&token),
                    Spelling::Plain => Cow::Borrowed(token.as_bytes()),
                };
                let text = String::from_utf8_lossy(&spelled);
                all.push_str(&text);
                if text.as_bytes() != &*spelled {
                    parts.insert(id, Box::from(&*spelled));
                }
            }
            // A text of 4 GiB would need a file of 4 GiB, which is over the limit on files.
            ends.push(all.len() as u32);
        }
        let broken = match spelling {
            Spelling::SentencePiece => Broken::EachByte,
            Spelling::ByteLevel | Spelling::Plain => Broken::Together,
        };
        Self {
            all,
            ends,
            parts,
            broken,
        }
    }

    /// The bytes of one token; empty for an id that there is not.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        if let Some(part) = self.parts.get(&id) {
            part
        } else {
            self.get(id).as_bytes()
        }
    }

    /// The texts of tokens in a row.
    pub(super) fn in_a_row(&self, ids: &[u32]) -> Vec<String> {
        if ids.iter().any(|id| self.parts.contains_key(id)) {
            whole::texts(ids.iter().map(|&id| self.bytes(id)), self.broken)
        } else {
            ids.iter().map(|&id| self.get(id).to_owned()).collect()
        }
    }

    pub(super) fn get(&self, id: u32) -> &str {
        let id = id as usize;
        let start = match id.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or_default() as usize,
        };
        self.ends
            .get(id)
            .and_then(|&end| self.all.get(start..end as usize))
            .unwrap_or_default()
    }
}

/// The bytes that the characters of a token stand for. A token with another character is as it is.
fn byte_level<'a>(token: &'a str, bytes: &HashMap<char, u8>) -> Cow<'a, [u8]> {
    let decoded: Option<Vec<u8>> = token.chars().map(|c| bytes.get(&c).copied()).collect();
    decoded.map_or(Cow::Borrowed(token.as_bytes()), Cow::Owned)
}

fn sentence_piece(token: &str) -> Cow<'_, [u8]> {
    let byte = token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    match byte
        .filter(|hex| hex.len() == 2)
        .and_then(|hex| u8::from_str_radix(hex, 16).ok())
    {
        Some(byte) => Cow::Owned(vec![byte]),
        None if token.contains('▁') => Cow::Owned(token.replace('▁', " ").into_bytes()),
        None => Cow::Borrowed(token.as_bytes()),
    }
}

/// GPT-2's alphabet (`bytes_to_unicode` of <https://github.com/openai/gpt-2>): a printable character for each byte. Printable
/// Latin-1 bytes stand for themselves, the others for the characters from U+0100 on.
pub(super) fn alphabet() -> [char; 256] {
    let mut alphabet = ['\0'; 256];
    let mut next = 0x100;
    for (byte, character) in alphabet.iter_mut().enumerate() {
        let byte = byte as u8;
        *character = match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                let character = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
                next += 1;
                character
            }
        };
    }
    alphabet
}

fn byte_of_character() -> HashMap<char, u8> {
    iter::zip(alphabet(), 0..=u8::MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_gpt2s() {
        let alphabet = alphabet();
        assert_eq!(alphabet[usize::from(b' ')], 'Ġ');
        assert_eq!(alphabet[usize::from(b'\n')], 'Ċ');
        assert_eq!(alphabet[usize::from(b'A')], 'A');
        assert_eq!(alphabet[0xad], 'Ń');
        assert_eq!(byte_of_character().len(), 256);
    }

    #[test]
    fn tokens_are_bytes() {
        let bytes = byte_of_character();
        assert_eq!(&*byte_level("ĠParis", &bytes), b" Paris");
        assert_eq!(&*byte_level("Ã©", &bytes), "é".as_bytes());
        assert_eq!(&*byte_level("Ã", &bytes), b"\xc3");
        assert_eq!(&*byte_level("<世>", &bytes), "<世>".as_bytes());
        assert_eq!(&*sentence_piece("▁Paris"), b" Paris");
        assert_eq!(&*sentence_piece("<0x0A>"), b"\n");
        assert_eq!(&*sentence_piece("<0xFF>"), b"\xff");
        assert_eq!(&*sentence_piece("<0x>"), b"<0x>");
    }
}
