//! RocketMQ's gRPC protocol, version 2: proxies of 5.x.
//!
//! - `client`: calls, and routes by topic; `channel`: one connection for each proxy; `headers`: what goes with every call; `attempts`: again with newer keys;
//! - `session`: the telemetry stream that tells a proxy who its client is; `sessions`: those of one client; `beside`: remoting, where it is spoken as well;
//! - `consumer`, `source`: messages that are received, extended and acknowledged; `assignment`: which broker a receiver asks; `start`: where a new
//!   group begins; `unheld`: requests that a proxy does not hold; `lag`: what waits;
//! - `producer`, `target`: messages that are sent; `chain`: which one after the other;
//! - `incoming`, `outgoing`: messages of the protocol from and to ours; `route`: brokers of a topic and the types that it takes.
//!
//! Guarantees: a proxy that is back is used by the next call; what was lost on the way is never taken for done; order is kept for each message group. It
//! repeats nothing by itself.

mod answered;
mod assignment;
mod attempts;
mod beside;
mod chain;
mod channel;
pub(crate) mod client;
pub(crate) mod consumer;
mod headers;
mod incoming;
mod lag;
mod outgoing;
mod producer;
mod route;
mod session;
mod sessions;
pub(crate) mod source;
mod start;
pub(crate) mod target;
mod unheld;
