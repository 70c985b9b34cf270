//! Addresses that are dialled: a host and a port, read strictly.
//!
//! What the C library takes for an address is far more than people mean: `0x7f.1`, `2130706433` and `0177.0.0.1` are all 127.0.0.1 to it. Here an
//! address has exactly one spelling, so that whoever reads a definition, and every rule that is held against it, sees what will be dialled.
//! Nothing here resolves a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Port that RocketMQ's name server listens on unless told otherwise.
const NAME_SERVER_PORT: u16 = 9876;
/// Longest name of a host, and longest part of it between dots (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// `HOST:PORT`. An IPv6 address stands in brackets; one that stands for an IPv4 address (`::ffff:10.0.0.1`) is that address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The host.
    pub host: Host,
    /// The port, 1 to 65535.
    pub port: u16,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// By its address. Never an IPv6 address that stands for an IPv4 one.
    Ip(IpAddr),
    /// By its name, in lower case.
    Name(String),
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no HOST:PORT; {fix}")]
pub struct Malformed {
    /// What to write instead.
    pub fix: String,
}

impl Address {
    /// Reads an address. Where the port is missing, the error proposes the usual one.
    pub fn read(text: &str, usual_port: u16) -> Result<Self, Malformed> {
        Reader { usual_port }.address(text).map_err(|fix| Malformed { fix })
    }
}

impl FromStr for Address {
    type Err = Malformed;

    /// Proposes a name server's port where one is missing.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::read(text, NAME_SERVER_PORT)
    }
}

impl TryFrom<String> for Address {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
            Host::Ip(IpAddr::V4(address)) => write!(formatter, "{address}:{}", self.port),
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
        }
    }
}

/// Reads one address.
struct Reader {
    /// Port that is proposed.
    usual_port: u16,
}

impl Reader {
    /// The error is the fix: what to write instead.
    fn address(&self, text: &str) -> Result<Address, String> {
        let usual_port = self.usual_port;
        if let Some((scheme, rest)) = text.split_once("://") {
            let rest = rest.trim_end_matches('/');
            return Err(match self.address(rest) {
                Ok(plain) => format!("write {plain}, without {scheme}://"),
                Err(fix) => format!("leave {scheme}:// out, and {fix}"),
            });
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            return self.bracketed(bracketed);
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Err(format!("write an IPv6 address in brackets and a port, such as [{address}]:{usual_port}"));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(match self.host(text) {
                Ok(_) => format!("write a port, such as {text}:{usual_port}"),
                Err(fix) => fix,
            });
        };
        Ok(Address { host: self.host(host)?, port: read_port(port)? })
    }

    fn bracketed(&self, text: &str) -> Result<Address, String> {
        let usual_port = self.usual_port;
        let Some((address, port)) = text.split_once(']') else {
            return Err("close the bracket: [address]:port".to_owned());
        };
        if let Some((address, _)) = address.split_once('%') {
            return Err(format!("leave the zone (% and what follows) out, such as [{address}]:{usual_port}"));
        }
        let address: Ipv6Addr = address.parse().map_err(|_| "write an IPv6 address between the brackets".to_owned())?;
        let port = port.strip_prefix(':').ok_or_else(|| format!("write a port, such as [{address}]:{usual_port}"))?;
        Ok(Address { host: Host::Ip(IpAddr::V6(address).to_canonical()), port: read_port(port)? })
    }

    fn host(&self, host: &str) -> Result<Host, String> {
        let usual_port = self.usual_port;
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(Host::Ip(address.into()));
        }
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if host.is_empty() {
            return Err(format!("write a host before the port, such as 127.0.0.1:{usual_port}"));
        }
        if host.len() > LONGEST_NAME || !host.chars().all(allowed) {
            return Err(format!("write a host name or an address, and a port, such as 127.0.0.1:{usual_port}"));
        }
        if host.ends_with('.') {
            return Err("leave the dot at the end of the host out".to_owned());
        }
        if host.split('.').next_back().is_some_and(is_number) {
            return Err("write an IPv4 address as four numbers from 0 to 255 without zeros before them, such as 127.0.0.1".to_owned());
        }
        let is_label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        if !host.split('.').all(is_label) {
            return Err(format!("write 1 to {LONGEST_LABEL} characters between dots of the host, with - only inside"));
        }
        Ok(Host::Name(host.to_ascii_lowercase()))
    }
}

/// A host whose last part is a number is an IPv4 address to those who resolve it, whatever stands before (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn read_port(port: &str) -> Result<u16, String> {
    match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err("write a port from 1 to 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: addresses as people and name servers write them. *Guarantees*: each is read, and has one spelling.
    #[test]
    fn reads_hosts_addresses_and_bracketed_addresses() {
        for (text, plain) in [
            ("127.0.0.1:9876", "127.0.0.1:9876"),
            ("Name-Server.Example:80", "name-server.example:80"),
            ("rocketmq_broker-0.rocketmq:10911", "rocketmq_broker-0.rocketmq:10911"),
            ("0x7f.example:80", "0x7f.example:80"),
            ("[::1]:9876", "[::1]:9876"),
            ("[2001:DB8::0:1]:1", "[2001:db8::1]:1"),
            ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
            ("[::ffff:a9fe:a9fe]:80", "169.254.169.254:80"),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()).as_deref(), Ok(plain), "{text}");
        }
    }

    /// *Scenario*: what people write instead of an address, and what the C library would take for one. *Guarantees*: refused, with what to write.
    #[test]
    fn says_what_to_write_instead() {
        let four = "write an IPv4 address as four numbers from 0 to 255 without zeros before them, such as 127.0.0.1";
        let labels = "write 1 to 63 characters between dots of the host, with - only inside";
        let long = format!("{}.example:1", "a".repeat(64));
        for (text, fix) in [
            ("http://mq.example.com:80", "write mq.example.com:80, without http://"),
            ("http://mq.example.com", "leave http:// out, and write a port, such as mq.example.com:9876"),
            ("localhost", "write a port, such as localhost:9876"),
            ("::1", "write an IPv6 address in brackets and a port, such as [::1]:9876"),
            ("[::1]", "write a port, such as [::1]:9876"),
            ("[::1", "close the bracket: [address]:port"),
            ("[fe80::1%eth0]:80", "leave the zone (% and what follows) out, such as [fe80::1]:9876"),
            ("[127.0.0.1]:80", "write an IPv6 address between the brackets"),
            ("a:0", "write a port from 1 to 65535"),
            ("a:65536", "write a port from 1 to 65535"),
            ("a:+1", "write a port from 1 to 65535"),
            (":1", "write a host before the port, such as 127.0.0.1:9876"),
            ("a b:1", "write a host name or an address, and a port, such as 127.0.0.1:9876"),
            ("a@b:1", "write a host name or an address, and a port, such as 127.0.0.1:9876"),
            ("0x7f.1:80", four),
            ("0x7f000001:80", four),
            ("0x:80", four),
            ("2130706433:80", four),
            ("0177.0.0.1:80", four),
            ("127.1:80", four),
            ("127.0.0.256:80", four),
            ("1.2.3.4.5:80", four),
            ("a..b:80", labels),
            (".a:80", labels),
            ("-a.b:80", labels),
            ("a-.b:80", labels),
            (&long, labels),
            ("a.:80", "leave the dot at the end of the host out"),
            ("127.0.0.1.:80", "leave the dot at the end of the host out"),
        ] {
            assert_eq!(text.parse::<Address>().map_err(|malformed| malformed.fix), Err(fix.to_owned()), "{text}");
        }
    }
}
