//! The definition of a stream as its user wrote it.
//!
//! The fields are those of `CreateEventStreaming` of Alibaba Cloud EventBridge (API version 2020-04-01) under
//! snake_case names; every field is also read under its original name, so that the body of such a request is a
//! definition unchanged. Nothing here is checked: see [`crate::validate`].

use serde::{Deserialize, Deserializer, Serialize};

use crate::secret::Secret;

/// A stream: one source, one pattern, transforms, one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamDefinition {
    /// Unique name, at most 127 characters.
    #[serde(alias = "EventStreamingName", alias = "event_streaming_name")]
    pub name: String,
    /// A description for people; it has no effect.
    #[serde(alias = "Description", skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Pattern that selects events, as JSON text; `{}` matches every event.
    #[serde(alias = "FilterPattern", deserialize_with = "json_text")]
    pub filter_pattern: String,
    /// Dialect of the pattern: `default` or `alibaba`; empty: `default`.
    #[serde(alias = "FilterPatternDialect", skip_serializing_if = "String::is_empty")]
    pub filter_pattern_dialect: String,
    /// Labels.
    #[serde(alias = "Tags", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Where events come from: exactly one.
    #[serde(alias = "Source")]
    pub source: SourceDefinition,
    /// Where events go: exactly one.
    #[serde(alias = "Sink")]
    pub sink: SinkDefinition,
    /// Functions that are applied to events.
    #[serde(alias = "Transforms", skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<TransformDefinition>,
    /// How it runs.
    #[serde(alias = "RunOptions")]
    pub run_options: RunOptions,
}

/// A label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tag {
    /// The label's name.
    #[serde(alias = "Key")]
    pub key: String,
    /// The label's value.
    #[serde(alias = "Value")]
    pub value: String,
}

/// Where events come from; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceDefinition {
    /// A RocketMQ topic.
    #[serde(alias = "SourceRocketMQParameters", skip_serializing_if = "Option::is_none")]
    pub source_rocketmq_parameters: Option<SourceRocketMqParameters>,
}

/// A RocketMQ topic as a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceRocketMqParameters {
    /// Name of the connection to the instance. Values that are set here take precedence over those of the connection.
    #[serde(alias = "Connection", skip_serializing_if = "String::is_empty")]
    pub connection: String,
    /// Region of the instance.
    #[serde(alias = "RegionId", skip_serializing_if = "String::is_empty")]
    pub region_id: String,
    /// Id of the instance. With `Cloud_4` it is also the namespace of topic and group.
    #[serde(alias = "InstanceId", skip_serializing_if = "String::is_empty")]
    pub instance_id: String,
    /// The topic.
    #[serde(alias = "Topic")]
    pub topic: String,
    /// Tag expression: tags joined by `||`; `*` or empty: every message.
    #[serde(alias = "Tag", skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// `CONSUME_FROM_LAST_OFFSET` (default), `CONSUME_FROM_FIRST_OFFSET` or `CONSUME_FROM_TIMESTAMP`.
    #[serde(alias = "Offset", skip_serializing_if = "String::is_empty")]
    pub offset: String,
    /// Start time for `CONSUME_FROM_TIMESTAMP`, milliseconds since 1970.
    #[serde(alias = "Timestamp", skip_serializing_if = "Option::is_none", deserialize_with = "lenient_integer")]
    pub timestamp: Option<i64>,
    /// Consumer group whose offsets record the progress; empty: a group of its own.
    #[serde(alias = "GroupID", alias = "GroupId", skip_serializing_if = "String::is_empty")]
    pub group_id: String,
    /// `SelfBuilt` (default), `Cloud_4` or `Cloud_5`.
    #[serde(alias = "InstanceType", skip_serializing_if = "String::is_empty")]
    pub instance_type: String,
    /// `Remoting` or `Grpc`; empty: it follows from the type of instance.
    #[serde(alias = "InstanceProtocol", skip_serializing_if = "String::is_empty")]
    pub instance_protocol: String,
    /// `PublicNetwork` or `PrivateNetwork`.
    #[serde(alias = "InstanceNetwork", skip_serializing_if = "String::is_empty")]
    pub instance_network: String,
    /// VPC of the instance.
    #[serde(alias = "InstanceVpcId", skip_serializing_if = "String::is_empty")]
    pub instance_vpc_id: String,
    /// vSwitches of the instance, separated by commas.
    #[serde(alias = "InstanceVSwitchIds", skip_serializing_if = "String::is_empty")]
    pub instance_vswitch_ids: String,
    /// Security group of the instance.
    #[serde(alias = "InstanceSecurityGroupId", skip_serializing_if = "String::is_empty")]
    pub instance_security_group_id: String,
    /// Name servers of the instance, or with gRPC its proxies, `host:port`, several separated by `;` or `,`.
    #[serde(alias = "InstanceEndpoint", skip_serializing_if = "String::is_empty")]
    pub instance_endpoint: String,
    /// Access key.
    #[serde(alias = "InstanceUsername", skip_serializing_if = "String::is_empty")]
    pub instance_username: String,
    /// Secret key, or a reference to it.
    #[serde(alias = "InstancePassword", skip_serializing_if = "Secret::is_empty")]
    pub instance_password: Secret,
    /// `ACL`, or empty.
    #[serde(alias = "AuthType", skip_serializing_if = "String::is_empty")]
    pub auth_type: String,
    /// `Tag` or `Sql`, or empty.
    #[serde(alias = "FilterType", skip_serializing_if = "String::is_empty")]
    pub filter_type: String,
    /// SQL92 expression on the message's properties, with `Sql`.
    #[serde(alias = "FilterSql", skip_serializing_if = "String::is_empty")]
    pub filter_sql: String,
    /// `Json`, or empty.
    #[serde(alias = "BodyDataType", skip_serializing_if = "String::is_empty")]
    pub body_data_type: String,
    /// Network of a cross-border task: `PublicNetwork` or `PrivateNetwork`.
    #[serde(alias = "Network", skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// VPC of a cross-border task.
    #[serde(alias = "VpcId", skip_serializing_if = "String::is_empty")]
    pub vpc_id: String,
    /// vSwitches of a cross-border task, separated by commas.
    #[serde(alias = "VSwitchIds", skip_serializing_if = "String::is_empty")]
    pub vswitch_ids: String,
    /// Security group of a cross-border task.
    #[serde(alias = "SecurityGroupId", skip_serializing_if = "String::is_empty")]
    pub security_group_id: String,
}

/// Where events go; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkDefinition {
    /// A RocketMQ topic.
    #[serde(alias = "SinkRocketMQParameters", skip_serializing_if = "Option::is_none")]
    pub sink_rocketmq_parameters: Option<SinkRocketMqParameters>,
}

/// A RocketMQ topic as a target. `body`, `properties`, `keys`, `tags` and `sharding_key` are computed from each
/// event; if one is absent, the message keeps the original's value. The other parameters are constants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkRocketMqParameters {
    /// Name of the connection to the instance. Values that are set here take precedence over those of the connection.
    #[serde(alias = "Connection", skip_serializing_if = "Option::is_none")]
    pub connection: Option<TargetParameter>,
    /// Id of the instance. With `Cloud_4` it is also the namespace of the topic.
    #[serde(alias = "InstanceId", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<TargetParameter>,
    /// The topic.
    #[serde(alias = "Topic", skip_serializing_if = "Option::is_none")]
    pub topic: Option<TargetParameter>,
    /// The message's body.
    #[serde(alias = "Body", skip_serializing_if = "Option::is_none")]
    pub body: Option<TargetParameter>,
    /// The message's user properties, a JSON object.
    #[serde(alias = "Properties", skip_serializing_if = "Option::is_none")]
    pub properties: Option<TargetParameter>,
    /// The message's keys.
    #[serde(alias = "Keys", skip_serializing_if = "Option::is_none")]
    pub keys: Option<TargetParameter>,
    /// The message's tag.
    #[serde(alias = "Tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<TargetParameter>,
    /// `SelfBuilt` (default), `Cloud_4` or `Cloud_5`.
    #[serde(alias = "InstanceType", skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<TargetParameter>,
    /// `Remoting` or `Grpc`; absent: it follows from the type of instance.
    #[serde(alias = "InstanceProtocol", skip_serializing_if = "Option::is_none")]
    pub instance_protocol: Option<TargetParameter>,
    /// Name servers of the instance, or with gRPC its proxies, `host:port`, several separated by `;` or `,`.
    #[serde(alias = "InstanceEndpoint", skip_serializing_if = "Option::is_none")]
    pub instance_endpoint: Option<TargetParameter>,
    /// Access key.
    #[serde(alias = "InstanceUsername", skip_serializing_if = "Option::is_none")]
    pub instance_username: Option<TargetParameter>,
    /// Secret key, or a reference to it.
    #[serde(alias = "InstancePassword", skip_serializing_if = "Option::is_none")]
    pub instance_password: Option<SecretParameter>,
    /// `PublicNetwork` or `PrivateNetwork`.
    #[serde(alias = "Network", skip_serializing_if = "Option::is_none")]
    pub network: Option<TargetParameter>,
    /// VPC of the instance.
    #[serde(alias = "VpcId", skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<TargetParameter>,
    /// vSwitches of the instance, separated by commas.
    #[serde(alias = "VSwitchIds", skip_serializing_if = "Option::is_none")]
    pub vswitch_ids: Option<TargetParameter>,
    /// Security group of the instance.
    #[serde(alias = "SecurityGroupId", skip_serializing_if = "Option::is_none")]
    pub security_group_id: Option<TargetParameter>,
    /// `Concurrently` (default) or `Orderly`.
    #[serde(alias = "DeliveryOrderType", skip_serializing_if = "Option::is_none")]
    pub delivery_order_type: Option<TargetParameter>,
    /// Sharding key, which with `Orderly` keeps messages in order.
    #[serde(alias = "ShardingKey", skip_serializing_if = "Option::is_none")]
    pub sharding_key: Option<TargetParameter>,
}

/// How a value for the target is computed from an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetParameter {
    /// A constant, a JSONPath, variables or a jq program, depending on `form`.
    #[serde(alias = "Value", skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `ORIGINAL`, `JSONPATH`, `CONSTANT`, `TEMPLATE` or `EXPRESSION`.
    #[serde(alias = "Form", skip_serializing_if = "String::is_empty")]
    pub form: String,
    /// The template of `TEMPLATE`.
    #[serde(alias = "Template", skip_serializing_if = "String::is_empty")]
    pub template: String,
}

impl TargetParameter {
    /// A constant.
    pub fn constant(value: impl Into<String>) -> Self {
        Self { value: value.into(), form: "CONSTANT".into(), template: String::new() }
    }
}

/// A constant that is never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretParameter {
    /// The secret, or a reference to it.
    #[serde(alias = "Value")]
    pub value: Secret,
    /// `CONSTANT`.
    #[serde(alias = "Form", skip_serializing_if = "String::is_empty")]
    pub form: String,
    /// Always empty in a valid definition: a constant has no template. Kept so that a definition with one can be refused.
    #[serde(alias = "Template", skip_serializing_if = "String::is_empty")]
    pub template: String,
}

/// A function that is applied to events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformDefinition {
    /// Name of the function.
    #[serde(alias = "Arn")]
    pub arn: String,
}

/// How a stream runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunOptions {
    /// Number of filter and dispatcher shards that share the work; absent: 4.
    #[serde(alias = "MaximumTasks", skip_serializing_if = "Option::is_none")]
    pub maximum_tasks: Option<u32>,
    /// Maximum rate of the whole stream, events per second; absent: no limit.
    #[serde(alias = "Throttling", skip_serializing_if = "Option::is_none")]
    pub throttling: Option<u32>,
    /// `NONE` (default): an event that cannot be delivered blocks its partition. `ALL`: it goes to the dead-letter target;
    /// without one it is discarded and counted.
    #[serde(alias = "ErrorsTolerance", skip_serializing_if = "String::is_empty")]
    pub errors_tolerance: String,
    /// How deliveries are grouped.
    #[serde(alias = "BatchWindow", skip_serializing_if = "Option::is_none")]
    pub batch_window: Option<BatchWindow>,
    /// How a failed delivery is retried.
    #[serde(alias = "RetryStrategy", skip_serializing_if = "Option::is_none")]
    pub retry_strategy: Option<RetryStrategy>,
    /// Where events go that cannot be delivered.
    #[serde(alias = "DeadLetterQueue", skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue: Option<DeadLetterQueue>,
    /// Capacity that the hosted product sells; stored, but without effect here.
    #[serde(alias = "BusinessOption", skip_serializing_if = "Option::is_none")]
    pub business_option: Option<BusinessOption>,
    /// `RULE` (default) or `MIRROR`.
    #[serde(alias = "Mode", skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// `ON` (default): what has been at the target before is not delivered there again. `OFF`.
    #[serde(alias = "LoopGuard", skip_serializing_if = "String::is_empty")]
    pub loop_guard: String,
}

/// How deliveries are grouped: a group is sent when it reaches either limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchWindow {
    /// Maximum number of events in a group, 1 to 10,000.
    #[serde(alias = "CountBasedWindow", skip_serializing_if = "Option::is_none")]
    pub count_based_window: Option<u32>,
    /// Maximum time that a group waits to fill, seconds, 0 to 15.
    #[serde(alias = "TimeBasedWindow", skip_serializing_if = "Option::is_none")]
    pub time_based_window: Option<u32>,
}

/// How a failed delivery is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryStrategy {
    /// `BACKOFF_RETRY` (default) or `EXPONENTIAL_DECAY_RETRY`.
    #[serde(alias = "PushRetryStrategy", skip_serializing_if = "String::is_empty")]
    pub push_retry_strategy: String,
    /// Maximum age of an event before retrying ends, seconds.
    #[serde(alias = "MaximumEventAgeInSeconds", skip_serializing_if = "Option::is_none")]
    pub maximum_event_age_in_seconds: Option<u32>,
    /// Maximum number of retries.
    #[serde(alias = "MaximumRetryAttempts", skip_serializing_if = "Option::is_none")]
    pub maximum_retry_attempts: Option<u32>,
}

/// Where events go that cannot be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterQueue {
    /// `acs:mq:{region}:{account}:/instances/{instance}/topic/{topic}`, or `connection/topic` with the name of
    /// a connection.
    #[serde(alias = "Arn")]
    pub arn: String,
    /// `PublicNetwork` or `PrivateNetwork`.
    #[serde(alias = "Network", skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// VPC.
    #[serde(alias = "VpcId", skip_serializing_if = "String::is_empty")]
    pub vpc_id: String,
    /// vSwitches, separated by commas.
    #[serde(alias = "VSwitchIds", skip_serializing_if = "String::is_empty")]
    pub vswitch_ids: String,
    /// Security group.
    #[serde(alias = "SecurityGroupId", skip_serializing_if = "String::is_empty")]
    pub security_group_id: String,
}

/// Capacity that the hosted product sells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusinessOption {
    /// Kind of capacity.
    #[serde(alias = "BusinessMode", skip_serializing_if = "String::is_empty")]
    pub business_mode: String,
    /// Minimum number of capacity units.
    #[serde(alias = "MinCapacityUnitCount", skip_serializing_if = "Option::is_none")]
    pub min_capacity_unit_count: Option<u32>,
    /// Maximum number of capacity units.
    #[serde(alias = "MaxCapacityUnitCount", skip_serializing_if = "Option::is_none")]
    pub max_capacity_unit_count: Option<u32>,
}

/// A pattern may be written as JSON text, as Alibaba's API takes it, or as an object, as people write it in YAML.
fn json_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        value => value.to_string(),
    })
}

/// Some SDKs send integers as text.
fn lenient_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(i64),
        Text(String),
        Nothing(()),
    }
    match Form::deserialize(deserializer)? {
        Form::Number(number) => Ok(Some(number)),
        Form::Text(text) if text.is_empty() => Ok(None),
        Form::Text(text) => text.parse().map(Some).map_err(|_| serde::de::Error::custom(format!("found {text:?}; an integer is needed"))),
        Form::Nothing(()) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_create_event_streaming_request_is_a_definition() {
        let definition: StreamDefinition = serde_json::from_str(
            r#"{"EventStreamingName":"s","FilterPattern":"{}","Source":{"SourceRocketMQParameters":{"RegionId":"cn-qingdao",
            "InstanceType":"SelfBuilt","InstanceEndpoint":"127.0.0.1:9876","Topic":"orders","GroupID":"g","Offset":"CONSUME_FROM_TIMESTAMP",
            "Timestamp":"1700000000000","InstanceVSwitchIds":"v1"}},"Sink":{"SinkRocketMQParameters":{"Topic":{"Value":"copy","Form":"CONSTANT"},
            "Body":{"Value":"$.data.body","Form":"JSONPATH"}}},"RunOptions":{"ErrorsTolerance":"ALL","BatchWindow":{"CountBasedWindow":100}}}"#,
        )
        .expect("every field is known");
        let source = definition.source.source_rocketmq_parameters.expect("given");
        assert_eq!((source.timestamp, source.group_id.as_str()), (Some(1_700_000_000_000), "g"));
        assert_eq!(source.instance_vswitch_ids, "v1");
        assert_eq!(definition.run_options.batch_window.and_then(|window| window.count_based_window), Some(100));
    }

    #[test]
    fn a_pattern_may_be_an_object() {
        let definition: StreamDefinition = serde_json::from_str(r#"{"name":"s","filter_pattern":{"source":["a"]}}"#).expect("reads");
        assert_eq!(definition.filter_pattern, r#"{"source":["a"]}"#);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let error = serde_json::from_str::<StreamDefinition>(r#"{"nmae":"s"}"#).expect_err("misspelt");
        assert!(error.to_string().contains("nmae"), "{error}");
    }
}
