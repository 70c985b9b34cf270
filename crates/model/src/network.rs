//! The network a connection is dialled through.

use serde::{Deserialize, Serialize};

/// A network (VPC): its egress proxy, its vSwitches, its security groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkDefinition {
    /// Its name, unique; at most 127 characters.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The region it is in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Identity of the VPC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vpc_id: String,
    /// `socks5://host:port` or `http://host:port` of the egress proxy; nothing for direct.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub egress_proxy: String,
    /// Local addresses that connections are bound to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vswitches: Vec<Vswitch>,
    /// What may be dialled; none means nothing is restricted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<SecurityGroup>,
}

/// A local address that connections are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vswitch {
    /// Its identity.
    pub id: String,
    /// The local address.
    pub address: String,
}

/// Destinations that may be dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroup {
    /// Its identity.
    pub id: String,
    /// What it allows.
    pub egress: Vec<EgressRule>,
}

/// Addresses and ports that may be dialled.
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
