//! List calls as one sequence: pages are asked for as they are needed.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};

use crate::{Error, Result};

/// The entries of a list call, as a [`Stream`] that asks for the next page when one is used up.
#[must_use = "nothing is asked for until the entries are taken"]
pub struct Pages<T> {
    stream: BoxStream<'static, Result<T>>,
}

impl<T: Send + 'static> Pages<T> {
    /// `page` gets the token of a page (empty for the first), and returns its entries and the token of the next one.
    pub(crate) fn new<F>(page: impl Fn(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(Vec<T>, String)>> + Send + 'static,
    {
        let start = (VecDeque::new(), Some(String::new()));
        let stream =
            futures::stream::try_unfold((start, page), |((mut entries, mut next), page)| async {
                loop {
                    if let Some(entry) = entries.pop_front() {
                        return Ok(Some((entry, ((entries, next), page))));
                    }
                    let Some(token) = next else { return Ok(None) };
                    let (fresh, following) = page(token.clone()).await?;
                    if !following.is_empty() && following == token {
                        return Err(Error::malformed("the next page is the same page"));
                    }
                    entries = fresh.into();
                    next = (!following.is_empty()).then_some(following);
                }
            });
        Self {
            stream: stream.boxed(),
        }
    }

    /// All entries of all pages.
    pub async fn to_vec(self) -> Result<Vec<T>> {
        self.stream.try_collect().await
    }
}

impl<T> Stream for Pages<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(cx)
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_follow_each_other() {
        let pages = Pages::new(|token: String| async move {
            Ok(match token.as_str() {
                "" => (vec![1, 2], "a".to_owned()),
                "a" => (vec![], "b".to_owned()),
                _ => (vec![3], String::new()),
            })
        });
        assert_eq!(pages.to_vec().await.unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_page_that_names_itself_ends_the_list() {
        let pages = Pages::new(|_| async { Ok((vec![1], "a".to_owned())) });
        assert!(pages.to_vec().await.is_err());
    }
}
