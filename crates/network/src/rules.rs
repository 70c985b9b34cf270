//! What a process may dial, by its operator's word.

use std::net::{IpAddr, SocketAddr};

use rocketbridge_model::Cidr;

use crate::class::{Class, is_meant, plain};

/// What a process may dial.
///
/// Public addresses may be dialled; private and loopback ones where `allow` covers them; link-local ones and metadata services only where `allow` has a
/// range that lies within those of their kind, so that no wide range opens them by chance; what is nobody's address never. `deny` wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Ranges that may be dialled although they are not public.
    pub allow: Vec<Cidr>,
    /// Ranges that may not be dialled.
    pub deny: Vec<Cidr>,
    /// Addresses that the process itself serves, such as its embedded RocketMQ: they may be dialled whatever the ranges say.
    pub own: Vec<SocketAddr>,
}

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its kind is not allowed.
    #[error("{address} is a {class} address, and this process does not dial those unless egress.allow names them")]
    Class {
        /// The address.
        address: IpAddr,
        /// Its kind.
        class: Class,
    },
    /// A range is denied.
    #[error("{address} is in {range}, which egress.deny names")]
    Denied {
        /// The address.
        address: IpAddr,
        /// The range.
        range: Cidr,
    },
}

impl Rules {
    /// The ranges of private networks.
    pub const PRIVATE: [&str; 6] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7"];
    /// The ranges of this machine.
    pub const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

    /// What counts where the operator said nothing: private addresses may be dialled, because that is where people run RocketMQ; addresses of the
    /// machine only by a process that serves on loopback itself, whose callers are on the machine already.
    pub fn usual(is_on_loopback: bool) -> Self {
        let loopback = Self::LOOPBACK.into_iter().filter(|_| is_on_loopback);
        let allow = Self::PRIVATE.into_iter().chain(loopback).map(|range| range.parse().expect("a range"));
        Self { allow: allow.collect(), deny: Vec::new(), own: Vec::new() }
    }

    /// Whether an address may be dialled.
    pub fn judge(&self, address: SocketAddr) -> Result<(), Refusal> {
        if self.own.contains(&address) {
            return Ok(());
        }
        let (said, ip) = (address.ip().to_canonical(), plain(address.ip()));
        if let Some(range) = self.deny.iter().find(|range| range.contains(ip) || range.contains(said)) {
            return Err(Refusal::Denied { address: said, range: *range });
        }
        let class = Class::of(ip);
        let mut allowing = self.allow.iter().filter(|range| range.contains(ip));
        let is_allowed = match class {
            Class::Public => true,
            Class::Private | Class::Loopback => allowing.next().is_some(),
            Class::LinkLocal | Class::Metadata => allowing.any(|range| is_meant(range, ip)),
            Class::Nobody => false,
        };
        if is_allowed { Ok(()) } else { Err(Refusal::Class { address: said, class }) }
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::address::{Address, Host};

    use super::*;

    fn ranges(text: &str) -> Vec<Cidr> {
        text.split_whitespace().map(|range| range.parse().expect("a range")).collect()
    }

    /// What becomes of an address as somebody wrote it.
    fn verdict(text: &str, rules: &Rules) -> String {
        let address = match text.parse::<Address>() {
            Err(_) => return "malformed".to_owned(),
            Ok(address) => address,
        };
        let Host::Ip(ip) = address.host else { return "a name".to_owned() };
        match rules.judge(SocketAddr::new(ip, address.port)) {
            Ok(()) => "dialled".to_owned(),
            Err(Refusal::Class { class, .. }) => class.to_string(),
            Err(Refusal::Denied { .. }) => "denied".to_owned(),
        }
    }

    const NOBODY: &str = "unspecified, multicast or reserved";

    /// *Scenario*: addresses as definitions, name servers and attackers write them, to a process of a mesh with the usual rules. *Guarantees*: public and
    /// private ones are dialled; loopback, link-local, metadata and nobody's are not, however they are written.
    #[test]
    fn addresses_are_judged_by_where_they_lead() {
        let mesh = Rules::usual(false);
        for (text, expected) in [
            ("1.2.3.4:9876", "dialled"),
            ("223.5.5.5:80", "dialled"),
            ("[2400:3200::1]:9876", "dialled"),
            ("[::ffff:1.2.3.4]:80", "dialled"),
            ("10.0.0.1:9876", "dialled"),
            ("10.255.255.255:1", "dialled"),
            ("172.16.0.1:9876", "dialled"),
            ("172.31.255.254:9876", "dialled"),
            ("172.32.0.1:9876", "dialled"),
            ("192.168.1.1:10911", "dialled"),
            ("100.64.0.1:10911", "dialled"),
            ("198.18.0.1:80", "dialled"),
            ("[fd12:3456::1]:9876", "dialled"),
            ("[64:ff9b::102:304]:80", "dialled"),
            ("127.0.0.1:2379", "loopback"),
            ("127.255.255.255:80", "loopback"),
            ("127.0.1.1:80", "loopback"),
            ("[::1]:2379", "loopback"),
            ("[::ffff:127.0.0.1]:2379", "loopback"),
            ("[::ffff:7f00:1]:2379", "loopback"),
            ("[::127.0.0.1]:80", "loopback"),
            ("[64:ff9b::7f00:1]:80", "loopback"),
            ("[2002:7f00:1::]:80", "loopback"),
            ("169.254.0.1:80", "link-local"),
            ("169.254.255.255:80", "link-local"),
            ("[fe80::1]:80", "link-local"),
            ("[febf::1]:80", "link-local"),
            ("[::ffff:169.254.1.1]:80", "link-local"),
            ("169.254.169.254:80", "metadata service"),
            ("169.254.170.2:80", "metadata service"),
            ("100.100.100.200:80", "metadata service"),
            ("168.63.129.16:80", "metadata service"),
            ("192.0.0.192:80", "metadata service"),
            ("[fd00:ec2::254]:80", "metadata service"),
            ("[fd20:ce::254]:80", "metadata service"),
            ("[::ffff:169.254.169.254]:80", "metadata service"),
            ("[::ffff:a9fe:a9fe]:80", "metadata service"),
            ("[::a9fe:a9fe]:80", "metadata service"),
            ("[64:ff9b::a9fe:a9fe]:80", "metadata service"),
            ("[64:ff9b::6464:64c8]:80", "metadata service"),
            ("[2002:a9fe:a9fe::1]:80", "metadata service"),
            ("0.0.0.0:80", NOBODY),
            ("0.1.2.3:80", NOBODY),
            ("[::]:80", NOBODY),
            ("[::ffff:0.0.0.0]:80", NOBODY),
            ("224.0.0.1:80", NOBODY),
            ("239.255.255.255:80", NOBODY),
            ("240.0.0.1:80", NOBODY),
            ("255.255.255.255:80", NOBODY),
            ("192.0.0.1:80", NOBODY),
            ("[ff02::1]:80", NOBODY),
            ("[2001:0:1::1]:80", NOBODY),
            ("0x7f.1:80", "malformed"),
            ("0x7f000001:80", "malformed"),
            ("2130706433:80", "malformed"),
            ("017700000001:80", "malformed"),
            ("0177.0.0.1:80", "malformed"),
            ("127.1:80", "malformed"),
            ("127.0.1:80", "malformed"),
            ("0:80", "malformed"),
            ("169.254.43518:80", "malformed"),
            ("0xa9fea9fe:80", "malformed"),
            ("127.0.0.1.:80", "malformed"),
            ("[fe80::1%25lo]:80", "malformed"),
            ("[fe80::1%lo]:80", "malformed"),
            ("::1:80", "malformed"),
            ("[::1]", "malformed"),
            ("[::1]:80/etc", "malformed"),
            ("127.0.0.1", "malformed"),
            ("127.0.0.1:0", "malformed"),
            ("127.0.0.1:80@evil.example:80", "malformed"),
            ("http://169.254.169.254:80", "malformed"),
            ("a..b:80", "malformed"),
            ("１２７.０.０.１:80", "malformed"),
            ("127。0。0。1:80", "malformed"),
            ("broker-0.rocketmq.svc.cluster.local:10911", "a name"),
            ("localhost:80", "a name"),
        ] {
            assert_eq!(verdict(text, &mesh), expected, "{text}");
        }
    }

    /// *Scenario*: ranges that an operator allows or denies. *Guarantees*: link-local and metadata addresses are opened by ranges that mean them alone;
    /// nobody's addresses by none; denied is denied.
    #[test]
    fn ranges_open_and_close() {
        let rules = |allow: &str, deny: &str| Rules { allow: ranges(allow), deny: ranges(deny), own: Vec::new() };
        for (allow, deny, text, expected) in [
            ("", "", "10.0.0.1:1", "private"),
            ("", "", "1.2.3.4:1", "dialled"),
            ("10.1.0.0/16", "", "10.1.2.3:1", "dialled"),
            ("10.1.0.0/16", "", "10.2.0.1:1", "private"),
            ("127.0.1.0/24", "", "127.0.1.9:1", "dialled"),
            ("127.0.1.0/24", "", "127.0.0.1:1", "loopback"),
            ("0.0.0.0/0 ::/0", "", "127.0.0.1:1", "dialled"),
            ("0.0.0.0/0 ::/0", "", "169.254.169.254:80", "metadata service"),
            ("0.0.0.0/0 ::/0", "", "169.254.1.1:80", "link-local"),
            ("0.0.0.0/0 ::/0", "", "[fe80::1]:80", "link-local"),
            ("0.0.0.0/0 ::/0", "", "0.0.0.0:80", NOBODY),
            ("100.64.0.0/10", "", "100.100.100.200:80", "metadata service"),
            ("100.100.100.200/32", "", "100.100.100.200:80", "dialled"),
            ("169.254.169.254/32", "", "169.254.169.254:80", "dialled"),
            ("169.254.169.254/32", "", "169.254.1.1:80", "link-local"),
            ("169.254.0.0/16", "", "169.254.1.1:80", "dialled"),
            ("169.254.0.0/16", "", "[::ffff:169.254.1.1]:80", "dialled"),
            ("168.0.0.0/6", "", "169.254.1.1:80", "link-local"),
            ("fd00:ec2::254/128", "", "[fd00:ec2::254]:80", "dialled"),
            ("fc00::/7", "", "[fd00:ec2::254]:80", "metadata service"),
            ("0.0.0.0/8 224.0.0.0/4", "", "224.0.0.1:80", NOBODY),
            ("10.0.0.0/8", "10.0.0.0/24", "10.0.0.1:1", "denied"),
            ("10.0.0.0/8", "10.0.0.0/24", "10.0.1.1:1", "dialled"),
            ("", "1.2.3.0/24", "1.2.3.4:1", "denied"),
            ("", "1.2.3.0/24", "[::ffff:1.2.3.4]:1", "denied"),
            ("", "1.2.3.0/24", "[64:ff9b::102:304]:1", "denied"),
        ] {
            assert_eq!(verdict(text, &rules(allow, deny)), expected, "{text} with allow {allow:?}, deny {deny:?}");
        }
    }

    /// *Scenario*: a process that serves on loopback, and one that serves beyond it and has addresses of its own. *Guarantees*: the first dials the machine,
    /// the second only what it serves itself.
    #[test]
    fn a_process_dials_what_it_serves() {
        assert_eq!(verdict("127.0.0.1:9876", &Rules::usual(true)), "dialled");
        assert_eq!(verdict("[::1]:9876", &Rules::usual(true)), "dialled");
        let own = Rules { own: vec!["127.0.0.1:9081".parse().expect("an address")], ..Rules::usual(false) };
        assert_eq!(verdict("127.0.0.1:9081", &own), "dialled");
        assert_eq!(verdict("127.0.0.1:9082", &own), "loopback");
    }
}
