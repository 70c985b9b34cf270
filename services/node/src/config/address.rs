//! A host and a port that others dial.

use std::fmt;
use std::net::IpAddr;

/// `HOST:PORT`; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port; 0 stands for the one that is served.
    pub port: u16,
}

impl Address {
    /// Reads `HOST:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_valid = match inner {
            Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
            None => !host.is_empty() && host.chars().all(|character| character.is_ascii_alphanumeric() || "-._".contains(character)),
        };
        is_valid.then(|| Self { host: inner.unwrap_or(host).to_owned(), port })
    }

    /// Whether it is the address that stands for all of a machine's, which nobody can dial.
    pub fn is_unspecified(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read() {
        for text in ["router-0.mesh:9080", "10.0.0.1:0", "[::1]:9080"] {
            assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
        }
        for text in ["", "router", ":9080", "::1:9080", "a b:1", "host:99999", "[host]:1"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
        assert!(Address::parse("[::]:1").is_some_and(|address| address.is_unspecified()));
    }
}
