//! The keys of the metadata store against their documentation.

use std::collections::BTreeSet;

use rocketbridge_codec::definition::Kind;
use rocketbridge_codec::keyspace::*;

/// *Scenario*: every key that can be made, with the documentation's placeholders for names. *Guarantees*: `docs/keyspace.md` lists these keys,
/// and no others.
#[test]
fn the_documentation_lists_exactly_these_keys() {
    let made = [
        definition(Kind::Stream, "name"),
        definition(Kind::Connection, "name"),
        definition(Kind::Network, "name"),
        definition(Kind::Route, "name"),
        GENERATION.to_owned(),
        request("uuid"),
        source("uid"),
        format!("{}offset", skips("uid", "partition")),
        partition("uid", "partition"),
        member("id"),
        LEADER.to_owned(),
        plan("stream"),
        owner("stream", "discovery/0"),
        owner("stream", "partition/partition"),
        owner("stream", "filter/shard"),
        owner("stream", "dispatch/shard"),
    ];
    let documentation = include_str!("../../../docs/keyspace.md");
    let rows = documentation.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows
        .flat_map(|row| row.split('|').next().unwrap_or_default().split('`').step_by(2))
        .map(|key| key.replace(['{', '}'], ""))
        .collect();
    assert_eq!(documented, made.into_iter().collect());
}

/// *Scenario*: names with separators. *Guarantees*: keys stay below their prefix, and are taken apart again.
#[test]
fn names_with_separators_stay_one_part() {
    assert_eq!(definition(Kind::Stream, "a/b"), "definitions/streams/a%2Fb");
    assert_eq!(skip("u", "b/1", 7), "skips/u/b%2F1/7");
    assert_eq!(kind_of("definitions/streams/a%2Fb"), Some(Kind::Stream));
    assert_eq!(kind_of(GENERATION), None);
    assert_eq!(planned_stream(&plan("a/b")).as_deref(), Some("a/b"));
    assert_eq!(owned(&owner("a/b", "filter/1")), Some(("a/b".to_owned(), "filter/1")));
    assert_eq!(owned("owners/a"), None);
}
