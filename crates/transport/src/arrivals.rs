//! Accepts connections, finds out whose they are, and hands them over to be served.
//!
//! A peer that nobody knows yet costs little and not for long: connections are counted in all and by address from the moment that they are
//! accepted, and TLS and the beginning of HTTP/2 have one deadline together. Nothing of it holds up others: each connection begins in a task of its own.
//! When the process has no more files, accepting rests for a while instead of failing as fast as it can.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Connection, Io};
use crate::limits::Limits;
use crate::peer::{Identity, Peer};
use crate::quota::{Place, Quota};
use crate::role::Roles;

/// How long accepting rests at first and at most when the process can take no more.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How often the same trouble is logged.
const QUIET: Duration = Duration::from_secs(60);

/// Connections that were handed over and not taken yet. When the queue is full, those that begin wait, within their deadline.
pub(crate) const BACKLOG: usize = 64;

/// Where connections come from, and where they go.
pub(crate) struct Arrivals {
    pub(crate) listener: TcpListener,
    /// `None` on loopback.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) limits: Limits,
    pub(crate) doors: Doors,
}

/// Two ways in: HTTP/2 tells a peer at the beginning how many calls it may make at once.
#[derive(Clone)]
pub(crate) struct Doors {
    /// For members, and for whoever may turn out to be one.
    pub(crate) members: mpsc::Sender<Connection>,
    /// For holders of certificates without a role.
    pub(crate) clients: mpsc::Sender<Connection>,
}

impl Arrivals {
    /// Accepts for ever. Dropped, it closes the listener and everything that has not begun.
    pub(crate) async fn run(self) -> Infallible {
        let quota = Quota::new(self.limits);
        let (mut refused, mut exhausted) = (Notice::default(), Notice::default());
        let mut rest = REST.0;
        let mut beginning = JoinSet::new();
        loop {
            // Both arms are cancel-safe: a connection is accepted or not, and a task has ended or not.
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = beginning.join_next() => continue,
            };
            match accepted {
                Ok((stream, address)) => {
                    rest = REST.0;
                    match quota.take(address.ip()) {
                        Ok(place) => {
                            drop(beginning.spawn(begin(stream, address, place, self.tls.clone(), self.limits, self.doors.clone())))
                        }
                        Err(full) => {
                            if let Some(others) = refused.is_due(Instant::now()) {
                                tracing::warn!(%address, reason = %full, others, "connection refused");
                            }
                        }
                    }
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    if let Some(others) = exhausted.is_due(Instant::now()) {
                        tracing::warn!(
                            %error, others,
                            "no connection can be accepted: close some, or let the process open more files (`ulimit -n`, LimitNOFILE)"
                        );
                    }
                    tokio::time::sleep(rest).await;
                    rest = (rest * 2).min(REST.1);
                }
            }
        }
    }
}

async fn begin(stream: TcpStream, address: SocketAddr, place: Place, tls: Option<TlsAcceptor>, limits: Limits, doors: Doors) {
    let beginning = async {
        let connection = greet(stream, address, place, tls, limits).await?;
        let door = if connection.peer().may_carry_sessions() { &doors.members } else { &doors.clients };
        // The server has stopped otherwise, and the connection with it.
        let _ = door.send(connection).await;
        Ok::<_, io::Error>(())
    };
    match tokio::time::timeout(limits.handshake, beginning).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%address, error = %error.kind(), "connection did not begin"),
        Err(_) => tracing::debug!(%address, deadline = ?limits.handshake, "connection did not begin in time"),
    }
}

async fn greet(stream: TcpStream, address: SocketAddr, place: Place, tls: Option<TlsAcceptor>, limits: Limits) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Connection::begin(Io::Plain(stream), Peer::new(address, Identity::Local), limits.first_call, place).await;
    };
    let stream = tls.accept(stream).await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let roles = certificates.first().map(Roles::of).unwrap_or_default();
    let peer = Peer::new(address, Identity::Certified(roles));
    Connection::begin(Io::Tls(Box::new(stream)), peer, limits.first_call, place).await
}

/// Whether only the connection that was to be accepted has failed (accept(2): such errors are to be passed over).
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted | NetworkUnreachable | TimedOut
    )
}

/// Something that is logged once in a while, with how often it happened besides.
#[derive(Debug, Default)]
struct Notice {
    last: Option<Instant>,
    untold: u64,
}

impl Notice {
    /// Whether it is to be logged; then, how often it was not since it was last.
    fn is_due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + QUIET) {
            self.untold += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_trouble_is_logged_once_a_minute() {
        let (mut notice, begin) = (Notice::default(), Instant::now());
        assert_eq!(notice.is_due(begin), Some(0));
        assert!((1..60).all(|second| notice.is_due(begin + Duration::from_secs(second)).is_none()));
        assert_eq!(notice.is_due(begin + QUIET), Some(59));
    }

    #[test]
    fn a_peer_that_gave_up_is_no_reason_to_rest() {
        assert!(is_of_the_peer(&io::Error::from(io::ErrorKind::ConnectionAborted)));
        let too_many_files = 24;
        assert!(!is_of_the_peer(&io::Error::from_raw_os_error(too_many_files)));
    }
}
