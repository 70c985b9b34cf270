//! What a caller should do about an error. Every error type of this project says so by `retry()`.

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same call may succeed later: try again after a backoff.
    Again,
    /// The same call will fail the same way: report the error to the caller.
    GiveUp,
    /// Another process owns this now: stop acting on it at once.
    Fenced,
}
