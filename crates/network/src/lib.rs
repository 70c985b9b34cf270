//! The one dialer: every connection that a connector opens is opened here.
//!
//! - [`Dialer`]: from an address as somebody wrote it to a [`Stream`], through what the settings of a connection ask for: network, TLS;
//! - [`Egress`]: what this process may dial at all ([`Rules`], by the operator's configuration), and the count of what was refused;
//! - [`Class`]: kinds of addresses: public, private, loopback, link-local, metadata service and others;
//! - [`Error`], [`Fault`]: why there is no connection;
//! - `testing`: proxies and the long link of tests.
//!
//! Guarantees: an address is read strictly, resolved once, and every address that comes out is held against the process's rules and the network's
//! security groups before anything is sent to it; the connection goes to the very address that was checked. Nothing is tried at an address that is
//! refused, so that open, closed and silent ports behind it look the same. References to secrets and certificates are followed at each dial.
//!
//! The rules are pure ([`Rules::judge`], [`judge_groups`]); the dialer is thin around them. It never retries and keeps no connection.

mod class;
mod connect;
mod dialer;
mod egress;
mod error;
mod group;
mod http_proxy;
mod rules;
mod socks;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use class::Class;
pub use dialer::Dialer;
pub use egress::Egress;
pub use error::{Code, Error, Fault};
pub use group::{Dropped, judge as judge_groups};
pub use rules::{Refusal, Rules};
pub use stream::{ReadHalf, Stream, WriteHalf};
