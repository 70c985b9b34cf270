//! The filter: matching and reshaping.
//!
//! It owns shards of streams. For each session of a router it compiles the stream's pattern and transforms, evaluates events,
//! sends deliveries to the dispatcher that owns the shard, and answers one outcome per event. It holds no state that a
//! crash could lose: what it has not answered, the router sends again.
//!
//! - [`app`]: the stage as the mesh sees it: shards begin, drain and are abandoned, sessions are accepted;
//! - [`session`]: one partition's events on their way through.

pub mod app;
mod session;

pub use app::Filter;
