//! Kinds of addresses, by who is behind them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use rocketbridge_model::Cidr;

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Anybody's on the internet.
    Public,
    /// Of a private network: RFC 1918, RFC 6598, RFC 4193, and what is used like these.
    Private,
    /// This machine.
    Loopback,
    /// Of the next cable only (RFC 3927, RFC 4291): routers, cloud services of the machine.
    LinkLocal,
    /// Where a cloud hands credentials to whoever asks from the machine.
    Metadata,
    /// No address of anybody: unspecified, multicast, broadcast, reserved.
    Nobody,
}

impl Class {
    /// The kind of an address.
    ///
    /// An IPv6 address that leads to an IPv4 one through a translator (RFC 6052, RFC 3056) is of the kind of that one.
    pub fn of(address: IpAddr) -> Self {
        let address = plain(address);
        TABLE.iter().find(|(range, _)| range.contains(address)).map_or(Self::Public, |(_, class)| *class)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata service",
            Self::Nobody => "unspecified, multicast or reserved",
        })
    }
}

/// Whether a range was written for link-local addresses or metadata services, with this address among them: it lies within one of their ranges.
pub(crate) fn is_meant(range: &Cidr, address: IpAddr) -> bool {
    let mut kinds = TABLE.iter().filter(|(_, class)| matches!(class, Class::LinkLocal | Class::Metadata));
    range.contains(address) && kinds.any(|(kind, _)| kind.contains(address) && range.is_within(kind))
}

/// The address behind an address: the IPv4 one that an IPv6 one stands for or is translated to; else itself.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else { return address.to_canonical() };
    let octets = six.octets();
    let four = |from: usize| IpAddr::V4(Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]));
    match six.segments() {
        // The well-known prefix of translators, 64:ff9b::/96.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => four(12),
        // 6to4.
        [0x2002, ..] => four(2),
        // "IPv4-compatible", long abolished, but understood by some; :: and ::1 are none.
        [0, 0, 0, 0, 0, 0, ..] if six != Ipv6Addr::UNSPECIFIED && six != Ipv6Addr::LOCALHOST => four(12),
        _ => IpAddr::V6(six),
    }
}

/// Sources: the IANA registries of special-purpose addresses, and the documentation of the clouds for their metadata services. The first range that
/// holds an address counts.
const RANGES: &[(&str, Class)] = &[
    // AWS, Azure, Google, Tencent and others; AWS ECS and EKS; Alibaba Cloud; Azure's wire server; Oracle.
    ("169.254.169.254/32", Class::Metadata),
    ("169.254.170.2/32", Class::Metadata),
    ("169.254.170.23/32", Class::Metadata),
    ("100.100.100.200/32", Class::Metadata),
    ("168.63.129.16/32", Class::Metadata),
    ("192.0.0.192/32", Class::Metadata),
    // AWS, AWS EKS, Google, Oracle, Scaleway.
    ("fd00:ec2::254/128", Class::Metadata),
    ("fd00:ec2::23/128", Class::Metadata),
    ("fd20:ce::254/128", Class::Metadata),
    ("fd00:c1::a9fe:a9fe/128", Class::Metadata),
    ("fd00:42::42/128", Class::Metadata),
    ("0.0.0.0/8", Class::Nobody),
    ("127.0.0.0/8", Class::Loopback),
    ("169.254.0.0/16", Class::LinkLocal),
    ("10.0.0.0/8", Class::Private),
    ("172.16.0.0/12", Class::Private),
    ("192.168.0.0/16", Class::Private),
    ("100.64.0.0/10", Class::Private),
    // Meant for measuring, used inside by tunnels and proxies.
    ("198.18.0.0/15", Class::Private),
    ("192.0.0.0/24", Class::Nobody),
    ("224.0.0.0/4", Class::Nobody),
    ("240.0.0.0/4", Class::Nobody),
    ("::/128", Class::Nobody),
    ("::1/128", Class::Loopback),
    ("fe80::/10", Class::LinkLocal),
    // Site-local, abolished by RFC 3879.
    ("fec0::/10", Class::Private),
    ("fc00::/7", Class::Private),
    // Translators of a site's own (RFC 8215).
    ("64:ff9b:1::/48", Class::Private),
    // Teredo: leads to a host behind anybody's address.
    ("2001::/32", Class::Nobody),
    ("100::/64", Class::Nobody),
    ("ff00::/8", Class::Nobody),
];

static TABLE: LazyLock<Vec<(Cidr, Class)>> =
    LazyLock::new(|| RANGES.iter().map(|(range, class)| (range.parse().expect("a range"), *class)).collect());
