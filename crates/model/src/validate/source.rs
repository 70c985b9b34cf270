//! The source of a stream.

use rocketbridge_sql92::Filter;

use super::choice;
use super::findings::Findings;
use super::instance::Said;
use super::placement::Placement;
use super::{References, name};
use crate::resolved::{RocketMqSource, StartPosition};
use crate::route::STREAM_PREFIX;
use crate::stream::{SourceRocketMqParameters, StreamDefinition};

const PATH: &str = "source.source_rocketmq_parameters";
const OFFSETS: &[&str] = &["CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"];
/// Longest part of a stream's name in the name of its own group, so that the group stays within what Alibaba's consoles take.
const NAME_IN_GROUP: usize = 64;

/// Reads the source; `None` if it is refused.
pub(super) fn read(
    definition: &StreamDefinition,
    uid: &str,
    references: &dyn References,
    findings: &mut Findings,
) -> Option<RocketMqSource> {
    let Some(parameters) = &definition.source.source_rocketmq_parameters else {
        findings.add("source", "", "exactly one source is needed", "write source_rocketmq_parameters with the topic to read");
        return None;
    };
    let said = Said {
        path: PATH,
        suffix: "",
        connection: &parameters.connection,
        region: &parameters.region_id,
        instance: &parameters.instance_id,
        instance_type: &parameters.instance_type,
        protocol: &parameters.instance_protocol,
        endpoint: &parameters.instance_endpoint,
        username: &parameters.instance_username,
        password: &parameters.instance_password,
    };
    let connection = said.reach(&placements(parameters), references, findings);
    let readable = name::source_topic(&field("topic"), &parameters.topic, findings);
    let tags = name::tags(&field("tag"), &parameters.tag, findings);
    let start = start(parameters, findings);
    let group = group(parameters, &definition.name, uid, findings);
    let sql = sql(parameters, findings);
    check_words(parameters, findings);
    // A connection and a topic suffice to look for loops, whatever else is wrong.
    connection.filter(|_| readable).map(|connection| RocketMqSource {
        connection,
        topic: parameters.topic.clone(),
        tags,
        sql,
        group,
        start,
    })
}

fn field(name: &str) -> String {
    format!("{PATH}.{name}")
}

fn start(parameters: &SourceRocketMqParameters, findings: &mut Findings) -> StartPosition {
    let known = choice::one_of(&field("offset"), &parameters.offset, OFFSETS, findings);
    match (parameters.offset.as_str(), parameters.timestamp) {
        ("CONSUME_FROM_TIMESTAMP", None) => {
            let fix = "write the milliseconds since 1970, such as 1700000000000";
            findings.add(field("timestamp"), "", "CONSUME_FROM_TIMESTAMP needs a timestamp", fix);
        }
        ("CONSUME_FROM_TIMESTAMP", Some(timestamp)) if timestamp < 0 => {
            let fix = "write the milliseconds since 1970, such as 1700000000000";
            findings.add(field("timestamp"), &timestamp.to_string(), "a timestamp must not be negative", fix);
        }
        ("CONSUME_FROM_TIMESTAMP", Some(timestamp)) => return StartPosition::Timestamp(timestamp),
        (_, Some(timestamp)) if known => {
            let fix = "write offset: CONSUME_FROM_TIMESTAMP, or remove the timestamp";
            findings.add(field("timestamp"), &timestamp.to_string(), "a timestamp is used only with CONSUME_FROM_TIMESTAMP", fix);
        }
        ("CONSUME_FROM_FIRST_OFFSET", None) => return StartPosition::Earliest,
        _ => {}
    }
    StartPosition::Latest
}

/// Refuses a timestamp whose unit is most likely another: seconds, which as milliseconds would be in 1970, or micro- and nanoseconds, which
/// would be thousands of years ahead. Only new definitions are doubted; stored ones have found their position already.
pub(super) fn doubt_timestamp(definition: &StreamDefinition, findings: &mut Findings) {
    let parameters = definition.source.source_rocketmq_parameters.as_ref();
    let Some(timestamp) = parameters.and_then(|parameters| parameters.timestamp) else { return };
    let (unit, milliseconds) = match timestamp {
        100_000_000..100_000_000_000 => ("seconds", timestamp * 1_000),
        100_000_000_000_000..100_000_000_000_000_000 => ("microseconds", timestamp / 1_000),
        100_000_000_000_000_000.. => ("nanoseconds", timestamp / 1_000_000),
        _ => return,
    };
    let rule = format!("a timestamp is in milliseconds since 1970, and this looks like {unit}");
    findings.add(field("timestamp"), &timestamp.to_string(), rule, format!("write {milliseconds}"));
}

/// The named group, or a group of the stream's own. A stream that is created again under the same name gets another group, so that it starts afresh.
fn group(parameters: &SourceRocketMqParameters, stream: &str, uid: &str, findings: &mut Findings) -> String {
    if !parameters.group_id.is_empty() {
        name::group(&field("group_id"), &parameters.group_id, findings);
        return parameters.group_id.clone();
    }
    let stream: String = stream.chars().take(NAME_IN_GROUP).map(|character| if character == '.' { '-' } else { character }).collect();
    let uid: String = uid.chars().take(8).collect();
    format!("{STREAM_PREFIX}{stream}_{uid}")
}

fn check_words(parameters: &SourceRocketMqParameters, findings: &mut Findings) {
    choice::one_of(&field("auth_type"), &parameters.auth_type, &["ACL"], findings);
    if parameters.auth_type == "ACL" && parameters.connection.is_empty() && parameters.instance_username.is_empty() {
        let fix = "write the access key, name a connection that has one, or remove auth_type";
        findings.add(field("instance_username"), "", "ACL needs an access key", fix);
    }
    choice::one_of(&field("body_data_type"), &parameters.body_data_type, &["Json"], findings);
}

/// The SQL92 expression.
fn sql(parameters: &SourceRocketMqParameters, findings: &mut Findings) -> Option<String> {
    if !choice::one_of(&field("filter_type"), &parameters.filter_type, &["Tag", "Sql"], findings) {
        return None;
    }
    let expression = parameters.filter_sql.trim();
    match (parameters.filter_type.as_str(), expression.is_empty()) {
        ("Sql", true) => {
            let fix = "write an expression such as amount > 10, or remove filter_type";
            findings.add(field("filter_sql"), "", "Sql needs an expression", fix);
            None
        }
        ("Sql", false) => {
            if !matches!(parameters.tag.trim(), "" | "*") {
                let fix = "remove the tag and write TAGS = 'a' in the expression";
                findings.add(field("tag"), &parameters.tag, "with Sql the expression alone decides", fix);
            }
            if let Err(malformed) = Filter::parse(expression) {
                let fix = "docs/sql-filters.md has the language";
                findings.add(field("filter_sql"), expression, malformed.to_string(), fix);
            }
            Some(expression.to_owned())
        }
        (_, false) => {
            let fix = "write filter_type: Sql, or remove filter_sql and write filter_pattern, which can test $.data.userProperties";
            findings.add(field("filter_sql"), &parameters.filter_sql, "an expression belongs to filter_type Sql alone", fix);
            None
        }
        (_, true) => None,
    }
}

/// Where the instance is, and where a cross-border task is.
fn placements(parameters: &SourceRocketMqParameters) -> [Placement<'_>; 2] {
    let instance = Placement {
        network: (field("instance_network"), &parameters.instance_network),
        vpc: (field("instance_vpc_id"), &parameters.instance_vpc_id),
        vswitches: (field("instance_vswitch_ids"), &parameters.instance_vswitch_ids),
        security_group: (field("instance_security_group_id"), &parameters.instance_security_group_id),
    };
    let task = Placement {
        network: (field("network"), &parameters.network),
        vpc: (field("vpc_id"), &parameters.vpc_id),
        vswitches: (field("vswitch_ids"), &parameters.vswitch_ids),
        security_group: (field("security_group_id"), &parameters.security_group_id),
    };
    [instance, task]
}
