//! A way to end an evaluation early, from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that ends evaluations. Its clones are one flag.
///
/// An evaluation that is ended has no result: whoever set the flag no longer wants one, or evaluates the event again later.
#[derive(Debug, Clone)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// The flag that nobody sets. It costs nothing.
    pub const NEVER: Self = Self(None);

    /// Ends the evaluations that look at this flag.
    pub fn set(&self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// A flag that is not set yet.
impl Default for Stop {
    fn default() -> Self {
        Self(Some(Arc::default()))
    }
}
