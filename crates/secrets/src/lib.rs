//! Secrets as they are written in definitions, and what they stand for.
//!
//! - [`secrets`]: references, `env:NAME` and `file:NAME`, followed to where the operator of the process lets them lead, and nowhere else;
//! - [`folder`]: files below a folder, without links out of it.
//!
//! Whoever may write a definition also says to which server its secrets go. So a reference must not reach what the operator has not put there for
//! that: one variable prefix, one folder, and the folders of tokens that somebody else projects.
//!
//! It blocks: callers are away from the threads that serve. It never logs, and no error shows a secret.

mod error;
pub mod folder;
pub mod secrets;

pub use error::Unresolvable;
pub use folder::Folder;
pub use secrets::{Secrets, Settings, VARIABLES};
