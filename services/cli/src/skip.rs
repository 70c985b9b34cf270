//! `rocketbridge skip`: lets one event of a stream pass without delivering it.

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Console;
use crate::status::StreamWord;

/// What `skip` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What it is
    #[arg(hide_possible_values = true)]
    kind: StreamWord,
    /// Name of the stream
    name: String,
    /// Partition of the event, as `status` shows it
    #[arg(long, value_name = "PARTITION")]
    partition: String,
    /// Offset of the event, as `status` shows it
    #[arg(long, value_name = "OFFSET")]
    offset: u64,
    /// Why the event may pass; it is logged
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only check whether the event could be skipped
    #[arg(long)]
    dry_run: bool,
}

/// Asks the server to let the event pass.
pub async fn run(client: &Client, arguments: &Arguments, console: &mut Console<'_>) -> Result<(), Failure> {
    let Arguments { name, partition, offset, reason, dry_run, .. } = arguments;
    client.skip(name, partition, *offset, reason, *dry_run).await?;
    let done = if *dry_run { "can be skipped (dry run)" } else { "will be skipped" };
    Ok(console.result(format!("stream/{name} partition {partition}: the event at offset {offset} {done}\n"))?)
}
