//! How an etcd cluster is reached, and how long it may take.

use std::fmt;
use std::time::Duration;

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use crate::error::Error;

/// A default etcd cuts clients that ping more often (`--grpc-keepalive-min-time`), even when all is well.
const MIN_PING: Duration = Duration::from_secs(5);

/// The settings. [`Config::new`] has good values for all timers.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://` or `https://` addresses of the members. The order is the order of preference.
    pub endpoints: Vec<String>,
    /// What all keys are put under, without the final `/`; empty for none.
    pub namespace: String,
    /// Who this process is, if etcd has authentication on.
    pub credentials: Option<Credentials>,
    /// What `https://` endpoints are checked against; absent: the endpoints are `http://`.
    pub tls: Option<Tls>,
    /// How long one attempt of a call may take, opening the connection included.
    pub attempt_timeout: Duration,
    /// How long a call is retried. The last attempt may exceed this by one [`Self::attempt_timeout`].
    pub call_timeout: Duration,
    /// How long a watch may be silent before it must give a sign of life. It has one [`Self::attempt_timeout`] for that.
    pub watch_silence: Duration,
    /// How often an idle connection is pinged; at least 5 s.
    pub ping_interval: Duration,
    /// How long a ping may take.
    pub ping_timeout: Duration,
    /// Whether etcd is asked to forget what was changed long ago, which concerns everything in it.
    pub compacts: bool,
}

/// A user of etcd. The password never shows itself.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Certificates, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// What the server's certificate must be signed by.
    pub authority: Vec<u8>,
    /// Certificate and key of this process, if the server asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name in the server's certificate, if it is not the host of the endpoint.
    pub server_name: Option<String>,
}

impl Config {
    /// Settings for these endpoints, with namespace `rocketbridge`, no credentials and no TLS.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            namespace: "rocketbridge".to_owned(),
            credentials: None,
            tls: None,
            attempt_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(6),
            watch_silence: Duration::from_secs(5),
            ping_interval: Duration::from_secs(6),
            ping_timeout: Duration::from_secs(3),
            compacts: true,
        }
    }

    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for the first that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        if self.endpoints.is_empty() {
            return refuse("endpoints", "at least one is needed");
        }
        for endpoint in &self.endpoints {
            match endpoint.parse::<http::Uri>() {
                Ok(uri) if uri.host().is_none() => {
                    return refuse("endpoints", format!("{endpoint:?} has no host"));
                }
                Ok(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) => {
                    return refuse("endpoints", format!("{endpoint:?} is neither http:// nor https://"));
                }
                Ok(uri) if self.tls.is_some() != (uri.scheme_str() == Some("https")) => {
                    return refuse("endpoints", format!("{endpoint:?}: https:// and certificates go together"));
                }
                Ok(_) => {}
                Err(error) => return refuse("endpoints", format!("{endpoint:?}: {error}")),
            }
        }
        if self.namespace.ends_with('/') {
            return refuse("namespace", "it must not end with /");
        }
        if self.ping_interval < MIN_PING {
            return refuse("ping_interval", format!("etcd cuts clients that ping more often than every {MIN_PING:?}"));
        }
        let timers = [
            ("attempt_timeout", self.attempt_timeout),
            ("call_timeout", self.call_timeout),
            ("watch_silence", self.watch_silence),
            ("ping_timeout", self.ping_timeout),
        ];
        match timers.iter().find(|(_, timer)| timer.is_zero()) {
            Some((key, _)) => refuse(key, "it must not be zero"),
            None => Ok(()),
        }
    }

    /// No timeout here: the client's own would not cover streams, so each attempt is timed by its caller.
    pub(super) fn connect_options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(self.attempt_timeout)
            .with_keep_alive(self.ping_interval, self.ping_timeout)
            .with_keep_alive_while_idle(true)
            // A member that lost its leader reports it, instead of serving old watches for ever.
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(Credentials { user, password }) = &self.credentials {
            options = options.with_user(user, password);
        }
        if let Some(tls) = &self.tls {
            let mut settings = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.authority));
            if let Some((certificate, key)) = &tls.identity {
                settings = settings.identity(Identity::from_pem(certificate, key));
            }
            if let Some(name) = &tls.server_name {
                settings = settings.domain_name(name);
            }
            options = options.with_tls(settings);
        }
        options
    }
}

fn refuse(key: &'static str, reason: impl Into<String>) -> Result<(), Error> {
    Err(Error::Configuration { key, reason: reason.into() })
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.identity.is_some();
        formatter.debug_struct("Tls").field("identity", &identity).field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::new(["http://127.0.0.1:2379"]);
        change(&mut config);
        config.validate().expect_err("it cannot work").to_string()
    }

    /// *Scenario*: settings that cannot work. *Guarantees*: each is named with its reason; the defaults work.
    #[test]
    fn what_cannot_work_is_named() {
        assert!(Config::new(["http://a:1", "http://b:2"]).validate().is_ok());
        assert_eq!(message(|config| config.endpoints.clear()), "configuration endpoints: at least one is needed");
        assert!(message(|config| config.endpoints = vec!["ftp://a".into()]).contains("neither http:// nor https://"));
        assert!(message(|config| config.endpoints = vec!["https://a".into()]).contains("go together"));
        assert!(message(|config| config.ping_interval = Duration::from_secs(4)).starts_with("configuration ping_interval"));
        assert!(message(|config| config.call_timeout = Duration::ZERO).contains("call_timeout"));
        assert!(message(|config| config.namespace = "a/".into()).contains("namespace"));
    }

    /// *Scenario*: credentials are logged. *Guarantees*: the password is not.
    #[test]
    fn passwords_do_not_show() {
        let credentials = Credentials { user: "u".into(), password: "hunter2".into() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
