//! A connection that was accepted, whose peer is known, and on which HTTP/2 has begun.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::peer::Peer;
use crate::quota::Place;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes in both directions.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, counted until it is dropped.
pub(crate) struct Connection {
    io: Io,
    /// What was read already and the server has not read yet.
    unread: &'static [u8],
    peer: Peer,
    /// Ends a connection without any call.
    first_call: Pin<Box<Sleep>>,
    _place: Place,
}

impl Connection {
    /// Reads the beginning of HTTP/2 and nothing more. It may then take `first_call` until the peer's first call, else the connection ends.
    ///
    /// # Errors
    ///
    /// The peer begins with something else.
    pub(crate) async fn begin(mut io: Io, peer: Peer, first_call: Duration, place: Place) -> io::Result<Self> {
        let mut read = [0; PREFACE.len()];
        match &mut io {
            Io::Plain(stream) => stream.read_exact(&mut read).await?,
            Io::Tls(stream) => stream.read_exact(&mut read).await?,
        };
        if read != PREFACE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin with HTTP/2"));
        }
        Ok(Self { io, unread: PREFACE, peer, first_call: Box::pin(tokio::time::sleep(first_call)), _place: place })
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    fn io(self: Pin<&mut Self>) -> &mut Io {
        &mut self.get_mut().io
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The server reads for as long as the connection lives, so that it is woken here.
        if !this.peer.has_called() && this.first_call.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer has not called")));
        }
        if !this.unread.is_empty() {
            let (now, later) = this.unread.split_at(this.unread.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.unread = later;
            return Poll::Ready(Ok(()));
        }
        match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.io() {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.io() {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io() {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io() {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
