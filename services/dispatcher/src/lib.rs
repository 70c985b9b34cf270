//! The dispatcher: delivery.
//!
//! It owns shards of targets. For each session of a filter it runs one lane: deliveries go to the target in order, in groups,
//! one group at a time; a failure is tried again by the stream's policy, and ends in the dead-letter target where the stream
//! tolerates errors. It answers an outcome only for what the target has confirmed.
//!
//! - [`app`]: the stage as the mesh sees it: shards begin, drain and are abandoned, sessions are accepted;
//! - [`lane`]: one partition's deliveries on their way to the target;
//! - [`group`]: which deliveries go together, and what became of them;
//! - [`patience`]: how long a failure is tried again.

pub mod app;
mod group;
mod lane;
mod patience;

pub use app::Dispatcher;
