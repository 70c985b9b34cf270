//! What a certificate allows its holder to be.
//!
//! A certificate says so in URIs among its subject alternative names: `rocketbridge://service/router`, and `filter`, `dispatcher`, `controller`
//! likewise. One certificate may have several. A certificate without any is an API client's.

use std::fmt;

use rustls::pki_types::CertificateDer;

/// A stage of the mesh, as certificates name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Plans, and asks members for reports.
    Controller,
    /// Opens sessions to filters.
    Router,
    /// Opens sessions to dispatchers.
    Filter,
    /// Is dialled by filters, and dials nobody.
    Dispatcher,
}

/// The roles of one certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Controller, Self::Router, Self::Filter, Self::Dispatcher];

    /// Its word in a certificate.
    pub fn word(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Router => "router",
            Self::Filter => "filter",
            Self::Dispatcher => "dispatcher",
        }
    }

    /// The URI that a certificate has for it.
    pub fn uri(self) -> String {
        format!("{SCHEME}{}", self.word())
    }
}

const SCHEME: &str = "rocketbridge://service/";

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Roles {
    /// The roles that a certificate names. It was verified before: a chain that ends at a trusted authority vouches for what it says.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Self::default() };
        Self::read(certificate.valid_uri_names())
    }

    /// Names are compared byte by byte: an authority that means a role writes it as it is.
    fn read<'a>(uris: impl Iterator<Item = &'a str>) -> Self {
        let words = uris.filter_map(|uri| uri.strip_prefix(SCHEME));
        let roles = words.filter_map(|word| Role::ALL.into_iter().find(|role| role.word() == word));
        Self(roles.fold(0, |roles, role| roles | 1 << role as u8))
    }

    /// Whether it has a role.
    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Whether it has any role, so that its holder is a member of the mesh.
    pub fn is_member(self) -> bool {
        self.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: URIs with a role, with several, and with what only looks like one. *Guarantees*: exactly the roles that are spelt right are read.
    #[test]
    fn a_role_is_spelt_in_one_way() {
        let read = |uris: &[&str]| Roles::read(uris.iter().copied());
        assert!(read(&["rocketbridge://service/router"]).has(Role::Router));
        assert!(!read(&["rocketbridge://service/router"]).has(Role::Filter));
        let both = read(&["spiffe://x/router", "rocketbridge://service/filter", "rocketbridge://service/controller"]);
        assert!(both.has(Role::Filter) && both.has(Role::Controller) && !both.has(Role::Router));
        for stranger in [
            "rocketbridge://service/Router",
            "rocketbridge://service/router/",
            "rocketbridge://service/router/x",
            "rocketbridge://service/",
            "rocketbridge://client/router",
            "https://x/rocketbridge://service/router",
            " rocketbridge://service/router",
        ] {
            assert_eq!(read(&[stranger]), Roles::default(), "{stranger}");
        }
        assert!(Role::ALL.iter().all(|role| read(&[&role.uri()]).has(*role)));
    }
}
