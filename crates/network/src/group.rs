//! Security groups: which rule decides about an address.
//!
//! As with Alibaba Cloud's basic security groups, the rules of all groups together decide: of the rules that match, the one with the lowest
//! priority number; at the same number, drop before accept. What no rule matches is accepted, unless one of the groups drops the rest.

use std::net::SocketAddr;

use rocketbridge_model::resolved::{SecurityGroup, SecurityRule};

/// Why an address may not be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// A rule drops it.
    #[error("security group {group} drops {address}: {place} drops {cidr} {from}/{to} with priority {priority}", place = rule.place, cidr = rule.cidr, from = rule.port_from, to = rule.port_to, priority = rule.priority)]
    Rule {
        /// The group.
        group: String,
        /// The rule.
        rule: SecurityRule,
        /// The address.
        address: SocketAddr,
    },
    /// No rule accepts it, and the group drops what none accepts.
    #[error("security group {group} drops {address}: no rule accepts it, and a group with `egress` drops what none accepts")]
    Others {
        /// The group.
        group: String,
        /// The address.
        address: SocketAddr,
    },
}

/// Whether the groups let an address be dialled.
pub fn judge(groups: &[SecurityGroup], address: SocketAddr) -> Result<(), Dropped> {
    let ip = address.ip().to_canonical();
    let matches = |rule: &SecurityRule| rule.cidr.contains(ip) && (rule.port_from..=rule.port_to).contains(&address.port());
    let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    // Of equal keys the first is taken, which is the one that a reader of the definition finds first.
    let deciding = rules.filter(|(_, rule)| matches(rule)).min_by_key(|(_, rule)| (rule.priority, rule.accepts));
    match deciding {
        Some((_, rule)) if rule.accepts => Ok(()),
        Some((group, rule)) => Err(Dropped::Rule { group: group.id.clone(), rule: rule.clone(), address }),
        None => match groups.iter().find(|group| group.drops_others) {
            Some(group) => Err(Dropped::Others { group: group.id.clone(), address }),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules as `accept 10.0.0.0/8 9876/9876 1`, separated by commas.
    fn group(id: &str, rules: &str, drops_others: bool) -> SecurityGroup {
        let rules = rules.split(',').filter(|rule| !rule.trim().is_empty()).enumerate().map(|(index, rule)| {
            let words: Vec<&str> = rule.split_whitespace().collect();
            let (from, to) = words[2].split_once('/').expect("a range");
            SecurityRule {
                place: format!("rules[{index}]"),
                cidr: words[1].parse().expect("a range"),
                port_from: from.parse().expect("a port"),
                port_to: to.parse().expect("a port"),
                priority: words[3].parse().expect("a priority"),
                accepts: words[0] == "accept",
            }
        });
        SecurityGroup { id: id.to_owned(), rules: rules.collect(), drops_others }
    }

    fn said(groups: &[SecurityGroup], address: &str) -> String {
        match judge(groups, address.parse().expect("an address")) {
            Ok(()) => "accept".to_owned(),
            Err(drop) => drop.to_string(),
        }
    }

    /// *Scenario*: rules that overlap, with equal and different priorities, over one group and two. *Guarantees*: the lower number decides, at the same
    /// number drop; groups count together; what is dropped says group, rule and address.
    #[test]
    fn the_rule_with_the_lowest_number_decides() {
        let one = |rules: &str| vec![group("sg", rules, false)];
        for (rules, address, expected) in [
            ("", "1.2.3.4:9876", "accept"),
            ("drop 0.0.0.0/0 1/65535 100", "1.2.3.4:9876", "drop"),
            ("drop 0.0.0.0/0 1/65535 100", "[2400::1]:9876", "accept"),
            ("drop 0.0.0.0/0 1/65535 100", "[::ffff:1.2.3.4]:9876", "drop"),
            ("drop ::/0 1/65535 100", "[2400::1]:9876", "drop"),
            ("accept 10.0.0.0/8 9876/9876 1, drop 0.0.0.0/0 1/65535 100", "10.1.1.1:9876", "accept"),
            ("accept 10.0.0.0/8 9876/9876 1, drop 0.0.0.0/0 1/65535 100", "10.1.1.1:9877", "drop"),
            ("accept 10.0.0.0/8 9876/9876 2, drop 10.0.0.0/8 9876/9876 1", "10.1.1.1:9876", "drop"),
            ("accept 10.0.0.0/8 9876/9876 1, drop 10.0.0.0/8 9876/9876 1", "10.1.1.1:9876", "drop"),
            ("drop 10.0.0.0/8 9876/9876 1, accept 10.0.0.0/8 9876/9876 1", "10.1.1.1:9876", "drop"),
            ("drop 10.0.0.0/8 10000/11000 50", "10.1.1.1:9999", "accept"),
            ("drop 10.0.0.0/8 10000/11000 50", "10.1.1.1:10000", "drop"),
            ("drop 10.0.0.0/8 10000/11000 50", "10.1.1.1:11000", "drop"),
            ("drop 10.0.0.0/8 10000/11000 50", "10.1.1.1:11001", "accept"),
        ] {
            let said = said(&one(rules), address);
            assert_eq!(
                said.split_whitespace().find(|word| ["accept", "drops"].contains(word)).map(|word| &word[..4]),
                Some(&expected[..4]),
                "{rules}; {address}: {said}"
            );
        }
        let two = [group("a", "accept 10.0.0.0/8 1/65535 5", false), group("b", "drop 10.0.0.0/16 9876/9876 4", false)];
        assert_eq!(
            said(&two, "10.0.0.1:9876"),
            "security group b drops 10.0.0.1:9876: rules[0] drops 10.0.0.0/16 9876/9876 with priority 4"
        );
        assert_eq!(said(&two, "10.1.0.1:9876"), "accept");
    }

    /// *Scenario*: a group in the short form, alone and beside another. *Guarantees*: what no rule accepts is dropped, and said so.
    #[test]
    fn the_short_form_drops_the_rest() {
        let short = group("sg", "accept 10.0.0.0/8 9876/9876 1", true);
        assert_eq!(said(std::slice::from_ref(&short), "10.0.0.1:9876"), "accept");
        assert_eq!(
            said(std::slice::from_ref(&short), "10.0.0.1:10911"),
            "security group sg drops 10.0.0.1:10911: no rule accepts it, and a group with `egress` drops what none accepts"
        );
        assert_eq!(said(&[short, group("other", "accept 10.0.0.0/8 10911/10911 1", false)], "10.0.0.1:10911"), "accept");
    }
}
