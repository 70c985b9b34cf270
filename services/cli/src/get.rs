//! `rocketbridge get` and `describe`: definitions as the server has them.

use rocketbridge_proto::stream::v1::{Stream, sink, source};
use serde_json::{Value, json};

use crate::client::{Client, Kind, Listed, Resource};
use crate::failure::Failure;
use crate::output::{Console, Format, Table};
use crate::{route, status};

/// What `get` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What to list
    kind: Kind,
    /// Only these, by name
    names: Vec<String>,
}

/// What `describe` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct DescribeArguments {
    /// What it is
    kind: Kind,
    /// Its name
    name: String,
}

/// Lists definitions. Documents can be applied again.
pub async fn run(client: &Client, arguments: &Arguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut resources = Vec::new();
    for name in &arguments.names {
        resources.push(client.get(arguments.kind, name).await?);
    }
    if arguments.names.is_empty() {
        let listed = client.list(arguments.kind).await?;
        remark_unreadable(arguments.kind, &listed, console);
        resources = listed.resources;
    }
    if format == Format::Table {
        if resources.is_empty() {
            console.remark(format!("there are no {}s", arguments.kind));
            return Ok(());
        }
        return Ok(console.result(table(arguments.kind, &resources))?);
    }
    let documents: Vec<Value> = resources.iter().map(Resource::applicable).collect();
    match documents.as_slice() {
        [document] if arguments.names.len() == 1 => console.document(format, document)?,
        documents => console.documents(format, documents)?,
    }
    Ok(())
}

/// Shows one definition and, of a stream or route, what it is doing.
pub async fn describe(client: &Client, arguments: &DescribeArguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let resource = client.get(arguments.kind, &arguments.name).await?;
    let route = match arguments.kind {
        Kind::Route => Some(client.route_status(&arguments.name).await?),
        _ => None,
    };
    let status = match arguments.kind {
        Kind::Stream => Some(client.status(&arguments.name).await?),
        Kind::Network | Kind::Connection | Kind::Route => None,
    };
    if format != Format::Table {
        let mut document = json!({ "definition": resource.document() });
        if let Some(status) = &status {
            document["status"] = status::document(status);
        }
        if let Some(status) = &route {
            document["status"] = route::status::document(status);
        }
        return Ok(console.document(format, &document)?);
    }
    // A pattern and parameters have no table form: YAML is what people wrote and can read.
    console.result(serde_yaml_ng::to_string(&resource.document()).map_err(std::io::Error::other)?)?;
    if let Some(status) = &status {
        console.result(format!("\n{}", status::show(status)))?;
    }
    if let Some(status) = &route {
        console.result(format!("\n{}", route::status::show(status, false)))?;
    }
    Ok(())
}

/// Says what the server has and cannot read. It is no result: nothing of it can be applied again.
fn remark_unreadable(kind: Kind, listed: &Listed, console: &mut Console<'_>) {
    for record in &listed.unreadable {
        console.remark(format!(
            "{kind}/{} cannot be shown: {}; rocketbridge delete {kind} {} removes it",
            record.name, record.reason, record.name
        ));
    }
    let more = listed.unreadable_count.saturating_sub(listed.unreadable.len());
    if more > 0 {
        console.remark(format!("{more} more {kind}s cannot be shown"));
    }
}

fn table(kind: Kind, resources: &[Resource]) -> Table {
    let mut table = match kind {
        Kind::Stream => Table::new(["NAME", "STATE", "SOURCE", "TARGET", "REVISION", "CREATED"]).right(&[4]),
        Kind::Connection => Table::new(["NAME", "REGION", "TYPE", "ENDPOINTS", "NETWORK", "CREATED"]),
        Kind::Network => Table::new(["NAME", "REGION", "VPC", "EGRESS PROXY", "VSWITCHES", "CREATED"]).right(&[4]),
        Kind::Route => Table::new(["NAME", "STATE", "FROM", "TO", "TOPICS", "CREATED"]),
    };
    for resource in resources {
        let name = resource.name().to_owned();
        table.row(match resource {
            Resource::Stream(stream) => {
                let created = time(stream.create_time.as_ref());
                [name, status::word(stream.state()), source_of(stream), target_of(stream), stream.revision.to_string(), created]
            }
            Resource::Route(route) => {
                let created = time(route.create_time.as_ref());
                let ways = if route.both_ways { format!("{} (both ways)", route.to) } else { route.to.clone() };
                [name, route::word(route.state()), route.from.clone(), ways, route.topics.join(","), created]
            }
            Resource::Connection(connection) => {
                let instance_type = if connection.instance_type.is_empty() { "SelfBuilt" } else { &connection.instance_type };
                let created = if connection.built_in { "built in".to_owned() } else { time(connection.create_time.as_ref()) };
                [
                    name,
                    shown(&connection.region),
                    instance_type.to_owned(),
                    shown(&connection.endpoints.join(",")),
                    shown(&connection.network),
                    created,
                ]
            }
            Resource::Network(network) => {
                let created = time(network.create_time.as_ref());
                [
                    name,
                    shown(&network.region),
                    shown(&network.vpc_id),
                    shown(&network.egress_proxy),
                    network.vswitches.len().to_string(),
                    created,
                ]
            }
        });
    }
    table
}

/// The connection or the name servers, and the topic: `qingdao/orders`.
fn source_of(stream: &Stream) -> String {
    match stream.source.as_ref().and_then(|source| source.source.as_ref()) {
        Some(source::Source::SourceRocketmqParameters(rocketmq)) => {
            topic(&rocketmq.connection, &rocketmq.instance_endpoint, &rocketmq.instance_id, &rocketmq.topic)
        }
        None => "-".into(),
    }
}

fn target_of(stream: &Stream) -> String {
    match stream.sink.as_ref().and_then(|sink| sink.sink.as_ref()) {
        Some(sink::Sink::SinkRocketmqParameters(rocketmq)) => {
            let value = |parameter: &Option<rocketbridge_proto::stream::v1::TargetParameter>| {
                parameter.as_ref().map(|parameter| parameter.value.clone()).unwrap_or_default()
            };
            topic(&value(&rocketmq.connection), &value(&rocketmq.instance_endpoint), &value(&rocketmq.instance_id), &value(&rocketmq.topic))
        }
        None => "-".into(),
    }
}

fn topic(connection: &str, endpoint: &str, instance: &str, topic: &str) -> String {
    let place = [connection, endpoint, instance].into_iter().find(|text| !text.is_empty()).unwrap_or("?");
    format!("{place}/{topic}")
}

fn shown(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

/// RFC 3339, whole seconds.
fn time(timestamp: Option<&prost_types::Timestamp>) -> String {
    timestamp.map_or_else(|| "-".into(), |timestamp| prost_types::Timestamp { seconds: timestamp.seconds, nanos: 0 }.to_string())
}
