//! Large pieces of replies have room from when they are made until they are sent, and wait for it.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use latentd_domain::Reason;
use tonic::Status;

use crate::{
    buffers::{Room, SMALL, Share, Waiting},
    grpc::error::Error,
};

/// Time that a piece waits for room.
const PATIENCE: Duration = Duration::from_secs(20);

type Frames = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// The room of one reply's pieces.
pub(super) struct ReplyRoom {
    share: Share,
    kept: Option<(Bytes, Waiting)>,
}

impl std::fmt::Debug for ReplyRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyRoom").finish_non_exhaustive()
    }
}

impl ReplyRoom {
    pub(super) fn of(share: Share) -> Self {
        Self { share, kept: None }
    }

    /// Whether a piece waits; no more shall be made until it has passed.
    pub(super) fn is_waiting(&self) -> bool {
        self.kept.is_some()
    }

    /// Passes on what is small, and what has room.
    pub(super) fn pass(&mut self, polled: Frames, cx: &mut Context<'_>) -> Result<Frames, Error> {
        if self.kept.is_none() {
            let frame = match polled {
                Poll::Ready(Some(Ok(frame))) => frame,
                other => return Ok(other),
            };
            if frame.data_ref().is_none_or(|data| data.len() <= SMALL) {
                return Ok(Poll::Ready(Some(Ok(frame))));
            }
            let Ok(data) = frame.into_data() else {
                return Ok(Poll::Ready(None));
            };
            if let Some(room) = self.share.try_take(data.len()) {
                return Ok(Poll::Ready(Some(Ok(with_room(data, Some(room))))));
            }
            let waiting = self.share.take_within(data.len(), PATIENCE);
            self.kept = Some((data, waiting));
        }
        let Some((data, mut waiting)) = self.kept.take() else {
            return Ok(Poll::Pending);
        };
        match waiting.as_mut().poll(cx) {
            Poll::Ready(Ok(room)) => Ok(Poll::Ready(Some(Ok(with_room(data, room))))),
            Poll::Ready(Err(_)) => {
                let message = "the replies that other clients have not taken yet take all the memory for them \
                               (limits.buffer_bytes)";
                Err(Error::new(Reason::BuffersFull, message))
            }
            Poll::Pending => {
                self.kept = Some((data, waiting));
                Ok(Poll::Pending)
            }
        }
    }
}

/// A piece that gives its room back when it has been sent.
fn with_room(data: Bytes, room: Option<Room>) -> Frame<Bytes> {
    struct Piece {
        data: Bytes,
        _room: Option<Room>,
    }
    impl AsRef<[u8]> for Piece {
        fn as_ref(&self) -> &[u8] {
            &self.data
        }
    }
    Frame::data(Bytes::from_owner(Piece { data, _room: room }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::Buffers;

    #[tokio::test(start_paused = true)]
    async fn large_pieces_wait_until_others_are_sent() {
        let share = Buffers::new(4 << 20).replies;
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let large = || Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![7; 800 << 10])))));
        let mut first = ReplyRoom::of(share.clone());
        let sent = first.pass(large(), &mut cx).unwrap();
        let mut second = ReplyRoom::of(share);
        assert!(second.pass(large(), &mut cx).unwrap().is_pending());
        assert!(second.is_waiting());
        drop(sent);
        let Poll::Ready(Some(Ok(frame))) = second.pass(Poll::Pending, &mut cx).unwrap() else {
            panic!("there is room");
        };
        assert_eq!(frame.data_ref().unwrap().len(), 800 << 10);
        assert!(first.pass(large(), &mut cx).unwrap().is_pending());
        tokio::time::advance(Duration::from_secs(21)).await;
        let error = first.pass(Poll::Pending, &mut cx).unwrap_err();
        assert_eq!(error.reason(), Reason::BuffersFull);
    }
}
