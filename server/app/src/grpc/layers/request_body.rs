//! A request's body under guard: large messages wait for room, and one that was begun has to be sent to its end.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use latentd_domain::Reason;
use tokio::time::{Instant, Sleep};
use tonic::{Status, body::Body};

use crate::{
    buffers::{Room, SMALL, Share, Waiting},
    grpc::error::Error,
};

/// Most bytes that gzip makes of one.
const GZIP: usize = 1032;
/// Time that a message waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a message that does not go on is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Bytes that prolong the time of a message by one tick.
const BYTES_A_TICK: u64 = 64 << 10;

type Frames = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// The room that a call's message has; the call and its body share it.
pub(super) type Held = Arc<Mutex<Option<Room>>>;

/// The limits of a message.
#[derive(Clone, Debug)]
pub(crate) struct MessageLimits {
    /// Room for messages that are being received.
    pub(crate) share: Share,
    /// Largest message.
    pub(crate) max_bytes: usize,
    /// Seconds until the next part of a message has to come, and that the whole may take with one more for each 64 KiB of it.
    pub(crate) seconds: u64,
}

/// A request's body.
pub(super) struct RequestBody {
    inner: Body,
    limits: MessageLimits,
    held: Held,
    frames: Messages,
    /// A frame with the beginning of a large message, which waits for room.
    kept: Option<(Frame<Bytes>, Waiting)>,
    tick: Option<Pin<Box<Sleep>>>,
    /// Ticks that the message has been waited for.
    waited: u64,
    /// Ticks since a part of it came.
    idle: u64,
    failed: bool,
}

impl RequestBody {
    pub(super) fn new(inner: Body, limits: MessageLimits, held: Held) -> Self {
        Self {
            inner,
            limits,
            held,
            frames: Messages::default(),
            kept: None,
            tick: None,
            waited: 0,
            idle: 0,
            failed: false,
        }
    }

    fn hold(&self, room: Option<Room>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }

    fn fail(&mut self, reason: Reason, message: String) -> Frames {
        self.failed = true;
        self.kept = None;
        self.hold(None);
        Poll::Ready(Some(Err(Error::new(reason, message).into())))
    }

    /// Counts the time that the client lets the rest of a message be waited for. Time in which nobody asks does not count: it
    /// may be the server that is busy.
    fn wait(&mut self, cx: &mut Context<'_>) -> Frames {
        if !self.frames.unfinished() {
            self.tick = None;
            return Poll::Pending;
        }
        let tick = self
            .tick
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(TICK)));
        while tick.as_mut().poll(cx).is_ready() {
            self.waited += 1;
            self.idle += 1;
            let most = self.limits.seconds + self.frames.received / BYTES_A_TICK;
            if self.idle >= self.limits.seconds || self.waited >= most {
                let (received, bytes) = (self.frames.received, self.frames.bytes);
                let message = format!(
                    "a message of {bytes} bytes was begun and not finished: {received} bytes of it came in {} s",
                    self.waited
                );
                return self.fail(Reason::MessageUnfinished, message);
            }
            tick.as_mut().reset(Instant::now() + TICK);
        }
        Poll::Pending
    }

    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Option<Frames> {
        let (_, waiting) = self.kept.as_mut()?;
        Some(match waiting.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(room)) => {
                self.hold(room);
                Poll::Ready(self.kept.take().map(|(frame, _)| Ok(frame)))
            }
            Poll::Ready(Err(_)) => {
                let message = "the messages that other clients are sending take all the memory for them \
                               (limits.buffer_bytes)";
                self.fail(Reason::BuffersFull, message.to_owned())
            }
        })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Frames {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        if let Some(polled) = this.poll_kept(cx) {
            return polled;
        }
        let frame = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending => return this.wait(cx),
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(other) => return Poll::Ready(other),
        };
        let Some(data) = frame.data_ref() else {
            return Poll::Ready(Some(Ok(frame)));
        };
        let begun = this.frames.read(data);
        this.idle = 0;
        if begun.any {
            this.waited = 0;
        }
        // A message over the limit is refused by its decoder, before it takes memory.
        let bytes = begun.largest.min(this.limits.max_bytes);
        if bytes <= SMALL {
            return Poll::Ready(Some(Ok(frame)));
        }
        this.hold(None);
        this.kept = Some((frame, this.limits.share.take_within(bytes, PATIENCE)));
        this.poll_kept(cx).unwrap_or(Poll::Pending)
    }

    fn is_end_stream(&self) -> bool {
        self.kept.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where messages begin and end in the bytes of a body: gRPC puts a flag and a length of four bytes before each.
#[derive(Debug, Default)]
struct Messages {
    header: [u8; 5],
    header_len: usize,
    /// Bytes of the message that are to come.
    left: u64,
    /// Bytes of the message, and those that have come.
    bytes: u64,
    received: u64,
}

/// What a frame begins.
#[derive(Debug, Default, PartialEq, Eq)]
struct Begun {
    any: bool,
    /// Bytes that the largest of the messages takes, decompressed.
    largest: usize,
}

impl Messages {
    fn unfinished(&self) -> bool {
        self.left > 0 || self.header_len > 0
    }

    fn read(&mut self, mut data: &[u8]) -> Begun {
        let mut begun = Begun::default();
        while !data.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(data.len() as u64);
                self.left -= taken;
                self.received += taken;
                data = data.get(taken as usize..).unwrap_or_default();
                continue;
            }
            for (place, byte) in self.header.iter_mut().skip(self.header_len).zip(data) {
                *place = *byte;
            }
            let taken = (self.header.len() - self.header_len).min(data.len());
            data = data.get(taken..).unwrap_or_default();
            if self.header_len == 0 {
                begun.any = true;
                (self.bytes, self.received) = (0, 0);
            }
            self.header_len += taken;
            if self.header_len == self.header.len() {
                let [flag, a, b, c, d] = self.header;
                let bytes = u32::from_be_bytes([a, b, c, d]);
                self.header_len = 0;
                (self.left, self.bytes) = (u64::from(bytes), u64::from(bytes));
                let factor = if flag == 0 { 1 } else { GZIP };
                begun.largest = begun.largest.max((bytes as usize).saturating_mul(factor));
            }
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};
    use tonic_types::StatusExt;

    use super::*;
    use crate::buffers::Buffers;

    fn message(flag: u8, bytes: u32, sent: usize) -> Vec<u8> {
        let mut data = vec![flag];
        data.extend(bytes.to_be_bytes());
        data.resize(5 + sent, 7);
        data
    }

    fn limits(buffers: &Buffers) -> MessageLimits {
        MessageLimits {
            share: buffers.requests.clone(),
            max_bytes: 1 << 20,
            seconds: 5,
        }
    }

    /// A body that gives `data` and then nothing, never ending.
    fn stuck(data: Vec<u8>, buffers: &Buffers) -> RequestBody {
        let frame = Ok::<_, Status>(Frame::data(Bytes::from(data)));
        let frames =
            futures::StreamExt::chain(futures::stream::iter([frame]), futures::stream::pending());
        RequestBody::new(
            Body::new(StreamBody::new(frames)),
            limits(buffers),
            Held::default(),
        )
    }

    fn reason(status: &Status) -> String {
        status.get_details_error_info().unwrap().reason
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let mut data = message(0, 3, 3);
        data.extend(message(1, 2, 2));
        data.extend(message(0, 100_000, 10));
        for cut in 1..data.len() {
            let mut messages = Messages::default();
            let largest = data
                .chunks(cut)
                .map(|part| messages.read(part).largest)
                .max();
            assert_eq!(largest, Some(100_000), "{cut}");
            assert_eq!((messages.left, messages.received), (99_990, 10), "{cut}");
        }
        assert_eq!(
            Messages::default().read(&message(1, 100, 100)).largest,
            103_200
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_not_finished_is_refused() {
        let buffers = Buffers::new(1 << 30);
        let mut body = stuck(message(0, 1000, 10), &buffers);
        body.frame().await.unwrap().unwrap();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(reason(&error), "MESSAGE_UNFINISHED");
        // Between two messages a client takes its time.
        let mut body = stuck(message(0, 10, 10), &buffers);
        body.frame().await.unwrap().unwrap();
        let next = tokio::time::timeout(Duration::from_hours(1), body.frame());
        assert!(next.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_message_waits_for_room_and_then_is_refused() {
        let buffers = Buffers::new(2 << 20);
        let mut first = stuck(message(0, 1 << 20, 10), &buffers);
        first.frame().await.unwrap().unwrap();
        let mut second = stuck(message(0, 1 << 20, 10), &buffers);
        let error = second.frame().await.unwrap().unwrap_err();
        assert_eq!(reason(&error), "BUFFERS_FULL");
        assert!(error.get_details_retry_info().is_some());
        // A small one needs none, and a large one has it once there is room.
        stuck(message(0, 100, 10), &buffers)
            .frame()
            .await
            .unwrap()
            .unwrap();
        let mut third = stuck(message(0, 1 << 20, 10), &buffers);
        let (third, ()) = tokio::join!(third.frame(), async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        });
        third.unwrap().unwrap();
    }
}
