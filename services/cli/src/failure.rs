//! How a verb ends when it does not end well.

use std::io;
use std::process::ExitCode;

use rocketbridge_model::printable;
use rocketbridge_node::config;

use crate::client;

/// Why a verb failed. `Display` is what its user reads on standard error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration of a process is refused.
    #[error(transparent)]
    Configuration(#[from] config::Refused),
    /// A call to the server failed.
    #[error(transparent)]
    Call(#[from] client::Error),
    /// Something else failed or was refused.
    #[error("{0}")]
    Failed(String),
    /// The answer is no, and the results say so already.
    #[error("")]
    Negative,
    /// Results cannot be written.
    #[error("cannot write the results: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Tells the user and gives the exit status: 1 refused or failed, 2 wrong usage.
    pub fn report(&self) -> ExitCode {
        match self {
            // Whoever reads our results has seen enough, as `head` does: no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Negative => {}
            _ => eprintln!("rocketbridge: {}", printable::lines(&self.to_string())),
        }
        ExitCode::from(self.status())
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Configuration(_) | Self::Call(client::Error::Address { .. }) => 2,
            Self::Call(_) | Self::Failed(_) | Self::Negative | Self::Output(_) => 1,
        }
    }
}
