//! The router: ingest.
//!
//! It owns partitions of sources. For each it reads at explicit offsets, sends batches to the filter that owns the stream's
//! shard, keeps the ledger, and commits what has ended. It never matches, never transforms, never delivers.
//!
//! - [`app`]: the stage as the mesh sees it: units begin, drain and are abandoned here;
//! - [`definitions`]: the streams as they should run now, references followed;
//! - [`discovery`]: finds the partitions of a source and records where each begins;
//! - [`sources`]: that record;
//! - [`partition`]: the life of one owned partition; [`opening`]: where it is read from; [`flow`]: its loop while a source and a session are open;
//! - [`reader`]: reads ahead, within what [`bucket`] allows; [`commit`]: commits behind; [`skips`] and [`passing`]: events that
//!   operators skip; [`allotment`]: what a partition may hold of the
//!   process's memory;
//! - [`continuity`]: whether a partition is still what was read of it; [`bearing`]: asks its source for that; [`logbook`]: what is remembered
//!   for it across restarts;
//! - [`gauge`]: what is reported about a partition; [`error`] and [`notices`]: what is reported about failures, and how often; [`horizon`]: where its source ends,
//!   while nothing is read;
//! - [`config`]: windows and intervals; [`surroundings`]: what partitions need of their process.

mod allotment;
pub mod app;
mod bearing;
mod bucket;
mod clock;
mod commit;
pub mod config;
mod continuity;
pub mod definitions;
mod discovery;
mod error;
#[cfg(test)]
mod fake;
mod flow;
mod gauge;
mod horizon;
mod logbook;
mod notices;
mod opening;
mod partition;
mod passing;
mod reader;
mod skips;
pub mod sources;
mod surroundings;

pub use app::Router;
pub use config::Settings;
pub use surroundings::Surroundings;
