//! Event patterns: which events a rule wants.
//!
//! A [`Pattern`] is compiled from JSON text ([`Options`] choose the dialect and the limits; [`Error`] says what is wrong and
//! where) and asked whether it matches an event. An event is anything that implements [`View`]: [`JsonEvent`] is the text of a
//! whole event, [`Message`] a RocketMQ message with its [`Properties`], neither ever built as a document. The pattern names the
//! [`Paths`] it wants and the view pushes the [`Leaves`] it has there; conditions are asked of leaves, and `join` sees to it
//! that leaves from different elements of one array are not combined.
//!
//! An [`Index`] matches many patterns at once. [`Pattern::explain`] tells a person why an event matches or does not.
//!
//! Guarantees: compiling and matching take time bounded by [`Limits`] and by the size of the event; nothing panics on any text.
//! This crate deliberately has no I/O, no threads and no clock.

mod compile;
mod condition;
mod error;
mod event;
mod explain;
mod field;
mod index;
mod join;
pub mod json;
mod leaves;
mod matching;
mod message;
mod number;
mod operator;
mod options;
mod paths;
mod pattern;
mod portability;
mod properties;
mod reading;
mod view;

pub use error::Error;
pub use event::JsonEvent;
pub use explain::{Combination, Explanation, FieldVerdict, nearest_misses};
pub use index::{Index, Snapshot};
pub use leaves::{Array, Leaf, Leaves, Place, Value};
pub use message::{Body, Envelope, Fixed, Message, Scalar, property_value};
pub use options::{Dialect, Limits, Options};
pub use paths::{Node, Paths};
pub use pattern::Pattern;
pub use portability::{Difference, differences};
pub use properties::Properties;
pub use rocketbridge_model::property::is_system;
pub use view::{EventError, View};
