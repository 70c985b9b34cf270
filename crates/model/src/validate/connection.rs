//! Connections.

use super::findings::Findings;
use super::instance::InstanceType;
use super::suggest::nearest;
use super::{References, credentials, name, protocol, tls};
use crate::connection::ConnectionDefinition;
use crate::resolved::Protocol;

/// Notes every violation of a connection.
pub(super) fn check(definition: &ConnectionDefinition, references: &dyn References, findings: &mut Findings) {
    name::resource("name", &definition.name, findings);
    name::region("region", &definition.region, findings);
    name::instance("instance_id", &definition.instance_id, findings);
    name::instance("namespace", &definition.namespace, findings);
    let kind = InstanceType::read("instance_type", &definition.instance_type, findings);
    if matches!(kind, Some(InstanceType::Cloud4 | InstanceType::Cloud5)) && definition.instance_id.is_empty() {
        let rule = format!("an instance of type {} needs its id", definition.instance_type);
        findings.add("instance_id", "", rule, "write the instance's id");
    }
    let protocol = protocol::read("protocol", &definition.protocol, kind, findings);
    check_endpoints(definition, protocol, findings);
    credentials::check(definition, findings);
    check_network(definition, references, findings);
    if let Some(definition) = &definition.tls {
        tls::check(definition, findings);
    }
}

fn check_endpoints(definition: &ConnectionDefinition, protocol: Protocol, findings: &mut Findings) {
    let role = protocol::role(protocol);
    if definition.endpoints.is_empty() {
        findings.add("endpoints", "", format!("at least one {role} is needed"), "write host:port");
    }
    for (index, text) in definition.endpoints.iter().enumerate() {
        if let Err(fix) = protocol::plain(text, protocol) {
            let fix = if text.contains([';', ',']) { format!("write each {role} as an entry of its own") } else { fix };
            findings.add(format!("endpoints[{index}]"), text, format!("a {role} is host:port"), fix);
        }
    }
}

fn check_network(definition: &ConnectionDefinition, references: &dyn References, findings: &mut Findings) {
    if definition.network.is_empty() {
        return;
    }
    let network = references.network(&definition.network);
    if network.is_none() {
        let names: Vec<&str> = references.networks().map(|network| network.name.as_str()).collect();
        let fix = match nearest(&definition.network, names) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "create the network first, or leave the field out to connect directly".to_owned(),
        };
        findings.add("network", &definition.network, "there is no network of this name", fix);
    }
}
