//! Why there is no connection.

use std::net::IpAddr;

use rocketbridge_secrets::Unresolvable;

use crate::group::Dropped;
use crate::rules::Refusal;

/// A dial that led to no connection: what was dialled, as it was given, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {fault}")]
pub struct Error {
    /// What was dialled.
    pub address: String,
    /// Why it failed.
    pub fault: Fault,
}

/// Why a dial failed. The texts are for people and show no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no address.
    #[error("this is no address that can be dialled: {0}")]
    Malformed(String),
    /// The name of the host leads to no address.
    #[error("the name cannot be resolved: {0}")]
    Unknown(String),
    /// The process may not dial it. Nothing was tried.
    #[error("{0}")]
    Refused(Refusal),
    /// A security group of the network drops it. Nothing was tried.
    #[error("{0}")]
    Dropped(Dropped),
    /// No vSwitch of the network is an address of this machine.
    #[error("network {network} has no vSwitch on this machine for {family} addresses: {vswitches} cannot be bound here")]
    NotLocal {
        /// The network.
        network: String,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The vSwitches of this family, or that there are none.
        vswitches: String,
    },
    /// The egress proxy cannot be reached, does not answer as one, or says no.
    #[error("egress proxy {proxy}: {reason}")]
    Proxy {
        /// The proxy.
        proxy: String,
        /// Why.
        reason: String,
        /// Whether it is likely to pass by itself.
        will_pass: bool,
    },
    /// Nobody takes the connection.
    #[error("{0}")]
    Unreachable(String),
    /// TLS is not agreed upon.
    #[error("TLS: {0}")]
    Tls(String),
    /// A reference to a secret or a certificate leads nowhere.
    #[error(transparent)]
    Secret(#[from] Unresolvable),
}

/// Kinds of failure that callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is likely to pass by itself: try again after a wait.
    Unavailable,
    /// A rule forbids it; a person must change the rule or the address.
    Forbidden,
    /// A setting is wrong, here or at the peer; a person must change it.
    Misconfigured,
}

impl Error {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.fault.code()
    }
}

impl Fault {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown(_) | Self::Unreachable(_) | Self::Proxy { will_pass: true, .. } => Code::Unavailable,
            Self::Refused(_) | Self::Dropped(_) => Code::Forbidden,
            Self::Malformed(_) | Self::NotLocal { .. } | Self::Proxy { will_pass: false, .. } | Self::Tls(_) | Self::Secret(_) => {
                Code::Misconfigured
            }
        }
    }

    /// The family of an address, as people call it.
    pub(crate) fn family(address: IpAddr) -> &'static str {
        if address.is_ipv4() { "IPv4" } else { "IPv6" }
    }
}
