//! How the stages reach each other.
//!
//! - [`session`]: the two ends of a session, the same over gRPC and within one process;
//! - [`dialer`]: opens sessions to a member by its address;
//! - [`switchboard`]: sessions within one process (standalone);
//! - [`channel`]: gRPC channels, one per address, shared;
//! - [`grpc`]: the gRPC services of the stages;
//! - [`report`]: what members report about their streams;
//! - [`server`]: the server of a process: listener, health, reflection, TLS, bounded stop;
//! - a connection's way in: [`arrivals`] accept it within [`limits`] and a [`quota`], as a [`connection`] with a known [`peer`], and each of its calls
//!   passes the [`gate`];
//! - [`tls`]: keys and certificates of mutual TLS; [`role`]: what a certificate allows its holder to be;
//! - [`error`]: the errors of sessions; [`status`]: the only place where `tonic::Status` is built, for sessions and for the API.

mod arrivals;
pub mod channel;
mod connection;
pub mod dialer;
pub mod error;
mod gate;
pub mod grpc;
pub mod limits;
mod peer;
mod quota;
pub mod report;
pub mod role;
pub mod server;
pub mod session;
pub mod status;
pub mod switchboard;
pub mod tls;

pub use channel::Channels;
pub use dialer::{Destination, Dialer};
pub use error::{Code, Error};
pub use limits::Limits;
pub use role::Role;
pub use session::{Accept, ClientSession, ServerSession};
pub use switchboard::Switchboard;
