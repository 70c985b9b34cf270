//! `rocketbridge route verify`.

use prost::Message;
use rocketbridge_proto::route::v1::{Difference, DifferenceKind, QueueComparison, RouteStream, VerifyRouteResponse};
use serde_json::{Value, json};

use super::create::way;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::table::grouped;
use crate::output::{Console, Format, Table, document};

/// What `route verify` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Name of the route
    name: String,
    /// Only this topic, as it is called where it is read
    #[arg(long)]
    topic: Option<String>,
}

/// A stream of the route, and what its queues hold at both ends.
struct Compared {
    stream: RouteStream,
    queues: Vec<QueueComparison>,
}

/// Compares stream by stream. A difference is status 1; messages that are only on their way are none. `--timeout` is for each stream.
pub async fn run(client: &Client, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let status = client.route_status(&arguments.name).await?;
    let is_wanted = |stream: &RouteStream| arguments.topic.as_ref().is_none_or(|topic| *topic == stream.source_topic);
    let mut compared = Vec::new();
    for stream in status.streams.into_iter().filter(is_wanted) {
        let name = stream.status.as_ref().map(|own| own.name.clone()).unwrap_or_default();
        let queues = client.verify_route(&arguments.name, &name).await?;
        compared.push(Compared { stream, queues });
    }
    if compared.is_empty() {
        let what = arguments.topic.as_ref().map_or_else(|| "no streams yet".to_owned(), |topic| format!("no stream for topic {topic}"));
        return Err(Failure::Failed(format!(
            "route/{} has {what}; look at `rocketbridge route status {}`",
            arguments.name, arguments.name
        )));
    }
    match format {
        Format::Table => console.result(show(&arguments.name, &compared))?,
        Format::Json | Format::Yaml => console.document(format, &documented(&compared))?,
    }
    let is_same = compared.iter().flat_map(|compared| &compared.queues).all(|queue| queue.difference.is_none());
    if is_same { Ok(()) } else { Err(Failure::Negative) }
}

fn documented(compared: &[Compared]) -> Value {
    let streams = compared.iter().map(|Compared { stream, queues }| {
        let response = VerifyRouteResponse { queues: queues.clone() };
        let mut value = document::full("rocketbridge.route.v1.VerifyRouteResponse", &response.encode_to_vec());
        value["source_topic"] = stream.source_topic.clone().into();
        value["target_topic"] = stream.target_topic.clone().into();
        value["way"] = way(stream.direction()).into();
        value
    });
    json!({ "streams": streams.collect::<Vec<_>>() })
}

/// A line for each queue; then each difference in words.
fn show(name: &str, compared: &[Compared]) -> String {
    let mut table = Table::new(["TOPIC", "WAY", "QUEUE", "FROM", "TO", "SAME", "BEHIND", "CHECKSUM"]).right(&[3, 4, 5, 6]);
    let (mut differences, mut same) = (String::new(), 0);
    for Compared { stream, queues } in compared {
        for queue in queues {
            same += queue.messages;
            table.row([
                stream.source_topic.clone(),
                way(stream.direction()).to_owned(),
                queue.source_queue.clone(),
                grouped(queue.from),
                grouped(queue.to),
                grouped(queue.messages),
                grouped(queue.behind),
                format!("{:016x}", queue.checksum),
            ]);
            if let Some(difference) = &queue.difference {
                differences += &format!("{} {}: {}\n", stream.source_topic, queue.source_queue, words(difference, &queue.target_queue));
            }
        }
    }
    let verdict = match differences.is_empty() {
        true => format!("route/{name}   both ends hold the same: {} messages\n", grouped(same)),
        false => format!("route/{name}   both ends differ\n{differences}"),
    };
    format!("{verdict}\n{table}")
}

/// A difference in words.
fn words(difference: &Difference, target: &str) -> String {
    let offset = grouped(difference.source_offset);
    let at = difference.target_offset.map(|at| format!("{} of {target}", grouped(at))).unwrap_or_default();
    match difference.kind() {
        DifferenceKind::Missing => format!("offset {offset} is missing at the target"),
        DifferenceKind::Repeated => format!("offset {offset} stands again at {at}"),
        DifferenceKind::Changed => format!("the {} of offset {offset} differs at {at}", difference.part),
        DifferenceKind::Unknown => format!("offset {offset} is not at the source, but at {at}"),
        DifferenceKind::Unspecified => format!("offset {offset} differs in a way that this version does not know"),
    }
}
