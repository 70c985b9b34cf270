//! The streams of routes, kept as the routes want them.
//!
//! - [`difference`]: what is to be done so that a route has the streams that it wants; pure;
//! - [`survey`]: a route, its instances and its streams, looked at once;
//! - [`reconcile`]: the loop of the leader that does it.
//!
//! Level-triggered: a pass looks at everything anew, so a missed change costs seconds, never correctness. What cannot be found out changes nothing: the
//! streams of a route whose instance does not answer go on.

pub mod difference;
pub mod reconcile;
pub mod survey;

pub use difference::{Difference, difference, direction_of};
pub use reconcile::Reconciler;
pub use survey::{Survey, survey};
