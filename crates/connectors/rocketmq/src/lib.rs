//! Apache RocketMQ 4.x and 5.x as source and target, over the remoting protocol.
//!
//! - [`Connectors`]: makes sources and targets from definitions; equal connections share one client;
//! - [`Admin`]: topics, offsets, progress; [`Producer`] and [`Tail`]: send and follow messages by hand and in tests;
//! - [`ORIGIN_PROPERTY`], [`TIMED_PROPERTY`], [`origin_of`]: the provenance that a routed message carries; [`REASON_PROPERTY`]: why a dead letter
//!   is one.
//!
//! Guarantees: a message arrives with the same body and properties, plus its origin, less what only the source's broker could say of
//! it; offsets are always explicit and never moved quietly; a send is confirmed by the broker; a broker that is back is used again at
//! the next request. It keeps no ledger and repeats nothing by itself. It does not read POP, LMQ or batch-indexed topics, and dials
//! only through `rocketbridge-network`.

mod acl;
mod admin;
mod client;
mod committer;
mod encode;
mod error;
mod limit;
mod message;
mod names;
mod offsets;
mod outgoing;
mod placement;
mod presence;
mod producer;
mod provenance;
mod pull;
mod registry;
mod remoting;
mod route;
mod source;
mod tail;
mod target;

pub use admin::{Admin, QueueOffsets, QueueProgress, TopicQueue};
pub use producer::{Message, Producer};
pub use provenance::{ORIGIN_PROPERTY, REASON_PROPERTY, TIMED_PROPERTY, origin_of};
pub use registry::Connectors;
pub use route::Queue;
pub use tail::{Tail, Tailed};
