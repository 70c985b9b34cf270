//! `rocketbridge rocketmq topics`, `describe-topic`, `create-topic` and `delete-topic`.

use rocketbridge_connector::Error;
use rocketbridge_connector_rocketmq::{Connectors, TopicQueue};
use serde_json::{Value, json};

use super::Instance;
use crate::failure::Failure;
use crate::output::table::{counted, grouped};
use crate::output::{Console, Format, Table};

/// What `topics` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// Also RocketMQ's own topics, such as those of retries
    #[arg(long)]
    all: bool,
}

/// What `describe-topic` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct DescribeArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The topic
    #[arg(long)]
    topic: String,
}

/// What `create-topic` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct CreateArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The topic
    #[arg(long)]
    topic: String,
    /// Queues on each broker, for reading and writing
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    queues: u32,
    /// Only on the brokers of this cluster [default: on all brokers that the name server knows]
    #[arg(long)]
    cluster: Option<String>,
}

/// What `delete-topic` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct DeleteArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The topic
    #[arg(long)]
    topic: String,
    /// Only from the brokers of this cluster [default: from all brokers that the name server knows]
    #[arg(long)]
    cluster: Option<String>,
    /// Delete the messages that the topic holds
    #[arg(long)]
    yes: bool,
}

/// Lists topics, a line each.
pub async fn list(arguments: &ListArguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let admin = Connectors::new().admin(&arguments.instance.connection()?);
    let topics = admin.topics_of_users(arguments.all).await.map_err(failed)?;
    match format {
        Format::Table if topics.is_empty() => console.remark("there are no topics"),
        Format::Table => console.result(topics.iter().map(|topic| format!("{topic}\n")).collect::<String>())?,
        Format::Json | Format::Yaml => console.document(format, &json!(topics))?,
    }
    Ok(())
}

/// Shows each queue of a topic.
pub async fn describe(arguments: &DescribeArguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let admin = Connectors::new().admin(&arguments.instance.connection()?);
    let queues = admin.describe_topic(&arguments.topic).await.map_err(failed)?;
    Ok(match format {
        Format::Table => console.result(show(&arguments.topic, &queues)),
        Format::Json | Format::Yaml => console.document(format, &document(&arguments.topic, &queues)),
    }?)
}

/// Makes a topic and names the brokers it is on.
pub async fn create(arguments: &CreateArguments, console: &mut Console<'_>) -> Result<(), Failure> {
    let CreateArguments { instance, topic, queues, cluster } = arguments;
    let admin = Connectors::new().admin(&instance.connection()?);
    let brokers = admin.create_topic_in(cluster.as_deref(), topic, *queues).await.map_err(failed)?;
    Ok(console.result(format!("topic/{topic} has {} on {}\n", counted((*queues).into(), "queue"), brokers.join(", ")))?)
}

/// Removes a topic. One that holds messages is only removed when that was asked for in so many words.
pub async fn delete(arguments: &DeleteArguments, console: &mut Console<'_>) -> Result<(), Failure> {
    let DeleteArguments { instance, topic, cluster, yes } = arguments;
    let admin = Connectors::new().admin(&instance.connection()?);
    let held = messages(&admin.describe_topic(topic).await.map_err(failed)?);
    if held > 0 && !yes {
        let held = counted(held, "message");
        return Err(Failure::Failed(format!("topic {topic} holds {held}, and streams may use it; pass --yes to delete it all the same")));
    }
    let brokers = admin.delete_topic_in(cluster.as_deref(), topic).await.map_err(failed)?;
    Ok(console.result(format!("topic/{topic} deleted from {}\n", brokers.join(", ")))?)
}

fn show(topic: &str, queues: &[TopicQueue]) -> String {
    let mut table = Table::new(["BROKER", "QUEUE", "MAY", "OLDEST", "NEXT", "MESSAGES", "ADDRESS"]).right(&[1, 3, 4, 5]);
    for described in queues {
        let TopicQueue { queue, address, offsets, .. } = described;
        let offset = |pick: fn((u64, u64)) -> u64| offsets.map_or_else(|| "-".to_owned(), |offsets| grouped(pick(offsets)));
        table.row([
            queue.broker.clone(),
            queue.id.to_string(),
            allowed(described).to_owned(),
            offset(|(oldest, _)| oldest),
            offset(|(_, next)| next),
            offset(|(oldest, next)| next.saturating_sub(oldest)),
            address.clone(),
        ]);
    }
    let (count, held) = (counted(queues.len() as u64, "queue"), counted(messages(queues), "message"));
    format!("topic/{topic}   {count}   {held}\n\n{table}")
}

fn document(topic: &str, queues: &[TopicQueue]) -> Value {
    let queue = |described: &TopicQueue| {
        json!({
            "broker": described.queue.broker,
            "queue": described.queue.id,
            "address": described.address,
            "readable": described.is_readable,
            "writable": described.is_writable,
            "oldest_offset": described.offsets.map(|(oldest, _)| oldest),
            "next_offset": described.offsets.map(|(_, next)| next),
        })
    };
    json!({ "topic": topic, "messages": messages(queues), "queues": queues.iter().map(queue).collect::<Vec<_>>() })
}

fn allowed(described: &TopicQueue) -> &'static str {
    match (described.is_readable, described.is_writable) {
        (true, true) => "read, write",
        (true, false) => "read",
        (false, _) => "write",
    }
}

fn messages(queues: &[TopicQueue]) -> u64 {
    queues.iter().filter_map(|described| described.offsets).map(|(oldest, next)| next.saturating_sub(oldest)).sum()
}

fn failed(error: Error) -> Failure {
    Failure::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use rocketbridge_connector_rocketmq::Queue;

    use super::*;

    fn queue(broker: &str, id: u32, is_writable: bool, offsets: Option<(u64, u64)>) -> TopicQueue {
        let queue = Queue { broker: broker.into(), id };
        TopicQueue { queue, address: format!("{broker}:10911"), is_readable: offsets.is_some(), is_writable, offsets }
    }

    #[test]
    fn a_topic_is_shown_queue_by_queue() {
        let queues = [queue("a", 0, true, Some((5, 1_205))), queue("a", 1, true, None), queue("b", 0, false, Some((0, 0)))];
        assert_eq!(
            show("orders", &queues),
            "topic/orders   3 queues   1,200 messages\n\n\
             BROKER   QUEUE   MAY           OLDEST    NEXT   MESSAGES   ADDRESS\n\
             a            0   read, write        5   1,205      1,200   a:10911\n\
             a            1   write              -       -          -   a:10911\n\
             b            0   read               0       0          0   b:10911\n"
        );
        let document = document("orders", &queues);
        assert_eq!((&document["messages"], &document["queues"][0]["next_offset"]), (&json!(1_200), &json!(1_205)));
        assert_eq!(document["queues"][1]["next_offset"], Value::Null);
    }
}
