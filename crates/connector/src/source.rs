//! The source side of a connector, in either form.

use std::sync::Arc;

use crate::handles::HandleSource;
use crate::offsets::OffsetSource;

/// A source: the whole topic, in the form that its system has.
#[derive(Clone)]
pub enum Source {
    /// It is read at offsets that the reader chooses, and remembers how far it was read.
    Offsets(Arc<dyn OffsetSource>),
    /// It hands out messages, each until it is acknowledged by its handle.
    Handles(Arc<dyn HandleSource>),
}

impl Source {
    /// What will stop reading before long although it works now, or stops it already, for people; `None` if nothing is known to be wrong.
    pub fn concern(&self) -> Option<String> {
        match self {
            Self::Offsets(source) => source.concern(),
            Self::Handles(source) => source.concern(),
        }
    }

    /// The source that is read at offsets, if it is one.
    pub fn offsets(self) -> Option<Arc<dyn OffsetSource>> {
        match self {
            Self::Offsets(source) => Some(source),
            Self::Handles(_) => None,
        }
    }

    /// The source that hands out messages, if it is one.
    pub fn handles(self) -> Option<Arc<dyn HandleSource>> {
        match self {
            Self::Handles(source) => Some(source),
            Self::Offsets(_) => None,
        }
    }
}
