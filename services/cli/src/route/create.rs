//! `rocketbridge route create`.

use clap::ValueEnum;
use prost::Message;
use rocketbridge_model::resolved::StartPosition;
use rocketbridge_proto::route::v1::{Change, Direction, PlannedStream, PreviewRouteResponse, Rename, Route, TopicName};

use crate::client::{Client, Resource};
use crate::failure::Failure;
use crate::output::table::counted;
use crate::output::{Console, Format, Table, document};
use crate::rocketmq::tail::position;

/// What `route create` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Name of the route
    name: String,
    /// Instance that topics are read from: a connection, or HOST:PORT of its name server
    #[arg(long, value_name = "INSTANCE")]
    from: String,
    /// Instance that topics are copied to
    #[arg(long, value_name = "INSTANCE")]
    to: String,
    /// Topics, separated by commas: names, patterns with * and ?, and exclusions that begin with !
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    topics: Vec<String>,
    /// Put before the names of topics at the other end
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Put behind the names of topics at the other end
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    suffix: String,
    /// A topic with another name at the other end, as FROM=TO; may be given several times
    #[arg(long, value_name = "FROM=TO", value_parser = topic_name)]
    rename: Vec<TopicName>,
    /// Copy the same topics back as well
    #[arg(long)]
    both_ways: bool,
    /// How messages are copied
    #[arg(long, value_enum, default_value = "mirror")]
    mode: Mode,
    /// Where topics are read from at first: earliest, latest, or a time, RFC 3339 or milliseconds since 1970
    #[arg(long, value_name = "POSITION", default_value = "earliest", value_parser = position)]
    start: StartPosition,
    /// Consumer groups whose progress is translated, separated by commas: names, patterns with * and ?, and exclusions that begin with !
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    groups: Vec<String>,
    /// How often progress is translated, milliseconds; 1000 by default
    #[arg(long, value_name = "MS", requires = "groups")]
    translation_interval_ms: Option<u32>,
    /// Only show what the route would do
    #[arg(long)]
    dry_run: bool,
}

/// How messages are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Queue i to queue i, each message once; topics are created as needed
    Mirror,
    /// Spread over the queues of a topic that exists, at least once each
    Rule,
}

/// Creates the route and starts it, or shows what it would do.
pub async fn run(client: &Client, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let route = route(arguments);
    if arguments.dry_run {
        let preview = client.preview_route(route.clone()).await?;
        return Ok(match format {
            Format::Table => console.result(show(&route, &preview)),
            Format::Json | Format::Yaml => {
                let value = document::full("rocketbridge.route.v1.PreviewRouteResponse", &preview.encode_to_vec());
                console.document(format, &value)
            }
        }?);
    }
    let name = route.name.clone();
    client.create(Resource::Route(Box::new(route)), false).await?;
    let started = client.start_route(&name).await?;
    Ok(match format {
        Format::Table => console.result(format!("route/{name} created and started\n")),
        Format::Json | Format::Yaml => console.document(format, &Resource::Route(Box::new(started)).document()),
    }?)
}

fn route(arguments: &Arguments) -> Route {
    let rename = Rename { prefix: arguments.prefix.clone(), suffix: arguments.suffix.clone(), topics: arguments.rename.clone() };
    Route {
        name: arguments.name.clone(),
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        topics: arguments.topics.clone(),
        rename: (rename != Rename::default()).then_some(rename),
        both_ways: arguments.both_ways,
        mode: match arguments.mode {
            Mode::Mirror => "MIRROR".to_owned(),
            Mode::Rule => "RULE".to_owned(),
        },
        start: match arguments.start {
            StartPosition::Earliest => "earliest".to_owned(),
            StartPosition::Latest => "latest".to_owned(),
            StartPosition::Timestamp(time) => time.to_string(),
        },
        groups: arguments.groups.clone(),
        translation_interval_ms: arguments.translation_interval_ms,
        ..Default::default()
    }
}

/// A topic and its other name. Both are checked by the server.
fn topic_name(text: &str) -> Result<TopicName, String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok(TopicName { from: from.to_owned(), to: to.to_owned() }),
        _ => Err("write FROM=TO, such as orders=orders-copy".to_owned()),
    }
}

/// What a route would do, a line for each stream; then what it could not do.
fn show(route: &Route, preview: &PreviewRouteResponse) -> String {
    let count = u64::try_from(preview.streams.len()).unwrap_or(u64::MAX);
    let mut text = format!("route/{}   {} between {} and {}\n", route.name, counted(count, "stream"), route.from, route.to);
    if !preview.streams.is_empty() {
        let mut table = Table::new(["TOPIC", "WAY", "COPIED TO", "QUEUES", "AT TARGET", "STREAM"]).right(&[3]);
        for stream in &preview.streams {
            table.row([
                stream.source_topic.clone(),
                way(stream.direction()).to_owned(),
                stream.target_topic.clone(),
                if stream.source_queues == 0 { "-".to_owned() } else { stream.source_queues.to_string() },
                at_target(route, stream),
                change(stream.change()).to_owned(),
            ]);
        }
        text += &format!("\n{table}");
    }
    if !route.groups.is_empty() {
        let groups = if preview.groups.is_empty() { "none is there now".to_owned() } else { preview.groups.join(", ") };
        text += &format!("\ngroups    {groups}\n");
    }
    for problem in &preview.problems {
        text += &format!("\nproblem   {}", problem.replace(['\n', '\r'], " "));
    }
    if !preview.problems.is_empty() {
        text += "\n";
    }
    text + "\nnothing is created (dry run)\n"
}

/// What is, or will be, at the target.
fn at_target(route: &Route, stream: &PlannedStream) -> String {
    match (stream.target_queues, stream.change()) {
        (0, Change::Delete) => "-".to_owned(),
        (0, _) if route.mode == "RULE" => "missing".to_owned(),
        (0, _) if stream.source_queues == 0 => "is created".to_owned(),
        (0, _) => format!("is created with {}", stream.source_queues),
        (queues, _) if queues < stream.source_queues && route.mode != "RULE" => format!("{queues}, becomes {}", stream.source_queues),
        (queues, _) => queues.to_string(),
    }
}

/// Which way a stream goes.
pub(crate) fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Back => "back",
        Direction::Forward | Direction::Unspecified => "forward",
    }
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Create => "is created",
        Change::Update => "is changed",
        Change::Delete => "is deleted",
        Change::None | Change::Unspecified => "stays",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_topic_has_two_names() {
        assert_eq!(topic_name("a=b"), Ok(TopicName { from: "a".into(), to: "b".into() }));
        for wrong in ["a", "=b", "a="] {
            assert!(topic_name(wrong).is_err(), "{wrong}");
        }
    }

    /// *Scenario*: topics that are at the target with as many queues, with fewer, or not at all, mirrored and by rule. *Guarantees*: what is created or changed
    /// there is said before it is done.
    #[test]
    fn what_becomes_of_the_target_is_said() {
        let said = |mode: &str, source_queues, target_queues| {
            let route = Route { mode: mode.into(), ..Default::default() };
            at_target(&route, &PlannedStream { source_queues, target_queues, ..Default::default() })
        };
        assert_eq!(said("MIRROR", 4, 4), "4");
        assert_eq!(said("MIRROR", 8, 4), "4, becomes 8");
        assert_eq!(said("MIRROR", 8, 0), "is created with 8");
        assert_eq!(said("RULE", 8, 4), "4");
        assert_eq!(said("RULE", 8, 0), "missing");
    }
}
