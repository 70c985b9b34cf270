//! The dispatcher: delivery.
//!
//! It owns shards of targets. For each session of a filter it runs one lane: deliveries go to the target in order, in groups, one group at
//! a time. What becomes of a delivery that fails is decided for that delivery alone. The dispatcher reports an outcome only for a delivery
//! that a target has confirmed, that the stream's settings give up, or that an operator skips.
//!
//! - [`app`]: the stage as the mesh sees it: what it does with the sessions of its shards;
//! - [`lane`]: one partition's deliveries on their way to the target;
//! - [`pending`]: a delivery, and what it has been through; [`group`]: which deliveries go together;
//! - [`fate`]: what becomes of a delivery whose attempt failed.

pub mod app;
mod fate;
mod group;
mod lane;
mod pending;

pub use app::Dispatcher;
