//! `rocketbridge acknowledge gaps stream NAME`: what a status shows as not read is known to its user.

use clap::ValueEnum;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Console;
use crate::status::StreamWord;

/// What can be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GapsWord {
    /// Offsets of a source that were not read.
    #[value(alias = "gap")]
    Gaps,
}

/// What `acknowledge` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What is known
    #[arg(hide_possible_values = true)]
    what: GapsWord,
    /// Of what
    #[arg(hide_possible_values = true)]
    kind: StreamWord,
    /// Names of streams
    #[arg(required = true)]
    names: Vec<String>,
}

/// Acknowledges the gaps of each stream.
pub async fn run(client: &Client, arguments: &Arguments, console: &mut Console<'_>) -> Result<(), Failure> {
    for name in &arguments.names {
        let acknowledged = client.acknowledge_gaps(name).await?;
        console.result(match acknowledged {
            0 => format!("stream/{name} has no gaps\n"),
            1 => format!("stream/{name}: 1 gap acknowledged\n"),
            more => format!("stream/{name}: {more} gaps acknowledged\n"),
        })?;
    }
    Ok(())
}
