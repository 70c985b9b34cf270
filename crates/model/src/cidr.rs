//! Ranges of IP addresses in CIDR form (RFC 4632, RFC 4291).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `ADDRESS/LENGTH`. Bits of the address behind the length mean nothing and are cleared; a range of IPv6 addresses that stand for IPv4 ones is
/// a range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

/// Text that is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no range of addresses; {fix}")]
pub struct Malformed {
    /// What to write instead.
    pub fix: String,
}

impl Cidr {
    /// The range that holds one address.
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, length: bits(address).1 }
    }

    /// Whether an address is in the range. An IPv6 address that stands for an IPv4 one is that one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let ((range, width), (bits, other_width)) = (bits(self.address), bits(address));
        width == other_width && masked(range, width, self.length) == masked(bits, width, self.length)
    }

    /// Whether every address of this range is in the other.
    pub fn is_within(&self, other: &Self) -> bool {
        self.length >= other.length && other.contains(self.address)
    }
}

impl FromStr for Cidr {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = |fix: &str| Malformed { fix: fix.to_owned() };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Err(malformed(&format!("write {address}/{} for this one address", bits(address).1)));
        }
        let example = "write an address and the length of its prefix, such as 10.0.0.0/8";
        let (address, length) = text.split_once('/').ok_or_else(|| malformed(example))?;
        let address: IpAddr = address.parse().map_err(|_| malformed(example))?;
        let (number, width) = bits(address);
        let is_plain = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let length = length.parse().ok().filter(|length| is_plain && *length <= width);
        let length: u8 = length.ok_or_else(|| malformed(&format!("write a length from 0 to {width} behind the /")))?;
        let address = unbits(masked(number, width, length), width);
        Ok(match address.to_canonical() {
            // Only a range that lies within ::ffff:0:0/96 stands for IPv4 addresses.
            canonical @ IpAddr::V4(_) if width == 128 && length >= 96 => Self { address: canonical, length: length - 96 },
            _ => Self { address, length },
        })
    }
}

impl TryFrom<String> for Cidr {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

fn unbits(number: u128, width: u8) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if width == 32 => IpAddr::V4(number.into()),
        _ => IpAddr::V6(number.into()),
    }
}

/// The number with only its first `length` of `width` bits kept.
fn masked(number: u128, width: u8, length: u8) -> u128 {
    let cleared = u32::from(width - length);
    // A shift by all 128 bits is none that Rust defines.
    number.checked_shr(cleared).and_then(|kept| kept.checked_shl(cleared)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap_or_else(|malformed| panic!("{text}: {malformed}"))
    }

    /// *Scenario*: ranges and addresses of both families. *Guarantees*: an address is in the range that it is in, and no other.
    #[test]
    fn addresses_are_in_their_ranges() {
        for (range, address, is_in) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fe80::1", true),
            ("::/0", "127.0.0.1", false),
            ("fe80::/10", "febf::1", true),
            ("fe80::/10", "fec0::1", false),
            ("1.2.3.4/32", "1.2.3.5", false),
            ("::1/128", "::1", true),
        ] {
            assert_eq!(cidr(range).contains(address.parse().expect("an address")), is_in, "{address} in {range}");
        }
    }

    /// *Scenario*: ranges within each other. *Guarantees*: only the narrower one is within the wider one, and no range is within the other family's.
    #[test]
    fn ranges_are_within_ranges() {
        assert!(cidr("100.100.100.200/32").is_within(&cidr("100.64.0.0/10")));
        assert!(!cidr("100.64.0.0/10").is_within(&cidr("100.100.100.200/32")));
        assert!(cidr("10.0.0.0/8").is_within(&cidr("10.0.0.0/8")));
        assert!(!cidr("0.0.0.0/0").is_within(&cidr("::/0")));
        assert!(!cidr("11.0.0.0/16").is_within(&cidr("10.0.0.0/8")));
    }

    /// *Scenario*: texts. *Guarantees*: one spelling for each range, and what to write instead of what is none.
    #[test]
    fn ranges_are_read_and_written() {
        for (text, plain) in
            [("10.1.2.3/8", "10.0.0.0/8"), ("FE80::1/10", "fe80::/10"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::/0", "::/0")]
        {
            assert_eq!(cidr(text).to_string(), plain);
        }
        for (text, fix) in [
            ("10.0.0.1", "write 10.0.0.1/32 for this one address"),
            ("::1", "write ::1/128 for this one address"),
            ("10.0.0.0/33", "write a length from 0 to 32 behind the /"),
            ("10.0.0.0/+8", "write a length from 0 to 32 behind the /"),
            ("10.0.0.0/08", "write a length from 0 to 32 behind the /"),
            ("10.0/8", "write an address and the length of its prefix, such as 10.0.0.0/8"),
            ("any", "write an address and the length of its prefix, such as 10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Cidr>().map_err(|malformed| malformed.fix), Err(fix.to_owned()), "{text}");
        }
    }
}
