//! Networks.

use std::collections::HashSet;
use std::net::IpAddr;

use super::findings::Findings;
use super::{name, secret, security_group};
use crate::network::NetworkDefinition;
use crate::resolved::{Network, Proxy, ProxyCredentials, ProxyProtocol, SecurityGroup, Vswitch};
use crate::secret::REDACTED;

/// Most vSwitches of a network.
const VSWITCHES: usize = 100;
/// Most security groups of a network.
const GROUPS: usize = 50;
/// Maximum length of user name and password in SOCKS 5 (RFC 1929, 2), bytes.
const LONGEST_LOGIN: usize = 255;

/// Reads a network and notes every violation. The result may be used only if there is none.
pub(super) fn read(definition: &NetworkDefinition, findings: &mut Findings) -> Network {
    name::resource("name", &definition.name, findings);
    name::region("region", &definition.region, findings);
    name::instance("vpc_id", &definition.vpc_id, findings);
    Network {
        name: definition.name.clone(),
        proxy: read_proxy(definition, findings),
        vswitches: read_vswitches(definition, findings),
        security_groups: read_groups(definition, findings),
    }
}

fn read_vswitches(definition: &NetworkDefinition, findings: &mut Findings) -> Vec<Vswitch> {
    if !findings.are_few("vswitches", definition.vswitches.len(), VSWITCHES) {
        return Vec::new();
    }
    let mut ids = HashSet::new();
    let mut vswitches = Vec::new();
    for (index, vswitch) in definition.vswitches.iter().enumerate() {
        let field = |part: &str| format!("vswitches[{index}].{part}");
        check_id(&field("id"), &vswitch.id, &mut ids, findings);
        match vswitch.address.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => {
                vswitches.push(Vswitch { id: vswitch.id.clone(), address: address.to_canonical() });
            }
            _ => {
                let fix = "write an IPv4 or IPv6 address of this host, without a port";
                findings.add(field("address"), &vswitch.address, "a vSwitch has a local address", fix);
            }
        }
    }
    vswitches
}

fn read_groups(definition: &NetworkDefinition, findings: &mut Findings) -> Vec<SecurityGroup> {
    if !findings.are_few("security_groups", definition.security_groups.len(), GROUPS) {
        return Vec::new();
    }
    let mut ids = HashSet::new();
    let groups = definition.security_groups.iter().enumerate().map(|(index, group)| {
        let field = format!("security_groups[{index}]");
        check_id(&format!("{field}.id"), &group.id, &mut ids, findings);
        security_group::read(&field, group, findings)
    });
    groups.collect()
}

fn check_id<'a>(field: &str, id: &'a str, earlier: &mut HashSet<&'a str>, findings: &mut Findings) {
    if id.is_empty() {
        findings.add(field, id, "an id is needed", "write the id, such as the one your cloud gave it");
    } else if !earlier.insert(id) {
        findings.add(field, id, "each id may be used once", "remove one of the two");
    } else {
        name::instance(field, id, findings);
    }
}

fn read_proxy(definition: &NetworkDefinition, findings: &mut Findings) -> Option<Proxy> {
    let login = (definition.egress_proxy_username.as_str(), &definition.egress_proxy_password);
    secret::check("egress_proxy_password", login.1, findings);
    if login.0.is_empty() != login.1.is_empty() {
        let (field, fix) = match login.0.is_empty() {
            true => ("egress_proxy_username", "write the user name, or remove the password"),
            false => ("egress_proxy_password", "write env:NAME or file:NAME of the password, or remove the user name"),
        };
        findings.add(field, "", "user name and password of a proxy need each other", fix);
    }
    let proxy = definition.egress_proxy.as_str();
    if proxy.is_empty() {
        if !login.0.is_empty() {
            findings.add(
                "egress_proxy_username",
                login.0,
                "a user name needs a proxy",
                "write egress_proxy, or remove user name and password",
            );
        }
        if definition.egress_proxy_resolves {
            findings.add("egress_proxy_resolves", "true", "there is no proxy that could resolve names", "write egress_proxy, or remove it");
        }
        return None;
    }
    let (protocol, address) = match proxy.split_once("://") {
        Some(("socks5", address)) => (ProxyProtocol::Socks5, address),
        Some(("http", address)) => (ProxyProtocol::Http, address),
        Some(_) => return refuse_proxy(proxy, "write socks5:// or http://", findings),
        None => return refuse_proxy(proxy, "write socks5:// or http:// before it", findings),
    };
    if address.contains('@') {
        let fix = "write the user name in egress_proxy_username, and a reference to the password in egress_proxy_password";
        return refuse_proxy(proxy, fix, findings);
    }
    check_login(protocol, login.0, findings);
    if definition.egress_proxy_resolves && !definition.security_groups.is_empty() {
        let rule = "rules of security groups need addresses, which only the proxy would know";
        findings.add("egress_proxy_resolves", "true", rule, "remove it, so that names are resolved here, or remove the security groups");
    }
    match address.parse() {
        Ok(address) => Some(Proxy {
            protocol,
            address,
            credentials: (!login.0.is_empty()).then(|| ProxyCredentials { username: login.0.to_owned(), password: login.1.clone() }),
            resolves: definition.egress_proxy_resolves,
        }),
        Err(malformed) => refuse_proxy(proxy, &malformed.fix, findings),
    }
}

fn check_login(protocol: ProxyProtocol, username: &str, findings: &mut Findings) {
    let field = "egress_proxy_username";
    if username.len() > LONGEST_LOGIN {
        let fix = format!("remove {} bytes", username.len() - LONGEST_LOGIN);
        findings.add(field, username, format!("at most {LONGEST_LOGIN} bytes are allowed"), fix);
    }
    if username.chars().any(char::is_control) {
        findings.add(field, username, "control characters are not allowed", "remove them");
    }
    if protocol == ProxyProtocol::Http && username.contains(':') {
        let rule = "a user name for an HTTP proxy must not contain a colon (RFC 7617)";
        findings.add(field, username, rule, "remove the colon, and write the password in egress_proxy_password");
    }
}

fn refuse_proxy(proxy: &str, fix: &str, findings: &mut Findings) -> Option<Proxy> {
    let rule = "an egress proxy is socks5://host:port or http://host:port";
    findings.add("egress_proxy", &without_password(proxy), rule, fix);
    None
}

/// People write `scheme://user:password@host`; the password is not shown.
fn without_password(proxy: &str) -> String {
    let Some((before, host)) = proxy.rsplit_once('@') else { return proxy.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://{REDACTED}@{host}"),
        None => format!("{REDACTED}@{host}"),
    }
}
