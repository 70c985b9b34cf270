//! JSON as this crate reads it: text that is looked at in place, never built into a document.
//!
//! [`Reader`] moves over the text and validates every byte it passes, also what nobody asked for. [`walk`] brings the values
//! at wanted paths out of it. [`Tree`] is the one exception, a built document, used for pattern texts: they are small, read
//! once, and errors in them name their place.

mod reader;
mod scan;
mod tree;
mod walk;

pub use reader::{Malformed, RawString, Reader};
pub(crate) use tree::Tree;
pub(crate) use walk::walk;
