//! The network that something is dialled through.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::cidr::Cidr;
use crate::secret::Secret;

/// A network (VPC): what a dialer needs of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The proxy that leads out of, or into, it; `None` for direct.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// Local addresses of which one is bound; none for any.
    #[serde(default)]
    pub vswitches: Vec<Vswitch>,
    /// Rules for what may be dialled, of all groups together; none for no restriction.
    #[serde(default)]
    pub security_groups: Vec<SecurityGroup>,
}

/// An egress proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proxy {
    /// What it speaks.
    pub protocol: ProxyProtocol,
    /// Where it is.
    pub address: Address,
    /// What it wants to know of us.
    #[serde(default)]
    pub credentials: Option<ProxyCredentials>,
    /// Whether it is given names of hosts, which then nobody here can hold against rules.
    #[serde(default)]
    pub resolves: bool,
}

/// What an egress proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// SOCKS 5 (RFC 1928, RFC 1929).
    Socks5,
    /// HTTP CONNECT (RFC 9110, 9.3.6).
    Http,
}

/// User and password towards an egress proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProxyCredentials {
    /// User.
    pub username: String,
    /// Password, or a reference to it.
    pub password: Secret,
}

/// A local address that connections are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vswitch {
    /// Its identity.
    pub id: String,
    /// The address.
    pub address: IpAddr,
}

/// What of a security group concerns dialling: its egress rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its identity.
    pub id: String,
    /// Its rules, in the order of the definition.
    pub rules: Vec<SecurityRule>,
    /// Whether it drops what none of its rules matches.
    pub drops_others: bool,
}

/// An egress rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecurityRule {
    /// Where it stands in the definition, such as `rules[2]`.
    pub place: String,
    /// Addresses.
    pub cidr: Cidr,
    /// First port.
    pub port_from: u16,
    /// Last port.
    pub port_to: u16,
    /// 1, which goes before all others, to 100.
    pub priority: u8,
    /// Whether it accepts; else it drops.
    pub accepts: bool,
}
