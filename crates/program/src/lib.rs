//! What a stream makes of an event: its pattern, its transforms, and how both see a message.
//!
//! Controllers, filters and the command line compile with the same [`Compiler`], so that what the API accepts is never refused
//! by a filter with the same limits.
//!
//! - [`compiler`]: the one way from the texts of a definition to patterns and transforms, and the one mapping of dialects;
//! - [`program`]: a stream's pattern and transforms, compiled, and what becomes of one event;
//! - [`view`]: what they see of an event.
//!
//! This crate deliberately has no I/O, no threads and no clock.

pub mod compiler;
pub mod program;
pub mod view;

pub use compiler::Compiler;
pub use program::{Program, Verdict};
pub use rocketbridge_transform::Stop;
pub use view::View;
