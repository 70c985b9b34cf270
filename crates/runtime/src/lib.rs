//! How a process of RocketBridge runs, stops and waits.
//!
//! - [`shutdown`]: one two-level token per process, drain then abort, and the signals that fire it (invariant I8);
//! - [`tasks`]: the only way to start a task: with a name, and a kind that fixes what its error, panic and cancellation mean;
//! - [`pool`]: named threads for work that holds up a thread;
//! - [`backoff`]: how long to wait before trying again; [`retry`]: whether to;
//! - [`report`]: an error with its sources, for the log line where it is handled.
//!
//! It knows nothing of events, networks or storage.

pub mod backoff;
pub mod pool;
pub mod report;
pub mod retry;
pub mod shutdown;
pub mod tasks;

pub use backoff::Backoff;
pub use pool::Pool;
pub use report::Chain;
pub use retry::Retry;
pub use shutdown::{Cause, Shutdown};
pub use tasks::{Failure, TaskHandle, TaskKind, Tasks};
