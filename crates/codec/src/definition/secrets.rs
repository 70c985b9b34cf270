//! Stars in answers, and what they mean in requests.

use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::credentials::CredentialsDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::secret::REDACTED;
use rocketbridge_model::{RouteDefinition, Secret, StreamDefinition};

/// A definition that may hold secrets.
pub trait Guarded {
    /// Its places for secrets, always the same ones in the same order; `None` where the part that would hold one is absent.
    fn secrets(&mut self) -> Vec<Option<&mut Secret>>;

    /// Puts stars in place of secrets. References stay: they show nothing.
    fn redact(&mut self) {
        for secret in self.secrets().into_iter().flatten() {
            *secret = Secret::new(secret.redacted());
        }
    }

    /// Puts what is stored in place of stars. Stars without anything stored stay, for validation to refuse.
    fn restore(&mut self, stored: &Self)
    where
        Self: Clone,
    {
        put_back(self, &mut stored.clone());
    }
}

fn put_back<D: Guarded + ?Sized>(given: &mut D, stored: &mut D) {
    for (secret, kept) in given.secrets().into_iter().zip(stored.secrets()) {
        if let (Some(secret), Some(kept)) = (secret, kept)
            && secret.expose() == REDACTED
            && !kept.is_empty()
        {
            *secret = kept.clone();
        }
    }
}

impl Guarded for StreamDefinition {
    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        let source = self.source.source_rocketmq_parameters.as_mut().map(|source| &mut source.instance_password);
        let sink = self.sink.sink_rocketmq_parameters.as_mut();
        vec![source, sink.and_then(|sink| sink.instance_password.as_mut()).map(|password| &mut password.value)]
    }
}

impl Guarded for ConnectionDefinition {
    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        let key = self.tls.as_mut().map(|tls| &mut tls.client_key);
        let (fixed, sts) = match &mut self.credentials {
            Some(credentials) => (credentials.fixed.as_mut(), credentials.sts.as_mut()),
            None => (None, None),
        };
        let (secret, token) = match fixed {
            Some(keys) => (Some(&mut keys.secret_key), Some(&mut keys.security_token)),
            None => (None, None),
        };
        let assuming = sts.map(|sts| &mut sts.secret_key);
        vec![Some(&mut self.secret_key), Some(&mut self.security_token), key, secret, token, assuming]
    }

    /// The secrets of `credentials` stay with their access key, and one that is for an STS with that STS: whoever may change a connection must not have
    /// them used by a server of his own.
    fn restore(&mut self, stored: &Self) {
        let mut stored = stored.clone();
        if let (Some(given), Some(kept)) = (&self.credentials, &mut stored.credentials) {
            let access_key = |credentials: &CredentialsDefinition| credentials.fixed.as_ref().map(|keys| keys.access_key.clone());
            if access_key(given) != access_key(kept) {
                kept.fixed = None;
            }
            let asked =
                |credentials: &CredentialsDefinition| credentials.sts.as_ref().map(|sts| (sts.endpoint.clone(), sts.access_key.clone()));
            if asked(given) != asked(kept) {
                kept.sts = None;
            }
        }
        put_back(self, &mut stored);
    }
}

/// A route has none: its connections do.
impl Guarded for RouteDefinition {
    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        Vec::new()
    }
}

impl Guarded for NetworkDefinition {
    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        vec![Some(&mut self.egress_proxy_password)]
    }

    /// A password stays with its proxy: whoever may change a network must not learn the password by naming a proxy of his own.
    fn restore(&mut self, stored: &Self) {
        if self.egress_proxy_password.expose() == REDACTED
            && !stored.egress_proxy_password.is_empty()
            && (&self.egress_proxy, &self.egress_proxy_username) == (&stored.egress_proxy, &stored.egress_proxy_username)
        {
            self.egress_proxy_password = stored.egress_proxy_password.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::credentials::{StaticDefinition, StsDefinition};

    use super::*;

    fn connection(secret_key: &str, security_token: &str) -> ConnectionDefinition {
        ConnectionDefinition { secret_key: Secret::new(secret_key), security_token: Secret::new(security_token), ..Default::default() }
    }

    /// *Scenario*: a definition is shown, changed and sent back. *Guarantees*: no secret is shown, none is lost, a new one is taken.
    #[test]
    fn stars_go_out_and_secrets_come_back() {
        let stored = connection("hidden", "env:TOKEN");
        let mut shown = stored.clone();
        shown.redact();
        assert_eq!((shown.secret_key.expose(), shown.security_token.expose()), ("******", "env:TOKEN"));
        shown.restore(&stored);
        assert_eq!(shown, stored);
        let mut changed = connection("new", "******");
        changed.restore(&connection("hidden", ""));
        assert_eq!(changed.secret_key.expose(), "new");
        assert_eq!(changed.security_token.expose(), "******", "nothing is stored that stars could stand for");
    }

    /// *Scenario*: a connection with each kind of credentials that has a secret comes back with stars, the same and for another server or key. *Guarantees*:
    /// a secret goes where it was stored for, and nowhere else.
    #[test]
    fn the_secret_of_a_role_stays_with_its_sts() {
        let role = |endpoint: &str, access_key: &str, secret: &str| ConnectionDefinition {
            credentials: Some(CredentialsDefinition {
                sts: Some(StsDefinition {
                    endpoint: endpoint.to_owned(),
                    access_key: access_key.to_owned(),
                    secret_key: Secret::new(secret),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let stored = role("", "ak", "hidden");
        let mut shown = stored.clone();
        shown.redact();
        assert_eq!(shown, role("", "ak", "******"));
        for (given, expected) in [("", "hidden"), ("https://elsewhere", "******")] {
            let mut given = role(given, "ak", "******");
            given.restore(&stored);
            assert_eq!(given.secrets().pop().flatten().expect("an STS").expose(), expected);
        }
        let keys = |access_key: &str, secret: &str, token: &str| ConnectionDefinition {
            credentials: Some(CredentialsDefinition {
                fixed: Some(StaticDefinition {
                    access_key: access_key.to_owned(),
                    secret_key: Secret::new(secret),
                    security_token: Secret::new(token),
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let stored = keys("ak", "hidden", "token");
        for (access_key, expected) in [("ak", &stored), ("other", &keys("other", "******", "******"))] {
            let mut given = keys(access_key, "******", "******");
            given.restore(&stored);
            assert_eq!(&given, expected);
        }
        let mut moved = role("", "ak", "******");
        moved.restore(&stored);
        assert_eq!(moved, role("", "ak", "******"), "a secret of another kind is none of this one");
    }

    /// *Scenario*: a network with a proxy's password comes back with stars, for the same proxy and for another. *Guarantees*: the password goes to the
    /// proxy that it was stored for, and to no other.
    #[test]
    fn a_password_stays_with_its_proxy() {
        let network = |proxy: &str, password: &str| NetworkDefinition {
            egress_proxy: proxy.to_owned(),
            egress_proxy_password: Secret::new(password),
            ..Default::default()
        };
        let stored = network("socks5://proxy:1080", "hidden");
        for (proxy, password) in [("socks5://proxy:1080", "hidden"), ("socks5://elsewhere:1080", "******")] {
            let mut given = network(proxy, "******");
            given.restore(&stored);
            assert_eq!(given.egress_proxy_password.expose(), password, "{proxy}");
        }
    }
}
