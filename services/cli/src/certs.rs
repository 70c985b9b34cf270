//! `rocketbridge certs`: certificates for trying a mesh with TLS. An authority for production is the operator's own; which names its certificates need stands
//! in docs/security.md.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rocketbridge_node::Role;

use crate::failure::Failure;
use crate::output::Console;

/// How long certificates are valid, days: they are for development.
const DAYS: i64 = 365;

/// What `certs` can do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Make an authority, a certificate for each service and one for a client, for development
    Dev(Arguments),
}

/// What `certs dev` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Folder to write to; it is made if there is none
    directory: PathBuf,
    /// Names and IP addresses that the services are reached at
    #[arg(long, value_name = "NAME[,NAME…]", value_delimiter = ',', default_values = ["localhost", "127.0.0.1", "::1"])]
    hosts: Vec<String>,
}

/// Makes what the verb asks for.
pub fn run(verb: &Verb, console: &mut Console<'_>) -> Result<(), Failure> {
    let Verb::Dev(Arguments { directory, hosts }) = verb;
    let written = make(directory, hosts)?;
    let listing: String = written.iter().map(|(name, what)| format!("{name:<16} {what}\n")).collect();
    Ok(console.result(listing)?)
}

/// Makes every file, none of which may be there, and says what each is.
fn make(directory: &Path, hosts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let names: Vec<&str> = Role::ALL.into_iter().map(Role::word).chain(["client"]).collect();
    for name in ["ca"].iter().chain(&names) {
        for ending in ["pem", "key"] {
            let path = directory.join(format!("{name}.{ending}"));
            if path.exists() {
                let text = format!("{} is there already and is not replaced; name another folder, or remove it", path.display());
                return Err(Failure::Failed(text));
            }
        }
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| Failure::Failed(format!("cannot make the folder {}: {error}", directory.display())))?;
    let authority = authority()?;
    let mut written = vec![("ca.pem".to_owned(), "the authority: tls.ca of every service, --tls-ca of clients".to_owned())];
    write(directory, "ca.pem", &authority.pem(), 0o644)?;
    write(directory, "ca.key", &authority.key().serialize_pem(), 0o600)?;
    written.push(("ca.key".to_owned(), "its key: needed to make more certificates, and by no service".to_owned()));
    for role in Role::ALL {
        let name = role.word();
        let parameters = service(role, hosts)?;
        issue(directory, name, parameters, &authority)?;
        written.push((format!("{name}.pem"), format!("tls.cert of {name}s, as {}", role.uri())));
        written.push((format!("{name}.key"), format!("tls.key of {name}s")));
    }
    issue(directory, "client", client(), &authority)?;
    written.push(("client.pem".to_owned(), "--tls-cert of clients of the API".to_owned()));
    written.push(("client.key".to_owned(), "--tls-key of clients of the API".to_owned()));
    Ok(written)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, Failure> {
    let mut parameters = parameters("RocketBridge development authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, key()?).map_err(unmade)
}

/// A service is dialled, and dials others.
fn service(role: Role, hosts: &[String]) -> Result<CertificateParams, Failure> {
    let unusable = |error| Failure::Usage(format!("--hosts {}: a name or an IP address is needed: {error}", hosts.join(",")));
    let mut parameters = parameters(&format!("RocketBridge {role}"));
    parameters.subject_alt_names = CertificateParams::new(hosts).map_err(unusable)?.subject_alt_names;
    parameters.subject_alt_names.push(SanType::URI(Ia5String::try_from(role.uri()).map_err(unmade)?));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(parameters)
}

/// A client serves nobody: its certificate cannot stand for a service.
fn client() -> CertificateParams {
    let mut parameters = parameters("RocketBridge client");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    // From yesterday on: clocks differ.
    let day = |days: i64| {
        let date = today.saturating_add(jiff::Span::new().days(days));
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (parameters.not_before, parameters.not_after) = (day(-1), day(DAYS));
    parameters
}

fn issue(directory: &Path, name: &str, parameters: CertificateParams, authority: &CertifiedIssuer<'_, KeyPair>) -> Result<(), Failure> {
    let key = key()?;
    let certificate = parameters.signed_by(&key, authority).map_err(unmade)?;
    write(directory, &format!("{name}.pem"), &certificate.pem(), 0o644)?;
    write(directory, &format!("{name}.key"), &key.serialize_pem(), 0o600)
}

fn key() -> Result<KeyPair, Failure> {
    KeyPair::generate().map_err(unmade)
}

fn unmade(error: rcgen::Error) -> Failure {
    Failure::Failed(format!("cannot make a certificate: {error}"))
}

/// Writes a new file, which nobody else can read from its first byte on if its mode says so.
fn write(directory: &Path, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let path = directory.join(name);
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error: io::Error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// *Scenario*: certificates are made twice in one folder. *Guarantees*: the first time everything is there, keys for their owner alone; the second time
    /// nothing is replaced, and the message names the file.
    #[test]
    fn keys_are_for_their_owner_and_are_never_replaced() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let folder = directory.path().join("certs");
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let written = make(&folder, &hosts).expect("it is made");
        assert_eq!(written.len(), 12);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for (name, _) in &written {
            assert_eq!(mode(&folder.join(name)), if name.ends_with(".key") { 0o600 } else { 0o644 }, "{name}");
        }
        let before = fs::read(folder.join("ca.key")).expect("a key");
        let refused = make(&folder, &hosts).expect_err("it is there").to_string();
        assert!(refused.contains("ca.pem is there already"), "{refused}");
        assert_eq!(fs::read(folder.join("ca.key")).expect("a key"), before);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let refused = make(directory.path(), &["größe".to_owned()]).expect_err("not ASCII").to_string();
        assert!(refused.starts_with("--hosts größe: a name or an IP address is needed"), "{refused}");
    }
}
