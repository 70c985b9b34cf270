//! The filter: matching and reshaping.
//!
//! It owns shards of streams. For each session of a router it compiles the stream's pattern and transforms, evaluates events,
//! sends deliveries to the dispatcher that owns the shard, and reports one outcome per event. It holds no state that a
//! crash could lose: the router sends every event without an outcome again.
//!
//! - [`app`]: the stage as the mesh sees it: what it does with the sessions of its shards;
//! - [`transit`]: one partition's events on their way through; [`slice`]: their evaluation, in slices, in a pool where it costs much.

pub mod app;
mod slice;
mod transit;

pub use app::Filter;
