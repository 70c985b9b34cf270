//! The network a connection is dialled through.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

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
    /// User name for the egress proxy; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub egress_proxy_username: String,
    /// Password for the egress proxy, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub egress_proxy_password: Secret,
    /// Whether the proxy resolves host names. Otherwise they are resolved and checked before the proxy is asked.
    #[serde(skip_serializing_if = "is_false")]
    pub egress_proxy_resolves: bool,
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

/// Rules for allowed destinations, like those of Alibaba Cloud's security groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroup {
    /// Its id.
    pub id: String,
    /// Allowed destinations; with any, all others are dropped. A short form of accept rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<EgressRule>,
    /// The rules; a destination that no rule matches is accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<SecurityGroupRule>,
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

/// A rule of a security group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroupRule {
    /// `egress`; or `ingress`, which is stored but has no effect.
    pub direction: String,
    /// `tcp` or `all`; empty means `all`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// `FIRST/LAST`, such as `9876/9876`; `-1/-1` or empty means all ports.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port_range: String,
    /// First port, instead of `port_range`; 0 if that is used.
    #[serde(skip_serializing_if = "is_zero")]
    pub port_from: u32,
    /// Last port, instead of `port_range`; 0 if that is used.
    #[serde(skip_serializing_if = "is_zero")]
    pub port_to: u32,
    /// Addresses of the destination, in CIDR form.
    pub cidr: String,
    /// 1 (default, decides first) to 100; 0 means 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: u32,
    /// `accept` (default) or `drop`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// A description for people; it has no effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(number: &u32) -> bool {
    *number == 0
}
