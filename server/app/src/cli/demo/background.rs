//! Work that goes on while other work is waited for: downloads, behind what can be shown already.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
};

use futures::future::{BoxFuture, MaybeDone, maybe_done};

/// Something under way in the background of one task.
pub(super) struct Background<'a, T>(Pin<Box<MaybeDone<BoxFuture<'a, T>>>>);

impl<'a, T> Background<'a, T> {
    /// It begins with the first call of [`Background::beside`].
    pub(super) fn new(work: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Box::pin(maybe_done(Box::pin(work))))
    }

    /// Waits for `work`, and lets what is in the background go on meanwhile.
    pub(super) async fn beside<R>(&mut self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let _ = self.0.as_mut().poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Waits for what is in the background; `None` if it was taken before.
    pub(super) async fn take(mut self) -> Option<T> {
        self.0.as_mut().await;
        self.0.as_mut().take_output()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn both_go_on() {
        let (send, receive) = oneshot::channel();
        let mut background = Background::new(async move {
            send.send(7).unwrap();
            "done"
        });
        // The work waits for what is in the background.
        assert_eq!(background.beside(receive).await, Ok(7));
        assert_eq!(background.beside(async { 8 }).await, 8);
        assert_eq!(background.take().await, Some("done"));
    }
}
