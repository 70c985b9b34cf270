//! What `make demo` shows: the orders it produces, how far it is, and what came of it.
//!
//! [`run`] wires clusters and stream. It makes [`Orders`], gives what arrives to an [`Audit`], shows a [`Progress`], and ends with the exit
//! status of the [`Report`]; those four are only presentation and arithmetic.

mod audit;
mod order;
mod progress;
mod report;
mod run;

pub use audit::Audit;
pub use order::{Order, Orders, PATTERN};
pub use progress::Progress;
pub use report::{Report, grpcurl_lines};
pub use run::{Arguments, run};

/// How many orders the demo produces unless told otherwise.
pub const EVENTS: u64 = 100_000;

/// The seed of its orders: two runs produce the same bytes.
pub const SEED: u64 = 0x0b1d_5eed;
