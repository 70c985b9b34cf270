//! `rocketbridge start` and `pause`: whether a stream runs.

use std::time::Duration;

use rocketbridge_model::printable;
use rocketbridge_proto::stream::v1::{State, StreamStatus};
use tokio::time::{Instant, sleep_until};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Console;
use crate::status::{StreamWord, word};
use rocketbridge_node::config::quantity::{duration_argument, show_duration};

/// How often a status is asked for while waiting.
const INTERVAL: Duration = Duration::from_millis(250);

/// What `start` and `pause` take.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What it is
    #[arg(hide_possible_values = true)]
    kind: StreamWord,
    /// Names of streams
    #[arg(required = true)]
    names: Vec<String>,
    /// Wait until it is so, at most this long; 60s if no duration is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "60s", value_parser = duration_argument)]
    wait: Option<Duration>,
}

/// What a stream is switched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It runs.
    Running,
    /// It is drained and keeps its progress.
    Paused,
}

/// Switches the streams, and waits if asked.
pub async fn run(client: &Client, switch: Switch, arguments: &Arguments, console: &mut Console<'_>) -> Result<(), Failure> {
    for name in &arguments.names {
        match switch {
            Switch::Running => client.start(name).await?,
            Switch::Paused => client.pause(name).await?,
        };
        let Some(wait) = arguments.wait else {
            console.result(format!("stream/{name} {}\n", switch.asked()))?;
            continue;
        };
        wait_until(client, switch, name, wait, console).await?;
        console.result(format!("stream/{name} {}\n", switch.done()))?;
    }
    Ok(())
}

/// Waits for the state; tells each new reason why it is not reached yet.
async fn wait_until(client: &Client, switch: Switch, name: &str, wait: Duration, console: &mut Console<'_>) -> Result<(), Failure> {
    let deadline = Instant::now() + wait;
    let mut told = String::new();
    let mut next = Instant::now();
    loop {
        let seen = match client.status(name).await {
            Ok(status) if switch.is_reached(&status) => return Ok(()),
            Ok(status) => describe(&status),
            Err(error) if error.is_passing() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if seen != told {
            console.remark(format!("stream/{name}: {seen}"));
            told = seen;
        }
        next += INTERVAL;
        if next > deadline {
            return Err(Failure::Failed(format!("stream/{name} is not {} after {}: {told}", switch.done(), show_duration(wait))));
        }
        sleep_until(next).await;
    }
}

fn describe(status: &StreamStatus) -> String {
    if status.reason.is_empty() { word(status.state()) } else { format!("{}: {}", word(status.state()), printable::line(&status.reason)) }
}

impl Switch {
    fn asked(self) -> &'static str {
        match self {
            Self::Running => "started",
            Self::Paused => "paused",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "drained",
        }
    }

    fn is_reached(self, status: &StreamStatus) -> bool {
        match self {
            Self::Running => status.state() == State::Running,
            // The state tells what is wanted; it is drained when no event is under way any more.
            Self::Paused => {
                status.state() == State::Paused
                    && status.partitions.iter().filter_map(|partition| partition.report.as_ref()).all(|report| report.in_flight == 0)
            }
        }
    }
}
