//! Networks, security groups and TLS: their own rules, and how streams come to be dialled through them.

use super::*;
use crate::connection::TlsDefinition;
use crate::network::{EgressRule, SecurityGroupRule};
use crate::resolved::{Network, SecurityRule};

fn rule(direction: &str, port_range: &str, cidr: &str, priority: u32, policy: &str) -> SecurityGroupRule {
    SecurityGroupRule {
        direction: direction.into(),
        port_range: port_range.into(),
        cidr: cidr.into(),
        priority,
        policy: policy.into(),
        ..Default::default()
    }
}

fn group(id: &str, rules: Vec<SecurityGroupRule>) -> SecurityGroup {
    SecurityGroup { id: id.into(), egress: Vec::new(), rules }
}

/// A network with two vSwitches and two groups, and one with nothing.
fn references() -> Known {
    let vswitch = |id: &str, address: &str| Vswitch { id: id.into(), address: address.into() };
    let network = NetworkDefinition {
        name: "vpc".into(),
        vpc_id: "vpc-1".into(),
        egress_proxy: "socks5://10.0.0.9:1080".into(),
        vswitches: vec![vswitch("vsw-1", "10.0.0.1"), vswitch("vsw-2", "10.0.1.1")],
        security_groups: vec![
            group("sg-1", vec![rule("egress", "9876/9876", "10.0.0.0/8", 1, "accept")]),
            group("sg-2", vec![rule("egress", "-1/-1", "0.0.0.0/0", 100, "drop")]),
        ],
        ..Default::default()
    };
    let plain = NetworkDefinition { name: "plain".into(), vpc_id: "vpc-2".into(), ..Default::default() };
    let made = NetworkDefinition {
        name: "made".into(),
        vpc_id: "vpc-3".into(),
        security_groups: vec![group("default", Vec::new()), group("other", Vec::new())],
        ..Default::default()
    };
    let connection = ConnectionDefinition { network: "vpc".into(), ..cloud("c", "", "") };
    Known { connections: vec![connection, cloud("d", "", "")], networks: vec![network, plain, made] }
}

fn network_of(change: impl FnOnce(&mut SourceRocketMqParameters)) -> Result<Option<Network>, String> {
    let mut definition = sound();
    change(source(&mut definition));
    let record = record(definition);
    match super::super::resolve(&record, &references()) {
        Ok(stream) => Ok(stream.source.connection.network),
        Err(violations) => Err(violations.iter().map(|violation| format!("{violation}\n")).collect()),
    }
}

fn shape(network: Option<Network>) -> (String, Vec<String>, Vec<String>) {
    let network = network.unwrap_or_default();
    let vswitches = network.vswitches.into_iter().map(|vswitch| vswitch.id).collect();
    (network.name, vswitches, network.security_groups.into_iter().map(|group| group.id).collect())
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// *Scenario*: a stream names a VPC, some of its vSwitches, one of its groups, only those, or the public network. *Guarantees*: it is dialled through
/// that network, from those vSwitches, under that group; on the public network through none.
#[test]
fn a_stream_is_dialled_through_the_network_it_names() {
    let whole = ("vpc".to_owned(), ids(&["vsw-1", "vsw-2"]), ids(&["sg-1", "sg-2"]));
    assert_eq!(network_of(|source| source.instance_vpc_id = "vpc-1".into()).map(shape), Ok(whole.clone()));
    assert_eq!(network_of(|source| source.vpc_id = "vpc-1".into()).map(shape), Ok(whole.clone()));
    let part = network_of(|source| {
        source.instance_network = "PrivateNetwork".into();
        source.instance_vpc_id = "vpc-1".into();
        source.instance_vswitch_ids = "vsw-2".into();
        source.instance_security_group_id = "sg-2".into();
    });
    assert_eq!(part.map(shape), Ok(("vpc".to_owned(), ids(&["vsw-2"]), ids(&["sg-2"]))));
    let by_group = network_of(|source| source.instance_security_group_id = "sg-1".into());
    assert_eq!(by_group.map(shape), Ok(("vpc".to_owned(), ids(&["vsw-1", "vsw-2"]), ids(&["sg-1"]))));
    assert_eq!(network_of(|source| source.vswitch_ids = "vsw-2, vsw-1".into()).map(shape), Ok(whole.clone()));
    let public = network_of(|source| {
        source.instance_network = "PublicNetwork".into();
        source.instance_vpc_id = "vpc-elsewhere".into();
    });
    assert_eq!(public, Ok(None));
    assert_eq!(network_of(|_| {}), Ok(None));
}

/// *Scenario*: a stream names the default group of a network without groups, of one with other groups, and of one that has it. *Guarantees*: the default group is
/// there without being made, is never weaker than the groups that are, and is the one of its name once it is written.
#[test]
fn the_default_group_is_there_without_being_made() {
    let of = |vpc: &str| {
        let vpc = vpc.to_owned();
        network_of(|source| {
            source.instance_vpc_id = vpc;
            source.instance_security_group_id = "default".into();
        })
        .map(shape)
    };
    assert_eq!(of("vpc-2"), Ok(("plain".to_owned(), ids(&[]), ids(&[]))));
    assert_eq!(of("vpc-1"), Ok(("vpc".to_owned(), ids(&["vsw-1", "vsw-2"]), ids(&["sg-1", "sg-2"]))));
    assert_eq!(of("vpc-3"), Ok(("made".to_owned(), ids(&[]), ids(&["default"]))));
}

/// *Scenario*: a stream names a connection that names a network. *Guarantees*: all groups of that network hold, whatever one the stream names; another
/// network is refused.
#[test]
fn the_network_of_a_connection_counts() {
    let by = |vpc: &str, group: &str| {
        network_of(|source| {
            *source = SourceRocketMqParameters { topic: "t".into(), connection: "c".into(), ..Default::default() };
            source.instance_vpc_id = vpc.into();
            source.instance_security_group_id = group.into();
        })
    };
    let whole = ("vpc".to_owned(), ids(&["vsw-1", "vsw-2"]), ids(&["sg-1", "sg-2"]));
    assert_eq!(by("", "").map(shape), Ok(whole.clone()));
    assert_eq!(by("vpc-1", "sg-1").map(shape), Ok(whole));
    assert_eq!(
        by("vpc-2", ""),
        Err("source.source_rocketmq_parameters.instance_vpc_id: found \"vpc-2\"; this is network plain, but connection c goes through \
         another network; remove it: the network of the connection is used\n"
            .to_owned())
    );
}

/// *Scenario*: identities that no network has, or that the named network does not have. *Guarantees*: each is a violation that says what is missing.
#[test]
fn what_a_network_does_not_have_is_refused() {
    let path = "source.source_rocketmq_parameters";
    let refused = network_of(|source| source.instance_vpc_id = "vpc-0".into()).expect_err("unknown");
    assert_eq!(
        refused,
        format!(
            "{path}.instance_vpc_id: found \"vpc-0\"; there is no network with this vpc_id; create the network first (kind: Network), \
             or leave the field out to connect directly\n"
        )
    );
    let refused = network_of(|source| {
        source.instance_vpc_id = "vpc-1".into();
        source.instance_vswitch_ids = "vsw-1,vsw-9".into();
        source.instance_security_group_id = "other".into();
    });
    assert_eq!(
        refused,
        Err(format!(
            "{path}.instance_vswitch_ids: found \"vsw-9\"; network vpc has no vSwitch with this id; did you mean vsw-1?\n\
             {path}.instance_security_group_id: found \"other\"; network vpc has no security group with this id; add it to the network, \
              or leave the field out\n"
        ))
    );
    let refused = network_of(|source| {
        source.instance_vpc_id = "vpc-1".into();
        source.vpc_id = "vpc-2".into();
    });
    assert_eq!(
        refused,
        Err(format!(
            "{path}.vpc_id: found \"vpc-2\"; this is network plain, but {path}.instance_vpc_id names network vpc; name one network\n"
        ))
    );
}

/// *Scenario*: rules in the short form and in Alibaba's words. *Guarantees*: each becomes the rule that it says; ingress rules are not for dialling.
#[test]
fn rules_are_read_in_both_forms() {
    let mut group = group(
        "sg",
        vec![
            rule("EGRESS", "9876/9876", "10.0.0.0/8", 0, ""),
            rule("egress", "-1/-1", "::/0", 100, "Drop"),
            rule("ingress", "", "0.0.0.0/0", 1, "accept"),
            SecurityGroupRule { protocol: "TCP".into(), port_from: 80, port_to: 90, ..rule("egress", "", "1.2.3.4/32", 7, "Accept") },
        ],
    );
    group.egress = vec![EgressRule { cidr: "10.1.0.0/16".into(), port_from: 1, port_to: 2 }];
    let mut findings = Findings::default();
    let read = crate::validate::security_group::read("g", &group, &mut findings);
    assert_eq!(findings.count(), 0, "{:?}", findings.into_violations());
    let line = |rule: &SecurityRule| {
        let policy = if rule.accepts { "accept" } else { "drop" };
        format!("{} {} {}/{} {} {policy}", rule.place, rule.cidr, rule.port_from, rule.port_to, rule.priority)
    };
    assert_eq!(
        read.rules.iter().map(line).collect::<Vec<_>>(),
        [
            "egress[0] 10.1.0.0/16 1/2 1 accept",
            "rules[0] 10.0.0.0/8 9876/9876 1 accept",
            "rules[1] ::/0 1/65535 100 drop",
            "rules[3] 1.2.3.4/32 80/90 7 accept"
        ]
    );
    assert!(read.drops_others, "the short form drops what it does not name");
}

/// *Scenario*: rules, proxies and TLS with every mistake there is. *Guarantees*: each is named with its field and its fix, and no secret is shown.
#[test]
fn mistakes_of_networks_and_tls_are_named() {
    let network = NetworkDefinition {
        name: "vpc".into(),
        egress_proxy: "socks5://proxy".into(),
        egress_proxy_username: "me".into(),
        egress_proxy_resolves: true,
        vswitches: vec![Vswitch { id: "v".into(), address: "0.0.0.0".into() }, Vswitch { id: "v".into(), address: "::1".into() }],
        security_groups: vec![group(
            "sg",
            vec![
                rule("out", "80", "10.0.0.0/8", 101, "allow"),
                SecurityGroupRule { port_from: 1, protocol: "udp".into(), ..rule("", "80/90", "10.0.0.0/99", 1, "") },
            ],
        )],
        ..Default::default()
    };
    assert_eq!(
        lines(super::super::network(&network)),
        "egress_proxy_password: is missing; user name and password of a proxy need each other; write env:NAME or file:NAME of the \
         password, or remove the user name\n\
         egress_proxy_resolves: found \"true\"; rules of security groups need addresses, which only the proxy would know; remove it, so \
          that names are resolved here, or remove the security groups\n\
         egress_proxy: found \"socks5://proxy\"; an egress proxy is socks5://host:port or http://host:port; write a port, such as \
          proxy:9876\n\
         vswitches[0].address: found \"0.0.0.0\"; a vSwitch has a local address; write an IPv4 or IPv6 address of this host, without a \
          port\n\
         vswitches[1].id: found \"v\"; each id may be used once; remove one of the two\n\
         security_groups[0].rules[0].direction: found \"out\"; one of egress, ingress is allowed; write one of them, or leave the field \
          out\n\
         security_groups[0].rules[0].policy: found \"allow\"; one of accept, drop is allowed; write one of them, or leave the field out\n\
         security_groups[0].rules[0].port_range: found \"80\"; a port range is FIRST/LAST, each 1 to 65535, the last not below the \
          first; write both ports, such as 9876/9876, or -1/-1 for all\n\
         security_groups[0].rules[0].priority: found \"101\"; a priority is 1 to 100; write 1 for a rule that decides first\n\
         security_groups[0].rules[1].direction: is missing; a rule needs a direction; write egress, or ingress, which has no effect\n\
         security_groups[0].rules[1].protocol: found \"udp\"; one of tcp, all is allowed; write one of them, or leave the field out\n\
         security_groups[0].rules[1].cidr: found \"10.0.0.0/99\"; addresses are given in CIDR form; write a length from 0 to 32 behind \
          the /\n\
         security_groups[0].rules[1].port_range: found \"80/90\"; ports may be given once; remove port_range, or port_from and port_to\n"
    );
    let connection = ConnectionDefinition {
        tls: Some(TlsDefinition {
            enabled: true,
            ca: "hunter2".into(),
            client_key: Secret::new("hunter2"),
            server_name: "a:b".into(),
            insecure_skip_verify: true,
            ..Default::default()
        }),
        ..cloud("c", "", "")
    };
    assert_eq!(
        lines(super::super::connection(&connection, &Known::default())),
        "tls.ca: found \"******\"; PEM text with BEGIN … CERTIFICATE-----, or a reference to it, is needed; write the text of the file, \
         or file:NAME or env:NAME\n\
         tls.client_key: found \"******\"; PEM text with BEGIN … PRIVATE KEY-----, or a reference to it, is needed; write the text of \
          the file, or file:NAME or env:NAME\n\
         tls.client_certificate: is missing; a private key needs its certificate; write the certificate, or remove the key\n\
         tls.server_name: found \"a:b\"; a server name is a host name or an address, without a port; write the name that the \
          certificates contain\n\
         tls.insecure_skip_verify: found \"true\"; any certificate is accepted, so authorities would have no effect; remove it, so that \
          certificates are checked, or remove ca\n"
    );
}

/// *Scenario*: connections with TLS on, off and absent. *Guarantees*: TLS is spoken only where it is on, with what the definition says.
#[test]
fn tls_is_spoken_where_it_is_enabled() {
    let tls = |enabled: bool| TlsDefinition {
        enabled,
        ca: "file:/ca.pem".into(),
        client_certificate: "file:/client.pem".into(),
        client_key: Secret::new("file:/key.pem"),
        server_name: "MQ.example".into(),
        ..Default::default()
    };
    let resolved = |tls: Option<TlsDefinition>| {
        let connection = ConnectionDefinition { tls, ..cloud("c", "", "") };
        assert_eq!(lines(super::super::connection(&connection, &Known::default())), "");
        let mut definition = sound();
        *source(&mut definition) = SourceRocketMqParameters { topic: "t".into(), connection: "c".into(), ..Default::default() };
        let known = Known { connections: vec![connection], networks: Vec::new() };
        let stream = super::super::resolve(&record(definition), &known).expect("sound");
        stream.source.connection.tls
    };
    assert_eq!(resolved(None), None);
    assert_eq!(resolved(Some(tls(false))), None);
    let spoken = resolved(Some(tls(true))).expect("enabled");
    assert_eq!(spoken.server_name.as_deref(), Some("mq.example"));
    assert_eq!(spoken.identity.map(|identity| identity.key), Some(Secret::new("file:/key.pem")));
}
