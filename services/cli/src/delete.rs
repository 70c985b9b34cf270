//! `rocketbridge delete`: removes a definition. A running stream or route is drained by the server.

use crate::client::{Client, Kind};
use crate::failure::Failure;
use crate::output::Console;

/// What `delete` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What it is
    kind: Kind,
    /// Names of what to remove
    #[arg(required = true)]
    names: Vec<String>,
    /// Succeed if there is none
    #[arg(long)]
    allow_missing: bool,
}

/// Removes them one by one; stops at the first that cannot be.
pub async fn run(client: &Client, arguments: &Arguments, console: &mut Console<'_>) -> Result<(), Failure> {
    for name in &arguments.names {
        client.delete(arguments.kind, name, arguments.allow_missing).await?;
        console.result(format!("{}/{name} deleted\n", arguments.kind))?;
    }
    Ok(())
}
