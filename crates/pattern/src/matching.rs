//! One evaluation: the leaves of an event, and what may still be spent on it.

use std::cell::Cell;

use crate::leaves::Leaves;
use crate::view::EventError;

/// The state that the parts of an evaluation share.
pub(crate) struct Matching<'l, 'e> {
    pub(crate) leaves: &'l Leaves<'e>,
    limit: u32,
    left: Cell<u32>,
}

impl<'l, 'e> Matching<'l, 'e> {
    pub(crate) fn new(leaves: &'l Leaves<'e>, limit: u32) -> Self {
        Self { leaves, limit, left: Cell::new(limit) }
    }

    /// Pays for one of the steps whose number an event could drive up.
    pub(crate) fn spend(&self) -> Result<(), EventError> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(EventError::Ambiguous { limit: self.limit }),
        }
    }
}
