//! What the stages have in common: where ownership meets sessions.
//!
//! - [`link`]: the opener's side: a session to whoever owns a shard now, opened again whenever it ends or the owner changes;
//! - [`shards`]: the answering side: which shards this process owns, and the sessions that it serves for them.

pub mod link;
pub mod shards;

pub use link::{Link, Locate, News};
pub use shards::{Shards, Ticket};
