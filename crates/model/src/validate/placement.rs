//! The network that an instance is reached through: that of its connection, or the one that a stream names.

use std::collections::HashSet;

use super::choice::{self, NETWORKS};
use super::findings::Findings;
use super::suggest::nearest;
use super::{References, network};
use crate::connection::ConnectionDefinition;
use crate::network::NetworkDefinition;
use crate::resolved::Network;

/// The security group that every network has ("quick create"): the one of this name, or what the network's groups say together. Without any group that is
/// what a default group of Alibaba Cloud says to egress: everything is accepted.
const DEFAULT_GROUP: &str = "default";

/// What a definition says of networks, by the names of its fields.
pub(super) struct Placement<'a> {
    /// `PublicNetwork` or `PrivateNetwork`.
    pub(super) network: (String, &'a str),
    /// VPC.
    pub(super) vpc: (String, &'a str),
    /// vSwitches, comma-separated.
    pub(super) vswitches: (String, &'a str),
    /// Security group.
    pub(super) security_group: (String, &'a str),
}

/// A network that a definition names.
struct Named<'a> {
    /// The field that names it, and what is found there.
    said: (&'a str, &'a str),
    network: &'a NetworkDefinition,
    /// vSwitches of it, for any.
    vswitches: Vec<&'a str>,
    /// The security group that counts; `None` for all.
    security_group: Option<&'a str>,
}

/// The network that connections to an instance go through; `None` for direct connections.
///
/// The network of a connection is its operator's decision: a stream may name the same network, but not another one, and cannot pick one of its groups.
pub(super) fn choose(
    connection: Option<(&str, &ConnectionDefinition)>,
    placements: &[Placement<'_>],
    references: &dyn References,
    findings: &mut Findings,
) -> Option<Network> {
    let named: Vec<Named<'_>> = placements.iter().filter_map(|placement| placement.find(references, findings)).collect();
    let own = connection.and_then(|(field, connection)| Some((field, connection, references.network(&connection.network)?)));
    if let Some(other) = named.iter().find(|other| own.is_some_and(|(.., network)| network.name != other.network.name)) {
        let connection = own.map(|(_, connection, _)| connection.name.as_str()).unwrap_or_default();
        let rule = format!("this is network {}, but connection {connection} goes through another network", other.network.name);
        findings.add(other.said.0, other.said.1, rule, "remove it: the network of the connection is used");
        return None;
    }
    if let [first, second, ..] = &named[..]
        && first.network.name != second.network.name
    {
        let rule = format!("this is network {}, but {} names network {}", second.network.name, first.said.0, first.network.name);
        findings.add(second.said.0, second.said.1, rule, "name one network");
        return None;
    }
    let vswitches: HashSet<&str> = named.iter().flat_map(|named| named.vswitches.iter().copied()).collect();
    let (field, found, definition, group) = match (own, named.first()) {
        (Some((field, connection, network)), _) => (field, connection.name.as_str(), network, None),
        (None, Some(first)) => (first.said.0, first.said.1, first.network, named.iter().find_map(|named| named.security_group)),
        (None, None) => return None,
    };
    let mut inner = Findings::default();
    let mut network = network::read(definition, &mut inner);
    if let Some(violation) = inner.into_violations().first() {
        let rule = format!("network {} cannot be used: {violation}", definition.name);
        findings.add(field, found, rule, "correct the network");
        return None;
    }
    network.vswitches.retain(|vswitch| vswitches.is_empty() || vswitches.contains(vswitch.id.as_str()));
    network.security_groups.retain(|kept| group.is_none_or(|group| kept.id == group));
    Some(network)
}

impl<'a> Placement<'a> {
    /// The network that is named: by its VPC, or by what is in it. On the public network none is, whatever else is said.
    fn find(&'a self, references: &'a dyn References, findings: &mut Findings) -> Option<Named<'a>> {
        choice::one_of(&self.network.0, self.network.1, NETWORKS, findings);
        if self.network.1 == "PublicNetwork" {
            return None;
        }
        let vswitches: Vec<&str> = self.vswitches.1.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
        let group = Some(self.security_group.1).filter(|id| !id.is_empty());
        let (said, networks): (_, Vec<&NetworkDefinition>) = match (vswitches.first(), group) {
            _ if !self.vpc.1.is_empty() => {
                ((self.vpc.0.as_str(), self.vpc.1), references.networks().filter(|network| network.vpc_id == self.vpc.1).collect())
            }
            (Some(first), _) => {
                ((self.vswitches.0.as_str(), *first), references.networks().filter(|network| has_vswitch(network, first)).collect())
            }
            (None, Some(group)) => {
                ((self.security_group.0.as_str(), group), references.networks().filter(|network| has_group(network, group)).collect())
            }
            (None, None) => return None,
        };
        let network = match &networks[..] {
            [network] => *network,
            [] => {
                let what = if said.0 == self.vpc.0 { "there is no network with this vpc_id" } else { "there is no network that has this" };
                let fix = "create the network first (kind: Network), or leave the field out to connect directly";
                findings.add(said.0, said.1, what, fix);
                return None;
            }
            [first, second, ..] => {
                let rule = format!("more than one network has this: {} and {}", first.name, second.name);
                findings.add(said.0, said.1, rule, "use a connection that names its network, or remove one of the networks");
                return None;
            }
        };
        let group = group.filter(|group| *group != DEFAULT_GROUP || has_group(network, group));
        let before = findings.count();
        for id in vswitches.iter().filter(|id| !has_vswitch(network, id)) {
            let known = network.vswitches.iter().map(|vswitch| vswitch.id.as_str());
            findings.add(&self.vswitches.0, id, format!("network {} has no vSwitch with this id", network.name), meant(id, known));
        }
        if let Some(id) = group.filter(|id| !has_group(network, id)) {
            let known = network.security_groups.iter().map(|group| group.id.as_str());
            let rule = format!("network {} has no security group with this id", network.name);
            findings.add(&self.security_group.0, id, rule, meant(id, known));
        }
        (findings.count() == before).then_some(Named { said, network, vswitches, security_group: group })
    }
}

fn has_vswitch(network: &NetworkDefinition, id: &str) -> bool {
    network.vswitches.iter().any(|vswitch| vswitch.id == id)
}

fn has_group(network: &NetworkDefinition, id: &str) -> bool {
    network.security_groups.iter().any(|group| group.id == id)
}

fn meant<'a>(id: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(id, known) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "add it to the network, or leave the field out".to_owned(),
    }
}
