//! Security groups: rules as Alibaba Cloud's basic ones have them (`AuthorizeSecurityGroupEgress`, API version 2014-05-26).

use super::choice;
use super::findings::Findings;
use crate::cidr::Cidr;
use crate::network::{EgressRule, SecurityGroup, SecurityGroupRule};
use crate::resolved;

/// Most rules of each kind in a group.
const RULES: usize = 200;
/// The priority that decides first, which is the default, and the last one.
const FIRST_PRIORITY: u8 = 1;
const LAST_PRIORITY: u8 = 100;
/// Every port.
const ALL_PORTS: (u16, u16) = (1, u16::MAX);

/// Reads a group and notes every violation. The result may be used only if there is none.
pub(super) fn read(field: &str, group: &SecurityGroup, findings: &mut Findings) -> resolved::SecurityGroup {
    let mut rules = Vec::new();
    if findings.are_few(&format!("{field}.egress"), group.egress.len(), RULES) {
        for (index, rule) in group.egress.iter().enumerate() {
            let place = format!("egress[{index}]");
            rules.extend(read_egress(&format!("{field}.{place}"), place, rule, findings));
        }
    }
    if findings.are_few(&format!("{field}.rules"), group.rules.len(), RULES) {
        for (index, rule) in group.rules.iter().enumerate() {
            let place = format!("rules[{index}]");
            rules.extend(read_rule(&format!("{field}.{place}"), place, rule, findings));
        }
    }
    resolved::SecurityGroup { id: group.id.clone(), rules, drops_others: !group.egress.is_empty() }
}

fn read_egress(field: &str, place: String, rule: &EgressRule, findings: &mut Findings) -> Option<resolved::SecurityRule> {
    let cidr = read_cidr(field, &rule.cidr, findings);
    let ports = read_ports(field, (rule.port_from, rule.port_to), findings);
    let ((port_from, port_to), cidr) = (ports?, cidr?);
    Some(resolved::SecurityRule { place, cidr, port_from, port_to, priority: FIRST_PRIORITY, accepts: true })
}

/// `None` for an ingress rule, and for a rule with a violation.
fn read_rule(field: &str, place: String, rule: &SecurityGroupRule, findings: &mut Findings) -> Option<resolved::SecurityRule> {
    let [direction, protocol, policy] = [&rule.direction, &rule.protocol, &rule.policy].map(|word| word.to_ascii_lowercase());
    let part = |part: &str| format!("{field}.{part}");
    if direction.is_empty() {
        findings.add(part("direction"), "", "a rule needs a direction", "write egress, or ingress, which has no effect");
    }
    choice::one_of(&part("direction"), &direction, &["egress", "ingress"], findings);
    choice::one_of(&part("protocol"), &protocol, &["tcp", "all"], findings);
    choice::one_of(&part("policy"), &policy, &["accept", "drop"], findings);
    let cidr = read_cidr(field, &rule.cidr, findings);
    let ports = match (rule.port_range.as_str(), rule.port_from, rule.port_to) {
        ("", 0, 0) => Some(ALL_PORTS),
        ("", from, to) => read_ports(field, (from, to), findings),
        (range, 0, 0) => read_range(&part("port_range"), range, findings),
        (range, ..) => {
            let fix = "remove port_range, or port_from and port_to";
            findings.add(part("port_range"), range, "ports may be given once", fix);
            None
        }
    };
    let priority = match u8::try_from(rule.priority) {
        Ok(0) => FIRST_PRIORITY,
        Ok(priority) if priority <= LAST_PRIORITY => priority,
        _ => {
            let rule_text = format!("a priority is {FIRST_PRIORITY} to {LAST_PRIORITY}");
            findings.add(part("priority"), &rule.priority.to_string(), rule_text, "write 1 for a rule that decides first");
            return None;
        }
    };
    let ((port_from, port_to), cidr) = (ports?, cidr?);
    (direction == "egress").then(|| resolved::SecurityRule { place, cidr, port_from, port_to, priority, accepts: policy != "drop" })
}

fn read_cidr(field: &str, text: &str, findings: &mut Findings) -> Option<Cidr> {
    match text.parse() {
        Ok(cidr) => Some(cidr),
        Err(malformed) => {
            findings.add(format!("{field}.cidr"), text, "addresses are given in CIDR form", malformed.fix);
            None
        }
    }
}

fn read_ports(field: &str, (from, to): (u32, u32), findings: &mut Findings) -> Option<(u16, u16)> {
    let [first, last] = [("port_from", from), ("port_to", to)].map(|(part, port)| {
        let read = u16::try_from(port).ok().filter(|port| *port > 0);
        if read.is_none() {
            findings.add(format!("{field}.{part}"), &port.to_string(), "a port is 1 to 65535", "write the port, such as 9876");
        }
        read
    });
    if from > to {
        let fix = format!("write at least {from}");
        findings.add(format!("{field}.port_to"), &to.to_string(), "the last port must not be below the first", fix);
        return None;
    }
    Some((first?, last?))
}

/// `FIRST/LAST`, or `-1/-1`.
fn read_range(field: &str, text: &str, findings: &mut Findings) -> Option<(u16, u16)> {
    if text == "-1/-1" {
        return Some(ALL_PORTS);
    }
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()));
    let range = text.split_once('/').and_then(|(first, last)| Some((port(first)?, port(last)?)));
    match range.filter(|(first, last)| first <= last) {
        None => {
            let fix = "write both ports, such as 9876/9876, or -1/-1 for all";
            findings.add(field, text, "a port range is FIRST/LAST, each 1 to 65535, the last not below the first", fix);
            None
        }
        range => range,
    }
}
