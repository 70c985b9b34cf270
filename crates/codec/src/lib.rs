//! Between the words of the model and the forms they travel and are stored in.
//!
//! - [`event`] and [`session`]: what the stages send each other, by moving fields, without copying bodies;
//! - [`report`]: what a process tells of its streams;
//! - [`definition`]: definitions as protobuf, as stored JSON, and as people write them in files;
//! - [`kind`]: the kinds of definition; [`keyspace`]: the keys of the metadata store;
//! - [`text`]: JSON and YAML as people write them, every token kept.
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
