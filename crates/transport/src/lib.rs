//! How the stages reach each other.
//!
//! - [`session`]: the two ends of a session, the same over gRPC and within one process;
//! - [`dialer`]: opens sessions to a member by its address;
//! - [`switchboard`]: sessions within one process (standalone);
//! - [`channel`]: gRPC channels, one per address, shared;
//! - [`grpc`]: the gRPC services behind which a stage answers;
//! - [`report`]: what members tell of themselves;
//! - [`server`]: the server of a process: listener, health, reflection, TLS, bounded stop;
//! - [`tls`]: keys and certificates of mutual TLS;
//! - [`error`] and [`status`]: the errors of sessions, and the only place where `tonic::Status` is made and read for them.

pub mod channel;
pub mod dialer;
pub mod error;
pub mod grpc;
pub mod report;
pub mod server;
pub mod session;
pub mod status;
pub mod switchboard;
pub mod tls;

pub use channel::Channels;
pub use dialer::Dialer;
pub use error::{Code, Error};
pub use session::{Accept, ClientSession, ServerSession};
pub use switchboard::Switchboard;
