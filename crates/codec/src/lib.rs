//! Converts the types of the model to and from the forms in which they travel and are stored.
//!
//! - [`event`] and [`session`]: what the stages send each other, by moving fields, without copying bodies;
//! - [`report`]: what a process reports about its streams;
//! - [`definition`]: definitions as protobuf, as stored JSON, and as people write them in files;
//! - [`kind`]: the kinds of definition; [`keyspace`]: the keys of the metadata store;
//! - [`text`]: JSON and YAML as people write them, keeping every token.
//!
//! Generated types do not leave this crate and the transport, except into the controller's API and the command line.

pub mod definition;
pub mod error;
pub mod event;
pub mod keyspace;
pub mod kind;
pub mod report;
pub mod session;
pub mod text;

pub use error::Error;
