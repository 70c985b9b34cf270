//! How many connections there are, in all and from each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits::Limits;

/// The connections that there are. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    limits: Limits,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    quota: Quota,
    address: IpAddr,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// There are as many as there may be.
    #[error("there are {0} connections, the most that connections.total allows")]
    Total(usize),
    /// Its address has as many as one may have.
    #[error("its address has {0} connections, the most that connections.per_address allows")]
    Address(usize),
}

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, open: Arc::default() }
    }

    /// Counts one more connection.
    pub(crate) fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let address = host(address);
        let mut open = self.open.lock();
        if open.total >= self.limits.total {
            return Err(Full::Total(open.total));
        }
        let of_address = open.by_address.get(&address).copied().unwrap_or_default();
        if of_address >= self.limits.per_address {
            return Err(Full::Address(of_address));
        }
        open.by_address.insert(address, of_address + 1);
        open.total += 1;
        Ok(Place { quota: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.quota.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// What one host has of an address: all of IPv4, the network of IPv6.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: one address takes all it may, then others do, then some leave. *Guarantees*: neither limit is passed, each says so in its own words, and
    /// what is given back can be taken again; nothing stays of an address that has left.
    #[test]
    fn neither_limit_is_passed() {
        let quota = Quota::new(Limits { total: 5, per_address: 3, ..Limits::default() });
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let one: Vec<Place> = (0..3).map(|_| quota.take(address("10.0.0.1")).expect("room")).collect();
        assert_eq!(quota.take(address("::ffff:10.0.0.1")).map(|_| ()), Err(Full::Address(3)));
        let two = [quota.take(address("2001:db8::1")).expect("room"), quota.take(address("2001:db8::2")).expect("room")];
        assert_eq!(quota.open.lock().by_address.len(), 2);
        assert_eq!(quota.take(address("10.0.0.2")).map(|_| ()), Err(Full::Total(5)));
        drop(one);
        assert!(quota.take(address("10.0.0.1")).is_ok());
        drop(two);
        let open = quota.open.lock();
        assert_eq!((open.total, open.by_address.len()), (0, 0));
    }
}
