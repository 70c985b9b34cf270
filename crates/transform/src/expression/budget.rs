//! What one run of a program may cost, and how deep its values may nest.
//!
//! jaq's operations on values have no argument to pass a budget in, so the budget of the run in progress is kept for the thread. It
//! is opened for a run and closed when the run ends, also when it ends early; nothing is left between runs.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use crate::stop::Stop;

/// Units of a run: one for an operation, and one for each element or [`BYTES`] bytes it copies or looks through.
const UNITS: u64 = 200_000;
/// Bytes of text for one unit.
pub(super) const BYTES: usize = 32;

/// Arrays and objects inside each other. Writing, comparing and dropping a value recurse into it.
pub(super) const MOST_NESTED: usize = 512;

/// How many units pass between two looks at whether the run is to be stopped: a power of two.
const LOOK: u64 = 4_096;

thread_local! {
    static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    static NESTED: Cell<bool> = const { Cell::new(false) };
}

/// The run in progress on this thread.
pub(super) struct Budget {
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Budget {
    /// Opens it for a run, which ends early once `stop` is set.
    pub(super) fn open(stop: &Stop) -> Self {
        STOP.set(Some(stop.clone()));
        LEFT.set(Some(UNITS));
        NESTED.set(false);
        Self { thread: PhantomData }
    }

    /// An error text if the run was stopped.
    pub(super) fn check(&self) -> Result<(), String> {
        match LEFT.get() {
            Some(0) if NESTED.get() => Err(format!("it nests values more than {MOST_NESTED} deep")),
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
        STOP.set(None);
    }
}

/// Pays; false if the budget is spent, and then for the rest of the run.
pub(super) fn pay(units: usize) -> bool {
    let Some(left) = LEFT.get() else { return true };
    let mut after = left.saturating_sub(u64::try_from(units).unwrap_or(u64::MAX));
    if after / LOOK != left / LOOK && STOP.with_borrow(|stop| stop.as_ref().is_some_and(Stop::is_set)) {
        after = 0;
    }
    LEFT.set(Some(after));
    after > 0
}

/// Stops the run: a value nests too deep.
pub(super) fn stop_nesting() {
    if LEFT.get().is_some() {
        LEFT.set(Some(0));
        NESTED.set(true);
    }
}
