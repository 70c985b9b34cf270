//! `rocketbridge status`: what a stream is doing, once or as it goes.

use std::time::Duration;

use clap::ValueEnum;
use rocketbridge_proto::admin::v1::OutcomeCounts;
use rocketbridge_proto::stream::v1::{State, StreamStatus};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::Client;
use crate::failure::Failure;
use crate::get::status_document;
use crate::output::table::grouped;
use crate::output::{Console, Format, Table};
use rocketbridge_node::config::quantity::duration_argument;

/// Without a terminal, a line at least this often; more often only when the state or its reason changes.
const QUIET: Duration = Duration::from_secs(10);

/// The one kind of definition that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StreamWord {
    /// A stream.
    #[value(alias = "streams")]
    Stream,
}

/// What `status` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What it is
    #[arg(hide_possible_values = true)]
    kind: StreamWord,
    /// Its name
    name: String,
    /// Go on until interrupted
    #[arg(short, long)]
    watch: bool,
    /// With --watch: how often to ask
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration_argument)]
    interval: Duration,
}

/// Shows the status. A watch ends well when it is interrupted.
pub async fn run(client: &Client, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    if !arguments.watch {
        let status = client.status(&arguments.name).await?;
        return Ok(match format {
            Format::Table => console.result(show(&status)),
            Format::Json | Format::Yaml => console.document(format, &status_document(&status)),
        }?);
    }
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        failure = watch(client, arguments, format, console) => failure,
    }
}

/// Asks again and again. Ends only in failure: what may pass is told once and waited for.
async fn watch(client: &Client, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut clock = tokio::time::interval(arguments.interval.max(Duration::from_millis(50)));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen::default();
    let mut has_answered = false;
    loop {
        clock.tick().await;
        match client.status(&arguments.name).await {
            Ok(status) => {
                has_answered = true;
                screen.show(&status, format, console)?;
            }
            Err(error) if has_answered && error.is_passing() => screen.trouble(&error.to_string(), console),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What was shown last.
#[derive(Default)]
struct Screen {
    lines: usize,
    shown: Option<(State, String, Instant)>,
    trouble: String,
}

impl Screen {
    fn show(&mut self, status: &StreamStatus, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
        self.trouble.clear();
        if format == Format::Table && console.is_live() {
            let text = show(status);
            let back = if self.lines == 0 { String::new() } else { format!("\x1b[{}A\x1b[0J", self.lines) };
            self.lines = text.lines().count();
            return Ok(console.result(format!("{back}{text}"))?);
        }
        let now = Instant::now();
        let is_news = self
            .shown
            .as_ref()
            .is_none_or(|(state, reason, at)| *state != status.state() || *reason != status.reason || now.duration_since(*at) >= QUIET);
        if !is_news && !console.is_live() {
            return Ok(());
        }
        self.shown = Some((status.state(), status.reason.clone(), now));
        Ok(match format {
            Format::Table => console.result(format!("{}\n", line(status))),
            Format::Json => console.result(format!("{}\n", status_document(status))),
            Format::Yaml => console.result("---\n").and_then(|()| console.document(format, &status_document(status))),
        }?)
    }

    fn trouble(&mut self, trouble: &str, console: &mut Console<'_>) {
        if self.trouble != trouble {
            console.remark(trouble);
            self.trouble = trouble.to_owned();
            // The remark stands below the table: the next one must not be drawn over it.
            self.lines = 0;
        }
    }
}

/// A status as text: the stream, then its partitions.
pub(crate) fn show(status: &StreamStatus) -> String {
    let counts = status.counts.unwrap_or_default();
    let mut text = format!("stream/{}   {}   revision {}\n", status.name, word(status.state()), status.revision);
    if !status.reason.is_empty() {
        text += &format!("reason      {}\n", status.reason);
    }
    text += &format!("rate        {:.0} events/s\n", status.tps);
    text += &format!("lag         {} messages\n", grouped(status.diff_offset));
    text += &format!("delay       {:.1} ms\n", status.delay_ms);
    text += &format!("outcomes    {}\n", outcomes(&counts));
    if !status.partitions.is_empty() {
        text += &format!("\n{}", partitions(status));
    }
    text
}

/// A status in one line.
fn line(status: &StreamStatus) -> String {
    let counts = status.counts.unwrap_or_default();
    let reason = if status.reason.is_empty() { String::new() } else { format!("   {}", Value::String(status.reason.clone())) };
    format!(
        "{}   {:.0} events/s   lag {}   delay {:.1} ms   {}{reason}",
        word(status.state()),
        status.tps,
        grouped(status.diff_offset),
        status.delay_ms,
        outcomes(&counts)
    )
}

fn outcomes(counts: &OutcomeCounts) -> String {
    let named = [
        ("delivered", counts.delivered),
        ("filtered", counts.filtered),
        ("parked", counts.parked),
        ("dead-lettered", counts.dead_lettered),
        ("discarded", counts.discarded),
        ("skipped", counts.skipped),
        ("redelivered", counts.redelivered),
    ];
    // The first two say that it works; the others stand there only when they happened.
    let worth = named.iter().enumerate().filter(|(index, (_, count))| *index < 2 || *count > 0);
    worth.map(|(_, (name, count))| format!("{name} {}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

fn partitions(status: &StreamStatus) -> Table {
    let mut table = Table::new([
        "PARTITION",
        "FLOWS",
        "EVENTS/S",
        "LAG",
        "COMMITTED",
        "IN FLIGHT",
        "DELAY MS",
        "ROUTER",
        "FILTER",
        "DISPATCHER",
        "TROUBLE",
    ])
    .right(&[2, 3, 4, 5, 6]);
    for partition in &status.partitions {
        let report = partition.report.clone().unwrap_or_default();
        let owner = |name: &str| if name.is_empty() { "-".to_owned() } else { name.to_owned() };
        table.row([
            report.partition,
            if report.flowing { "yes".into() } else { "no".into() },
            format!("{:.0}", report.rate),
            grouped(report.maximum_offset.saturating_sub(report.committed_offset)),
            grouped(report.committed_offset),
            grouped(report.in_flight),
            format!("{:.1}", Duration::from_micros(report.latency_us).as_secs_f64() * 1_000.0),
            owner(&partition.router),
            owner(&partition.filter),
            owner(&partition.dispatcher),
            report.failure,
        ]);
    }
    table
}

/// A state as Alibaba Cloud EventBridge writes it.
pub(crate) fn word(state: State) -> String {
    state.as_str_name().trim_start_matches("STATE_").to_owned()
}
