//! `rocketbridge route failover` and `failback`.

use std::time::Duration;

use prost::Message;
use rocketbridge_node::config::quantity::{duration_argument, show_duration};
use rocketbridge_proto::route::v1::{GroupProgress, StepState, SwitchProgress};
use tokio::time::{Instant, sleep};

use super::plain;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::table::grouped;
use crate::output::{Console, Format, Table, document};

/// How long after an answer the server is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What `route failover` and `route failback` take.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Name of the route
    name: String,
    /// Go on where messages would be lost or repeated
    #[arg(long)]
    force: bool,
    /// Only show where the steps stand
    #[arg(long)]
    dry_run: bool,
    /// Wait for steps that take their time, at most so long; to ask again goes on from there
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration_argument)]
    wait: Duration,
}

/// Which way users go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the other end.
    Over,
    /// And back.
    Back,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Over => "failover",
            Self::Back => "failback",
        }
    }
}

/// Asks until every step is done, or nothing more can be. What is waited for is a remark when it changes.
pub async fn run(client: &Client, way: Way, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let deadline = Instant::now() + arguments.wait;
    let mut said = String::new();
    let progress = loop {
        let progress = client.switch_route(&arguments.name, way == Way::Back, arguments.force, arguments.dry_run).await?;
        if progress.done || arguments.dry_run || Instant::now() >= deadline {
            break progress;
        }
        let waits = waiting(&progress);
        if waits != said {
            console.remark(&waits);
            said = waits;
        }
        sleep(PAUSE).await;
    };
    match format {
        Format::Table => console.result(show(way, arguments, &progress))?,
        Format::Json | Format::Yaml => {
            let value = document::full("rocketbridge.route.v1.SwitchProgress", &progress.encode_to_vec());
            console.document(format, &value)?;
        }
    }
    if progress.done || arguments.dry_run {
        return Ok(());
    }
    let (name, word, wait) = (&arguments.name, way.word(), show_duration(arguments.wait));
    Err(Failure::Failed(format!("{word} of route/{name} is not done after {wait}; ask again to go on: {}", waiting(&progress))))
}

/// What is waited for.
fn waiting(progress: &SwitchProgress) -> String {
    let waits = progress.steps.iter().find(|step| step.state() == StepState::Waiting);
    waits.map(|step| format!("{}: {}", step.text, plain(&step.detail))).unwrap_or_default()
}

/// A line for each step, and what is to be known of it; then the groups.
fn show(way: Way, arguments: &Arguments, progress: &SwitchProgress) -> String {
    let end = match (progress.done, arguments.dry_run) {
        (_, true) => "nothing is changed (dry run)",
        (true, false) => "done",
        (false, false) => "not done yet",
    };
    let mut text = format!("route/{}   {}: {end}\n\n", arguments.name, way.word());
    for step in &progress.steps {
        let state = step.state().as_str_name().trim_start_matches("STEP_STATE_").to_lowercase();
        text += &format!("{state:<8}   {}\n", step.text);
        if !step.detail.is_empty() {
            text += &format!("{:<8}   ! {}\n", "", plain(&step.detail));
        }
    }
    if !progress.groups.is_empty() {
        text += &format!("\n{}", groups(&progress.groups));
    }
    text
}

/// A line for each group and topic: what it has committed at the end that users go to, over all queues, and how far that is behind.
fn groups(groups: &[GroupProgress]) -> Table {
    let mut table = Table::new(["GROUP", "TOPIC", "QUEUES", "COMMITTED", "BEHIND"]).right(&[2, 3, 4]);
    for group in groups {
        let committed: u64 = group.queues.iter().filter_map(|queue| queue.target_committed).sum();
        table.row([
            group.group.clone(),
            group.target_topic.clone(),
            group.queues.len().to_string(),
            grouped(committed),
            grouped(group.behind),
        ]);
    }
    table
}
