//! The plan as it is stored: one key per stream, `plan/{stream}`, so that a change to one stream rewrites only that key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Entry, Metastore, Mirror};
use rocketbridge_model::MemberId;
use rocketbridge_runtime::Tasks;
use serde::{Deserialize, Serialize};

use crate::plan::{Assignment, Reason};
use crate::unit::{UnitId, UnitKind};
use crate::value::decode;

/// The plan of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// The planned owner of each unit.
    #[serde(default)]
    pub units: BTreeMap<UnitKind, MemberId>,
    /// The units that nobody can own, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unassigned: BTreeMap<UnitKind, Reason>,
}

/// All plans. Cheap to clone; each clone remembers separately what it has seen.
#[derive(Clone, Debug)]
pub struct Plans(Mirror);

/// What is planned for one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) units: BTreeSet<UnitId>,
    /// The streams whose plan this version cannot read, because another version wrote it: their owned units are kept.
    pub(crate) unreadable: BTreeSet<String>,
}

impl Plans {
    /// Starts to follow the plans.
    pub fn start(store: Arc<dyn Metastore>, tasks: &Tasks) -> Self {
        Self(Mirror::start(store, keyspace::PLANS, tasks))
    }

    /// The plan of a stream; `None` if there is none that this version can read.
    pub fn stream(&self, stream: &str) -> Option<StreamPlan> {
        self.0.snapshot().get(&keyspace::plan(stream)).and_then(decode)
    }

    /// Waits until plans differ from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        self.0.changed().await;
    }

    /// Waits until the plans are known. Cancel-safe.
    pub async fn ready(&mut self) {
        self.0.ready().await;
    }

    pub(crate) fn planned_for(&self, member: &MemberId) -> Planned {
        let mut planned = Planned::default();
        for entry in self.0.snapshot().values() {
            let Some(stream) = keyspace::planned_stream(&entry.key) else {
                continue;
            };
            match decode::<StreamPlan>(entry) {
                Some(plan) => {
                    let mine = plan.units.into_iter().filter(|(_, owner)| owner == member);
                    planned.units.extend(mine.map(|(kind, _)| UnitId::new(stream.clone(), kind)));
                }
                None => drop(planned.unreadable.insert(stream)),
            }
        }
        planned
    }
}

/// Splits an assignment by stream.
pub(crate) fn by_stream(assignment: &Assignment) -> BTreeMap<String, StreamPlan> {
    let mut plans: BTreeMap<String, StreamPlan> = BTreeMap::new();
    for (unit, owner) in &assignment.owners {
        plans.entry(unit.stream.clone()).or_default().units.insert(unit.kind.clone(), owner.clone());
    }
    for (unit, reason) in &assignment.unassigned {
        plans.entry(unit.stream.clone()).or_default().unassigned.insert(unit.kind.clone(), *reason);
    }
    plans
}

/// Collects the owners of all stored plans.
pub(crate) fn assignment(entries: &[Entry]) -> Assignment {
    let mut assignment = Assignment::default();
    for entry in entries {
        if let (Some(stream), Some(plan)) = (keyspace::planned_stream(&entry.key), decode::<StreamPlan>(entry)) {
            let owners = plan.units.into_iter().map(|(kind, owner)| (UnitId::new(stream.clone(), kind), owner));
            assignment.owners.extend(owners);
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::PartitionId;

    use super::*;

    /// *Scenario*: a plan as it is stored, and one of a newer version. *Guarantees*: both can be read, and the plan has the documented form.
    #[test]
    fn plans_are_stored_as_documented() {
        let mut plan = StreamPlan::default();
        plan.units.insert(UnitKind::Partition(PartitionId::new("a/0")), MemberId::new("m1"));
        plan.unassigned.insert(UnitKind::DispatchShard(2), Reason::NoMemberInNetwork);
        let json = serde_json::to_string(&plan).expect("writable");
        assert_eq!(json, r#"{"units":{"partition/a%2F0":"m1"},"unassigned":{"dispatch/2":"no_member_in_network"}}"#);
        assert_eq!(serde_json::from_str::<StreamPlan>(&json).expect("readable"), plan);
        let newer = r#"{"units":{},"unassigned":{"filter/0":"bad_moon"},"mood":1}"#;
        let newer: StreamPlan = serde_json::from_str(newer).expect("readable");
        assert_eq!(newer.unassigned[&UnitKind::FilterShard(0)], Reason::Other);
    }
}
