//! How an instance is reached: the values of a definition, which take precedence over those of its connection.

use std::collections::HashSet;

use super::choice;
use super::findings::Findings;
use super::placement::{self, Placement};
use super::suggest::nearest;
use super::{References, credentials, endpoint, name, protocol, secret, tls};
use crate::connection::{ConnectionDefinition, EMBEDDED};
use crate::name::{InstanceId, Region};
use crate::resolved::{Credentials, Keys, Protocol, RocketMqConnection};
use crate::secret::Secret;

/// Kinds of instance, as calls write them.
const TYPES: &[&str] = &["SelfBuilt", "Cloud_4", "Cloud_5"];

/// A kind of instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceType {
    /// Anybody's own cluster.
    SelfBuilt,
    /// ApsaraMQ for RocketMQ 4.0: the instance is the namespace.
    Cloud4,
    /// ApsaraMQ for RocketMQ 5.0.
    Cloud5,
}

impl InstanceType {
    /// Reads both spellings of Alibaba's API, that of calls and that of lists; nothing is `SelfBuilt`.
    pub(super) fn read(field: &str, text: &str, findings: &mut Findings) -> Option<Self> {
        let kind = Self::of(text);
        if kind.is_none() {
            choice::one_of(field, text, TYPES, findings);
        }
        kind
    }

    /// The type of a word, if there is one.
    pub(super) fn of(text: &str) -> Option<Self> {
        match text {
            "" | "SelfBuilt" | "SELF_BUILT" => Some(Self::SelfBuilt),
            "Cloud_4" | "CLOUD_4" => Some(Self::Cloud4),
            "Cloud_5" | "CLOUD_5" => Some(Self::Cloud5),
            _ => None,
        }
    }
}

/// What one side of a stream says about its instance, and under which field names.
pub(super) struct Said<'a> {
    /// Path of the parameters, such as `source.source_rocketmq_parameters`.
    pub(super) path: &'a str,
    /// What follows a constant's field name: `.value` in a sink.
    pub(super) suffix: &'a str,
    /// Name of a connection.
    pub(super) connection: &'a str,
    /// Region; a sink has none of its own.
    pub(super) region: &'a str,
    /// The instance.
    pub(super) instance: &'a str,
    /// Its kind.
    pub(super) instance_type: &'a str,
    /// The protocol it is spoken to by.
    pub(super) protocol: &'a str,
    /// Name servers or proxies.
    pub(super) endpoint: &'a str,
    /// Access key.
    pub(super) username: &'a str,
    /// Secret key.
    pub(super) password: &'a Secret,
}

impl Said<'_> {
    fn field(&self, field: &str) -> String {
        format!("{}.{field}{}", self.path, self.suffix)
    }

    /// Merges these values with those of the connection. `None` if a violation was noted.
    pub(super) fn reach(
        &self,
        placements: &[Placement<'_>],
        references: &dyn References,
        findings: &mut Findings,
    ) -> Option<RocketMqConnection> {
        let before = findings.count();
        let named = self.find(references, findings);
        if !self.instance.is_empty() {
            name::instance(&self.field("instance_id"), self.instance, findings);
        }
        name::region(&self.field("region_id"), self.region, findings);
        let instance = first(self.instance, named.map(|connection| connection.instance_id.as_str()));
        let type_text = first(self.instance_type, named.map(|connection| connection.instance_type.as_str()));
        let kind = InstanceType::read(&self.field("instance_type"), type_text, findings);
        if matches!(kind, Some(InstanceType::Cloud4 | InstanceType::Cloud5)) && instance.is_empty() {
            let rule = format!("an instance of type {type_text} needs its id");
            findings.add(self.field("instance_id"), "", rule, "write the instance's id");
        }
        let namespace = match named.map(|connection| connection.namespace.as_str()) {
            Some(namespace) if !namespace.is_empty() => namespace,
            _ if kind == Some(InstanceType::Cloud4) => instance,
            _ => "",
        };
        let said = first(self.protocol, named.map(|connection| connection.protocol.as_str()));
        let protocol = protocol::read(&self.field("instance_protocol"), said, kind, findings);
        let endpoints = self.endpoints(named, protocol, findings);
        let credentials = self.credentials(named, findings);
        let field = self.field("connection");
        let network = placement::choose(named.map(|connection| (field.as_str(), connection)), placements, references, findings);
        (findings.count() == before).then(|| RocketMqConnection {
            region: Region::new(first(self.region, named.map(|connection| connection.region.as_str()))),
            instance: InstanceId::new(instance),
            protocol,
            endpoints,
            namespace: namespace.to_owned(),
            credentials,
            network,
            tls: named.and_then(|connection| tls::read(connection.tls.as_ref())),
        })
    }

    /// The named connection; without a name and an endpoint, the connection of the instance.
    fn find<'a>(&self, references: &'a dyn References, findings: &mut Findings) -> Option<&'a ConnectionDefinition> {
        if self.connection.is_empty() {
            return if self.endpoint.is_empty() { registered(self.instance, self.region, references) } else { None };
        }
        let found = references.connection(self.connection);
        if found.is_none() {
            let names: Vec<&str> = references.connections().map(|connection| connection.name.as_str()).collect();
            let fix = match nearest(self.connection, names) {
                Some(meant) => format!("did you mean {meant}?"),
                None if self.connection == EMBEDDED => {
                    "only a standalone process that runs its own RocketMQ has it; create the connection, or write instance_endpoint"
                        .to_owned()
                }
                None => "create the connection first, or write instance_endpoint".to_owned(),
            };
            findings.add(self.field("connection"), self.connection, "there is no connection of this name", fix);
        }
        found
    }

    fn endpoints(&self, named: Option<&ConnectionDefinition>, protocol: Protocol, findings: &mut Findings) -> Vec<String> {
        let field = self.field("instance_endpoint");
        let listed: Vec<&str> = if self.endpoint.is_empty() {
            named.map(|connection| connection.endpoints.iter().map(String::as_str).collect()).unwrap_or_default()
        } else {
            endpoint::split(self.endpoint).collect()
        };
        if listed.is_empty() && (self.connection.is_empty() || named.is_some()) {
            let role = protocol::role(protocol);
            let several = if role == "proxy" { "proxies" } else { "name servers" };
            let fix = format!("write the {several} as host:port, several separated by ;, or name a connection that has them");
            findings.add(field, self.endpoint, "the address of the instance is needed", fix);
            return Vec::new();
        }
        let mut endpoints = Vec::new();
        let mut seen = HashSet::new();
        for text in listed {
            match protocol::plain(text, protocol) {
                Ok(endpoint) if !seen.insert(endpoint.clone()) => {}
                Ok(endpoint) => endpoints.push(endpoint),
                Err(fix) => findings.add(&field, text, format!("a {} is host:port", protocol::role(protocol)), fix),
            }
        }
        endpoints
    }

    fn credentials(&self, named: Option<&ConnectionDefinition>, findings: &mut Findings) -> Option<Credentials> {
        let username = self.field("instance_username");
        let password = self.field("instance_password");
        secret::check(&password, self.password, findings);
        secret::check_pair((&username, self.username), (&password, self.password), findings);
        if !self.username.is_empty() {
            return Some(Credentials::Static(Keys {
                access_key: self.username.to_owned(),
                secret_key: self.password.clone(),
                security_token: Secret::default(),
            }));
        }
        let held = named.and_then(credentials::read);
        if let (Some(_), Some(connection)) = (&held, named)
            && let Some(elsewhere) = elsewhere(connection, self.endpoint)
        {
            // Whoever may write a stream must not have the keys of a connection used at a server of his own.
            let rule = format!("the credentials of connection {} are for its own endpoints only", connection.name);
            let fix = "leave instance_endpoint out, or write instance_username and instance_password";
            findings.add(self.field("instance_endpoint"), elsewhere, rule, fix);
        }
        held
    }
}

/// How to reach the instance of a connection, by the connection and the placement alone. `field` is where the connection is named.
pub(super) fn of_connection(
    field: &str,
    definition: &ConnectionDefinition,
    placement: &Placement<'_>,
    references: &dyn References,
    findings: &mut Findings,
) -> RocketMqConnection {
    let kind = InstanceType::of(&definition.instance_type);
    let namespace =
        if definition.namespace.is_empty() && kind == Some(InstanceType::Cloud4) { &definition.instance_id } else { &definition.namespace };
    RocketMqConnection {
        region: Region::new(definition.region.as_str()),
        instance: InstanceId::new(definition.instance_id.as_str()),
        protocol: protocol::said(&definition.protocol, kind),
        endpoints: definition.endpoints.iter().filter_map(|text| endpoint::endpoint(text).ok()).collect(),
        namespace: namespace.clone(),
        credentials: credentials::read(definition),
        network: placement::choose(Some((field, definition)), std::slice::from_ref(placement), references, findings),
        tls: tls::read(definition.tls.as_ref()),
    }
}

/// The first endpoint of a list that is none of a connection's, however they are spelled.
fn elsewhere<'a>(connection: &ConnectionDefinition, list: &'a str) -> Option<&'a str> {
    let plain = |text: &str| endpoint::endpoint(text.trim());
    let own: HashSet<_> = connection.endpoints.iter().map(|own| plain(own)).collect();
    endpoint::split(list).find(|endpoint| !own.contains(&plain(endpoint)))
}

/// The connection of an instance, if there is exactly one.
pub(super) fn registered<'a>(instance: &str, region: &str, references: &'a dyn References) -> Option<&'a ConnectionDefinition> {
    if instance.is_empty() {
        return None;
    }
    let mut matching = references.connections().filter(|connection| {
        connection.instance_id == instance && (region.is_empty() || connection.region.is_empty() || connection.region == region)
    });
    let found = matching.next()?;
    matching.next().is_none().then_some(found)
}

/// Whether two topics are one: the same name, namespace included, on the same instance.
pub(super) fn same_topic((left, left_topic): (&RocketMqConnection, &str), (right, right_topic): (&RocketMqConnection, &str)) -> bool {
    let same_identity = !left.instance.is_empty() && left.instance == right.instance && left.region == right.region;
    // Topics first: they differ almost always, and endpoints are many.
    on_wire(&left.namespace, left_topic) == on_wire(&right.namespace, right_topic) && (same_identity || left.meets(right))
}

fn on_wire(namespace: &str, topic: &str) -> String {
    let prefix = format!("{namespace}%");
    if namespace.is_empty() || topic.starts_with(&prefix) { topic.to_owned() } else { prefix + topic }
}

fn first<'a>(said: &'a str, otherwise: Option<&'a str>) -> &'a str {
    if said.is_empty() { otherwise.unwrap_or_default() } else { said }
}
