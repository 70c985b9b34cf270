//! The keys that a configuration may have: the one list that flags, environment and files are read by.

use rocketbridge_secrets::VARIABLES;

/// Which processes a key means something to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// To all.
    Any,
    /// To the four services as processes of their own.
    Process,
    /// To standalone.
    Standalone,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Its name in a file; a dot separates a table and its key.
    pub(crate) name: &'static str,
    /// Its flag, if it has one.
    pub(crate) flag: Option<&'static str>,
    /// Whether it holds a list; flags and variables separate its elements by commas.
    pub(crate) is_list: bool,
    /// Whom it means something to.
    pub(crate) scope: Scope,
}

const fn text(name: &'static str, flag: Option<&'static str>, scope: Scope) -> Key {
    Key { name, flag, is_list: false, scope }
}

const fn list(name: &'static str, flag: Option<&'static str>, scope: Scope) -> Key {
    Key { name, flag, is_list: true, scope }
}

/// All keys. What each means stands in the README of this crate.
pub(crate) const KEYS: &[Key] = &[
    text("listen", Some("--listen"), Scope::Any),
    text("advertise", Some("--advertise"), Scope::Process),
    text("region", Some("--region"), Scope::Any),
    list("networks", None, Scope::Any),
    list("egress.allow", None, Scope::Any),
    list("egress.deny", None, Scope::Any),
    text("secrets.folder", None, Scope::Any),
    text("secrets.variables", None, Scope::Any),
    list("secrets.token_folders", None, Scope::Any),
    text("member_id", Some("--member-id"), Scope::Process),
    text("data_dir", Some("--data-dir"), Scope::Standalone),
    text("embedded_rocketmq", Some("--embedded-rocketmq"), Scope::Standalone),
    text("embedded.name_server_port", Some("--embedded-name-server-port"), Scope::Standalone),
    list("etcd.endpoints", Some("--etcd"), Scope::Process),
    text("etcd.prefix", Some("--etcd-prefix"), Scope::Process),
    text("etcd.username", None, Scope::Process),
    text("etcd.password", None, Scope::Process),
    text("etcd.ca", None, Scope::Process),
    text("etcd.cert", None, Scope::Process),
    text("etcd.key", None, Scope::Process),
    text("etcd.compaction", None, Scope::Process),
    text("lease_ttl", Some("--lease-ttl"), Scope::Process),
    text("drain_deadline", None, Scope::Any),
    text("tls.ca", Some("--tls-ca"), Scope::Any),
    text("tls.cert", Some("--tls-cert"), Scope::Any),
    text("tls.key", Some("--tls-key"), Scope::Any),
    text("connections.total", None, Scope::Any),
    text("connections.per_address", None, Scope::Any),
    text("connections.handshake_deadline", None, Scope::Any),
    text("telemetry.otlp_endpoint", None, Scope::Any),
    text("telemetry.log_format", None, Scope::Any),
    text("telemetry.log_level", None, Scope::Any),
    text("memory_budget", None, Scope::Any),
    text("router.window_events", None, Scope::Any),
    text("router.window_bytes", None, Scope::Any),
    text("router.commit_interval", None, Scope::Any),
    text("pattern.text_bytes", None, Scope::Any),
    text("pattern.depth", None, Scope::Any),
    text("pattern.conditions", None, Scope::Any),
    text("pattern.combinations", None, Scope::Any),
    text("pattern.operand_bytes", None, Scope::Any),
    text("pattern.wildcard_stars", None, Scope::Any),
    text("pattern.regexps", None, Scope::Any),
    text("pattern.regexp_program_bytes", None, Scope::Any),
    text("pattern.regexp_repeat", None, Scope::Any),
    text("pattern.combinations_tried", None, Scope::Any),
];

/// Variables of the environment that are the client verbs', not a process's.
const CLIENT_VARIABLES: &[&str] = &["ROCKETBRIDGE_SERVER", "ROCKETBRIDGE_OUTPUT", "ROCKETBRIDGE_TIMEOUT", "ROCKETBRIDGE_CONFIG"];

impl Key {
    /// The key's variable in the environment.
    pub(crate) fn variable(&self) -> String {
        format!("ROCKETBRIDGE_{}", self.name.to_uppercase().replace('.', "_"))
    }

    /// Every way to give the key a value, for a message.
    pub(crate) fn ways(&self) -> String {
        let flag = self.flag.map_or_else(String::new, |flag| format!("pass {flag}, "));
        format!("{flag}set {}, or write {} in the configuration file", self.variable(), self.name)
    }

    /// Whether the value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.name == "etcd.password"
    }
}

/// The key of this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known key that a misspelt one is nearest to, if any is near.
pub(crate) fn nearest(name: &str) -> Option<&'static Key> {
    let last = |name: &'_ str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |key: &Key| {
        let whole = strsim::osa_distance(key.name, name);
        // The right key in the wrong table is near as well.
        if last(key.name) == last(name) { whole.min(1) } else { whole }
    };
    let near = KEYS.iter().map(|key| (distance(key), key)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= 1.max(name.chars().count() / 3)).then_some(near.1)
}

/// The known variable that this one is a misspelling of, if it is one.
///
/// Only near misses count: other variables with our prefix are not ours to judge, because Kubernetes sets
/// `ROCKETBRIDGE_ROUTER_PORT_9080_TCP` and the like for a service that is named `rocketbridge-router`.
pub(crate) fn misspelt_variable(variable: &str) -> Option<&'static Key> {
    let of_kubernetes = variable.ends_with("_PORT") || variable.contains("_PORT_") || variable.contains("_SERVICE_");
    let known =
        CLIENT_VARIABLES.contains(&variable) || variable.starts_with(VARIABLES) || KEYS.iter().any(|key| key.variable() == variable);
    if of_kubernetes || known {
        return None;
    }
    KEYS.iter().find(|key| strsim::osa_distance(&key.variable(), variable) <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_has_a_nearest() {
        let nearest = |name| nearest(name).map(|key| key.name);
        assert_eq!(nearest("lease_tl"), Some("lease_ttl"));
        assert_eq!(nearest("etcd.endpoint"), Some("etcd.endpoints"));
        assert_eq!(nearest("router.log_level"), Some("telemetry.log_level"));
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest("日志级别日志级别日志级别"), None);
    }

    #[test]
    fn variables_of_kubernetes_are_not_misspelt() {
        let misspelt = |variable| misspelt_variable(variable).map(|key| key.name);
        assert_eq!(misspelt("ROCKETBRIDGE_REGOIN"), Some("region"));
        assert_eq!(misspelt("ROCKETBRIDGE_ETCD_PORT"), None);
        assert_eq!(misspelt("ROCKETBRIDGE_ROUTER_SERVICE_HOST"), None);
        assert_eq!(misspelt("ROCKETBRIDGE_SERVER"), None);
        assert_eq!(misspelt("ROCKETBRIDGE_REGION"), None);
    }
}
