//! `rocketbridge rocketmq tail`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rocketbridge_connector::{Error, Remedy};
use rocketbridge_connector_rocketmq::{Connectors, Tail, Tailed};
use rocketbridge_model::properties::pairs;
use rocketbridge_model::resolved::StartPosition;
use serde_json::{Map, Value, json};

use super::Instance;
use crate::failure::Failure;
use crate::output::{Console, Format};

/// Where messages come from: a followed topic, or a test's list.
trait Feed {
    /// The next message. Cancel-safe. An error is told once, and reading goes on.
    async fn next(&mut self) -> Result<Tailed, Error>;
}

impl Feed for Tail {
    async fn next(&mut self) -> Result<Tailed, Error> {
        Self::next(self).await
    }
}

/// What `tail` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The topic
    #[arg(long)]
    topic: String,
    /// latest, earliest, or a time: RFC 3339 or milliseconds since 1970
    #[arg(long, default_value = "latest", value_parser = position)]
    from: StartPosition,
    /// End after so many messages
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only messages with this tag; may be given several times
    #[arg(long)]
    tag: Vec<String>,
}

/// Prints what arrives, until it is enough or interrupted: both end well. Leaves no trace in the cluster.
pub async fn run(arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let admin = Connectors::new().admin(&arguments.instance.connection()?);
    let begun = admin.tail(&arguments.topic, &arguments.tag, arguments.from).await;
    let mut tail = begun.map_err(|error| Failure::Failed(error.to_string()))?;
    console.remark(format!("reading topic {}", arguments.topic));
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        ended = print(&mut tail, arguments, format, console) => ended,
    }
}

/// Prints until it is enough, or until something is wrong that does not pass by itself.
async fn print(feed: &mut impl Feed, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut left = arguments.count;
    while left != Some(0) {
        match feed.next().await {
            Ok(message) => {
                console.result(show(&arguments.topic, &message, format)?)?;
                left = left.map(|left| left - 1);
            }
            Err(error) if error.retry() == Remedy::Time => console.remark(error),
            Err(error) => return Err(Failure::Failed(error.to_string())),
        }
    }
    Ok(())
}

/// One message. Its body is text if it is UTF-8, else base64; either way no byte is lost.
fn show(topic: &str, message: &Tailed, format: Format) -> Result<String, Failure> {
    let Tailed { partition, event } = message;
    let (partition, envelope) = (partition.id.as_str(), &event.envelope);
    let get = |name: &str| envelope.properties.get(name).unwrap_or_default();
    let text = std::str::from_utf8(&envelope.body);
    if format == Format::Table {
        // As JSON text, so that a message is a line and control characters show.
        let body = text.map_or_else(|_| format!("base64:{}", STANDARD.encode(&envelope.body)), |text| Value::from(text).to_string());
        let named = [("tag", get("TAGS")), ("keys", get("KEYS"))].into_iter().filter(|(_, value)| !value.is_empty());
        let named: String = named.map(|(name, value)| format!("{name}={}  ", Value::from(value))).collect();
        return Ok(format!("{partition}  {}  {named}{body}\n", event.offset));
    }
    let mut properties = Map::new();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    properties.extend(pairs(envelope.properties.as_wire()).map(|(name, value)| (lossy(name), Value::from(lossy(value)))));
    let mut document = json!({
        "topic": topic,
        "partition": partition,
        "offset": event.offset,
        "tag": get("TAGS"),
        "keys": get("KEYS"),
        "properties": properties,
        "born_timestamp": envelope.born_timestamp,
        "store_timestamp": envelope.store_timestamp,
    });
    match text {
        Ok(text) => document["body"] = text.into(),
        Err(_) => document["body_base64"] = STANDARD.encode(&envelope.body).into(),
    }
    match format {
        Format::Yaml => Ok(format!("---\n{}", serde_yaml_ng::to_string(&document).map_err(std::io::Error::other)?)),
        Format::Table | Format::Json => Ok(format!("{document}\n")),
    }
}

pub(crate) fn position(text: &str) -> Result<StartPosition, String> {
    match text {
        "latest" => Ok(StartPosition::Latest),
        "earliest" => Ok(StartPosition::Earliest),
        _ => {
            let time = text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond()));
            time.map(StartPosition::Timestamp)
                .ok_or_else(|| "latest, earliest, a time such as 2026-11-22T18:00:00Z, or milliseconds since 1970 is needed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use clap::Parser;
    use rocketbridge_connector::{Code, Partition};
    use rocketbridge_model::{Envelope, Event, PartitionId, Properties};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(more: &[&str]) -> Arguments {
        Line::parse_from(["x", "--name-server", "127.0.0.1:9876", "--topic", "t"].iter().chain(more)).arguments
    }

    fn message(offset: u64, body: &'static [u8]) -> Tailed {
        let properties = Properties::from_pairs([("TAGS", "paid"), ("KEYS", "k 1"), ("city", "qingdao")]).expect("representable");
        let envelope =
            Envelope { body: Bytes::from_static(body), properties, born_timestamp: 1, store_timestamp: 2, ..Envelope::default() };
        let partition = Partition { id: PartitionId::new("broker-a/0"), broker: "broker-a".into(), queue: 0 };
        Tailed { partition, event: Event { offset, envelope, attributes: None } }
    }

    struct List(VecDeque<Result<Tailed, Error>>);

    impl Feed for List {
        async fn next(&mut self) -> Result<Tailed, Error> {
            self.0.pop_front().expect("nobody asks for more than enough")
        }
    }

    /// What is printed of a list, and how it ended.
    async fn printed(list: impl IntoIterator<Item = Result<Tailed, Error>>, format: Format) -> (String, String, Result<(), Failure>) {
        let (mut results, mut remarks) = (Vec::new(), Vec::new());
        let ended = {
            let mut console = Console::new(&mut results, &mut remarks, false);
            print(&mut List(list.into_iter().collect()), &arguments(&["--count", "3"]), format, &mut console).await
        };
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(results), text(remarks), ended)
    }

    /// *Scenario:* text of two lines, bytes, and JSON, with trouble in between that passes. *Guarantees:* every message is printed without
    /// loss, and the tail ends after `--count`.
    #[tokio::test]
    async fn messages_are_printed_without_loss() {
        for (format, expected) in [
            (
                Format::Table,
                "broker-a/0  5  tag=\"paid\"  keys=\"k 1\"  \"two\\nlines\"\nbroker-a/0  6  tag=\"paid\"  keys=\"k 1\"  base64:/wA=\nbroker-a/0  7  tag=\"paid\"  keys=\"k 1\"  \"{}\"\n",
            ),
            (
                Format::Json,
                "{\"topic\":\"t\",\"partition\":\"broker-a/0\",\"offset\":5,\"tag\":\"paid\",\"keys\":\"k 1\",\"properties\":{\"TAGS\":\"paid\",\"KEYS\":\"k 1\",\"city\":\"qingdao\"},\
                 \"born_timestamp\":1,\"store_timestamp\":2,\"body\":\"two\\nlines\"}\n\
                 {\"topic\":\"t\",\"partition\":\"broker-a/0\",\"offset\":6,\"tag\":\"paid\",\"keys\":\"k 1\",\"properties\":{\"TAGS\":\"paid\",\"KEYS\":\"k 1\",\"city\":\"qingdao\"},\
                 \"born_timestamp\":1,\"store_timestamp\":2,\"body_base64\":\"/wA=\"}\n\
                 {\"topic\":\"t\",\"partition\":\"broker-a/0\",\"offset\":7,\"tag\":\"paid\",\"keys\":\"k 1\",\"properties\":{\"TAGS\":\"paid\",\"KEYS\":\"k 1\",\"city\":\"qingdao\"},\
                 \"born_timestamp\":1,\"store_timestamp\":2,\"body\":\"{}\"}\n",
            ),
        ] {
            let trouble = Error::new(Code::Unavailable, "pull", "starting");
            let (results, remarks, ended) =
                printed([Ok(message(5, b"two\nlines")), Err(trouble), Ok(message(6, b"\xff\x00")), Ok(message(7, b"{}"))], format).await;
            ended.expect("enough");
            assert_eq!((results.as_str(), remarks.as_str()), (expected, "pull: starting\n"));
        }
    }

    /// *Scenario:* the topic is removed. *Guarantees:* the tail ends badly and says why.
    #[tokio::test]
    async fn what_does_not_pass_ends_the_tail() {
        let (results, _, ended) =
            printed([Ok(message(5, b"x")), Err(Error::new(Code::NotFound, "pull from topic t", "no such topic"))], Format::Table).await;
        assert_eq!(results.lines().count(), 1);
        assert_eq!(ended.expect_err("gone").to_string(), "pull from topic t: no such topic");
    }

    #[test]
    fn positions_are_read() {
        assert_eq!(position("earliest"), Ok(StartPosition::Earliest));
        assert_eq!(position("1700000000000"), Ok(StartPosition::Timestamp(1_700_000_000_000)));
        assert_eq!(position("2023-11-14T22:13:20Z"), Ok(StartPosition::Timestamp(1_700_000_000_000)));
        assert!(position("yesterday").is_err());
    }
}
