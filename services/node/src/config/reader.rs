//! Turns collected values into typed ones and notes everything that is wrong, instead of stopping at the first.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rocketbridge_model::secret::{REDACTED, without_logins};
use rocketbridge_model::{Cidr, Secret};
use rocketbridge_network::Rules;
use rocketbridge_secrets::{Folder, Secrets, Settings, VARIABLES};

use super::address::Address;
use super::key::{self, Key};
use super::layers::{Given, Layers};
use super::problem::{Origin, Problem, Refused};
use super::quantity::{self, ByteSize, show_duration};
use super::{EtcdTls, LogFormat, Tls};

/// Shortest prefix of variables that references may name: a shorter one begins too many names.
const SHORTEST_PREFIX: usize = 4;

/// Reads the values of one process. Every getter answers something; [`Reader::finish`] says whether it may be used.
pub(super) struct Reader {
    layers: Layers,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers }
    }

    /// The value, if nothing was wrong with any.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, Refused> {
        if self.layers.problems.is_empty() {
            return Ok(value);
        }
        self.layers.problems.sort_by_key(|problem| key::KEYS.iter().position(|key| key.name == problem.key).unwrap_or(usize::MAX));
        Err(Refused { problems: self.layers.problems })
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let given = self.layers.values.get(name)?;
        given.texts.first().filter(|text| !text.is_empty()).cloned()
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        self.layers.values.get(name).map(|given| given.texts.clone()).unwrap_or_default()
    }

    pub(super) fn parsed<T>(&mut self, name: &'static str, default: T, parse: impl FnOnce(&str) -> Option<T>, rule: &str, fix: &str) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.refuse(name, rule, fix);
            default
        })
    }

    pub(super) fn duration(&mut self, name: &'static str, default: Duration, least: Duration, most: Duration) -> Duration {
        let parse = |text: &str| quantity::duration(text).filter(|value| (least..=most).contains(value));
        let rule = format!("a duration from {} to {} is needed", show_duration(least), show_duration(most));
        let fix = format!("write {}, which is the default", show_duration(default));
        self.parsed(name, default, parse, &rule, &fix)
    }

    pub(super) fn byte_size(&mut self, name: &'static str, default: ByteSize, least: ByteSize, most: ByteSize) -> ByteSize {
        let parse = |text: &str| quantity::byte_size(text).filter(|value| (least..=most).contains(value));
        self.parsed(
            name,
            default,
            parse,
            &format!("a byte size from {least} to {most} is needed"),
            &format!("write {default}, which is the default"),
        )
    }

    pub(super) fn count(&mut self, name: &'static str, default: u32, least: u32, most: u32) -> u32 {
        let parse = |text: &str| text.parse().ok().filter(|value| (least..=most).contains(value));
        self.parsed(
            name,
            default,
            parse,
            &format!("a number from {least} to {most} is needed"),
            &format!("write {default}, which is the default"),
        )
    }

    /// A limit of patterns, at least 1.
    pub(super) fn limit(&mut self, name: &'static str, default: usize, most: usize) -> usize {
        let parse = |text: &str| text.parse().ok().filter(|value| (1..=most).contains(value));
        self.parsed(
            name,
            default,
            parse,
            &format!("a number from 1 to {most} is needed"),
            &format!("write {default}, which is the default"),
        )
    }

    /// A limit of patterns in bytes, at least one.
    pub(super) fn limit_bytes(&mut self, name: &'static str, default: usize, most: usize) -> usize {
        let size = |bytes: usize| ByteSize(u64::try_from(bytes).unwrap_or(u64::MAX));
        let bytes = self.byte_size(name, size(default), ByteSize(1), size(most));
        usize::try_from(bytes.0).unwrap_or(most)
    }

    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        self.parsed(name, default, |text| text.parse().ok(), "true or false is needed", &format!("write {default}, which is the default"))
    }

    /// Whether a RocketMQ runs inside: by default if there is one in this build.
    pub(super) fn embedded_rocketmq(&mut self, is_in_build: bool) -> bool {
        let wanted = self.flag("embedded_rocketmq", is_in_build);
        if wanted && !is_in_build {
            let fix = "leave it out, or use a build with the feature embedded";
            self.refuse("embedded_rocketmq", "this build has no RocketMQ inside", fix);
        }
        wanted && is_in_build
    }

    /// The address to listen on. Without a default it must be given.
    pub(super) fn listen(&mut self, default: Option<SocketAddr>) -> SocketAddr {
        let placeholder = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        if default.is_none() && self.text("listen").is_none() {
            self.refuse_absent("listen", "the address to serve is needed, HOST:PORT");
        }
        let parse = |text: &str| match text.strip_prefix("localhost:") {
            Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?)),
            None => text.parse().ok(),
        };
        self.parsed(
            "listen",
            default.unwrap_or(placeholder),
            parse,
            "an IP address (or localhost) and a port are needed",
            "write 127.0.0.1:9080, or port 0 for any free one",
        )
    }

    pub(super) fn advertise(&mut self, listen: SocketAddr) -> Option<Address> {
        if self.text("advertise").is_none() && listen.ip().is_unspecified() {
            self.refuse_absent(
                "advertise",
                &format!("others cannot dial {listen}: the address they reach this process at is needed, HOST:PORT"),
            );
        }
        let advertised = self.parsed(
            "advertise",
            None,
            |text| Address::parse(text).map(Some),
            "a host and a port are needed",
            "write HOST:PORT; port 0 stands for the one that is served",
        );
        if advertised.as_ref().is_some_and(Address::is_unspecified) {
            self.refuse("advertise", "nobody can dial this address", "write the host name or address that others reach this process at");
            return None;
        }
        advertised
    }

    /// Certificates for a listener. Loopback needs none; everything else does (invariant I9).
    pub(super) fn listener_tls(&mut self, listen: SocketAddr) -> Option<Tls> {
        let tls = self.tls(["tls.ca", "tls.cert", "tls.key"], &format!("to listen on {listen}"));
        let given = ["tls.ca", "tls.cert", "tls.key"].iter().any(|name| self.layers.values.contains_key(name));
        if !given && !listen.ip().is_loopback() {
            let rule = "an address that is not loopback needs TLS with client certificates: give tls.ca, tls.cert and tls.key";
            self.refuse("listen", rule, &format!("pass --tls-ca, --tls-cert and --tls-key, or listen on 127.0.0.1:{}", listen.port()));
        }
        tls
    }

    /// Files of certificate authority, certificate and key: all three or none.
    pub(super) fn tls(&mut self, names: [&'static str; 3], purpose: &str) -> Option<Tls> {
        if names.iter().all(|name| self.text(name).is_none()) {
            return None;
        }
        let [ca, cert, key] = names.map(|name| {
            self.pem(name).unwrap_or_else(|| {
                self.refuse_absent(name, &format!("{} are needed together {purpose}", names.join(", ")));
                PathBuf::new()
            })
        });
        Some(Tls { ca, cert, key })
    }

    /// Files towards etcd: the authority alone, or all three, or none.
    pub(super) fn etcd_tls(&mut self) -> Option<EtcdTls> {
        if self.text("etcd.cert").is_none() && self.text("etcd.key").is_none() {
            return self.pem("etcd.ca").map(|ca| EtcdTls { ca, identity: None });
        }
        let tls = self.tls(["etcd.ca", "etcd.cert", "etcd.key"], "to show etcd a certificate")?;
        Some(EtcdTls { ca: tls.ca, identity: Some((tls.cert, tls.key)) })
    }

    fn pem(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(name)?);
        if let Err(error) = std::fs::File::open(&path) {
            self.refuse(name, &format!("the file cannot be read: {error}"), "name a PEM file that this process may read");
        }
        Some(path)
    }

    /// A reference to a secret. A secret in plain text is refused, and never shown.
    pub(super) fn secret_reference(&mut self, name: &'static str) -> Secret {
        let Some(secret) = self.text(name).map(Secret::new) else { return Secret::default() };
        if !secret.is_reference() {
            self.refuse(name, "a reference is needed, not the secret itself", "write env:NAME or file:/path");
        } else if let Err(error) = Secrets::own().follow(&secret) {
            self.refuse(name, &error.reason, "name a variable that is set, or a file that can be read");
        }
        secret
    }

    /// Where references to secrets in definitions may lead; `folder` is that of files unless another is named.
    pub(super) fn secrets(&mut self, folder: Option<PathBuf>) -> Settings {
        let named = self.folder("secrets.folder");
        let is_prefix = |text: &str| {
            let is_of_a_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
            (text.chars().all(is_of_a_name) && text.len() >= SHORTEST_PREFIX).then(|| text.to_owned())
        };
        let rule = format!("at least {SHORTEST_PREFIX} letters, digits and _ are needed, so that references do not reach every variable");
        let fix = format!("write {VARIABLES}, which is the default");
        let variables = self.parsed("secrets.variables", VARIABLES.to_owned(), is_prefix, &rule, &fix);
        let folders: Vec<PathBuf> = self.texts("secrets.token_folders").iter().map(|path| PathBuf::from(path.trim())).collect();
        if folders.iter().any(|folder| !folder.is_absolute() || folder.parent().is_none()) {
            self.refuse("secrets.token_folders", "absolute paths of folders are needed", "write /var/run/secrets/tokens, not a file in it");
        }
        Settings { folder: named.or(folder).map(Folder::new), variables, token_folders: folders.into_iter().map(Folder::new).collect() }
    }

    /// The absolute path of a folder, but not of all files.
    fn folder(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(name)?);
        if !path.is_absolute() || path.parent().is_none() {
            self.refuse(name, "the absolute path of a folder is needed", "write /etc/rocketbridge/secrets");
        }
        Some(path)
    }

    /// What may be dialled. A process that listens on loopback may dial its machine unless told otherwise: its callers are there already.
    pub(super) fn egress(&mut self, listen: SocketAddr) -> Rules {
        let usual = Rules::usual(listen.ip().is_loopback());
        let is_said = self.layers.values.contains_key("egress.allow");
        let allow = self.ranges("egress.allow");
        Rules { allow: if is_said { allow } else { usual.allow }, deny: self.ranges("egress.deny"), own: Vec::new() }
    }

    fn ranges(&mut self, name: &'static str) -> Vec<Cidr> {
        let read: Result<Vec<Cidr>, _> = self.texts(name).iter().filter(|text| !text.is_empty()).map(|text| text.trim().parse()).collect();
        read.unwrap_or_else(|malformed| {
            self.refuse(name, "ranges of addresses in CIDR form are needed", &malformed.fix);
            Vec::new()
        })
    }

    pub(super) fn urls(&mut self, name: &'static str) -> Vec<String> {
        let urls = self.texts(name);
        if urls.is_empty() {
            self.refuse_absent(name, "at least one http:// or https:// address is needed");
        } else if urls.iter().any(|url| url.contains('@')) {
            let fix = "write the user in etcd.username, and a reference to the password in etcd.password";
            self.refuse(name, "an address holds no login", fix);
        } else if !urls.iter().all(|url| is_url(url)) {
            self.refuse(name, "addresses such as http://127.0.0.1:2379 are needed", "write http:// or https://, a host and a port");
        }
        urls
    }

    pub(super) fn log_format(&mut self) -> LogFormat {
        let parse = |text: &str| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        self.parsed("telemetry.log_format", LogFormat::Text, parse, "text or json is needed", "write text, which is the default")
    }

    /// Notes that the value of a key that somebody gave is wrong.
    pub(super) fn refuse(&mut self, name: &'static str, rule: &str, fix: &str) {
        let (value, origin) = match self.layers.values.get(name) {
            Some(Given { texts, origin }) => (texts.join(","), origin.clone()),
            None => (String::new(), Origin::Absent),
        };
        let must_hide = key::find(name).is_some_and(Key::is_secret) && !Secret::new(value.as_str()).is_reference();
        // Whatever the key, a URL may hold a login.
        let value = if must_hide { REDACTED.to_owned() } else { without_logins(&value) };
        self.layers.problems.push(Problem { key: name.to_owned(), origin, value, rule: rule.to_owned(), fix: fix.to_owned() });
    }

    /// Notes that a key is missing.
    pub(super) fn refuse_absent(&mut self, name: &'static str, rule: &str) {
        let fix = key::find(name).map(Key::ways).unwrap_or_default();
        self.layers.problems.push(Problem {
            key: name.to_owned(),
            origin: Origin::Absent,
            value: String::new(),
            rule: rule.to_owned(),
            fix,
        });
    }
}

/// Whether the text is `http://` or `https://` and a host with a port.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|authority| Address::parse(authority.trim_end_matches('/')).is_some_and(|address| address.port != 0))
}

/// Whether the text is a level, or levels by target, separated by commas: `info,rocketbridge_router=debug`.
pub(super) fn is_log_filter(text: &str) -> bool {
    let is_level = |level: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&level);
    let is_target =
        |target: &str| !target.is_empty() && target.chars().all(|character| character.is_ascii_alphanumeric() || "_:-".contains(character));
    text.split(',').all(|part| match part.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(part),
    })
}
