//! Who is at the other end of a connection, and what it has under way.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::limits::{CALLS, SESSIONS, UNFINISHED};
use crate::role::{Role, Roles};

/// The other end of a connection. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    identity: Identity,
    calls: Arc<Calls>,
}

/// How much is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// It is on this machine, and shows no certificate.
    Local,
    /// An authority vouches for its roles.
    Certified(Roles),
}

#[derive(Debug, Default)]
struct Calls {
    open: AtomicUsize,
    /// Bytes of requests that are not whole yet.
    unfinished: AtomicUsize,
    has_called: AtomicBool,
    /// Whether a session of it was admitted, which takes an epoch that the owner keys have.
    is_proven: AtomicBool,
}

/// Counts one call until it is dropped.
#[derive(Debug)]
pub(crate) struct Call(Arc<Calls>);

/// Counts the bytes of a request until it is dropped.
#[derive(Debug)]
pub(crate) struct Unfinished {
    calls: Arc<Calls>,
    bytes: usize,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, identity: Identity) -> Self {
        Self { address, identity, calls: Arc::default() }
    }

    /// Whether it is known as a member, so that its connection carries sessions.
    pub(crate) fn is_member(&self) -> bool {
        match self.identity {
            Identity::Local => self.calls.is_proven.load(Ordering::Relaxed),
            Identity::Certified(roles) => roles.is_member(),
        }
    }

    /// Whether it may open sessions: then its connection is told at the beginning that it may have so many.
    pub(crate) fn may_carry_sessions(&self) -> bool {
        self.identity == Identity::Local || self.is_member()
    }

    /// Whether it may do what is for a role. On loopback without TLS everybody may.
    pub(crate) fn may_act_as(&self, role: Role) -> bool {
        match self.identity {
            Identity::Local => true,
            Identity::Certified(roles) => roles.has(role),
        }
    }

    /// A session of it was admitted.
    pub(crate) fn prove(&self) {
        self.calls.is_proven.store(true, Ordering::Relaxed);
    }

    /// Whether it has called at all.
    pub(crate) fn has_called(&self) -> bool {
        self.calls.has_called.load(Ordering::Relaxed)
    }

    /// Counts one more call. `None`: it has as many as it may have.
    pub(crate) fn call(&self) -> Option<Call> {
        self.calls.has_called.store(true, Ordering::Relaxed);
        let most = self.most_calls();
        // Counted first and looked at afterwards, so that no two calls take the same place.
        let call = Call(self.calls.clone());
        (self.calls.open.fetch_add(1, Ordering::Relaxed) < most).then_some(call)
    }

    /// Most calls at once.
    pub(crate) fn most_calls(&self) -> usize {
        if self.is_member() { SESSIONS } else { CALLS }
    }

    /// Begins to count a request.
    pub(crate) fn request(&self) -> Unfinished {
        Unfinished { calls: self.calls.clone(), bytes: 0 }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.address)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Unfinished {
    /// Counts more bytes. False: the connection has more of them than it may have.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.calls.unfinished.fetch_add(bytes, Ordering::Relaxed) + bytes <= UNFINISHED
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.calls.unfinished.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(identity: Identity) -> Peer {
        Peer::new("127.0.0.1:1".parse().expect("an address"), identity)
    }

    /// *Scenario*: a peer on loopback calls until it may not, before and after a session of it was admitted. *Guarantees*: the limits are the client's
    /// and the member's; a call that was refused leaves no trace.
    #[test]
    fn a_peer_has_as_many_calls_as_it_is_trusted_with() {
        let peer = peer(Identity::Local);
        assert!(!peer.has_called());
        let mut calls: Vec<Call> = std::iter::from_fn(|| peer.call()).collect();
        assert_eq!(calls.len(), CALLS);
        calls.pop();
        calls.extend(peer.call());
        assert_eq!(calls.len(), CALLS);
        peer.prove();
        calls.extend(std::iter::from_fn(|| peer.call()));
        assert_eq!(calls.len(), SESSIONS);
        drop(calls);
        assert_eq!(peer.calls.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn unfinished_requests_share_what_a_connection_may_have() {
        let peer = peer(Identity::Certified(Roles::default()));
        let (mut one, mut two) = (peer.request(), peer.request());
        assert!(one.add(UNFINISHED / 2) && two.add(UNFINISHED / 2));
        assert!(!one.add(1));
        drop(one);
        assert!(two.add(UNFINISHED / 2));
    }
}
