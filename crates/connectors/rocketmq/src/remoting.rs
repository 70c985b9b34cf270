//! The RocketMQ remoting protocol: frames, and connections that carry many requests at once.
//!
//! Why not the client library: see the README, "Why its own client".

pub(crate) mod code;
pub(crate) mod connection;
pub(crate) mod frame;
pub(crate) mod json;

pub(crate) use connection::{Answer, Connection, Lost, Unanswered};
pub(crate) use frame::{Request, Response};
