//! The streams of routes, kept as the routes want them.
//!
//! - [`difference`]: what is to be done so that a route has the streams that it wants; pure;
//! - [`survey`]: a route, its instances and its streams, looked at once;
//! - [`reconcile`]: the loop of the leader that does it;
//! - [`leg`]: the streams of a mirror as the ways that progress goes; [`progress`]: how far groups are at both ends; [`hands`]: who else commits for them;
//!   [`translate`]: one pass over the progress of a route; [`keep`]: the loop of the leader that makes passes;
//! - [`switch`]: fail-over and back, step by step.
//!
//! Level-triggered: a pass looks at everything anew, so a missed change costs seconds, never correctness. What cannot be found out changes nothing: the
//! streams of a route whose instance does not answer go on.

pub mod difference;
pub mod hands;
pub mod keep;
pub mod leg;
pub mod progress;
pub mod reconcile;
pub mod survey;
pub mod switch;
pub mod translate;

pub use difference::{Difference, difference, direction_of};
pub use keep::Keeper;
pub use leg::{Leg, legs};
pub use progress::{GroupProgress, QueueProgress};
pub use reconcile::Reconciler;
pub use survey::{Survey, survey};
pub use translate::{Memory, Pass, Translating};
