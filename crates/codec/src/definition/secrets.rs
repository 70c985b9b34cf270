//! Stars in answers, and what they mean in requests.

use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::secret::REDACTED;
use rocketbridge_model::stream::TargetParameter;
use rocketbridge_model::{RouteDefinition, Secret, StreamDefinition, Violation};

/// A definition that may hold secrets.
pub trait Guarded: Clone {
    /// The paths of its places for secrets.
    const PLACES: &'static [&'static str];

    /// Its places for secrets, in the order of their paths; `None` where the part that would hold one is absent.
    fn secrets(&mut self) -> Vec<Option<&mut Secret>>;

    /// Where the secret of each place goes: what fields say of that. A stored secret goes there and nowhere else.
    fn destinations(&self) -> Vec<Destination>;

    /// Puts stars in place of secrets. References stay: they show nothing.
    fn redact(&mut self) {
        for secret in self.secrets().into_iter().flatten() {
            *secret = Secret::new(secret.redacted());
        }
    }

    /// Puts what is stored in place of stars. Stars without anything stored stay, for validation to refuse. `given` is what this was made of: what the
    /// request itself says.
    ///
    /// Whoever may change a definition must not have its secrets used at a server of his own: a stored secret whose destination changes must be given again.
    ///
    /// # Errors
    ///
    /// The secrets that must be given again.
    fn restore(&mut self, given: &Self, stored: &Self) -> Result<(), Vec<Violation>> {
        let moved: Vec<Option<&'static str>> =
            self.destinations().iter().zip(stored.destinations()).map(|(now, before)| now.moved(&before)).collect();
        let (mut given, mut stored) = (given.clone(), stored.clone());
        let mut violations = Vec::new();
        let places = self.secrets().into_iter().zip(given.secrets()).zip(stored.secrets());
        for ((((secret, given), kept), path), moved) in places.zip(Self::PLACES).zip(moved) {
            let (Some(secret), Some(kept)) = (secret, kept) else { continue };
            if kept.is_empty() || kept.is_reference() && secret.expose() != REDACTED {
                continue;
            }
            let is_given = given.is_some_and(|given| *given == *secret && given.expose() != REDACTED);
            match moved {
                _ if secret.expose() != REDACTED && (is_given || *secret != *kept) => {}
                Some(field) => {
                    let rule = format!("the stored secret goes where it was stored for, and {field} has changed");
                    violations.push(Violation::new(*path, secret.redacted(), rule, "write the secret again, or a reference to it"));
                }
                None => *secret = kept.clone(),
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }
}

/// What fields say of where a secret goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination(Vec<(&'static str, Vec<String>)>);

impl Destination {
    fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.0.push((field, vec![value.into()]));
        self
    }

    fn with_endpoints<'a>(mut self, field: &'static str, endpoints: impl Iterator<Item = &'a str>) -> Self {
        self.0.push((
            field,
            endpoints.map(|endpoint| endpoint.trim().to_ascii_lowercase()).filter(|endpoint| !endpoint.is_empty()).collect(),
        ));
        self
    }

    /// The first field by which the secret would go where it did not go before. Fewer endpoints are no other ones, but none is another way to find them.
    fn moved(&self, before: &Self) -> Option<&'static str> {
        let goes_elsewhere =
            |now: &[String], before: &[String]| now.is_empty() != before.is_empty() || now.iter().any(|value| !before.contains(value));
        let pairs = self.0.iter().zip(&before.0);
        pairs.into_iter().find(|((_, now), (_, before))| goes_elsewhere(now, before)).map(|((field, _), _)| *field)
    }
}

impl Guarded for StreamDefinition {
    const PLACES: &'static [&'static str] =
        &["source.source_rocketmq_parameters.instance_password", "sink.sink_rocketmq_parameters.instance_password.value"];

    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        let source = self.source.source_rocketmq_parameters.as_mut().map(|source| &mut source.instance_password);
        let sink = self.sink.sink_rocketmq_parameters.as_mut();
        vec![source, sink.and_then(|sink| sink.instance_password.as_mut()).map(|password| &mut password.value)]
    }

    fn destinations(&self) -> Vec<Destination> {
        let source = self.source.source_rocketmq_parameters.as_ref().map(|source| {
            Destination::default()
                .with_endpoints("instance_endpoint", source.instance_endpoint.split([';', ',']))
                .with("connection", &source.connection)
                .with("instance_id", &source.instance_id)
                .with("region_id", &source.region_id)
                .with("instance_protocol", &source.instance_protocol)
                .with("instance_vpc_id", &source.instance_vpc_id)
                .with("vpc_id", &source.vpc_id)
                .with("instance_username", &source.instance_username)
        });
        let sink = self.sink.sink_rocketmq_parameters.as_ref().map(|sink| {
            let value =
                |parameter: &Option<TargetParameter>| parameter.as_ref().map(|parameter| parameter.value.clone()).unwrap_or_default();
            Destination::default()
                .with_endpoints("instance_endpoint", value(&sink.instance_endpoint).split([';', ',']))
                .with("connection", value(&sink.connection))
                .with("instance_id", value(&sink.instance_id))
                .with("instance_protocol", value(&sink.instance_protocol))
                .with("vpc_id", value(&sink.vpc_id))
                .with("instance_username", value(&sink.instance_username))
        });
        vec![source.unwrap_or_default(), sink.unwrap_or_default()]
    }
}

impl Guarded for ConnectionDefinition {
    const PLACES: &'static [&'static str] = &[
        "secret_key",
        "security_token",
        "tls.client_key",
        "credentials.static.secret_key",
        "credentials.static.security_token",
        "credentials.sts.secret_key",
    ];

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

    fn destinations(&self) -> Vec<Destination> {
        let tls = self.tls.clone().unwrap_or_default();
        let instance = Destination::default()
            .with_endpoints("endpoints", self.endpoints.iter().map(String::as_str))
            .with("protocol", &self.protocol)
            .with("instance_type", &self.instance_type)
            .with("network", &self.network)
            .with("tls.enabled", tls.enabled.to_string())
            .with("tls.ca", tls.ca)
            .with("tls.server_name", tls.server_name)
            .with("tls.insecure_skip_verify", tls.insecure_skip_verify.to_string());
        let kinds = self.credentials.clone().unwrap_or_default();
        let fixed = instance.clone().with("credentials.static.access_key", kinds.fixed.unwrap_or_default().access_key);
        let sts = kinds.sts.unwrap_or_default();
        let sts = Destination::default()
            .with("credentials.sts.endpoint", sts.endpoint)
            .with("credentials.sts.access_key", sts.access_key)
            .with("network", &self.network);
        vec![instance.clone(), instance.clone(), instance, fixed.clone(), fixed, sts]
    }
}

/// A route has none: its connections do.
impl Guarded for RouteDefinition {
    const PLACES: &'static [&'static str] = &[];

    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        Vec::new()
    }

    fn destinations(&self) -> Vec<Destination> {
        Vec::new()
    }
}

impl Guarded for NetworkDefinition {
    const PLACES: &'static [&'static str] = &["egress_proxy_password"];

    fn secrets(&mut self) -> Vec<Option<&mut Secret>> {
        vec![Some(&mut self.egress_proxy_password)]
    }

    fn destinations(&self) -> Vec<Destination> {
        let proxy = Destination::default().with("egress_proxy", &self.egress_proxy);
        vec![proxy.with("egress_proxy_username", &self.egress_proxy_username)]
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::connection::TlsDefinition;
    use rocketbridge_model::credentials::{CredentialsDefinition, StaticDefinition, StsDefinition};
    use rocketbridge_model::stream::{SourceDefinition, SourceRocketMqParameters};

    use super::*;

    fn connection(secret_key: &str, security_token: &str) -> ConnectionDefinition {
        ConnectionDefinition { secret_key: Secret::new(secret_key), security_token: Secret::new(security_token), ..Default::default() }
    }

    /// What a request that says all of it becomes, or the fields of the secrets that must be given again.
    fn restored<D: Guarded>(given: &D, stored: &D) -> Result<D, Vec<String>> {
        let mut restored = given.clone();
        let fields = |violations: Vec<Violation>| violations.into_iter().map(|violation| violation.field).collect::<Vec<String>>();
        restored.restore(given, stored).map_err(fields)?;
        Ok(restored)
    }

    fn refused(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    /// *Scenario*: a definition is shown, changed and sent back. *Guarantees*: no secret is shown, none is lost, a new one is taken.
    #[test]
    fn stars_go_out_and_secrets_come_back() {
        let stored = connection("hidden", "env:TOKEN");
        let mut shown = stored.clone();
        shown.redact();
        assert_eq!((shown.secret_key.expose(), shown.security_token.expose()), ("******", "env:TOKEN"));
        assert_eq!(restored(&shown, &stored), Ok(stored));
        let changed = restored(&connection("new", "******"), &connection("hidden", "")).expect("nothing moves");
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
        assert_eq!(restored(&shown, &stored).as_ref(), Ok(&stored));
        for moved in [role("https://elsewhere", "ak", "******"), role("", "other", "******")] {
            assert_eq!(restored(&moved, &stored), Err(refused(&["credentials.sts.secret_key"])));
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
        assert_eq!(restored(&keys("ak", "******", "******"), &stored).as_ref(), Ok(&stored));
        let both = refused(&["credentials.static.secret_key", "credentials.static.security_token"]);
        assert_eq!(restored(&keys("other", "******", "******"), &stored), Err(both));
        let moved = role("", "ak", "******");
        assert_eq!(restored(&moved, &stored), Ok(moved), "a secret of another kind is none of this one");
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
        assert_eq!(restored(&network("socks5://proxy:1080", "******"), &stored).as_ref(), Ok(&stored));
        assert_eq!(restored(&network("socks5://elsewhere:1080", "******"), &stored), Err(refused(&["egress_proxy_password"])));
    }

    /// *Scenario*: a connection with keys comes back with stars and other endpoints, fewer, TLS off, another authority, protocol or network; and with the secrets themselves; and a request that
    /// names only the endpoints, so that the secrets would stay without being mentioned. *Guarantees*: stored keys go to the stored endpoints in the stored way and nowhere else;
    /// whoever knows them may move them; references stay, as they show nothing.
    #[test]
    fn stored_keys_stay_with_their_endpoints() {
        let stored = ConnectionDefinition {
            endpoints: vec!["a:1".into(), "b:1".into()],
            tls: Some(TlsDefinition { enabled: true, client_key: Secret::new("file:key"), ..Default::default() }),
            ..connection("hidden", "token")
        };
        let stars = ConnectionDefinition { secret_key: Secret::new("******"), security_token: Secret::new("******"), ..stored.clone() };
        let both = refused(&["secret_key", "security_token"]);
        let endpoints = |endpoints: &[&str]| endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect::<Vec<_>>();
        for moved in [
            ConnectionDefinition { endpoints: endpoints(&["a:1", "evil:1"]), ..stars.clone() },
            ConnectionDefinition { endpoints: Vec::new(), ..stars.clone() },
            ConnectionDefinition { protocol: "Grpc".into(), ..stars.clone() },
            ConnectionDefinition { network: "other".into(), ..stars.clone() },
            ConnectionDefinition { tls: Some(TlsDefinition { enabled: false, ..stored.tls.clone().expect("given") }), ..stars.clone() },
            ConnectionDefinition { tls: Some(TlsDefinition { ca: "mine".into(), ..stored.tls.clone().expect("given") }), ..stars.clone() },
        ] {
            assert_eq!(restored(&moved, &stored), Err(both.clone()), "{moved:?}");
        }
        let fewer = ConnectionDefinition { endpoints: endpoints(&["B:1"]), ..stars };
        assert_eq!(restored(&fewer, &stored).expect("kept").secret_key.expose(), "hidden");
        let moved = ConnectionDefinition { endpoints: endpoints(&["new:1"]), ..stored.clone() };
        assert_eq!(restored(&moved, &stored).as_ref(), Ok(&moved), "both secrets were given again");
        let mut masked = moved.clone();
        let request = ConnectionDefinition { endpoints: endpoints(&["new:1"]), ..Default::default() };
        assert_eq!(masked.restore(&request, &stored).expect_err("not given").len(), 2);
    }

    /// *Scenario*: a stream's own password, with stars and another endpoint. *Guarantees*: the password must be given again.
    #[test]
    fn a_streams_password_stays_with_its_endpoint() {
        let stream = |endpoint: &str, password: &str| StreamDefinition {
            source: SourceDefinition {
                source_rocketmq_parameters: Some(SourceRocketMqParameters {
                    instance_endpoint: endpoint.into(),
                    instance_password: Secret::new(password),
                    ..Default::default()
                }),
            },
            ..Default::default()
        };
        let stored = stream("a:1;b:1", "hidden");
        assert_eq!(restored(&stream("B:1", "******"), &stored), Ok(stream("B:1", "hidden")));
        let field = "source.source_rocketmq_parameters.instance_password";
        assert_eq!(restored(&stream("evil:1", "******"), &stored), Err(refused(&[field])));
    }
}
