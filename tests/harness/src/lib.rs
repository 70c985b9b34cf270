//! The harness of the end-to-end tests: the real binary, a real etcd, RocketMQ clusters, and a load whose every message can be checked.
//!
//! - [`Process`], [`Mesh`], [`Standalone`]: services of the binary under test, as processes that can be killed, stopped and replaced;
//! - [`Etcd`]: a real etcd of one or three members;
//! - [`Brokers`]: two RocketMQ clusters, embedded in the test or real Java ones;
//! - [`Proxy`], [`Relay`], [`Trap`]: ways into networks, the link between two regions, an address that must not be dialled;
//! - [`Api`], [`Route`]: the stream service, and definitions of streams;
//! - [`Consumer`]: a consumer group at work;
//! - [`Load`], [`Audit`]: numbered messages with bodies derived from their number, and the account of what arrived.
//!
//! Every function panics with what it expected and what it saw: a test that cannot continue has failed. Nothing waits for a fixed time, only
//! for conditions with a deadline. A panic prints the end of the log of each process that still runs.

#![recursion_limit = "256"]

mod api;
mod audit;
mod brokers;
mod condition;
mod consumer;
mod load;
mod mesh;
mod message;
mod process;
mod skip;
mod standalone;

pub use api::{Api, Route, tls};
pub use audit::{Audit, Report};
pub use brokers::{Brokers, Cluster, Kind, Special, free_port};
pub use condition::eventually;
pub use consumer::{Consumed, Consumer};
pub use load::Load;
pub use mesh::{Mesh, Role};
pub use message::{Numbered, TAGS};
pub use process::{Process, binary};
pub use rocketbridge_metastore::testing::Cluster as Etcd;
pub use rocketbridge_network::testing::{Proxy, Relay, Trap};
pub use skip::skip;
pub use standalone::Standalone;
