//! Lists in pages: where the next one begins, as a token that only this module can read.
//!
//! A page begins after a key, not at an offset, so rows that come and go between two pages neither repeat nor hide others.

use crate::Error;

/// Rows of a page if the client does not say.
pub const DEFAULT_SIZE: u32 = 100;
/// Most rows of a page, whatever the client says.
pub const MAX_SIZE: u32 = 1000;

/// Which page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Most rows to return; 0 takes [`DEFAULT_SIZE`], more than [`MAX_SIZE`] takes that.
    pub size: u32,
    /// Token of the page, from the one before; empty for the first.
    pub token: String,
}

impl Page {
    /// Rows to read: one more than the page holds, which tells whether there is another page.
    pub(crate) fn limit(&self) -> i64 {
        i64::from(self.rows()) + 1
    }

    fn rows(&self) -> u32 {
        if self.size == 0 {
            DEFAULT_SIZE
        } else {
            self.size.min(MAX_SIZE)
        }
    }

    /// The key that the page begins after; `None` for the first page.
    pub(crate) fn after(&self, list: &str) -> Result<Option<String>, Error> {
        if self.token.is_empty() {
            return Ok(None);
        }
        decode(list, &self.token)
            .map(Some)
            .ok_or(Error::InvalidPageToken)
    }

    /// Cuts what [`Page::limit`] allowed to be read down to the page, and makes the token of the next one.
    pub(crate) fn cut<T>(
        &self,
        list: &str,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Listed<T> {
        let rows = self.rows() as usize;
        let more = items.len() > rows;
        items.truncate(rows);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| encode(list, &key(last)))
            .unwrap_or_default();
        Listed {
            items,
            next_page_token: next,
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub next_page_token: String,
}

/// `list` names the list and its filters: a token for one list is not valid for another.
fn encode(list: &str, key: &str) -> String {
    let check = checksum(list, key).to_be_bytes();
    check
        .iter()
        .chain(key.as_bytes())
        .fold(String::new(), |mut hex, byte| {
            hex.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
            );
            hex
        })
}

fn decode(list: &str, token: &str) -> Option<String> {
    if !token.is_ascii() || token.len() > 1024 || !token.len().is_multiple_of(2) {
        return None;
    }
    let digits: Option<Vec<u8>> = token
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    let (check, key) = bytes.split_first_chunk::<8>()?;
    let key = std::str::from_utf8(key).ok()?;
    (checksum(list, key) == u64::from_be_bytes(*check)).then(|| key.to_owned())
}

/// FNV-1a (Fowler, Noll, Vo): not a secret, but no token passes that was damaged or made for another list.
fn checksum(list: &str, key: &str) -> u64 {
    list.bytes()
        .chain([0])
        .chain(key.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_by_its_own_list_alone() {
        let token = encode("jobs queued", "2026-01-01|abc");
        assert_eq!(
            decode("jobs queued", &token).as_deref(),
            Some("2026-01-01|abc")
        );
        assert_eq!(decode("jobs running", &token), None);
    }

    #[test]
    fn damaged_tokens_are_refused() {
        let token = encode("caches", "brown");
        for end in 0..token.len() {
            assert_eq!(decode("caches", &token[..end]), None, "cut at {end}");
        }
        for at in 0..token.len() {
            for other in ["0", "7", "f", "g", "é"] {
                let mut damaged = token.clone();
                damaged.replace_range(at..=at, other);
                assert!(
                    damaged == token || decode("caches", &damaged).is_none(),
                    "{damaged}"
                );
            }
        }
        assert_eq!(decode("caches", &"0".repeat(4096)), None);
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page {
            size: 2,
            token: String::new(),
        };
        let listed = page.cut("n", vec![1, 2, 3], ToString::to_string);
        assert_eq!(listed.items, [1, 2]);
        let next = Page {
            size: 2,
            token: listed.next_page_token,
        };
        assert_eq!(next.after("n").unwrap().as_deref(), Some("2"));
        assert_eq!(
            next.cut("n", vec![3], ToString::to_string).next_page_token,
            ""
        );
        assert_eq!(
            Page {
                size: 1_000_000,
                token: String::new()
            }
            .limit(),
            i64::from(MAX_SIZE) + 1
        );
    }
}
