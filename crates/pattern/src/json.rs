//! JSON as this crate reads it: text that is looked at in place, never built into a document.
//!
//! [`walk`] brings the values at wanted paths out of a text. What lies beside them it leaves to [`check`], which says whether it is well
//! formed, or to [`skip`], which only passes it. [`Reader`] is a careful cursor: it finds what is wrong where. [`Tree`] is a built
//! document, used for pattern texts: they are small, read once, and errors in them name their place. [`equal_keys`] and
//! [`mend_surrogates`] find what texts may have and should not.
//!
//! From the quick to the careful: [`block`] and [`lanes`] look at 64 and 256 bytes at a time, [`window`] at 16, [`token`] is made of windows,
//! and [`scan`] looks at every byte.

mod block;
mod check;
mod equal_keys;
mod lanes;
mod reader;
mod scan;
mod skip;
mod surrogate;
mod token;
mod tree;
mod walk;
mod window;

pub use equal_keys::{EqualKeys, equal_keys};
pub use reader::{Malformed, RawString, Reader};
pub use surrogate::{has_lone_surrogate, mend_surrogates};
pub(crate) use tree::Tree;
pub(crate) use walk::{Rest, walk};

/// Whether `text` is one JSON value, with white space around it.
#[must_use]
pub fn is_json(text: &str) -> bool {
    let bytes = text.as_bytes();
    let start = token::space(bytes, 0);
    let end = match bytes.get(start) {
        Some(b'{' | b'[') => check::container(bytes, start, 0),
        _ => scan::value(bytes, start, 0).ok(),
    };
    end.is_some_and(|end| token::space(bytes, end) == bytes.len())
}

/// The offset after the object or array that begins at `start`, if it is well formed; `depth` others are around it.
pub(crate) fn container_end(text: &str, start: usize, depth: u32) -> Option<usize> {
    check::container(text.as_bytes(), start, depth)
}
