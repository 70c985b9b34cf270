//! Where the two ends of a route are set up differently, and what may be done about it.
//!
//! Pure. What may be done takes nothing away: no queue, no permission, no right, no topic, group or rule.

use super::access;
pub use super::difference::{Difference, Drift, Kind, Remedy};
use super::settings::{EndSettings, GroupState, TopicState};
use super::sync::{Handling, Sync};

/// The permission to write (`PermName` of Apache RocketMQ).
const WRITE: u32 = 2;
/// Which kind of messages a topic takes; without it, normal ones.
const MESSAGE_TYPE: &str = "message.type";
/// What a topic takes that says nothing.
const NORMAL: &str = "NORMAL";
/// Why the attribute is not set: brokers refuse to change it, and how an end stores its queues is its own business.
const STORAGE: &str = "how the target stores its queues is its own";

/// What of two ends is compared.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// What each topic is called at the source and at the target.
    pub topics: &'a [(String, String)],
    /// The groups, which are called alike.
    pub groups: &'a [String],
    /// Which kinds are compared.
    pub sync: Sync,
}

/// Where the target is set up otherwise than the source, sorted by kind and name.
pub fn drift(source: &EndSettings, target: &EndSettings, scope: &Scope<'_>) -> Vec<Drift> {
    let mut drifts = Vec::new();
    if scope.sync.topics != Handling::Off {
        let know_attributes = source.has_attributes && target.has_attributes;
        drifts.extend(scope.topics.iter().filter_map(|(here, there)| {
            let original = source.topics.get(here)?;
            topic(there, original, target.topics.get(there), know_attributes)
        }));
    }
    if scope.sync.groups != Handling::Off {
        drifts.extend(scope.groups.iter().filter_map(|name| group(name, source.groups.get(name)?, target.groups.get(name))));
    }
    if let (true, Some(Ok(here)), Some(Ok(there))) = (scope.sync.acl != Handling::Off, &source.access, &target.access) {
        let topics = scope.topics.iter().map(|(here, there)| (format!("Topic:{here}"), format!("Topic:{there}")));
        let groups = scope.groups.iter().map(|group| (format!("Group:{group}"), format!("Group:{group}")));
        drifts.extend(access::compare(here, there, &topics.chain(groups).collect::<Vec<_>>()));
    }
    drifts.sort_by(|left, right| (left.kind, &left.name).cmp(&(right.kind, &right.name)));
    drifts
}

fn difference(setting: &str, source: impl ToString, target: impl ToString) -> Difference {
    Difference { setting: setting.to_owned(), source: source.to_string(), target: target.to_string(), hindrance: String::new() }
}

fn hindered(difference: Difference, hindrance: &str) -> Difference {
    Difference { hindrance: hindrance.to_owned(), ..difference }
}

fn topic(name: &str, source: &TopicState, target: Option<&TopicState>, know_attributes: bool) -> Option<Drift> {
    let Some(target) = target else {
        let queues = source.write_queues.max(source.read_queues);
        let attributes = source.attributes.iter().filter(|(name, _)| know_attributes && !is_storage(name));
        let wanted = TopicState {
            permission: source.permission | WRITE,
            attributes: attributes.map(|(name, value)| (name.clone(), value.clone())).collect(),
            ..source.clone()
        };
        let missing = difference("topic", format!("{queues} queues"), "-");
        return Some(Drift { kind: Kind::Topic, name: name.to_owned(), differences: vec![missing], remedy: Some(Remedy::Topic(wanted)) });
    };
    let (mut differences, mut wanted) = (Vec::new(), target.clone());
    wanted.attributes.clear();
    // More queues lose nothing: a target with other brokers may need them.
    for (setting, here, there, set) in [
        ("read queues", source.read_queues, target.read_queues, &mut wanted.read_queues),
        ("write queues", source.write_queues, target.write_queues, &mut wanted.write_queues),
    ] {
        if there < here {
            differences.push(difference(setting, here, there));
            *set = here;
        }
    }
    if source.permission != target.permission {
        let shown = difference("permission", permission(source.permission), permission(target.permission));
        wanted.permission |= source.permission;
        let is_done = wanted.permission != target.permission;
        let hindrance = "permissions are never taken away: what is on its way must still be written";
        differences.push(if is_done { shown } else { hindered(shown, hindrance) });
    }
    if know_attributes {
        let names = source.attributes.keys().chain(target.attributes.keys()).collect::<std::collections::BTreeSet<_>>();
        for name in names {
            let value = |state: &TopicState| state.attributes.get(name).cloned();
            let unsaid = if name == MESSAGE_TYPE { NORMAL } else { "-" };
            let (here, there) = (value(source).unwrap_or_else(|| unsaid.to_owned()), value(target).unwrap_or_else(|| unsaid.to_owned()));
            if here == there {
                continue;
            }
            let shown = difference(name, &here, &there);
            if is_storage(name) {
                differences.push(hindered(shown, STORAGE));
            } else if here == "-" {
                differences.push(hindered(shown, "attributes are never taken away"));
            } else {
                wanted.attributes.insert(name.clone(), here);
                differences.push(shown);
            }
        }
    }
    whole(Kind::Topic, name, differences, || Remedy::Topic(wanted))
}

fn group(name: &str, source: &GroupState, target: Option<&GroupState>) -> Option<Drift> {
    let Some(target) = target else {
        let remedy = Some(Remedy::Group(source.clone()));
        return Some(Drift { kind: Kind::Group, name: name.to_owned(), differences: vec![difference("group", "there", "-")], remedy });
    };
    let mut differences = Vec::new();
    let mut differ = |setting: &str, here: &dyn ToString, there: &dyn ToString| {
        let (here, there) = (here.to_string(), there.to_string());
        if here != there {
            differences.push(difference(setting, here, there));
        }
    };
    differ("consume_enable", &source.consume_enable, &target.consume_enable);
    differ("consume_broadcast_enable", &source.consume_broadcast_enable, &target.consume_broadcast_enable);
    if let (Some(here), Some(there)) = (source.consume_message_orderly, target.consume_message_orderly) {
        differ("consume_message_orderly", &here, &there);
    }
    let retry_queue_nums = source.retry_queue_nums.max(target.retry_queue_nums);
    differ("retry_queue_nums", &retry_queue_nums, &target.retry_queue_nums);
    differ("retry_max_times", &source.retry_max_times, &target.retry_max_times);
    whole(Kind::Group, name, differences, || Remedy::Group(GroupState { retry_queue_nums, ..source.clone() }))
}

/// A drift, if anything differs; with a remedy if any difference has no hindrance.
fn whole(kind: Kind, name: &str, differences: Vec<Difference>, remedy: impl FnOnce() -> Remedy) -> Option<Drift> {
    let can_be_ended = differences.iter().any(|difference| difference.hindrance.is_empty());
    let is_any = !differences.is_empty();
    is_any.then(|| Drift { kind, name: name.to_owned(), differences, remedy: can_be_ended.then(remedy) })
}

fn is_storage(attribute: &str) -> bool {
    matches!(attribute, "queue.type" | "cleanup.policy")
}

/// A permission as RocketMQ's tools show it: `RW-`.
fn permission(bits: u32) -> String {
    [(4, 'R'), (WRITE, 'W'), (1, 'X')].into_iter().map(|(bit, letter)| if bits & bit != 0 { letter } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const REPORTED: Sync = Sync { topics: Handling::Report, groups: Handling::Report, acl: Handling::Off };

    fn state(queues: u32, permission: u32, attributes: &[(&str, &str)]) -> TopicState {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TopicState { read_queues: queues, write_queues: queues, permission, attributes }
    }

    fn usual() -> GroupState {
        GroupState {
            consume_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: Some(false),
            retry_queue_nums: 1,
            retry_max_times: 16,
        }
    }

    fn end(topics: &[(&str, TopicState)], groups: &[(&str, GroupState)]) -> EndSettings {
        EndSettings {
            topics: topics.iter().map(|(name, state)| ((*name).to_owned(), state.clone())).collect(),
            groups: groups.iter().map(|(name, state)| ((*name).to_owned(), state.clone())).collect(),
            has_attributes: true,
            ..EndSettings::default()
        }
    }

    fn found(source: &EndSettings, target: &EndSettings) -> Vec<Drift> {
        let topics: Vec<_> = source.topics.keys().map(|name| (name.clone(), name.clone())).collect();
        let groups: Vec<_> = source.groups.keys().cloned().collect();
        drift(source, target, &Scope { topics: &topics, groups: &groups, sync: REPORTED })
    }

    fn shown(drifts: &[Drift]) -> Vec<String> {
        let lines = drifts.iter().flat_map(|drift| {
            drift.differences.iter().map(|found| {
                let hindrance = if found.hindrance.is_empty() { "" } else { " !" };
                format!("{:?} {} {}: {} / {}{hindrance}", drift.kind, drift.name, found.setting, found.source, found.target)
            })
        });
        lines.collect()
    }

    /// *Scenario*: topics that are missing, narrower, wider, of another type, of other permissions, equal. *Guarantees*: both values of what differs; a remedy that takes
    /// nothing away; more queues are no difference.
    #[test]
    fn topics_are_compared() {
        let source = end(
            &[
                ("equal", state(4, 6, &[])),
                ("missing", state(8, 4, &[("message.type", "FIFO"), ("queue.type", "BatchCQ")])),
                ("narrow", state(8, 6, &[])),
                ("read-only", state(4, 4, &[])),
                ("typed", state(4, 6, &[("message.type", "DELAY"), ("cleanup.policy", "COMPACTION")])),
                ("wide", state(2, 6, &[])),
            ],
            &[],
        );
        let target = end(
            &[
                ("equal", state(4, 6, &[("message.type", "NORMAL")])),
                ("narrow", state(4, 4, &[])),
                ("read-only", state(4, 6, &[])),
                ("typed", state(4, 6, &[])),
                ("wide", state(16, 6, &[])),
            ],
            &[],
        );
        let drifts = found(&source, &target);
        assert_eq!(
            shown(&drifts),
            [
                "Topic missing topic: 8 queues / -",
                "Topic narrow read queues: 8 / 4",
                "Topic narrow write queues: 8 / 4",
                "Topic narrow permission: RW- / R--",
                "Topic read-only permission: R-- / RW- !",
                "Topic typed cleanup.policy: COMPACTION / - !",
                "Topic typed message.type: DELAY / NORMAL",
            ]
        );
        let remedies: Vec<_> = drifts.into_iter().map(|drift| drift.remedy).collect();
        assert_eq!(
            remedies,
            [
                Some(Remedy::Topic(state(8, 6, &[("message.type", "FIFO")]))),
                Some(Remedy::Topic(state(8, 6, &[]))),
                None,
                Some(Remedy::Topic(state(4, 6, &[("message.type", "DELAY")]))),
            ]
        );
    }

    /// *Scenario*: groups that are missing, set up otherwise, and at an end of 4.x. *Guarantees*: both values; retry queues are never fewer; order is compared only where
    /// both ends know of it.
    #[test]
    fn groups_are_compared() {
        let strict =
            GroupState { consume_message_orderly: Some(true), retry_queue_nums: 2, retry_max_times: 3, consume_enable: false, ..usual() };
        let source = end(&[], &[("equal", usual()), ("missing", usual()), ("other", strict.clone()), ("old", strict.clone())]);
        let old = GroupState { consume_message_orderly: None, ..strict.clone() };
        let target = end(&[], &[("equal", usual()), ("other", GroupState { retry_queue_nums: 4, ..usual() }), ("old", old)]);
        let drifts = found(&source, &target);
        assert_eq!(
            shown(&drifts),
            [
                "Group missing group: there / -",
                "Group other consume_enable: false / true",
                "Group other consume_message_orderly: true / false",
                "Group other retry_max_times: 3 / 16",
            ]
        );
        assert_eq!(drifts[1].remedy, Some(Remedy::Group(GroupState { retry_queue_nums: 4, ..strict })));
    }

    /// *Scenario*: an end of 4.x, which has no attributes; a kind that is off; a topic that is called otherwise; the source's topic is gone. *Guarantees*: nothing is said that
    /// cannot be known or was not asked for.
    #[test]
    fn only_what_is_known_and_wanted_is_compared() {
        let source = end(&[("typed", state(4, 6, &[("message.type", "FIFO")]))], &[("g", usual())]);
        let mut target = end(&[("dr.typed", state(2, 6, &[]))], &[]);
        target.has_attributes = false;
        let names = [("typed".to_owned(), "dr.typed".to_owned()), ("gone".to_owned(), "dr.gone".to_owned())];
        let groups = ["g".to_owned()];
        let looked = |sync: Sync| shown(&drift(&source, &target, &Scope { topics: &names, groups: &groups, sync }));
        let queues = ["Topic dr.typed read queues: 4 / 2", "Topic dr.typed write queues: 4 / 2"];
        assert_eq!(looked(Sync { groups: Handling::Off, ..REPORTED }), queues);
        assert_eq!(looked(Sync { topics: Handling::Off, ..REPORTED }), ["Group g group: there / -"]);
        let applied = drift(&source, &target, &Scope { topics: &names, groups: &groups, sync: REPORTED });
        assert!(!applied[0].is_applied(REPORTED) && applied[0].is_applied(Sync { topics: Handling::Apply, ..REPORTED }));
        assert_eq!(EndSettings::default().topics, BTreeMap::new());
    }
}
