//! Networks.

use std::net::IpAddr;

use super::findings::Findings;
use super::{endpoint, name};
use crate::network::{EgressRule, NetworkDefinition};
use crate::secret::REDACTED;

/// Notes every violation of a network.
pub(super) fn check(definition: &NetworkDefinition, findings: &mut Findings) {
    name::resource("name", &definition.name, findings);
    name::region("region", &definition.region, findings);
    name::instance("vpc_id", &definition.vpc_id, findings);
    check_proxy(&definition.egress_proxy, findings);
    for (index, vswitch) in definition.vswitches.iter().enumerate() {
        let field = |part: &str| format!("vswitches[{index}].{part}");
        check_id(&field("id"), &vswitch.id, definition.vswitches[..index].iter().map(|earlier| earlier.id.as_str()), findings);
        if vswitch.address.parse::<IpAddr>().is_err() {
            let fix = "write an IPv4 or IPv6 address of this host, without a port";
            findings.add(field("address"), &vswitch.address, "a vSwitch has a local address", fix);
        }
    }
    for (index, group) in definition.security_groups.iter().enumerate() {
        let field = format!("security_groups[{index}]");
        let earlier = definition.security_groups[..index].iter().map(|earlier| earlier.id.as_str());
        check_id(&format!("{field}.id"), &group.id, earlier, findings);
        for (rule_index, rule) in group.egress.iter().enumerate() {
            check_rule(&format!("{field}.egress[{rule_index}]"), rule, findings);
        }
    }
}

fn check_id<'a>(field: &str, id: &str, mut earlier: impl Iterator<Item = &'a str>, findings: &mut Findings) {
    if id.is_empty() {
        findings.add(field, id, "an id is needed", "write the id, such as the one your cloud gave it");
    } else if earlier.any(|earlier| earlier == id) {
        findings.add(field, id, "each id may be used once", "remove one of the two");
    }
}

fn check_proxy(proxy: &str, findings: &mut Findings) {
    if proxy.is_empty() {
        return;
    }
    let rule = "an egress proxy is socks5://host:port or http://host:port";
    match proxy.split_once("://") {
        Some(("socks5" | "http", address)) => {
            if let Err(fix) = endpoint::endpoint(address) {
                findings.add("egress_proxy", &without_password(proxy), rule, fix);
            }
        }
        Some(_) => findings.add("egress_proxy", &without_password(proxy), rule, "write socks5:// or http://"),
        None => findings.add("egress_proxy", &without_password(proxy), rule, "write socks5:// or http:// before it"),
    }
}

/// People write `scheme://user:password@host`; the password is not shown.
fn without_password(proxy: &str) -> String {
    let Some((before, host)) = proxy.rsplit_once('@') else { return proxy.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://{REDACTED}@{host}"),
        None => format!("{REDACTED}@{host}"),
    }
}

fn check_rule(field: &str, rule: &EgressRule, findings: &mut Findings) {
    if !is_cidr(&rule.cidr) {
        let fix = match rule.cidr.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => format!("write {address}/32 for this one address"),
            Ok(IpAddr::V6(address)) => format!("write {address}/128 for this one address"),
            Err(_) => "write an address range such as 10.0.0.0/8".to_owned(),
        };
        findings.add(format!("{field}.cidr"), &rule.cidr, "addresses are given in CIDR form", fix);
    }
    for (part, port) in [("port_from", rule.port_from), ("port_to", rule.port_to)] {
        if port == 0 || port > u16::MAX.into() {
            findings.add(format!("{field}.{part}"), &port.to_string(), "a port is 1 to 65535", "write the port, such as 9876");
        }
    }
    if rule.port_from > rule.port_to {
        let fix = format!("write at least {}", rule.port_from);
        findings.add(format!("{field}.port_to"), &rule.port_to.to_string(), "the last port must not be below the first", fix);
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= longest)
}
