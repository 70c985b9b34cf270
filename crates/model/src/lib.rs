//! The words of RocketBridge as types: what a stream is, what an event is, what became of it.
//!
//! This crate knows no wire format, no network and no clock. Every other crate of the project speaks in its types:
//!
//! - [`name`]: names and identifiers, each its own type;
//! - [`event`]: an event and its lossless RocketMQ envelope;
//! - [`properties`]: RocketMQ user and system properties in their own wire form; [`property`]: the names that are not the user's;
//! - [`stream`]: the definition of a stream as its user wrote it; [`connection`] (with [`credentials`]) and [`network`]: what it refers to; [`dialect`]: whose rules its
//!   pattern follows;
//! - [`address`] and [`cidr`]: where something is dialled, and where it may be;
//! - [`route`]: the definition of a route, and the streams that it wants;
//! - [`record`]: a definition as it is stored, with revision and desired state; [`partition`]: what routers remember of a partition;
//! - [`validate`]: the rules of definitions, answering all violations at once;
//! - [`resolved`]: a definition after validation, with every reference followed: what the data path works from;
//! - [`session`]: what the stages say to each other; [`outcome`]: what became of an event;
//! - [`status`]: what a stream is doing; [`secret`]: a value that never shows itself;
//! - `testing` (feature): the plainest stream there is, for tests.

pub mod address;
pub mod cidr;
pub mod connection;
pub mod credentials;
pub mod dialect;
pub mod event;
pub mod limits;
pub mod name;
pub mod network;
pub mod outcome;
pub mod partition;
pub mod printable;
pub mod properties;
pub mod property;
pub mod record;
pub mod resolved;
pub mod route;
pub mod secret;
pub mod session;
pub mod status;
pub mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod validate;
pub mod violation;

pub use address::Address;
pub use cidr::Cidr;
pub use dialect::PatternDialect;
pub use event::{Attributes, Envelope, Event, Origin, Place, Whence};
pub use name::{Epoch, InstanceId, MemberId, PartitionId, Region, Revision};
pub use outcome::{Outcome, OutcomeRange};
pub use properties::Properties;
pub use route::RouteDefinition;
pub use secret::Secret;
pub use stream::StreamDefinition;
pub use violation::Violation;
