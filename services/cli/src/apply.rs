//! `rocketbridge apply`: makes the server have what files define.
//!
//! Applying twice does nothing the second time. All definitions are checked first; if one is refused, none is applied. A stream or
//! route that is new does not run unless asked.

use std::path::PathBuf;

use rocketbridge_proto::stream::v1::State;

use crate::client::{Client, Resource};
use crate::failure::Failure;
use crate::output::Console;

mod manifest;
mod plan;

use plan::{ApplyPlan, Change, Step};

/// What `apply` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// File with one or more definitions, YAML or JSON, or `-` for standard input; may be given several times
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Start every stream and route of the files that does not run
    #[arg(long)]
    start: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Applies the files.
pub async fn run(client: &Client, arguments: &Arguments, console: &mut Console<'_>) -> Result<(), Failure> {
    let entries = manifest::read(&arguments.files)?;
    let plan = ApplyPlan::make(client, entries).await?;
    for step in &plan.steps {
        let resource = &step.entry.resource;
        if arguments.dry_run {
            console.result(format!("{resource} {} (dry run)\n", step.change.word()))?;
            continue;
        }
        let applied = step.send(client, false).await.map_err(|error| Failure::Failed(format!("{}: {error}", step.entry.place)))?;
        console.result(format!("{resource} {}\n", step.outcome(&applied)))?;
        if arguments.start && needs_start(&applied) {
            match resource {
                Resource::Route(route) => drop(client.start_route(&route.name).await?),
                _ => drop(client.start(resource.name()).await?),
            }
            console.result(format!("{resource} started\n"))?;
        }
    }
    Ok(())
}

/// Whether it is a stream or route that nobody has asked to run.
fn needs_start(resource: &Resource) -> bool {
    match resource {
        Resource::Stream(stream) => matches!(stream.state(), State::Unspecified | State::Ready | State::Paused),
        Resource::Route(route) => route.state() != rocketbridge_proto::route::v1::State::Running,
        Resource::Network(_) | Resource::Connection(_) => false,
    }
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Configure | Self::Secrets => "configured",
            Self::Nothing => "unchanged",
        }
    }
}

impl Step {
    /// What became of it. A server that finds nothing to change keeps the etag (AIP-154).
    fn outcome(&self, applied: &Resource) -> &'static str {
        let is_same = self.existing.as_ref().is_some_and(|existing| existing.etag() == applied.etag() && !applied.etag().is_empty());
        if is_same { Change::Nothing.word() } else { self.change.word() }
    }
}
