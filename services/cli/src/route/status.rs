//! `rocketbridge route status`.

use prost::Message;
use rocketbridge_proto::route::v1::{Active, QueueProgress, RouteStatus, RouteStream};
use rocketbridge_proto::stream::v1::{State, StreamStatus};
use serde_json::Value;

use super::create::way;
use super::{plain, word};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::output::table::{counted, grouped};
use crate::output::{Console, Format, Table};
use crate::status::{age, word as stream_word};

/// What `route status` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Name of the route
    name: String,
    /// Show each queue
    #[arg(long)]
    queues: bool,
}

/// Shows the status.
pub async fn run(client: &Client, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let status = client.route_status(&arguments.name).await?;
    Ok(match format {
        Format::Table => console.result(show(&status, arguments.queues)),
        Format::Json | Format::Yaml => console.document(format, &document(&status)),
    }?)
}

/// A status with every field, also those that are zero or not known.
pub(crate) fn document(status: &RouteStatus) -> Value {
    let mut document = output::document::full("rocketbridge.route.v1.RouteStatus", &status.encode_to_vec());
    if let Value::Object(fields) = &mut document {
        fields.entry("lag_seconds").or_insert(Value::Null);
    }
    document
}

/// A status as text: the route, what it cannot do, its streams, and with `queues` the queues that they read.
pub(crate) fn show(status: &RouteStatus, queues: bool) -> String {
    let running = status.streams.iter().filter(|stream| state(stream) == State::Running).count();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let streams = counted(number(status.streams.len()), "stream");
    let mut text = format!("route/{}   {}   {streams}, {} running\n", status.name, word(status.state()), grouped(number(running)));
    text += &format!("rate        {:.0} events/s\n", status.tps);
    text += &format!("lag         {}\n", lag(status));
    text += in_use(status.active());
    for problem in &status.problems {
        text += &format!("problem     {}\n", plain(problem));
    }
    if !status.streams.is_empty() {
        text += &format!("\n{}", table(status));
        text += &troubles(status);
    }
    if !status.groups.is_empty() {
        text += &format!("\n{}", groups(status));
        text += &untranslated(status);
    }
    if queues {
        text += &format!("\n{}", queues_of(status));
        if !status.groups.is_empty() {
            text += &format!("\n{}", group_queues(status));
        }
    }
    text
}

/// Which end is in use, where a failover has changed or changes that.
fn in_use(active: Active) -> &'static str {
    match active {
        Active::Unspecified | Active::From => "",
        Active::FailingOver => "in use      the source; a failover is under way\n",
        Active::To => "in use      the target\n",
        Active::FailingBack => "in use      the target; a failback is under way\n",
    }
}

/// A line for each group and topic.
fn groups(status: &RouteStatus) -> Table {
    let mut table = Table::new(["GROUP", "TOPIC", "WAY", "READ", "AT TARGET", "BEHIND", "PROGRESS"]).right(&[3, 4, 5]);
    for group in &status.groups {
        let sum = |offset: fn(&QueueProgress) -> Option<u64>| match group.queues.iter().filter_map(offset).reduce(u64::saturating_add) {
            Some(sum) => grouped(sum),
            None => "-".to_owned(),
        };
        table.row([
            group.group.clone(),
            group.source_topic.clone(),
            way(group.direction()).to_owned(),
            sum(|queue| queue.source_committed),
            sum(|queue| queue.target_committed),
            grouped(group.behind),
            if group.reason.is_empty() { "translated" } else { "waits" }.to_owned(),
        ]);
    }
    table
}

/// Why progress of groups waits, a line for each reason.
fn untranslated(status: &RouteStatus) -> String {
    let mut lines: Vec<String> = Vec::new();
    for group in status.groups.iter().filter(|group| !group.reason.is_empty()) {
        let line = format!("{} {}   {}\n", group.group, way(group.direction()), plain(&group.reason));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() { String::new() } else { format!("\n{}", lines.concat()) }
}

fn group_queues(status: &RouteStatus) -> Table {
    let mut table = Table::new(["GROUP", "TOPIC", "WAY", "QUEUE", "READ", "AT QUEUE", "COMMITTED", "BEHIND"]).right(&[4, 6, 7]);
    let number = |offset: Option<u64>| offset.map_or_else(|| "-".to_owned(), grouped);
    for group in &status.groups {
        for queue in &group.queues {
            table.row([
                group.group.clone(),
                group.source_topic.clone(),
                way(group.direction()).to_owned(),
                queue.source_queue.clone(),
                number(queue.source_committed),
                queue.target_queue.clone(),
                number(queue.target_committed),
                grouped(queue.behind),
            ]);
        }
    }
    table
}

fn lag(status: &RouteStatus) -> String {
    let messages = counted(status.diff_offset, "message");
    match status.lag_seconds {
        Some(seconds) if status.diff_offset > 0 => format!("{messages}, the oldest {} old", age(seconds)),
        _ => messages,
    }
}

fn table(status: &RouteStatus) -> Table {
    let mut table = Table::new(["TOPIC", "WAY", "COPIED TO", "STATE", "EVENTS/S", "LAG", "OLDEST"]).right(&[4, 5, 6]);
    for stream in &status.streams {
        let own = stream.status.clone().unwrap_or_default();
        let is_told = own.counts_since.is_some();
        table.row([
            if stream.gone { format!("{} (gone)", stream.source_topic) } else { stream.source_topic.clone() },
            way(stream.direction()).to_owned(),
            stream.target_topic.clone(),
            stream_word(own.state()),
            format!("{:.0}", own.tps),
            if is_told { grouped(own.diff_offset) } else { "-".to_owned() },
            own.lag_seconds.filter(|_| own.diff_offset > 0).map_or_else(|| "-".to_owned(), age),
        ]);
    }
    table
}

/// Why streams fail or wait, a line each.
fn troubles(status: &RouteStatus) -> String {
    let told = status.streams.iter().filter_map(|stream| stream.status.as_ref()).filter(|own| !own.reason.is_empty());
    let lines: String = told.map(|own| format!("{}   {}\n", own.name, plain(&own.reason))).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn queues_of(status: &RouteStatus) -> Table {
    let mut table = Table::new(["TOPIC", "WAY", "QUEUE", "LAG", "OLDEST", "COMMITTED", "END"]).right(&[3, 4, 5, 6]);
    for stream in &status.streams {
        let StreamStatus { partitions, .. } = stream.status.clone().unwrap_or_default();
        for report in partitions.into_iter().filter_map(|partition| partition.report) {
            let behind = report.maximum_offset.saturating_sub(report.committed_offset);
            table.row([
                stream.source_topic.clone(),
                way(stream.direction()).to_owned(),
                report.partition,
                grouped(behind),
                report.lag_seconds.filter(|_| behind > 0).map_or_else(|| "-".to_owned(), age),
                grouped(report.committed_offset),
                grouped(report.maximum_offset),
            ]);
        }
    }
    table
}

fn state(stream: &RouteStream) -> State {
    stream.status.as_ref().map(StreamStatus::state).unwrap_or_default()
}
