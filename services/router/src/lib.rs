//! The router: ingest.
//!
//! It owns partitions of sources. For each it reads at explicit offsets, sends batches to the filter that owns the stream's
//! shard, keeps the ledger, and commits what has ended. It never matches, never transforms, never delivers.
//!
//! - [`app`]: the stage as the mesh sees it: units begin, drain and are abandoned here;
//! - [`discovery`]: finds the partitions of a source and records where each begins;
//! - [`sources`]: that record;
//! - [`partition`]: the life of one owned partition; [`opening`]: where it is read from; [`flow`]: its loop while a source and a session are open;
//! - [`supply`]: where a flow gets [events](read) from, and what it tells of their ends, in the two forms that sources have;
//! - *by offset*: [`reader`] reads ahead; [`commit`] commits behind;
//! - *by handle*: [`receiving`] receives ahead and [`numbers`] messages; [`custodian`] extends, acknowledges and gives back as [`custody`] says;
//! - [`bucket`]: how many events may come; [`allotment`]: what a partition may hold of the process's memory; [`pacing`]: how often a source is asked that
//!   leads nowhere; [`skips`] and [`passing`]: events that operators skip;
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
mod custodian;
mod custody;
mod discovery;
mod error;
#[cfg(test)]
mod fake;
mod flow;
mod gauge;
mod horizon;
mod logbook;
mod notices;
mod numbers;
mod opening;
mod pacing;
mod partition;
mod passing;
mod read;
mod reader;
mod receiving;
mod skips;
pub mod sources;
mod supply;
mod surroundings;

pub use app::Router;
pub use config::Settings;
pub use surroundings::Surroundings;
