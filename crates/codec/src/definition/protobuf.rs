//! Definitions to and from the messages of the API, without loss.
//!
//! Only what a user sets is converted; what the server adds (uid, etag, revision, state, times) is the server's to fill in.

mod route;

use rocketbridge_model::connection::{ConnectionDefinition, TlsDefinition};
use rocketbridge_model::network::{EgressRule, NetworkDefinition, SecurityGroup, SecurityGroupRule, Vswitch};
use rocketbridge_model::stream as model;
use rocketbridge_model::{Secret, StreamDefinition};
use rocketbridge_proto::connection::v1 as connection;
use rocketbridge_proto::network::v1 as network;
use rocketbridge_proto::stream::v1 as stream;

pub use route::{route_from, route_to};

use super::credentials;

/// A stream from its message. Secrets are taken as they are: see [`super::secrets`].
pub fn stream_from(message: stream::Stream) -> StreamDefinition {
    StreamDefinition {
        name: message.name,
        description: message.description,
        filter_pattern: message.filter_pattern,
        filter_pattern_dialect: dialect_from(message.filter_pattern_dialect),
        tags: message.tags.into_iter().map(|tag| model::Tag { key: tag.key, value: tag.value }).collect(),
        source: model::SourceDefinition {
            source_rocketmq_parameters: message.source.and_then(|source| source.source).map(|source| match source {
                stream::source::Source::SourceRocketmqParameters(parameters) => source_from(parameters),
            }),
        },
        sink: model::SinkDefinition {
            sink_rocketmq_parameters: message.sink.and_then(|sink| sink.sink).map(|sink| match sink {
                stream::sink::Sink::SinkRocketmqParameters(parameters) => sink_from(parameters),
            }),
        },
        transforms: message.transforms.into_iter().map(|transform| model::TransformDefinition { arn: transform.arn }).collect(),
        run_options: message.run_options.map(run_options_from).unwrap_or_default(),
    }
}

/// A stream to its message. Redact the definition first if it leaves the process.
pub fn stream_to(definition: StreamDefinition) -> stream::Stream {
    stream::Stream {
        name: definition.name,
        description: definition.description,
        filter_pattern: definition.filter_pattern,
        filter_pattern_dialect: dialect_to(&definition.filter_pattern_dialect),
        tags: definition.tags.into_iter().map(|tag| stream::Tag { key: tag.key, value: tag.value }).collect(),
        source: definition
            .source
            .source_rocketmq_parameters
            .map(|parameters| stream::Source { source: Some(stream::source::Source::SourceRocketmqParameters(source_to(parameters))) }),
        sink: definition
            .sink
            .sink_rocketmq_parameters
            .map(|parameters| stream::Sink { sink: Some(stream::sink::Sink::SinkRocketmqParameters(sink_to(parameters))) }),
        transforms: definition.transforms.into_iter().map(|transform| stream::TransformReference { arn: transform.arn }).collect(),
        run_options: (definition.run_options != model::RunOptions::default()).then(|| run_options_to(definition.run_options)),
        ..Default::default()
    }
}

/// A connection from its message.
pub fn connection_from(message: connection::Connection) -> ConnectionDefinition {
    ConnectionDefinition {
        name: message.name,
        description: message.description,
        region: message.region,
        instance_type: message.instance_type,
        instance_id: message.instance_id,
        protocol: message.protocol,
        endpoints: message.endpoints,
        namespace: message.namespace,
        access_key: message.access_key,
        secret_key: Secret::new(message.secret_key),
        security_token: Secret::new(message.security_token),
        credentials: message.credentials.map(credentials::from),
        network: message.network,
        tls: message.tls.map(|tls| TlsDefinition {
            enabled: tls.enabled,
            ca: tls.ca,
            client_certificate: tls.client_certificate,
            client_key: Secret::new(tls.client_key),
            server_name: tls.server_name,
            insecure_skip_verify: tls.insecure_skip_verify,
        }),
    }
}

/// A connection to its message. Redact the definition first if it leaves the process.
pub fn connection_to(definition: ConnectionDefinition) -> connection::Connection {
    connection::Connection {
        name: definition.name,
        description: definition.description,
        region: definition.region,
        instance_type: definition.instance_type,
        instance_id: definition.instance_id,
        protocol: definition.protocol,
        endpoints: definition.endpoints,
        namespace: definition.namespace,
        access_key: definition.access_key,
        secret_key: definition.secret_key.expose().to_owned(),
        security_token: definition.security_token.expose().to_owned(),
        credentials: definition.credentials.map(credentials::to),
        network: definition.network,
        tls: definition.tls.map(|tls| connection::Tls {
            enabled: tls.enabled,
            ca: tls.ca,
            client_certificate: tls.client_certificate,
            client_key: tls.client_key.expose().to_owned(),
            server_name: tls.server_name,
            insecure_skip_verify: tls.insecure_skip_verify,
        }),
        ..Default::default()
    }
}

/// A network from its message.
pub fn network_from(message: network::Network) -> NetworkDefinition {
    NetworkDefinition {
        name: message.name,
        description: message.description,
        region: message.region,
        vpc_id: message.vpc_id,
        egress_proxy: message.egress_proxy,
        egress_proxy_username: message.egress_proxy_username,
        egress_proxy_password: Secret::new(message.egress_proxy_password),
        egress_proxy_resolves: message.egress_proxy_resolves,
        vswitches: message.vswitches.into_iter().map(|vswitch| Vswitch { id: vswitch.id, address: vswitch.address }).collect(),
        security_groups: message.security_groups.into_iter().map(security_group_from).collect(),
    }
}

/// A network to its message. Redact the definition first if it leaves the process.
pub fn network_to(definition: NetworkDefinition) -> network::Network {
    network::Network {
        name: definition.name,
        description: definition.description,
        region: definition.region,
        vpc_id: definition.vpc_id,
        egress_proxy: definition.egress_proxy,
        egress_proxy_username: definition.egress_proxy_username,
        egress_proxy_password: definition.egress_proxy_password.expose().to_owned(),
        egress_proxy_resolves: definition.egress_proxy_resolves,
        vswitches: definition.vswitches.into_iter().map(|vswitch| network::Vswitch { id: vswitch.id, address: vswitch.address }).collect(),
        security_groups: definition.security_groups.into_iter().map(security_group_to).collect(),
        ..Default::default()
    }
}

fn security_group_from(message: network::SecurityGroup) -> SecurityGroup {
    let egress = |rule: network::EgressRule| EgressRule { cidr: rule.cidr, port_from: rule.port_from, port_to: rule.port_to };
    let rule = |rule: network::SecurityGroupRule| SecurityGroupRule {
        direction: rule.direction,
        protocol: rule.protocol,
        port_range: rule.port_range,
        port_from: rule.port_from,
        port_to: rule.port_to,
        cidr: rule.cidr,
        priority: rule.priority,
        policy: rule.policy,
        description: rule.description,
    };
    SecurityGroup {
        id: message.id,
        egress: message.egress.into_iter().map(egress).collect(),
        rules: message.rules.into_iter().map(rule).collect(),
    }
}

fn security_group_to(group: SecurityGroup) -> network::SecurityGroup {
    let egress = |rule: EgressRule| network::EgressRule { cidr: rule.cidr, port_from: rule.port_from, port_to: rule.port_to };
    let rule = |rule: SecurityGroupRule| network::SecurityGroupRule {
        direction: rule.direction,
        protocol: rule.protocol,
        port_range: rule.port_range,
        port_from: rule.port_from,
        port_to: rule.port_to,
        cidr: rule.cidr,
        priority: rule.priority,
        policy: rule.policy,
        description: rule.description,
    };
    network::SecurityGroup {
        id: group.id,
        egress: group.egress.into_iter().map(egress).collect(),
        rules: group.rules.into_iter().map(rule).collect(),
    }
}

/// The word of a dialect. A number that this version does not know stays a number, for validation to refuse.
fn dialect_from(number: i32) -> String {
    match stream::PatternDialect::try_from(number) {
        Ok(stream::PatternDialect::Unspecified) => String::new(),
        Ok(stream::PatternDialect::Default) => "default".to_owned(),
        Ok(stream::PatternDialect::Alibaba) => "alibaba".to_owned(),
        Err(_) => number.to_string(),
    }
}

/// The number of a dialect's word. Readers of files let no other words pass.
fn dialect_to(word: &str) -> i32 {
    match word {
        "default" => stream::PatternDialect::Default.into(),
        "alibaba" => stream::PatternDialect::Alibaba.into(),
        other => other.parse().unwrap_or_default(),
    }
}

fn source_from(message: stream::SourceRocketMqParameters) -> model::SourceRocketMqParameters {
    model::SourceRocketMqParameters {
        connection: message.connection,
        region_id: message.region_id,
        instance_id: message.instance_id,
        topic: message.topic,
        tag: message.tag,
        offset: message.offset,
        timestamp: message.timestamp,
        group_id: message.group_id,
        instance_type: message.instance_type,
        instance_protocol: message.instance_protocol,
        instance_network: message.instance_network,
        instance_vpc_id: message.instance_vpc_id,
        instance_vswitch_ids: message.instance_vswitch_ids,
        instance_security_group_id: message.instance_security_group_id,
        instance_endpoint: message.instance_endpoint,
        instance_username: message.instance_username,
        instance_password: Secret::new(message.instance_password),
        auth_type: message.auth_type,
        filter_type: message.filter_type,
        filter_sql: message.filter_sql,
        body_data_type: message.body_data_type,
        network: message.network,
        vpc_id: message.vpc_id,
        vswitch_ids: message.vswitch_ids,
        security_group_id: message.security_group_id,
    }
}

fn source_to(parameters: model::SourceRocketMqParameters) -> stream::SourceRocketMqParameters {
    stream::SourceRocketMqParameters {
        connection: parameters.connection,
        region_id: parameters.region_id,
        instance_id: parameters.instance_id,
        topic: parameters.topic,
        tag: parameters.tag,
        offset: parameters.offset,
        timestamp: parameters.timestamp,
        group_id: parameters.group_id,
        instance_type: parameters.instance_type,
        instance_protocol: parameters.instance_protocol,
        instance_network: parameters.instance_network,
        instance_vpc_id: parameters.instance_vpc_id,
        instance_vswitch_ids: parameters.instance_vswitch_ids,
        instance_security_group_id: parameters.instance_security_group_id,
        instance_endpoint: parameters.instance_endpoint,
        instance_username: parameters.instance_username,
        instance_password: parameters.instance_password.expose().to_owned(),
        auth_type: parameters.auth_type,
        filter_type: parameters.filter_type,
        filter_sql: parameters.filter_sql,
        body_data_type: parameters.body_data_type,
        network: parameters.network,
        vpc_id: parameters.vpc_id,
        vswitch_ids: parameters.vswitch_ids,
        security_group_id: parameters.security_group_id,
    }
}

fn sink_from(message: stream::SinkRocketMqParameters) -> model::SinkRocketMqParameters {
    model::SinkRocketMqParameters {
        connection: message.connection.map(parameter_from),
        instance_id: message.instance_id.map(parameter_from),
        topic: message.topic.map(parameter_from),
        body: message.body.map(parameter_from),
        properties: message.properties.map(parameter_from),
        keys: message.keys.map(parameter_from),
        tags: message.tags.map(parameter_from),
        instance_type: message.instance_type.map(parameter_from),
        instance_protocol: message.instance_protocol.map(parameter_from),
        instance_endpoint: message.instance_endpoint.map(parameter_from),
        instance_username: message.instance_username.map(parameter_from),
        instance_password: message.instance_password.map(|password| model::SecretParameter {
            value: Secret::new(password.value),
            form: password.form,
            template: password.template,
        }),
        network: message.network.map(parameter_from),
        vpc_id: message.vpc_id.map(parameter_from),
        vswitch_ids: message.vswitch_ids.map(parameter_from),
        security_group_id: message.security_group_id.map(parameter_from),
        delivery_order_type: message.delivery_order_type.map(parameter_from),
        sharding_key: message.sharding_key.map(parameter_from),
    }
}

fn sink_to(parameters: model::SinkRocketMqParameters) -> stream::SinkRocketMqParameters {
    stream::SinkRocketMqParameters {
        connection: parameters.connection.map(parameter_to),
        instance_id: parameters.instance_id.map(parameter_to),
        topic: parameters.topic.map(parameter_to),
        body: parameters.body.map(parameter_to),
        properties: parameters.properties.map(parameter_to),
        keys: parameters.keys.map(parameter_to),
        tags: parameters.tags.map(parameter_to),
        instance_type: parameters.instance_type.map(parameter_to),
        instance_protocol: parameters.instance_protocol.map(parameter_to),
        instance_endpoint: parameters.instance_endpoint.map(parameter_to),
        instance_username: parameters.instance_username.map(parameter_to),
        instance_password: parameters.instance_password.map(|password| stream::TargetParameter {
            value: password.value.expose().to_owned(),
            form: password.form,
            template: password.template,
        }),
        network: parameters.network.map(parameter_to),
        vpc_id: parameters.vpc_id.map(parameter_to),
        vswitch_ids: parameters.vswitch_ids.map(parameter_to),
        security_group_id: parameters.security_group_id.map(parameter_to),
        delivery_order_type: parameters.delivery_order_type.map(parameter_to),
        sharding_key: parameters.sharding_key.map(parameter_to),
    }
}

fn parameter_from(message: stream::TargetParameter) -> model::TargetParameter {
    model::TargetParameter { value: message.value, form: message.form, template: message.template }
}

fn parameter_to(parameter: model::TargetParameter) -> stream::TargetParameter {
    stream::TargetParameter { value: parameter.value, form: parameter.form, template: parameter.template }
}

fn run_options_from(message: stream::RunOptions) -> model::RunOptions {
    model::RunOptions {
        maximum_tasks: message.maximum_tasks,
        throttling: message.throttling,
        errors_tolerance: message.errors_tolerance,
        batch_window: message.batch_window.map(|window| model::BatchWindow {
            count_based_window: window.count_based_window,
            time_based_window: window.time_based_window,
        }),
        retry_strategy: message.retry_strategy.map(|strategy| model::RetryStrategy {
            push_retry_strategy: strategy.push_retry_strategy,
            maximum_event_age_in_seconds: strategy.maximum_event_age_in_seconds,
            maximum_retry_attempts: strategy.maximum_retry_attempts,
        }),
        dead_letter_queue: message.dead_letter_queue.map(|queue| model::DeadLetterQueue {
            arn: queue.arn,
            network: queue.network,
            vpc_id: queue.vpc_id,
            vswitch_ids: queue.vswitch_ids,
            security_group_id: queue.security_group_id,
        }),
        business_option: message.business_option.map(|option| model::BusinessOption {
            business_mode: option.business_mode,
            min_capacity_unit_count: option.min_capacity_unit_count,
            max_capacity_unit_count: option.max_capacity_unit_count,
        }),
        mode: message.mode,
        loop_guard: message.loop_guard,
    }
}

fn run_options_to(options: model::RunOptions) -> stream::RunOptions {
    stream::RunOptions {
        maximum_tasks: options.maximum_tasks,
        throttling: options.throttling,
        errors_tolerance: options.errors_tolerance,
        batch_window: options.batch_window.map(|window| stream::BatchWindow {
            count_based_window: window.count_based_window,
            time_based_window: window.time_based_window,
        }),
        retry_strategy: options.retry_strategy.map(|strategy| stream::RetryStrategy {
            push_retry_strategy: strategy.push_retry_strategy,
            maximum_event_age_in_seconds: strategy.maximum_event_age_in_seconds,
            maximum_retry_attempts: strategy.maximum_retry_attempts,
        }),
        dead_letter_queue: options.dead_letter_queue.map(|queue| stream::DeadLetterQueue {
            arn: queue.arn,
            network: queue.network,
            vpc_id: queue.vpc_id,
            vswitch_ids: queue.vswitch_ids,
            security_group_id: queue.security_group_id,
        }),
        business_option: options.business_option.map(|option| stream::BusinessOption {
            business_mode: option.business_mode,
            min_capacity_unit_count: option.min_capacity_unit_count,
            max_capacity_unit_count: option.max_capacity_unit_count,
        }),
        mode: options.mode,
        loop_guard: options.loop_guard,
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::RouteDefinition;
    use serde_json::{Map, Value, json};

    use super::super::fields::{self, Field, Shape};
    use super::*;

    /// A document in which every field is set, each to a value of its own.
    fn full(fields: &'static [Field], next: &mut u32) -> Value {
        let mut object = Map::new();
        for field in fields {
            *next += 1;
            let value = match field.shape {
                Shape::Text | Shape::Json => json!(format!("text {next}")),
                Shape::Count | Shape::Integer => json!(*next),
                Shape::Word { words, .. } => json!(words.last()),
                Shape::Flag => json!(true),
                Shape::Texts => json!([format!("text {next}"), "x"]),
                Shape::Message(below) | Shape::Value(below) => full(below, next),
                Shape::Messages(below) => json!([full(below, next), full(below, next)]),
                Shape::OutputOnly => continue,
            };
            object.insert(field.name.to_owned(), value);
        }
        Value::Object(object)
    }

    /// *Scenario*: each field holds a value of its own. *Guarantees*: none is lost and no two are mixed up on the way through the API.
    #[test]
    fn every_definition_comes_back_whole() {
        let definition: StreamDefinition = serde_json::from_value(full(fields::STREAM, &mut 0)).expect("a stream");
        assert_eq!(stream_from(stream_to(definition.clone())), definition);
        let definition: ConnectionDefinition = serde_json::from_value(full(fields::CONNECTION, &mut 0)).expect("a connection");
        assert_eq!(connection_from(connection_to(definition.clone())), definition);
        let definition: NetworkDefinition = serde_json::from_value(full(fields::NETWORK, &mut 0)).expect("a network");
        assert_eq!(network_from(network_to(definition.clone())), definition);
        let definition: RouteDefinition = serde_json::from_value(full(fields::ROUTE, &mut 0)).expect("a route");
        assert_eq!(route_from(route_to(definition.clone())), definition);
    }

    /// *Scenario*: each dialect, none, and one of a later version. *Guarantees*: each comes back; the unknown one is no word, so validation refuses it.
    #[test]
    fn dialects_come_back() {
        for (word, number) in [("", 0), ("default", 1), ("alibaba", 2), ("7", 7)] {
            assert_eq!((dialect_to(word), dialect_from(number).as_str()), (number, word));
        }
    }

    /// *Scenario*: nothing is set, or parts are set but empty. *Guarantees*: absence and emptiness come back as what they were.
    #[test]
    fn absence_comes_back_as_absence() {
        assert_eq!(stream_from(stream_to(StreamDefinition::default())), StreamDefinition::default());
        let definition: StreamDefinition = serde_json::from_value(json!({
            "source": {"source_rocketmq_parameters": {}},
            "sink": {"sink_rocketmq_parameters": {"body": {}, "instance_password": {"value": ""}}},
            "run_options": {"batch_window": {"time_based_window": 0}, "dead_letter_queue": {"arn": ""}},
        }))
        .expect("a stream");
        assert_eq!(stream_from(stream_to(definition.clone())), definition);
    }
}
