//! The network a connection is dialled through.

use serde::{Deserialize, Serialize};

/// A network (VPC): its egress proxy, its vSwitches, its security groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkDefinition {
    /// Unique name, at most 127 characters.
    pub name: String,
    /// A description for people; it has no effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Region of the network.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Id of the VPC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vpc_id: String,
    /// `socks5://host:port` or `http://host:port` of the egress proxy; empty: connect directly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub egress_proxy: String,
    /// Local addresses to which connections are bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vswitches: Vec<Vswitch>,
    /// Allowed destinations; without any, nothing is restricted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<SecurityGroup>,
}

/// A local address to which connections are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vswitch {
    /// Its id.
    pub id: String,
    /// The local address.
    pub address: String,
}

/// Allowed destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroup {
    /// Its id.
    pub id: String,
    /// The destinations that it allows.
    pub egress: Vec<EgressRule>,
}

/// Allowed addresses and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressRule {
    /// Addresses, in CIDR form.
    pub cidr: String,
    /// First port.
    pub port_from: u32,
    /// Last port.
    pub port_to: u32,
}
