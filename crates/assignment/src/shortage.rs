//! What is missing so that a unit can be worked on where it should be: a pure function, for people who ask.

use crate::member::Member;
use crate::plan::{Reason, candidates};
use crate::unit::Unit;

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Nobody can own the unit.
    Member(Reason),
    /// Nobody in its region can; somebody elsewhere owns it meanwhile.
    Region,
}

/// What is missing for a unit; `None` if nothing is. It says what [`plan`](crate::plan()) does with the same members. Where no process of the stage was told its region,
/// regions are not in use, and none is missing.
pub fn shortage(members: &[Member], unit: &Unit) -> Option<Shortage> {
    let able: Vec<&Member> = members.iter().filter(|member| member.has(unit.id.stage())).collect();
    let fitting = match candidates(&able, unit) {
        Ok(fitting) => fitting,
        Err(reason) => return Some(Shortage::Member(reason)),
    };
    let region = unit.region.as_ref()?;
    let are_told = able.iter().any(|member| member.region.is_some());
    let is_there = fitting.iter().any(|at| able[*at].region.as_ref() == Some(region));
    (are_told && !is_there).then_some(Shortage::Region)
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::{MemberId, Region};

    use super::*;
    use crate::stage::Stage;
    use crate::unit::{UnitId, UnitKind};

    fn member(region: Option<&str>, networks: &[&str]) -> Member {
        Member {
            id: MemberId::new("m"),
            stages: vec![Stage::Router],
            region: region.map(Region::new),
            networks: networks.iter().map(|name| (*name).to_owned()).collect(),
            address: String::new(),
            capacity: 1,
            version: String::new(),
            started_at: String::new(),
        }
    }

    fn unit(kind: UnitKind, region: Option<&str>, network: Option<&str>) -> Unit {
        Unit { id: UnitId::new("s", kind), region: region.map(Region::new), network: network.map(str::to_owned) }
    }

    /// *Scenario*: processes in other places than a unit should be worked on. *Guarantees*: what is told is what is missing, and nothing where nothing is.
    #[test]
    fn what_is_missing_is_told() {
        let wanted = unit(UnitKind::Discovery, Some("hohhot"), Some("vpc"));
        let missing = |members: &[Member]| shortage(members, &wanted);
        assert_eq!(missing(&[]), Some(Shortage::Member(Reason::NoMember)));
        assert_eq!(missing(&[member(Some("hohhot"), &["office"])]), Some(Shortage::Member(Reason::NoMemberInNetwork)));
        assert_eq!(missing(&[member(Some("qingdao"), &["vpc"])]), Some(Shortage::Region));
        assert_eq!(missing(&[member(Some("qingdao"), &["vpc"]), member(Some("hohhot"), &["office"])]), Some(Shortage::Region));
        assert_eq!(missing(&[member(Some("qingdao"), &[]), member(Some("hohhot"), &["vpc"])]), None);
        assert_eq!(missing(&[member(None, &[])]), None);
        assert_eq!(
            shortage(&[member(Some("hohhot"), &[])], &unit(UnitKind::DispatchShard(0), None, None)),
            Some(Shortage::Member(Reason::NoMember))
        );
    }
}
