//! Which member should own which unit: a pure function.
//!
//! Guarantees, in this order:
//!
//! 1. A unit is planned only for a member of its stage that reaches its network, and within its region if there is such a member.
//! 2. Load is balanced: no hand-over of units, direct or through other members, could make it more even. With equal capacities and free
//!    choice, the most and the least loaded member of a stage differ by at most one unit.
//! 3. Units stay where they were as far as the first two allow.
//!
//! The same arguments give the same plan.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rocketbridge_model::MemberId;
use serde::{Deserialize, Serialize};

use crate::member::Member;
use crate::stage::Stage;
use crate::unit::{Unit, UnitId};

/// Who should own what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The planned owner of each unit.
    pub owners: BTreeMap<UnitId, MemberId>,
    /// The units that nobody can own, and why.
    pub unassigned: BTreeMap<UnitId, Reason>,
}

/// Why a unit has no planned owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no process of its stage.
    NoMember,
    /// There are processes of its stage, but none reaches its network.
    NoMemberInNetwork,
    /// A reason that only newer versions know. This version never plans it.
    #[serde(other)]
    Other,
}

/// Plans `units` for `members`, staying close to `previous`. The order of the arguments' elements does not matter.
pub fn plan(members: &[Member], units: &[Unit], previous: &Assignment) -> Assignment {
    let mut assignment = Assignment::default();
    for stage in [Stage::Router, Stage::Filter, Stage::Dispatcher, Stage::Controller] {
        let mut able: Vec<&Member> = members.iter().filter(|member| member.has(stage)).collect();
        able.sort_by(|one, other| one.id.cmp(&other.id));
        able.dedup_by(|one, other| one.id == other.id);
        let mut wanted: Vec<&Unit> = units.iter().filter(|unit| unit.id.stage() == stage).collect();
        wanted.sort_by(|one, other| one.id.cmp(&other.id));
        wanted.dedup_by(|one, other| one.id == other.id);
        plan_stage(&able, &wanted, previous, &mut assignment);
    }
    assignment
}

/// Region and network of a unit: they decide which members are its candidates.
type Wishes<'a> = (Option<&'a str>, Option<&'a str>);

fn plan_stage(members: &[&Member], units: &[&Unit], previous: &Assignment, assignment: &mut Assignment) {
    let index: BTreeMap<&MemberId, usize> = members.iter().enumerate().map(|(at, member)| (&member.id, at)).collect();
    let mut board = Board::new(members);
    let mut homeless = Vec::new();
    let mut classes: BTreeMap<Wishes<'_>, Result<usize, Reason>> = BTreeMap::new();
    for unit in units {
        let wishes = (unit.region.as_ref().map(|region| region.as_str()), unit.network.as_deref());
        let class = *classes.entry(wishes).or_insert_with(|| candidates(members, unit).map(|set| board.class(set)));
        let class = match class {
            Ok(class) => class,
            Err(reason) => {
                assignment.unassigned.insert(unit.id.clone(), reason);
                continue;
            }
        };
        let before = previous.owners.get(&unit.id).and_then(|owner| index.get(owner)).copied();
        match before.filter(|owner| board.classes[class].contains(owner)) {
            Some(owner) => board.put(owner, class, Piece { unit: &unit.id, home: Some(owner) }),
            None => homeless.push((class, Piece { unit: &unit.id, home: None })),
        }
    }
    // Units with the fewest candidates come first, so that the others fill the gaps.
    homeless.sort_by_key(|(class, _)| board.classes[*class].len());
    for (class, piece) in homeless {
        let owner = board.least_loaded(class);
        board.put(owner, class, piece);
    }
    while board.improve() {}
    for (owner, pieces) in board.held.iter().enumerate() {
        for piece in pieces.values().flatten() {
            assignment.owners.insert(piece.unit.clone(), members[owner].id.clone());
        }
    }
}

/// The members that may own a unit.
pub(crate) fn candidates(members: &[&Member], unit: &Unit) -> Result<BTreeSet<usize>, Reason> {
    let reaches = |member: &Member| {
        let network = unit.network.as_ref();
        network.is_none_or(|network| member.networks.is_empty() || member.networks.contains(network))
    };
    let fitting: Vec<usize> = (0..members.len()).filter(|at| reaches(members[*at])).collect();
    if fitting.is_empty() {
        return Err(if members.is_empty() { Reason::NoMember } else { Reason::NoMemberInNetwork });
    }
    let near: BTreeSet<usize> = match &unit.region {
        Some(region) => fitting.iter().copied().filter(|at| members[*at].region.as_ref() == Some(region)).collect(),
        None => BTreeSet::new(),
    };
    Ok(if near.is_empty() { fitting.into_iter().collect() } else { near })
}

/// A unit on its way to an owner.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    unit: &'a UnitId,
    /// The owner so far, if the unit may stay there.
    home: Option<usize>,
}

/// Who holds what while a stage is planned. A class is a set of candidates that units share.
struct Board<'a> {
    capacity: Vec<u64>,
    load: Vec<u64>,
    classes: Vec<BTreeSet<usize>>,
    held: Vec<BTreeMap<usize, Vec<Piece<'a>>>>,
}

impl<'a> Board<'a> {
    fn new(members: &[&Member]) -> Self {
        Self {
            capacity: members.iter().map(|member| u64::from(member.capacity.max(1))).collect(),
            load: vec![0; members.len()],
            classes: Vec::new(),
            held: vec![BTreeMap::new(); members.len()],
        }
    }

    fn class(&mut self, set: BTreeSet<usize>) -> usize {
        let known = self.classes.iter().position(|class| *class == set);
        known.unwrap_or_else(|| {
            self.classes.push(set);
            self.classes.len() - 1
        })
    }

    fn put(&mut self, owner: usize, class: usize, piece: Piece<'a>) {
        self.load[owner] += 1;
        self.held[owner].entry(class).or_default().push(piece);
    }

    /// Whether `one` with `more_one` further units is less loaded, for its capacity, than `other` with `more_other`.
    fn is_less(&self, one: usize, more_one: u64, other: usize, more_other: u64) -> bool {
        (self.load[one] + more_one) * self.capacity[other] < (self.load[other] + more_other) * self.capacity[one]
    }

    /// The candidate that is least loaded with one unit more; the first of equals.
    fn least_loaded(&self, class: usize) -> usize {
        let least = |best: usize, at: usize| {
            if self.is_less(at, 1, best, 1) { at } else { best }
        };
        // Every class has at least one candidate, so the default is never used.
        self.classes[class].iter().copied().reduce(least).unwrap_or(0)
    }

    /// Hands one unit on along the shortest way from the most loaded member to the least loaded one that it can reach. Returns false when the
    /// load is balanced.
    fn improve(&mut self) -> bool {
        let mut sources: Vec<usize> = (0..self.load.len()).filter(|at| self.load[*at] > 0).collect();
        sources.sort_by(|one, other| {
            let (left, right) = (self.load[*other] * self.capacity[*one], self.load[*one] * self.capacity[*other]);
            left.cmp(&right).then(one.cmp(other))
        });
        for source in sources {
            let came_from = self.reachable(source);
            let target = (0..self.load.len())
                .filter(|at| *at != source && came_from[*at].is_some() && self.is_less(*at, 1, source, 0))
                .reduce(|best, at| if self.is_less(at, 1, best, 1) { at } else { best });
            if let Some(target) = target {
                self.hand_on(source, target, &came_from);
                return true;
            }
        }
        false
    }

    /// For each member that a unit could be handed on to from `source`: the member and class that it would come from.
    fn reachable(&self, source: usize) -> Vec<Option<(usize, usize)>> {
        let mut came_from = vec![None; self.load.len()];
        let mut queue = VecDeque::from([source]);
        while let Some(giver) = queue.pop_front() {
            let classes = self.held[giver].iter().filter(|(_, pieces)| !pieces.is_empty());
            for class in classes.map(|(class, _)| *class) {
                for taker in self.classes[class].iter().copied() {
                    if taker != source && came_from[taker].is_none() {
                        came_from[taker] = Some((giver, class));
                        queue.push_back(taker);
                    }
                }
            }
        }
        came_from
    }

    fn hand_on(&mut self, source: usize, target: usize, came_from: &[Option<(usize, usize)>]) {
        self.load[source] -= 1;
        self.load[target] += 1;
        let mut taker = target;
        while taker != source {
            let Some((giver, class)) = came_from[taker] else {
                return;
            };
            let pieces = self.held[giver].entry(class).or_default();
            // Best is a unit whose home is the taker, then one whose home is not the giver. Of equals the last is chosen, so that the first stay.
            let rank = |piece: &Piece| (piece.home == Some(taker), piece.home != Some(giver));
            let chosen = (0..pieces.len()).max_by_key(|at| rank(&pieces[*at]));
            if let Some(chosen) = chosen {
                let piece = pieces.swap_remove(chosen);
                self.held[taker].entry(class).or_default().push(piece);
            }
            taker = giver;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rocketbridge_model::{PartitionId, Region};

    use super::*;
    use crate::unit::UnitKind;

    fn member(id: usize, stages: &[Stage]) -> Member {
        Member {
            id: MemberId::new(format!("m{id}")),
            stages: stages.to_vec(),
            region: None,
            networks: Vec::new(),
            address: String::new(),
            capacity: 1,
            version: String::new(),
            started_at: String::new(),
        }
    }

    fn routers(count: usize) -> Vec<Member> {
        (0..count).map(|id| member(id, &[Stage::Router])).collect()
    }

    fn unit(number: usize) -> Unit {
        Unit { id: UnitId::new("s", UnitKind::Partition(PartitionId::new(number.to_string()))), region: None, network: None }
    }

    fn units(count: usize) -> Vec<Unit> {
        (0..count).map(unit).collect()
    }

    fn loads(members: &[Member], assignment: &Assignment) -> Vec<usize> {
        let load = |member: &Member| assignment.owners.values().filter(|owner| **owner == member.id).count();
        members.iter().map(load).collect()
    }

    fn moved(before: &Assignment, after: &Assignment) -> usize {
        after.owners.iter().filter(|(unit, owner)| before.owners.get(unit).is_some_and(|was| was != *owner)).count()
    }

    fn fresh(members: &[Member], units: &[Unit]) -> Assignment {
        plan(members, units, &Assignment::default())
    }

    /// *Scenario*: every stage, members that have one, several or none. *Guarantees*: units go to members of their stage only; without one, the
    /// plan gives the reason.
    #[test]
    fn stages_are_kept_apart() {
        let members = [member(0, &[Stage::Router, Stage::Filter]), member(1, &[Stage::Controller])];
        let kinds = [UnitKind::Discovery, UnitKind::FilterShard(0), UnitKind::DispatchShard(0)];
        let units = kinds.map(|kind| Unit { id: UnitId::new("s", kind), region: None, network: None });
        let assignment = fresh(&members, &units);
        assert_eq!(loads(&members, &assignment), [2, 0]);
        assert_eq!(assignment.unassigned.get(&units[2].id), Some(&Reason::NoMember));
        assert_eq!(assignment.unassigned.len(), 1);
    }

    /// *Scenario*: units of a region with and without members; a member joins there. *Guarantees*: the region is kept where it has a member, any
    /// member does otherwise, and units move back when one appears.
    #[test]
    fn regions_are_preferred() {
        let at = |id, region: &str| Member { region: Some(Region::new(region)), ..member(id, &[Stage::Router]) };
        let mut members = vec![at(0, "qingdao"), at(1, "qingdao")];
        let mut units = units(10);
        units[..4].iter_mut().for_each(|unit| unit.region = Some(Region::new("hohhot")));
        units[4..].iter_mut().for_each(|unit| unit.region = Some(Region::new("qingdao")));
        let before = fresh(&members, &units);
        assert_eq!(loads(&members, &before), [5, 5]);
        members.push(at(2, "hohhot"));
        let after = plan(&members, &units, &before);
        assert_eq!(loads(&members, &after), [3, 3, 4]);
        assert!(units[..4].iter().all(|unit| after.owners[&unit.id] == members[2].id));
    }

    /// *Scenario*: units of a network. *Guarantees*: only members that reach it own them; members without networks reach all; none: the reason.
    #[test]
    fn networks_are_required() {
        let mut members = routers(2);
        members[0].networks = vec!["vpc-a".into()];
        members[1].networks = vec!["vpc-b".into()];
        let mut units = units(4);
        units[0].network = Some("vpc-a".into());
        units[1].network = Some("vpc-c".into());
        let assignment = fresh(&members, &units);
        assert_eq!(assignment.owners[&units[0].id], members[0].id);
        assert_eq!(assignment.unassigned.get(&units[1].id), Some(&Reason::NoMemberInNetwork));
        members[1].networks.clear();
        let open = plan(&members, &units, &assignment);
        assert_eq!(open.owners[&units[1].id], members[1].id);
    }

    /// *Scenario*: members of capacity 1 and 3. *Guarantees*: load follows capacity.
    #[test]
    fn capacity_weighs() {
        let mut members = routers(3);
        members[1].capacity = 3;
        members[2].capacity = 0;
        assert_eq!(loads(&members, &fresh(&members, &units(100))), [20, 60, 20]);
    }

    /// *Scenario*: the free member can take nothing from the crowded one directly, only through a third. *Guarantees*: units are handed on along
    /// the way.
    #[test]
    fn balance_goes_through_others() {
        let mut members = routers(3);
        for (member, networks) in members.iter_mut().zip([&["a"][..], &["a", "b"], &["b"]]) {
            member.networks = networks.iter().map(ToString::to_string).collect();
        }
        let mut units = units(12);
        let mut before = Assignment::default();
        for (number, unit) in units.iter_mut().enumerate() {
            let (network, owner) = if number < 9 { ("a", 0) } else { ("b", 1) };
            unit.network = Some(network.into());
            before.owners.insert(unit.id.clone(), members[owner].id.clone());
        }
        let after = plan(&members, &units, &before);
        assert_eq!(loads(&members, &after), [5, 4, 3]);
        assert_eq!(moved(&before, &after), 7);
    }

    /// *Scenario*: 10,000 units, a member leaves, two join. *Guarantees*: only what must move does.
    #[test]
    fn large_plans_move_little() {
        let all = routers(12);
        let units = units(10_000);
        let ten = fresh(&all[..10], &units);
        let nine = plan(&all[1..10], &units, &ten);
        assert_eq!(moved(&ten, &nine), 1000);
        let twelve = plan(&all[..12], &units, &nine);
        let loads = loads(&all, &twelve);
        assert!(loads.iter().all(|load| (833..=834).contains(load)), "{loads:?}");
        assert_eq!(moved(&nine, &twelve), loads[0] + loads[10] + loads[11]);
    }

    fn any_member() -> impl Strategy<Value = Member> {
        let stages = proptest::sample::subsequence(vec![Stage::Router, Stage::Filter, Stage::Dispatcher], 1..=3);
        let networks = proptest::sample::subsequence(vec!["a".to_owned(), "b".to_owned()], 0..=2);
        (0..8_usize, stages, proptest::option::of("[qh]"), networks, 0..4_u32).prop_map(|(id, stages, region, networks, capacity)| Member {
            region: region.map(Region::new),
            networks,
            capacity,
            ..member(id, &stages)
        })
    }

    fn any_unit() -> impl Strategy<Value = Unit> {
        let kind = prop_oneof![
            (0..30_u32).prop_map(|number| UnitKind::Partition(PartitionId::new(number.to_string()))),
            (0..8_u32).prop_map(UnitKind::FilterShard),
            (0..8_u32).prop_map(UnitKind::DispatchShard),
        ];
        (kind, "[st]", proptest::option::of("[qhx]"), proptest::option::of("[abc]")).prop_map(|(kind, stream, region, network)| Unit {
            id: UnitId::new(stream, kind),
            region: region.map(Region::new),
            network,
        })
    }

    fn distinct_members() -> impl Strategy<Value = Vec<Member>> {
        proptest::collection::vec(any_member(), 0..8).prop_map(|mut members| {
            members.sort_by(|one, other| one.id.cmp(&other.id));
            members.dedup_by(|one, other| one.id == other.id);
            members
        })
    }

    fn distinct_units() -> impl Strategy<Value = Vec<Unit>> {
        proptest::collection::vec(any_unit(), 0..60).prop_map(|mut units| {
            units.sort_by(|one, other| one.id.cmp(&other.id));
            units.dedup_by(|one, other| one.id == other.id);
            units
        })
    }

    proptest! {
        /// *Scenario*: any members and units, then any others. *Guarantees*: every unit is planned for a fitting member or has a reason; nothing else
        /// is planned; planning again changes nothing; the order of arguments does not matter.
        #[test]
        fn plans_are_valid_and_stable(members in distinct_members(), later in distinct_members(), units in distinct_units()) {
            let first = fresh(&members, &units);
            let second = plan(&later, &units, &first);
            for unit in &units {
                let able: Vec<&Member> = later.iter().filter(|member| member.has(unit.id.stage())).collect();
                match (second.owners.get(&unit.id), second.unassigned.get(&unit.id)) {
                    (Some(owner), None) => {
                        let fitting = candidates(&able, unit).expect("it has an owner");
                        prop_assert!(fitting.iter().any(|at| able[*at].id == *owner));
                    }
                    (None, Some(reason)) => prop_assert_eq!(candidates(&able, unit), Err(*reason)),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(second.owners.len() + second.unassigned.len(), units.len());
            prop_assert_eq!(&plan(&later, &units, &second), &second);
            let reversed: (Vec<_>, Vec<_>) = (later.iter().rev().cloned().collect(), units.iter().rev().cloned().collect());
            prop_assert_eq!(&plan(&reversed.0, &reversed.1, &first), &second);
        }

        /// *Scenario*: equal members and free choice; some leave and join. *Guarantees*: loads differ by at most one, and no more units move than
        /// that needs.
        #[test]
        fn equal_members_are_balanced_with_few_moves(count in 0..80_usize, before in 1..8_usize, gone in 0..8_usize, joined in 0..8_usize) {
            let all = routers(16);
            let units = units(count);
            let first = fresh(&all[..before], &units);
            let gone = gone.min(before);
            let now = [&all[gone..before], &all[8..8 + joined]].concat();
            let second = plan(&now, &units, &first);
            let loads = loads(&now, &second);
            let (least, most) = (loads.iter().min().copied().unwrap_or(0), loads.iter().max().copied().unwrap_or(0));
            prop_assert!(most - least <= 1, "{:?}", loads);
            if !now.is_empty() {
                // Whatever stays must fit: at most the rounded-up share on as many members as the rest allows, the rounded-down one on the others.
                let (share, rest) = (count / now.len(), count % now.len());
                let kept: Vec<usize> = now.iter().map(|member| first.owners.values().filter(|owner| **owner == member.id).count()).collect();
                let over = kept.iter().filter(|kept| **kept > share).count().min(rest);
                let most_stay: usize = kept.iter().map(|kept| (*kept).min(share)).sum::<usize>() + over;
                prop_assert_eq!(count - moved(&first, &second), most_stay);
            }
        }
    }
}
