//! `rocketmq-client-rust` as the independent judge of RocketBridge: a client of RocketMQ that shares no code with the connector.
//!
//! - [`Client`]: the library on one name server; what it reports about a consumer group's progress;
//! - [`Producer`]: sends an [`Outgoing`] message to a queue and returns where it was stored;
//! - [`Reader`]: reads [`Stored`] messages at explicit offsets; commits nothing.
//!
//! Every function panics with what it expected and what the library reported, unless its name begins with `try`. It hides nothing of what the
//! library reads and adds nothing to what it sends: the tests say which properties are RocketMQ's own. It does not recover from a lost
//! broker (the library needs 10 to 30 s for that).

#![recursion_limit = "256"]

mod client;
mod compatibility;
mod message;
mod producer;
mod reader;

pub use client::{Client, Progress};
pub use message::{Outgoing, Place, Queue, Stored};
pub use producer::{Producer, Receipt};
pub use reader::Reader;
