//! Where events go that cannot be delivered.

use super::findings::Findings;
use super::instance;
use super::placement::{self, Placement};
use super::suggest::nearest;
use super::{References, name};
use crate::resolved::{DeadLetterTarget, RocketMqConnection};
use crate::stream::DeadLetterQueue;

const PATH: &str = "run_options.dead_letter_queue";
const RULE: &str = "a dead-letter target is acs:mq:{region}:{account}:/instances/{instance}/topic/{topic}, or connection/topic";

/// Reads the dead-letter target; `None` without one, or if it is refused.
pub(super) fn read(
    queue: &DeadLetterQueue,
    references: &dyn References,
    connections: &[&RocketMqConnection],
    source: Option<(&RocketMqConnection, &str)>,
    findings: &mut Findings,
) -> Option<DeadLetterTarget> {
    // Software development kits write a dead-letter queue that nobody set as an empty object.
    if *queue == DeadLetterQueue::default() {
        return None;
    }
    let placement = placement_of(queue);
    let field = format!("{PATH}.arn");
    let (connection, topic) = match Arn::parse(&queue.arn) {
        Ok(Arn::Instance { region, instance, topic }) => {
            let Some(connection) = instance_of(region, instance, &placement, references, connections, findings) else {
                let rule = format!("there is no connection for the instance {instance}, and the stream itself does not use that instance");
                findings.add(field, &queue.arn, rule, "create a connection with this instance_id, or write connection/topic");
                return None;
            };
            (connection, topic)
        }
        Ok(Arn::Connection { connection, topic }) => {
            let Some(definition) = references.connection(connection) else {
                let names: Vec<&str> = references.connections().map(|known| known.name.as_str()).collect();
                let fix = match nearest(connection, names) {
                    Some(meant) => format!("did you mean {meant}/{topic}?"),
                    None => "create the connection first".to_owned(),
                };
                findings.add(field, &queue.arn, format!("there is no connection named {connection}"), fix);
                return None;
            };
            (instance::of_connection(&field, definition, &placement, references, findings), topic)
        }
        Err(Refusal { rule, fix }) => {
            findings.add(field, &queue.arn, rule, fix);
            return None;
        }
    };
    if !name::target_topic(&field, topic, findings) {
        return None;
    }
    if source.is_some_and(|source| instance::same_topic(source, (&connection, topic))) {
        let rule = "dead letters would flow back into the source and be routed for ever";
        findings.add(field, &queue.arn, rule, "choose another topic");
        return None;
    }
    Some(DeadLetterTarget { connection, topic: topic.to_owned() })
}

/// The stream's own connection to the instance, the target's before the source's; otherwise the registered connection of the instance.
fn instance_of(
    region: &str,
    instance: &str,
    placement: &Placement<'_>,
    references: &dyn References,
    connections: &[&RocketMqConnection],
    findings: &mut Findings,
) -> Option<RocketMqConnection> {
    let own = connections.iter().find(|connection| {
        let near = region.is_empty() || connection.region.is_empty() || connection.region.as_str() == region;
        near && connection.instance.as_str() == instance
    });
    match own {
        Some(connection) => {
            // What is said of networks for dead letters alone counts before what is said for the stream.
            let network = placement::choose(None, std::slice::from_ref(placement), references, findings);
            let own = (*connection).clone();
            Some(RocketMqConnection { network: network.or_else(|| own.network.clone()), ..own })
        }
        None => {
            let definition = instance::registered(instance, region, references)?;
            let field = format!("{PATH}.arn");
            Some(instance::of_connection(&field, definition, placement, references, findings))
        }
    }
}

enum Arn<'a> {
    Instance { region: &'a str, instance: &'a str, topic: &'a str },
    Connection { connection: &'a str, topic: &'a str },
}

struct Refusal {
    rule: String,
    fix: String,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let refusal = |fix: &str| Refusal { rule: RULE.to_owned(), fix: fix.to_owned() };
        if let Some(rest) = text.strip_prefix("acs:mq:") {
            let mut parts = rest.splitn(3, ':');
            let (region, resource) = match (parts.next(), parts.next(), parts.next()) {
                (Some(region), Some(_account), Some(resource)) => (region, resource),
                _ => return Err(refusal("write region and account, which may be empty, between colons")),
            };
            let (instance, topic) = resource
                .strip_prefix("/instances/")
                .and_then(|rest| rest.split_once("/topic/"))
                .filter(|(instance, topic)| !instance.is_empty() && !topic.is_empty())
                .ok_or_else(|| refusal("end it with /instances/{instance}/topic/{topic}"))?;
            return Ok(Self::Instance { region, instance, topic });
        }
        if let Some(service) = text.strip_prefix("acs:").map(|rest| rest.split(':').next().unwrap_or_default()) {
            let rule = format!("this version does not send dead letters to acs:{service}");
            return Err(Refusal { rule, fix: "name a RocketMQ topic".to_owned() });
        }
        match text.split_once('/') {
            Some((connection, topic)) if !connection.is_empty() && !topic.is_empty() => Ok(Self::Connection { connection, topic }),
            _ => Err(refusal("name a connection and a topic, with / between them")),
        }
    }
}

fn placement_of(queue: &DeadLetterQueue) -> Placement<'_> {
    let field = |name: &str| format!("{PATH}.{name}");
    Placement {
        network: (field("network"), &queue.network),
        vpc: (field("vpc_id"), &queue.vpc_id),
        vswitches: (field("vswitch_ids"), &queue.vswitch_ids),
        security_group: (field("security_group_id"), &queue.security_group_id),
    }
}
