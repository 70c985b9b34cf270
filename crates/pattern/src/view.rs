//! What a pattern sees of an event, without the event being built as a JSON document.

use crate::json::Malformed;
use crate::leaves::Leaves;
use crate::paths::Paths;

/// An event that patterns can look at.
///
/// CloudEvents attributes stand at the top, everything else under `data`. An implementation computes only what `paths` asks
/// for, and may compute it late: most patterns read few paths.
pub trait View {
    /// Adds to `leaves` the value at each wanted path of `paths` that the event has.
    ///
    /// # Errors
    /// The event itself cannot be read. A payload inside it that has no such value is no error: it adds nothing.
    fn read<'e>(&'e self, paths: &Paths, leaves: &mut Leaves<'e>) -> Result<(), EventError>;
}

/// Evaluates an event: once, and if what `is_match` says is a match does not hold, again with everything checked.
pub(crate) fn evaluate<V: View + ?Sized, A>(
    event: &V,
    paths: &Paths,
    evaluate: impl Fn(&Leaves<'_>) -> Result<A, EventError>,
    is_match: impl FnOnce(&A) -> bool,
) -> Result<A, EventError> {
    let mut leaves = Leaves::default();
    event.read(paths, &mut leaves)?;
    let answer = evaluate(&leaves);
    let is_miss = answer.as_ref().is_ok_and(|answer| !is_match(answer));
    if is_miss || leaves.hold() {
        return answer;
    }
    let mut leaves = Leaves::certain();
    event.read(paths, &mut leaves)?;
    evaluate(&leaves)
}

/// The event cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Its text is not JSON.
    #[error("cannot read the event: {0}")]
    Malformed(Malformed),
    /// Its text is JSON, but not an object.
    #[error("cannot read the event: it is not a JSON object")]
    NotAnObject,
    /// It repeats keys, or has many values in fields that are compared with each other, in a way that leaves too many combinations to try.
    #[error(
        "cannot evaluate the event: repeated keys, or comparisons of fields with many values, leave more than {limit} combinations to try"
    )]
    Ambiguous {
        /// [`crate::Limits::combinations_tried`]
        limit: u32,
    },
}
