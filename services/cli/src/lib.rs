//! The `rocketbridge` command: the four services, standalone, and the verbs that talk to a server.
//!
//! - [`arguments`]: the command line; [`dispatch`]: from verb to module. Processes are composed by the crate `rocketbridge-node`;
//! - [`client`]: calls to the server; [`apply`], [`get`], [`delete`], [`switch`], [`status`], [`skip`]: the verbs that use it;
//! - [`pattern`] and [`transform`]: try and check them without a server; [`rocketmq`]: send to and read from topics;
//! - [`route`]: topics of one instance, copied to another; [`certs`]: certificates for trying a mesh with TLS;
//! - `demo`: what `make demo` shows, in builds with the feature `embedded`;
//! - [`output`]: tables and documents; [`failure`]: how a verb ends when it does not end well.
//!
//! Results go to standard output, everything else to standard error. Exit statuses: 0 done, 1 refused or failed, 2 wrong usage.

pub mod acknowledge;
pub mod apply;
pub mod arguments;
pub mod certs;
pub mod client;
pub mod delete;
#[cfg(feature = "embedded")]
pub mod demo;
pub mod dispatch;
pub mod failure;
pub mod get;
pub mod output;
pub mod pattern;
pub mod rocketmq;
pub mod route;
pub mod skip;
pub mod status;
pub mod switch;
pub mod transform;
