//! What peers may take of a process before and after it knows who they are.

use std::time::Duration;

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, those that are still shaking hands included.
    pub total: usize,
    /// Connections from one address; addresses of IPv6 count by their first 64 bits, which is what one host has for itself.
    pub per_address: usize,
    /// How long a peer may take from its connection until TLS is agreed and HTTP/2 has begun.
    pub handshake: Duration,
    /// How long it may take from there until its first call.
    pub first_call: Duration,
    /// How long a call may be silent before its request is whole. Sessions are not meant: they last.
    pub silence: Duration,
    /// How long its request may take in all.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 4096,
            per_address: 512,
            handshake: Duration::from_secs(10),
            first_call: Duration::from_secs(30),
            silence: Duration::from_secs(10),
            request: Duration::from_secs(120),
        }
    }
}

/// Calls at once on one connection, for every peer that is not known as a member.
pub(crate) const CALLS: usize = 1_000;

/// Calls at once on a member's connection: a session for each partition of ten thousand, and room.
pub(crate) const SESSIONS: usize = 16_384;

/// Bytes of requests that are not whole yet, on one connection: four of the largest that the API takes.
pub(crate) const UNFINISHED: usize = 16 << 20;

/// Streams that a peer may have opened and reset before the server has taken them (rapid reset, CVE-2023-44487).
pub(crate) const PENDING_RESETS: usize = 20;

/// Streams that a peer may make the server reset by breaking the protocol.
pub(crate) const LOCAL_RESETS: usize = 128;

/// Bytes of a call's headers, over all frames that they come in.
pub(crate) const HEADERS: u32 = 16 << 10;

/// Windows of a peer that is not known as a member. Requests of the API have at most 4 MiB.
pub(crate) const CLIENT_WINDOW: u32 = 1 << 20;
