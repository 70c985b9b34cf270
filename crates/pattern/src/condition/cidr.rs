//! Ranges of IP addresses.

use std::net::IpAddr;

/// A network, or with the longest mask one address. IPv4 and IPv6 are separate: neither matches the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    /// `10.0.0.0/8`, `2001:db8::/32`, or a bare address. Bits after the mask are ignored.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= most).then_some(Self { network, bits })
    }

    /// An address of the range, and how many of its first bits all others have too.
    pub(crate) fn network(self) -> (IpAddr, u32) {
        (self.network, self.bits)
    }

    /// Whether `value` is the text of an address in the range.
    pub(crate) fn contains(self, value: &str) -> bool {
        // Every address has a digit, a letter to f, or a colon first: most values need no parsing.
        if !value.as_bytes().first().is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':') {
            return false;
        }
        match (self.network, value.parse()) {
            (IpAddr::V4(network), Ok(IpAddr::V4(address))) => {
                let outside = 32 - self.bits;
                u64::from(u32::from(network) ^ u32::from(address)) >> outside == 0
            }
            (IpAddr::V6(network), Ok(IpAddr::V6(address))) => {
                (u128::from(network) ^ u128::from(address)).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: all mask lengths' ends, both families, bare addresses, near misses. *Guarantees*: only addresses in the range match.
    #[test]
    fn addresses_in_the_range_match() {
        for (range, value, expected) in [
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("10.0.0.0/24", "10.0.0.1234", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.01", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "ffff::1", true),
            ("::1/128", "0:0:0:0:0:0:0:1", true),
            ("::1", "::2", false),
        ] {
            assert_eq!(Cidr::new(range).map(|it| it.contains(value)), Some(expected), "{range} {value}");
        }
        for fault in ["", "foo", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8"] {
            assert_eq!(Cidr::new(fault), None, "{fault}");
        }
    }
}
