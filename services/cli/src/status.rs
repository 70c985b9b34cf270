//! `rocketbridge status`: what a stream is doing, once or as it goes.

use std::time::Duration;

use clap::ValueEnum;
use prost::Message;
use rocketbridge_model::printable;
use rocketbridge_proto::admin::v1::OutcomeCounts;
use rocketbridge_proto::stream::v1::{State, StreamStatus};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::output::table::{counted, grouped};
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
            Format::Json | Format::Yaml => console.document(format, &document(&status)),
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
            Format::Json => console.result(format!("{}\n", document(status))),
            Format::Yaml => console.result("---\n").and_then(|()| console.document(format, &document(status))),
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

/// A status with every field, also those that are zero or not known. What was given up also stands at the top, where alerts look for it.
pub(crate) fn document(status: &StreamStatus) -> Value {
    let mut document = output::document::full("rocketbridge.stream.v1.StreamStatus", &status.encode_to_vec());
    let counts = status.counts.unwrap_or_default();
    if let Value::Object(fields) = &mut document {
        fields.entry("lag_seconds").or_insert(Value::Null);
        fields.insert("dead_lettered".to_owned(), counts.dead_lettered.into());
        fields.insert("discarded".to_owned(), counts.discarded.into());
    }
    document
}

/// A status as text: the stream, then its partitions, what troubles them, and who owns them. At most about a hundred columns wide.
pub(crate) fn show(status: &StreamStatus) -> String {
    let mut text = format!("stream/{}   {}   revision {}\n", status.name, word(status.state()), status.revision);
    if !status.reason.is_empty() {
        text += &format!("reason      {}\n", printable::line(&status.reason));
    }
    text += &format!("rate        {:.0} events/s\n", status.tps);
    text += &format!("lag         {}\n", lag(status));
    text += &format!("delay       {}\n", delay(status));
    text += &format!("outcomes    {}{}\n", outcomes(&status.counts.unwrap_or_default()), since(status));
    text += &gaps(status);
    if status.partitions.is_empty() {
        return text;
    }
    let owners = owners(status);
    if let Owners::One(member) = &owners {
        text += &format!("owner       {member}\n");
    }
    text += &format!("\n{}", partitions(status));
    text += &troubles(status);
    if let Owners::Several(table) = owners {
        text += &format!("\n{table}");
    }
    text
}

/// What of the source was not read, until it is acknowledged: the newest gaps.
fn gaps(status: &StreamStatus) -> String {
    const SHOWN: usize = 5;
    let mut text = String::new();
    for gap in status.gaps.iter().rev().take(SHOWN) {
        let label = if text.is_empty() { "gaps" } else { "" };
        text += &format!("{label:<12}{} {}..{} {}\n", gap.partition, gap.from, gap.to, gap.cause);
    }
    if status.gaps.len() > SHOWN {
        text += &format!(
            "{:<12}and {} more; `rocketbridge acknowledge gaps stream {}` clears them\n",
            "",
            status.gaps.len() - SHOWN,
            status.name
        );
    }
    text
}

/// A status in one line.
fn line(status: &StreamStatus) -> String {
    let reason = if status.reason.is_empty() { String::new() } else { format!("   {}", Value::String(status.reason.clone())) };
    format!(
        "{}   {:.0} events/s   lag {}   delay {}   {}{reason}",
        word(status.state()),
        status.tps,
        lag(status),
        delay(status),
        outcomes(&status.counts.unwrap_or_default())
    )
}

/// How far behind the stream is. What nobody says is not shown as nothing.
fn lag(status: &StreamStatus) -> String {
    if status.counts_since.is_none() {
        return "-".to_owned();
    }
    let messages = counted(status.diff_offset, "message");
    if status.waiting_unknown {
        return format!("unknown, {messages} under way");
    }
    match status.lag_seconds {
        Some(seconds) if status.diff_offset > 0 => format!("{messages}, the oldest {} old", age(seconds)),
        _ => messages,
    }
}

/// Only while events flow.
fn delay(status: &StreamStatus) -> String {
    if status.delay_ms > 0.0 { format!("{:.1} ms", status.delay_ms) } else { "-".to_owned() }
}

fn since(status: &StreamStatus) -> String {
    let whole = |time: &prost_types::Timestamp| prost_types::Timestamp { seconds: time.seconds, nanos: 0 };
    status.counts_since.as_ref().map(|time| format!(", since {}", whole(time))).unwrap_or_default()
}

fn outcomes(counts: &OutcomeCounts) -> String {
    let named = [
        ("delivered", counts.delivered),
        ("filtered", counts.filtered),
        ("parked", counts.parked),
        ("dead-lettered", counts.dead_lettered),
        ("discarded", counts.discarded),
        ("skipped", counts.skipped),
        ("deduplicated", counts.deduplicated),
        ("looped", counts.looped),
        ("unproven", counts.unproven),
        ("redelivered", counts.redelivered),
    ];
    // The first two say that it works; the others stand there only when they happened.
    let worth = named.iter().enumerate().filter(|(index, (_, count))| *index < 2 || *count > 0);
    worth.map(|(_, (name, count))| format!("{name} {}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

fn partitions(status: &StreamStatus) -> Table {
    let mut table = Table::new(["PARTITION", "FLOWS", "EVENTS/S", "LAG", "OLDEST", "COMMITTED", "IN FLIGHT"]).right(&[2, 3, 4, 5, 6]);
    for partition in &status.partitions {
        let report = partition.report.clone().unwrap_or_default();
        if report.counts_since.is_none() {
            let nothing = || "-".to_owned();
            table.row([report.partition, "no".into(), nothing(), nothing(), nothing(), nothing(), nothing()]);
            continue;
        }
        let behind = report.maximum_offset.saturating_sub(report.committed_offset);
        table.row([
            report.partition,
            if report.flowing { "yes".into() } else { "no".into() },
            format!("{:.0}", report.rate),
            if report.received { "-".into() } else { grouped(behind) },
            report.lag_seconds.filter(|_| behind > 0).map_or_else(|| "-".to_owned(), age),
            if report.received { "-".into() } else { grouped(report.committed_offset) },
            grouped(report.in_flight),
        ]);
    }
    table
}

/// What troubles partitions, a line each. Of a single one the stream's reason says it already.
fn troubles(status: &StreamStatus) -> String {
    let reports = status.partitions.iter().filter_map(|partition| partition.report.as_ref());
    let troubled: Vec<_> = reports.filter(|report| !report.failure.is_empty()).collect();
    if troubled.len() < 2 {
        return String::new();
    }
    let lines =
        troubled.iter().map(|report| format!("{}   {}\n", report.partition, printable::line(&report.failure.replace(['\n', '\r'], " "))));
    std::iter::once("\n".to_owned()).chain(lines).collect()
}

/// The members that own a stream's partitions and shards.
enum Owners {
    /// One member owns everything.
    One(String),
    /// Who owns what.
    Several(Table),
}

fn owners(status: &StreamStatus) -> Owners {
    let all = status.partitions.iter().flat_map(|partition| [&partition.router, &partition.filter, &partition.dispatcher]);
    let mut distinct: Vec<&String> = all.collect();
    distinct.sort_unstable();
    distinct.dedup();
    if let [one] = distinct.as_slice() {
        return Owners::One(if one.is_empty() { "nobody yet".to_owned() } else { (*one).clone() });
    }
    let owner = |name: &String| if name.is_empty() { "-".to_owned() } else { name.clone() };
    let mut table = Table::new(["PARTITION", "ROUTER", "FILTER", "DISPATCHER"]);
    for partition in &status.partitions {
        let name = partition.report.as_ref().map(|report| report.partition.clone()).unwrap_or_default();
        table.row([name, owner(&partition.router), owner(&partition.filter), owner(&partition.dispatcher)]);
    }
    Owners::Several(table)
}

/// A time that has passed, by its two largest units.
pub(crate) fn age(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    // A float this large is no age; it is cut at the largest number.
    let mut left = seconds as u64;
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        let count = left / size;
        left %= size;
        if count > 0 || !parts.is_empty() {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// A state as Alibaba Cloud EventBridge writes it.
pub(crate) fn word(state: State) -> String {
    state.as_str_name().trim_start_matches("STATE_").to_owned()
}

#[cfg(test)]
mod tests {
    use rocketbridge_proto::admin::v1::PartitionReport;
    use rocketbridge_proto::stream::v1::PartitionStatus;

    use super::*;

    #[test]
    fn an_age_is_told_by_its_two_largest_units() {
        let ages = [0.0, 9.94, 10.0, 59.9, 60.0, 3_725.0, 90_000.0, 864_000.0];
        let expected = ["0.0 s", "9.9 s", "10 s", "59 s", "1 min 0 s", "1 h 2 min", "1 d 1 h", "10 d 0 h"];
        assert_eq!(ages.map(age), expected);
    }

    /// *Scenario*: a source that hands out messages. *Guarantees*: what nobody knows is not shown as nothing, and numbers that only a router understands are not shown as offsets.
    #[test]
    fn what_a_source_that_hands_out_messages_does_not_report_is_unknown() {
        let report = PartitionReport {
            partition: "receive/0".into(),
            received: true,
            flowing: true,
            committed_offset: 1_764_300_000_000_000,
            in_flight: 12,
            counts_since: Some(prost_types::Timestamp::default()),
            ..Default::default()
        };
        let mut status = StreamStatus {
            counts_since: Some(prost_types::Timestamp::default()),
            diff_offset: 12,
            waiting_unknown: true,
            partitions: vec![PartitionStatus { report: Some(report), ..Default::default() }],
            ..Default::default()
        };
        assert_eq!(lag(&status), "unknown, 12 messages under way");
        let row = partitions(&status).to_string();
        let row: Vec<&str> = row.lines().last().expect("a row").split_whitespace().collect();
        assert_eq!(row, ["receive/0", "yes", "0", "-", "-", "-", "12"]);
        (status.waiting_unknown, status.diff_offset) = (false, 62);
        assert_eq!(lag(&status), "62 messages");
    }
}
