//! Transforms: what a target gets of an event.
//!
//! A [`Transform`] is compiled once per definition revision from a parameter's `{Value, Form, Template}` and applied to events.
//! An event is anything that implements [`Readable`]: an [`Event`] is a RocketMQ message with its body as [`Bytes`](bytes::Bytes),
//! `rocketbridge_pattern::JsonEvent` the text of a whole event. [`Path`] is the JSONPath of all forms; `render` writes the whole event.
//!
//! Guarantees: a body that no form reads is passed on as the same bytes, without a copy; no text makes a transform panic; output
//! is bounded. This crate deliberately has no I/O, no threads and no clock.

mod error;
mod event;
mod expression;
mod form;
mod output;
mod path;
mod render;
mod source;
mod stop;
mod template;
mod transform;

pub use error::{ApplyError, Error, Part};
pub use event::Event;
pub use form::Form;
pub use output::Output;
pub use path::{Path, Step};
pub use source::{Found, Readable};
pub use stop::Stop;
pub use transform::Transform;
