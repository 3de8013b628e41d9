//! The bytes of a connection, watched: they say in which phase it is, and what hyper answers by
//! itself on a broken request head becomes a problem document.

use super::{
    connection::{Connection, Phase},
    edge,
    error::{ApiError, ErrorCode},
};
use std::{
    io::{self, IoSlice, Read},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

pub(super) struct Transport {
    stream: TcpStream,
    connection: Arc<Connection>,
    /// The client took less than it was given.
    stalled: bool,
    /// What is written in place of hyper's own answer, and how much of it is.
    refusal: Option<(Vec<u8>, usize)>,
}

impl Transport {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection, stalled: false, refusal: None }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// A head that breaks the protocol is answered by hyper before any service sees it, with a bare
    /// status.
    fn is_refusing(&self) -> bool {
        self.refusal.is_some() || self.connection.phase() == Phase::Head
    }

    /// Writes the problem document for hyper's status; hyper's own bytes count as written.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (text, mut written) = self.refusal.take().unwrap_or_else(|| (refusal(bytes), 0));
        while written < text.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &text[written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => written += more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.refusal = Some((text, written));
                    return Poll::Pending;
                }
            }
        }
        self.refusal = Some((text, written));
        Poll::Ready(Ok(bytes.len()))
    }

    /// A client that takes its answer slowly is not one that waits for nothing.
    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_ready() && self.stalled && self.connection.phase() == Phase::Idle {
            self.connection.enter(Phase::Idle);
        }
        self.stalled = written.is_pending();
        written
    }
}

/// The whole answer in place of one that begins with `HTTP/1.1 4xx`.
fn refusal(bytes: &[u8]) -> Vec<u8> {
    let status = bytes.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    edge::bare(&match status {
        Some("431") => ApiError::new(
            ErrorCode::HeadersTooLarge,
            "the request head is too large; send fewer or shorter headers",
        ),
        Some("414") => ApiError::new(
            ErrorCode::UriTooLong,
            "the URL is too long; send the request as a POST body",
        ),
        _ => {
            ApiError::invalid("the request is not valid HTTP/1.1: check its first line and headers")
        }
    })
}

/// The answer to a client that has not sent the whole head in time.
pub(super) fn late() -> Vec<u8> {
    edge::bare(&ApiError::new(
        ErrorCode::RequestTimeout,
        "the request head did not arrive in time; send it at once",
    ))
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_pending() && this.connection.take_probe() {
            // The runtime may not have heard yet of data that is there: before a close, the system
            // itself is asked.
            match (&*socket2::SockRef::from(&this.stream)).read(buffer.initialize_unfilled()) {
                Ok(count) => buffer.advance(count),
                Err(_) => return Poll::Pending,
            }
        } else {
            ready!(read)?;
        }
        if buffer.filled().len() > before {
            this.connection.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_refusing() {
            return self.poll_refuse(cx, bytes);
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_refusing() {
            let first = parts.iter().find(|part| !part.is_empty());
            return self.poll_refuse(cx, first.map_or(&[], |part| &**part));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
