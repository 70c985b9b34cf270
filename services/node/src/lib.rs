//! Composes the four stages into processes.
//!
//! A process is one service on etcd ([`process`]), or all four at once on files ([`standalone`]). Either way `run` reads as its table of
//! contents: keepers begin, stages are built, the server starts, ownership begins; on a stop everything ends in the opposite order.
//!
//! - [`config`]: what a process is told, by flags, environment and file;
//! - `run`: the life of a process;
//! - `heart`: the lease, renewed by a thread of its own;
//! - `keepers`: lease and mirrors, which outlive the stages because what is drained is still owned;
//! - `stages`: the stages of this process, and how they reach each other;
//! - `serving`: the server that all of them share;
//! - `reports`: how a controller asks every router what it is doing; `clusters`: how it asks the instances of routes for their topics;
//! - `disk`: whether the disk of the embedded RocketMQ has room.
//!
//! It never moves an event and never decides who owns what.

mod clusters;
pub mod config;
#[cfg(feature = "embedded")]
mod disk;
mod heart;
mod keepers;
mod private;
pub mod process;
mod reports;
mod rocketmq;
mod run;
mod serving;
mod stages;
pub mod standalone;

pub use heart::OpenStore;
pub use rocketbridge_assignment::Stage;
pub use rocketbridge_transport::Role;
pub use run::{Setup, run};
