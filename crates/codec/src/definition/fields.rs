//! The names of all fields of definitions.
//!
//! One table for each message: its fields under their own names, under the names of Alibaba's API where they have one, and what they
//! hold. Field masks and the reader of files walk these tables; a test holds them against the model.

use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::{PatternDialect, RouteDefinition, StreamDefinition};

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its name, in snake_case.
    pub name: &'static str,
    /// Its names in Alibaba's API.
    pub original: &'static [&'static str],
    /// What it holds.
    pub shape: Shape,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text.
    Text,
    /// A number from 0 to 2³²−1.
    Count,
    /// A whole number of 64 bits.
    Integer,
    /// JSON, as text or as it is.
    Json,
    /// One of a few words.
    Word {
        /// The words.
        words: &'static [&'static str],
        /// Prefix of the words, in capitals, in the names of the API's enum.
        prefix: &'static str,
    },
    /// True or false.
    Flag,
    /// A list of text.
    Texts,
    /// A message whose fields are changed one by one.
    Message(&'static [Field]),
    /// A message that is changed only as a whole.
    Value(&'static [Field]),
    /// A list of messages.
    Messages(&'static [Field]),
    /// What only the server writes. Readers ignore it.
    OutputOnly,
}

impl Shape {
    /// The fields below, if it is a message or a list of them.
    pub fn fields(self) -> Option<&'static [Field]> {
        match self {
            Self::Message(fields) | Self::Value(fields) | Self::Messages(fields) => Some(fields),
            _ => None,
        }
    }
}

/// A definition whose fields are known by name.
pub trait Described {
    /// Its fields.
    const FIELDS: &'static [Field];
}

impl Described for StreamDefinition {
    const FIELDS: &'static [Field] = STREAM;
}

impl Described for ConnectionDefinition {
    const FIELDS: &'static [Field] = CONNECTION;
}

impl Described for NetworkDefinition {
    const FIELDS: &'static [Field] = NETWORK;
}

impl Described for RouteDefinition {
    const FIELDS: &'static [Field] = ROUTE;
}

/// The field of a name, in either spelling.
pub fn find(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.name == name || field.original.contains(&name))
}

const fn own(name: &'static str, shape: Shape) -> Field {
    Field { name, original: &[], shape }
}

const fn named(name: &'static str, original: &'static [&'static str], shape: Shape) -> Field {
    Field { name, original, shape }
}

/// Fields of a stream.
pub const STREAM: &[Field] = &[
    named("name", &["EventStreamingName", "event_streaming_name"], Shape::Text),
    named("description", &["Description"], Shape::Text),
    named("filter_pattern", &["FilterPattern"], Shape::Json),
    named("filter_pattern_dialect", &["FilterPatternDialect"], DIALECT),
    named("tags", &["Tags"], Shape::Messages(TAG)),
    named("source", &["Source"], Shape::Message(SOURCE)),
    named("sink", &["Sink"], Shape::Message(SINK)),
    named("transforms", &["Transforms"], Shape::Messages(TRANSFORM)),
    named("run_options", &["RunOptions"], Shape::Message(RUN_OPTIONS)),
    own("uid", Shape::OutputOnly),
    own("revision", Shape::OutputOnly),
    own("state", Shape::OutputOnly),
    own("state_reason", Shape::OutputOnly),
    own("create_time", Shape::OutputOnly),
    own("update_time", Shape::OutputOnly),
    own("route", Shape::OutputOnly),
];

const DIALECT: Shape = Shape::Word { words: PatternDialect::WORDS, prefix: "PATTERN_DIALECT_" };

const TAG: &[Field] = &[named("key", &["Key"], Shape::Text), named("value", &["Value"], Shape::Text)];

const SOURCE: &[Field] = &[named("source_rocketmq_parameters", &["SourceRocketMQParameters"], Shape::Message(SOURCE_ROCKETMQ))];

const SOURCE_ROCKETMQ: &[Field] = &[
    named("connection", &["Connection"], Shape::Text),
    named("region_id", &["RegionId"], Shape::Text),
    named("instance_id", &["InstanceId"], Shape::Text),
    named("topic", &["Topic"], Shape::Text),
    named("tag", &["Tag"], Shape::Text),
    named("offset", &["Offset"], Shape::Text),
    named("timestamp", &["Timestamp"], Shape::Integer),
    named("group_id", &["GroupID", "GroupId"], Shape::Text),
    named("instance_type", &["InstanceType"], Shape::Text),
    named("instance_protocol", &["InstanceProtocol"], Shape::Text),
    named("instance_network", &["InstanceNetwork"], Shape::Text),
    named("instance_vpc_id", &["InstanceVpcId"], Shape::Text),
    named("instance_vswitch_ids", &["InstanceVSwitchIds"], Shape::Text),
    named("instance_security_group_id", &["InstanceSecurityGroupId"], Shape::Text),
    named("instance_endpoint", &["InstanceEndpoint"], Shape::Text),
    named("instance_username", &["InstanceUsername"], Shape::Text),
    named("instance_password", &["InstancePassword"], Shape::Text),
    named("auth_type", &["AuthType"], Shape::Text),
    named("filter_type", &["FilterType"], Shape::Text),
    named("filter_sql", &["FilterSql"], Shape::Text),
    named("body_data_type", &["BodyDataType"], Shape::Text),
    named("network", &["Network"], Shape::Text),
    named("vpc_id", &["VpcId"], Shape::Text),
    named("vswitch_ids", &["VSwitchIds"], Shape::Text),
    named("security_group_id", &["SecurityGroupId"], Shape::Text),
];

const SINK: &[Field] = &[named("sink_rocketmq_parameters", &["SinkRocketMQParameters"], Shape::Message(SINK_ROCKETMQ))];

const SINK_ROCKETMQ: &[Field] = &[
    named("connection", &["Connection"], Shape::Value(PARAMETER)),
    named("instance_id", &["InstanceId"], Shape::Value(PARAMETER)),
    named("topic", &["Topic"], Shape::Value(PARAMETER)),
    named("body", &["Body"], Shape::Value(PARAMETER)),
    named("properties", &["Properties"], Shape::Value(PARAMETER)),
    named("keys", &["Keys"], Shape::Value(PARAMETER)),
    named("tags", &["Tags"], Shape::Value(PARAMETER)),
    named("instance_type", &["InstanceType"], Shape::Value(PARAMETER)),
    named("instance_protocol", &["InstanceProtocol"], Shape::Value(PARAMETER)),
    named("instance_endpoint", &["InstanceEndpoint"], Shape::Value(PARAMETER)),
    named("instance_username", &["InstanceUsername"], Shape::Value(PARAMETER)),
    named("instance_password", &["InstancePassword"], Shape::Value(PARAMETER)),
    named("network", &["Network"], Shape::Value(PARAMETER)),
    named("vpc_id", &["VpcId"], Shape::Value(PARAMETER)),
    named("vswitch_ids", &["VSwitchIds"], Shape::Value(PARAMETER)),
    named("security_group_id", &["SecurityGroupId"], Shape::Value(PARAMETER)),
    named("delivery_order_type", &["DeliveryOrderType"], Shape::Value(PARAMETER)),
    named("sharding_key", &["ShardingKey"], Shape::Value(PARAMETER)),
];

const PARAMETER: &[Field] =
    &[named("value", &["Value"], Shape::Text), named("form", &["Form"], Shape::Text), named("template", &["Template"], Shape::Text)];

const TRANSFORM: &[Field] = &[named("arn", &["Arn"], Shape::Text)];

const RUN_OPTIONS: &[Field] = &[
    named("maximum_tasks", &["MaximumTasks"], Shape::Count),
    named("throttling", &["Throttling"], Shape::Count),
    named("errors_tolerance", &["ErrorsTolerance"], Shape::Text),
    named("batch_window", &["BatchWindow"], Shape::Message(BATCH_WINDOW)),
    named("retry_strategy", &["RetryStrategy"], Shape::Message(RETRY_STRATEGY)),
    named("dead_letter_queue", &["DeadLetterQueue"], Shape::Message(DEAD_LETTER_QUEUE)),
    named("business_option", &["BusinessOption"], Shape::Message(BUSINESS_OPTION)),
    named("mode", &["Mode"], Shape::Text),
    named("loop_guard", &["LoopGuard"], Shape::Text),
];

const BATCH_WINDOW: &[Field] =
    &[named("count_based_window", &["CountBasedWindow"], Shape::Count), named("time_based_window", &["TimeBasedWindow"], Shape::Count)];

const RETRY_STRATEGY: &[Field] = &[
    named("push_retry_strategy", &["PushRetryStrategy"], Shape::Text),
    named("maximum_event_age_in_seconds", &["MaximumEventAgeInSeconds"], Shape::Count),
    named("maximum_retry_attempts", &["MaximumRetryAttempts"], Shape::Count),
];

const DEAD_LETTER_QUEUE: &[Field] = &[
    named("arn", &["Arn"], Shape::Text),
    named("network", &["Network"], Shape::Text),
    named("vpc_id", &["VpcId"], Shape::Text),
    named("vswitch_ids", &["VSwitchIds"], Shape::Text),
    named("security_group_id", &["SecurityGroupId"], Shape::Text),
];

const BUSINESS_OPTION: &[Field] = &[
    named("business_mode", &["BusinessMode"], Shape::Text),
    named("min_capacity_unit_count", &["MinCapacityUnitCount"], Shape::Count),
    named("max_capacity_unit_count", &["MaxCapacityUnitCount"], Shape::Count),
];

/// Fields of a connection.
pub const CONNECTION: &[Field] = &[
    own("name", Shape::Text),
    own("description", Shape::Text),
    own("region", Shape::Text),
    own("instance_type", Shape::Text),
    own("protocol", Shape::Text),
    own("instance_id", Shape::Text),
    own("endpoints", Shape::Texts),
    own("namespace", Shape::Text),
    own("access_key", Shape::Text),
    own("secret_key", Shape::Text),
    own("security_token", Shape::Text),
    own("credentials", Shape::Value(CREDENTIALS)),
    own("network", Shape::Text),
    own("tls", Shape::Message(TLS)),
    own("uid", Shape::OutputOnly),
    own("create_time", Shape::OutputOnly),
    own("update_time", Shape::OutputOnly),
    own("built_in", Shape::OutputOnly),
];

const CREDENTIALS: &[Field] = &[
    own("static", Shape::Value(STATIC_CREDENTIALS)),
    own("sts", Shape::Value(STS_CREDENTIALS)),
    own("oidc", Shape::Value(OIDC_CREDENTIALS)),
    own("instance_role", Shape::Value(INSTANCE_ROLE_CREDENTIALS)),
    own("file", Shape::Value(FILE_CREDENTIALS)),
];

const STATIC_CREDENTIALS: &[Field] = &[own("access_key", Shape::Text), own("secret_key", Shape::Text), own("security_token", Shape::Text)];

const STS_CREDENTIALS: &[Field] = &[
    own("endpoint", Shape::Text),
    own("role_arn", Shape::Text),
    own("role_session_name", Shape::Text),
    own("duration_seconds", Shape::Count),
    own("policy", Shape::Text),
    own("external_id", Shape::Text),
    own("access_key", Shape::Text),
    own("secret_key", Shape::Text),
];

const OIDC_CREDENTIALS: &[Field] = &[
    own("endpoint", Shape::Text),
    own("provider_arn", Shape::Text),
    own("role_arn", Shape::Text),
    own("role_session_name", Shape::Text),
    own("duration_seconds", Shape::Count),
    own("policy", Shape::Text),
    own("token_file", Shape::Text),
];

const INSTANCE_ROLE_CREDENTIALS: &[Field] = &[own("role", Shape::Text), own("address", Shape::Text)];

const FILE_CREDENTIALS: &[Field] = &[own("path", Shape::Text)];

const TLS: &[Field] = &[
    own("enabled", Shape::Flag),
    own("ca", Shape::Text),
    own("client_certificate", Shape::Text),
    own("client_key", Shape::Text),
    own("server_name", Shape::Text),
    own("insecure_skip_verify", Shape::Flag),
];

/// Fields of a network.
pub const NETWORK: &[Field] = &[
    own("name", Shape::Text),
    own("description", Shape::Text),
    own("region", Shape::Text),
    own("vpc_id", Shape::Text),
    own("egress_proxy", Shape::Text),
    own("egress_proxy_username", Shape::Text),
    own("egress_proxy_password", Shape::Text),
    own("egress_proxy_resolves", Shape::Flag),
    own("vswitches", Shape::Messages(VSWITCH)),
    own("security_groups", Shape::Messages(SECURITY_GROUP)),
    own("uid", Shape::OutputOnly),
    own("create_time", Shape::OutputOnly),
    own("update_time", Shape::OutputOnly),
];

const VSWITCH: &[Field] = &[own("id", Shape::Text), own("address", Shape::Text)];

const SECURITY_GROUP: &[Field] =
    &[own("id", Shape::Text), own("egress", Shape::Messages(EGRESS_RULE)), own("rules", Shape::Messages(SECURITY_GROUP_RULE))];

const EGRESS_RULE: &[Field] = &[own("cidr", Shape::Text), own("port_from", Shape::Count), own("port_to", Shape::Count)];

const SECURITY_GROUP_RULE: &[Field] = &[
    own("direction", Shape::Text),
    own("protocol", Shape::Text),
    own("port_range", Shape::Text),
    own("port_from", Shape::Count),
    own("port_to", Shape::Count),
    own("cidr", Shape::Text),
    own("priority", Shape::Count),
    own("policy", Shape::Text),
    own("description", Shape::Text),
];

/// Fields of a route.
pub const ROUTE: &[Field] = &[
    own("name", Shape::Text),
    own("description", Shape::Text),
    own("from", Shape::Text),
    own("to", Shape::Text),
    own("topics", Shape::Texts),
    own("rename", Shape::Message(RENAME)),
    own("both_ways", Shape::Flag),
    own("mode", Shape::Text),
    own("start", Shape::Text),
    own("groups", Shape::Texts),
    own("translation_interval_ms", Shape::Count),
    own("active", Shape::OutputOnly),
    own("uid", Shape::OutputOnly),
    own("revision", Shape::OutputOnly),
    own("state", Shape::OutputOnly),
    own("create_time", Shape::OutputOnly),
    own("update_time", Shape::OutputOnly),
];

const RENAME: &[Field] = &[own("prefix", Shape::Text), own("suffix", Shape::Text), own("topics", Shape::Messages(TOPIC_NAME))];

const TOPIC_NAME: &[Field] = &[own("from", Shape::Text), own("to", Shape::Text)];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Map, Value, json};

    use super::*;

    /// A document in which every field of the table is set.
    fn full(fields: &'static [Field], original: bool) -> Value {
        let mut object = Map::new();
        for field in fields {
            let name = if original { field.original.first().unwrap_or(&field.name) } else { &field.name };
            let value = match field.shape {
                Shape::Text | Shape::Json => json!("x"),
                Shape::Count | Shape::Integer => json!(1),
                Shape::Word { words, .. } => json!(words.last()),
                Shape::Flag => json!(true),
                Shape::Texts => json!(["x"]),
                Shape::Message(below) | Shape::Value(below) => full(below, original),
                Shape::Messages(below) => json!([full(below, original)]),
                Shape::OutputOnly => continue,
            };
            object.insert((*name).to_owned(), value);
        }
        Value::Object(object)
    }

    /// Every name of a document with its path.
    fn paths(value: &Value, path: &str, all: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(name, below)| paths(below, &format!("{path}.{name}"), all)),
            Value::Array(list) => list.iter().for_each(|below| paths(below, path, all)),
            _ => drop(all.insert(path.to_owned())),
        }
    }

    fn same_fields<D: Described + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>() {
        let document = full(D::FIELDS, false);
        let definition: D = serde_json::from_value(document.clone()).expect("the model knows every field of the table");
        let (mut table, mut model) = (BTreeSet::new(), BTreeSet::new());
        paths(&document, "", &mut table);
        paths(&serde_json::to_value(&definition).expect("serializes"), "", &mut model);
        assert_eq!(table, model, "the table knows every field of the model");
        let original: D = serde_json::from_value(full(D::FIELDS, true)).expect("the model knows every original name");
        assert_eq!(original, definition);
    }

    #[test]
    fn the_tables_and_the_model_know_the_same_fields() {
        same_fields::<StreamDefinition>();
        same_fields::<ConnectionDefinition>();
        same_fields::<NetworkDefinition>();
        same_fields::<RouteDefinition>();
    }
}
