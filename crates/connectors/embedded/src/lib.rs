//! Apache RocketMQ inside this process: a name server and a broker on loopback, for standalone, the demo and tests.
//!
//! - [`Embedded`]: one cluster of one broker, started on a data directory and stopped;
//! - [`EmbeddedConfig`]: its name, directory, ports and durability.
//!
//! Several run side by side in one process. What a cluster accepted survives the process (also SIGKILL); whether it survives the
//! machine is [`Durability`]. Nothing listens beyond 127.0.0.1. It has no replication, no access control and no POP: it is the bus of
//! a single process, not a cluster to depend on.

#![recursion_limit = "256"]

mod cluster;
mod config;
mod error;
mod kept;
mod ports;
mod topic;

pub use cluster::Embedded;
pub use config::{Durability, EmbeddedConfig};
pub use error::Error;
pub use kept::NameServerPort;
