//! What one run of a program may cost.
//!
//! jaq's operations on values have no argument to pass a budget in, so the budget of the run in progress is kept for the thread. It
//! is opened for a run and closed when the run ends, also when it ends early; nothing is left between runs.

use std::cell::Cell;
use std::marker::PhantomData;

/// Units of a run: one for an operation, and one for each element or [`BYTES`] bytes it copies or looks through.
const UNITS: u64 = 200_000;
/// Bytes of text for one unit.
pub(super) const BYTES: usize = 32;

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The run in progress on this thread.
pub(super) struct Budget {
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Budget {
    pub(super) fn open() -> Self {
        LEFT.set(Some(UNITS));
        Self { thread: PhantomData }
    }

    /// An error text if the budget is spent.
    pub(super) fn check(&self) -> Result<(), String> {
        match LEFT.get() {
            Some(0) => Err(format!("it costs more than {UNITS} steps")),
            _ => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<(), String> {
        self.check()
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        LEFT.set(None);
    }
}

/// Pays; false if the budget is spent, and then for the rest of the run.
pub(super) fn pay(units: usize) -> bool {
    let Some(left) = LEFT.get() else { return true };
    let left = left.saturating_sub(u64::try_from(units).unwrap_or(u64::MAX));
    LEFT.set(Some(left));
    left > 0
}
