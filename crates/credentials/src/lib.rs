//! Keys that change: who issues them, when they are replaced, and what is told when they cannot be.
//!
//! - [`Keepers`]: one [`Keeper`] for each distinct setting of a process;
//! - [`Keeper`]: has the keys of the moment, replaces them before they end, and looks for newer ones when a peer refuses them;
//! - [`Token`]: keys of a moment;
//! - [`Error`]: why there are none, without secrets;
//! - `schedule`: when keys are replaced, pure; `issue`: from settings to keys, by `rpc` (Alibaba Cloud's signed requests), `metadata` and files;
//!   `answer`: what servers and files say, pure; `exchange`: one HTTP request;
//! - `testing`: an STS and a metadata service for tests.
//!
//! Guarantees: keys are asked for once for most of their life, by one task for each setting, however many use them; a failure shows in
//! [`Keeper::concern`] long before the keys end. Secrets are in no log, no error and no `Debug`. Servers are dialled by `rocketbridge-network` only.
//! It signs no request of RocketMQ: connectors do, with what they get here.

mod answer;
mod error;
mod exchange;
mod issue;
mod keeper;
mod keepers;
mod metadata;
mod rpc;
mod schedule;
#[cfg(feature = "testing")]
pub mod testing;
mod token;

pub use error::{Code, Error};
pub use keeper::Keeper;
pub use keepers::Keepers;
pub use token::Token;
