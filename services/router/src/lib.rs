//! The router: ingest.
//!
//! It owns partitions of sources. For each it reads at explicit offsets, sends batches to the filter that owns the stream's
//! shard, keeps the ledger, and commits what has ended. It never matches, never transforms, never delivers.
//!
//! - [`app`]: the stage as the mesh sees it: units begin, drain and are abandoned here;
//! - [`definitions`]: the streams as they should run now, references followed;
//! - [`discovery`]: finds the partitions of a source and writes down where each begins;
//! - [`sources`]: that record;
//! - [`partition`]: the life of one owned partition; [`flow`]: its loop while a source and a session are open;
//! - [`reader`]: reads ahead; [`commit`]: commits behind; [`skips`] and [`passing`]: events that operators let pass;
//! - [`allotment`]: what a partition may hold of the process's memory;
//! - [`gauge`]: what is told of a partition; [`horizon`]: where its source ends, while nothing is read;
//! - [`config`]: windows and intervals; [`surroundings`]: what partitions need of their process.

mod allotment;
pub mod app;
mod commit;
pub mod config;
pub mod definitions;
mod discovery;
mod flow;
mod gauge;
mod horizon;
mod partition;
mod passing;
mod reader;
mod skips;
pub mod sources;
mod surroundings;

pub use app::Router;
pub use config::Settings;
pub use surroundings::Surroundings;
