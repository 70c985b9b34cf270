//! Peers for tests: proxies that a network can name, and the long link between two regions. All listen where they are told, loopback in most tests.
//!
//! - [`Proxy`]: SOCKS 5 and HTTP CONNECT, with or without a login, which tells what it was asked for;
//! - [`Relay`]: passes bytes on to one address, after a delay and at a rate;
//! - [`Trap`]: a listener that must not be dialled.

mod proxy;
mod relay;
mod trap;

pub use proxy::Proxy;
pub use relay::Relay;
pub use trap::Trap;
