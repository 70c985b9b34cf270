//! Apache RocketMQ 4.x and 5.x as source and target, over the remoting protocol, and over gRPC (proxies of 5.x).
//!
//! - [`Connectors`]: makes sources and targets from definitions; equal connections share one client;
//! - [`Admin`]: topics, offsets, progress; [`Producer`] and [`Tail`]: send and follow messages by hand and in tests; [`refused`]: what a server said,
//!   for a client beside this one;
//! - [`MirrorEnds`]: both ends of a mirror: where an offset of one is at the other, and whether they hold the same;
//! - [`POSITION_PROPERTY`], [`Position`]: where a mirrored message stood at its source; [`VIA_PROPERTY`]: which topics a message has been in;
//! - [`ORIGIN_PROPERTY`], [`TIMED_PROPERTY`], [`BORN_PROPERTY`], [`origin_of`], [`born_of`]: the provenance that a routed message carries; [`REASON_PROPERTY`]: why a dead letter
//!   is one.
//!
//! Guarantees: a message arrives with the same body and properties, plus its origin, less what only the source's broker could say of
//! it; offsets are always explicit and never moved quietly; a send is confirmed by the broker; a broker that is back is used again at
//! the next request. It keeps no ledger and repeats nothing by itself. It dials only through `rocketbridge-network`.

mod acl;
mod admin;
mod born;
mod client;
mod committer;
mod decimal;
mod detected;
mod encode;
mod error;
mod grpc;
mod light;
mod limit;
mod long;
mod message;
mod mirror;
mod names;
mod namespace;
mod offsets;
mod outgoing;
mod placement;
mod position;
mod presence;
mod probe;
mod producer;
mod provenance;
mod pull;
mod registry;
mod remoting;
mod route;
mod settings;
mod source;
mod tail;
mod target;
mod via;
#[cfg(test)]
mod witness;

pub use admin::{Account, Admin, CommittedOffsets, Progress, QueueOffsets, QueueProgress, TopicQueue};
pub use born::{BORN_PROPERTY, born_of};
pub use error::refused;
pub use mirror::{Difference, MirrorEnds, Positions, QueueReport, QueueTranslation, Translation, Translator};
pub use position::{POSITION_PROPERTY, Position, SourceQueue, position_of};
pub use producer::{Message, Producer};
pub use provenance::{ORIGIN_PROPERTY, REASON_PROPERTY, TIMED_PROPERTY, origin_of};
pub use registry::Connectors;
pub use route::Queue;
pub use settings::TopicSettings;
pub use tail::{Tail, Tailed};
pub use via::VIA_PROPERTY;
