//! Pages of List calls: `page_size` within the limits, and a `page_token` that says after which key to go on.

use super::{error::Error, parse::Violations};

/// Page size of a request that names none.
const DEFAULT: usize = 100;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Entries to return at most.
    pub(crate) size: usize,
    /// Go on after this key; `None` begins with the first entry.
    pub(crate) after: Option<String>,
}

impl Page {
    /// Reads `page_size` and `page_token`. A size over `max` is taken as `max`, as AIP-158 asks.
    pub(crate) fn parse(
        violations: &mut Violations,
        page_size: i32,
        page_token: &str,
        max: usize,
    ) -> Self {
        if page_size < 0 {
            violations.invalid("page_size", "must not be negative");
        }
        let size = match usize::try_from(page_size).unwrap_or_default() {
            0 => DEFAULT,
            size => size,
        };
        let after = (!page_token.is_empty())
            .then(|| decode(page_token))
            .flatten();
        if after.is_none() && !page_token.is_empty() {
            violations.invalid("page_token", "is not a token of this server");
        }
        Self {
            size: size.min(max),
            after,
        }
    }

    /// Cuts a page out of `items`, which are sorted by `key`, and names the next one.
    pub(crate) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, String) {
        let after = |item: &T| self.after.as_ref().is_none_or(|after| key(item) > *after);
        let mut page: Vec<T> = items
            .into_iter()
            .filter(after)
            .take(self.size + 1)
            .collect();
        let more = page.len() > self.size;
        page.truncate(self.size);
        let token = page
            .last()
            .filter(|_| more)
            .map(|item| token(&key(item)))
            .unwrap_or_default();
        (page, token)
    }
}

/// The page of a list that the database keeps, whose tokens are the store's own.
pub(crate) fn store_page(
    page_size: i32,
    page_token: String,
    max: usize,
) -> Result<latentd_store::page::Page, Error> {
    let mut violations = Violations::default();
    let page = Page::parse(&mut violations, page_size, "", max);
    violations.check()?;
    Ok(latentd_store::page::Page {
        size: page.size as u32,
        token: page_token,
    })
}

/// The token that goes on after `key`. Hexadecimal, so that nobody takes it for something to write by hand.
pub(crate) fn token(key: &str) -> String {
    use std::fmt::Write;
    key.bytes()
        .fold(String::with_capacity(key.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn decode(token: &str) -> Option<String> {
    if !token.len().is_multiple_of(2) || !token.is_ascii() {
        return None;
    }
    let byte = |index: usize| {
        token
            .get(index..index + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(size: i32, token: &str) -> Page {
        let mut violations = Violations::default();
        let page = Page::parse(&mut violations, size, token, 50);
        violations.check().unwrap();
        page
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let items: Vec<String> = (0..7).map(|index| format!("k{index}")).collect();
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let (page, next) = page(3, &token).cut(items.clone(), Clone::clone);
            seen.extend(page);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn sizes_and_tokens_are_checked() {
        assert_eq!(page(0, "").size, 50);
        assert_eq!(page(1000, "").size, 50);
        let mut violations = Violations::default();
        Page::parse(&mut violations, -1, "zz", 50);
        assert!(violations.check().is_err());
        for bad in ["a", "é", "ff"] {
            assert_eq!(decode(bad), None);
        }
    }
}
