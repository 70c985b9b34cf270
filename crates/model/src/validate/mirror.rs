//! What a stream that mirrors cannot have: a copy is the original, in the queue of the same number.

use super::findings::Findings;
use crate::resolved::{Protocol, RocketMqConnection, RocketMqSource, RocketMqTarget};
use crate::stream::StreamDefinition;

/// The mode of a mirror, as `run_options.mode` has it.
pub(super) const MIRROR: &str = "MIRROR";

/// Notes what a mirror must not have, of the parts that could be read. Nothing is noted for streams of another mode.
pub(super) fn check(
    definition: &StreamDefinition,
    source: Option<&RocketMqSource>,
    target: Option<&RocketMqTarget>,
    findings: &mut Findings,
) {
    if definition.run_options.mode != MIRROR {
        return;
    }
    let rule = "a mirror copies every message";
    if !is_everything(&definition.filter_pattern) {
        findings.add("filter_pattern", &definition.filter_pattern, rule, "write {}, or run_options.mode RULE");
    }
    if let Some(source) = source {
        let path = |name: &str| format!("source.source_rocketmq_parameters.{name}");
        if !source.tags.is_empty() {
            findings.add(path("tag"), &source.tags.join("||"), rule, "remove the tag, or write run_options.mode RULE");
        }
        if let Some(sql) = &source.sql {
            findings.add(path("filter_sql"), sql, rule, "remove the filter, or write run_options.mode RULE");
        }
        if super::name::is_light(&source.topic) {
            let rule = "a mirror copies the queues of a topic, and a light queue is none of them";
            findings.add(
                path("topic"),
                &source.topic,
                rule,
                "mirror the topic that its messages are sent to, or write run_options.mode RULE",
            );
        }
        refuse_grpc(path("instance_protocol"), &source.connection, findings);
    }
    let Some(target) = target else { return };
    let path = |name: &str| format!("sink.sink_rocketmq_parameters.{name}");
    let made = [
        ("body", &target.body),
        ("properties", &target.properties),
        ("keys", &target.keys),
        ("tags", &target.tags),
        ("sharding_key", &target.sharding_key),
    ];
    for (name, parameter) in made {
        if let Some(parameter) = parameter {
            let found = if parameter.value.is_empty() { &parameter.template } else { &parameter.value };
            let fix = format!("remove {name}, or write run_options.mode RULE");
            findings.add(path(name), found, "a mirror changes nothing of a message", fix);
        }
    }
    if target.orderly {
        let rule = "in a mirror each queue keeps its order, whatever the sharding keys";
        findings.add(path("delivery_order_type.value"), "Orderly", rule, "remove delivery_order_type");
    }
    refuse_grpc(path("instance_protocol.value"), &target.connection, findings);
}

/// A mirror needs queues with offsets at both ends.
fn refuse_grpc(field: String, connection: &RocketMqConnection, findings: &mut Findings) {
    if connection.protocol == Protocol::Grpc {
        let rule = "a mirror reads and writes queues by their number, which gRPC clients cannot choose";
        findings.add(field, "Grpc", rule, "reach the instance over remoting, or write run_options.mode RULE");
    }
}

/// Whether a pattern is an object without members.
fn is_everything(pattern: &str) -> bool {
    let inside = pattern.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}
