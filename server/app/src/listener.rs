//! Connections: at most so many, each with a time limit for its first bytes. A lack of file descriptors is waited out.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::config::Limits;

/// Bytes that every HTTP/2 client sends first: the preface and the header of its SETTINGS.
const FIRST_BYTES: usize = 24 + 9;
/// Pause after the system refused to take a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Time between two warnings of the same kind.
const QUIET: Duration = Duration::from_secs(10);

/// Raises the process's limit of open files as far as it may, and returns how many connections fit into half of it.
pub(crate) fn room_for_connections() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    files
        .and_then(|files| usize::try_from(files / 2).ok())
        .unwrap_or(usize::MAX)
        .max(1)
}

/// The connections that come to `listener`.
pub(crate) fn incoming(
    listener: TcpListener,
    limits: Limits,
    room: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let most = limits.max_connections.min(room);
    if most < limits.max_connections {
        tracing::warn!(
            connections = most,
            "fewer connections than limits.max_connections are taken: the limit of open files (ulimit -n) is low"
        );
    }
    let door = Door {
        listener,
        places: Arc::new(Semaphore::new(most)),
        most,
        handshake: Duration::from_secs(limits.handshake_seconds),
        full: Seldom::default(),
        failed: Seldom::default(),
    };
    stream::unfold(door, |mut door| async move {
        let connection = door.next().await;
        Some((Ok(connection), door))
    })
}

struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    most: usize,
    handshake: Duration,
    full: Seldom,
    failed: Seldom,
}

impl Door {
    async fn next(&mut self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                        if let Some(count) = self.full.say() {
                            let limit = self.most;
                            tracing::warn!(
                                limit,
                                count,
                                "too many connections: new ones are closed"
                            );
                        }
                        continue;
                    };
                    // Without it small replies are late; the connection works all the same.
                    let _ = stream.set_nodelay(true);
                    return Connection {
                        stream,
                        handshake: Some(Handshake {
                            until: Box::pin(tokio::time::sleep(self.handshake)),
                            seen: 0,
                        }),
                        _place: place,
                    };
                }
                // The client left before it was taken.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    if let Some(count) = self.failed.say() {
                        tracing::warn!(%error, count, "connections cannot be taken; trying again");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Something that is said now and then however often it happens.
#[derive(Default)]
struct Seldom {
    said: Option<Instant>,
    count: u64,
}

impl Seldom {
    /// How often it happened since it was said last, if it is time to say so.
    fn say(&mut self) -> Option<u64> {
        self.count += 1;
        if self.said.is_some_and(|said| said.elapsed() < QUIET) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }
}

/// A connection that has one of the places.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    handshake: Option<Handshake>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Handshake {
    until: Pin<Box<Sleep>>,
    seen: usize,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let Some(handshake) = &mut this.handshake else {
            return read;
        };
        if read.is_pending() {
            ready!(handshake.until.as_mut().poll(cx));
            tracing::debug!("a connection without an HTTP/2 handshake is closed");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        handshake.seen += buf.filled().len() - before;
        if handshake.seen >= FIRST_BYTES {
            this.handshake = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_said_seldom() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.say(), Some(1));
        assert_eq!(seldom.say(), None);
        assert_eq!(seldom.say(), None);
    }
}
