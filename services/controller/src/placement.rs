//! Whether the processes are where a stream needs them, in words.

use rocketbridge_assignment::shortage::{Shortage, shortage};
use rocketbridge_assignment::{Member, Reason, Stage, Unit};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::status::{State, StreamStatus};

use crate::units::representatives;

/// Most members and networks that a text names.
const NAMED: usize = 4;

/// Says in the status of a stream that should run what no process does for it: the cause of what else stands there. A region without a process is
/// told where nothing else is: another process does the work, over a longer way. Nothing is said while no member is known: this process is one.
pub(crate) fn explain(status: &mut StreamStatus, stream: &Stream, members: &[Member]) {
    if members.is_empty() {
        return;
    }
    for unit in representatives(stream) {
        match shortage(members, &unit) {
            Some(Shortage::Member(reason)) => {
                status.reason = Some(missing(&unit, reason, members));
                return;
            }
            Some(Shortage::Region) if status.state == State::Running && status.reason.is_none() => {
                status.reason = Some(elsewhere(&unit, members));
            }
            Some(Shortage::Region) | None => {}
        }
    }
}

fn missing(unit: &Unit, reason: Reason, members: &[Member]) -> String {
    let stage = unit.id.stage();
    let name = stage.name();
    let network = unit.network.as_deref().unwrap_or_default();
    if reason != Reason::NoMemberInNetwork {
        return format!("no {name} is running; start one");
    }
    let reached = able(members, stage).flat_map(|member| &member.networks);
    format!(
        "no {name} reaches the network {network}: those that run reach {}; start one with --networks {network}",
        listed(reached.map(String::as_str))
    )
}

fn elsewhere(unit: &Unit, members: &[Member]) -> String {
    let stage = unit.id.stage();
    let region = unit.region.as_ref().map(|region| region.as_str()).unwrap_or_default();
    let regions = able(members, stage).filter_map(|member| member.region.as_ref()).map(|region| region.as_str());
    let (name, work) = (stage.name(), work(stage));
    format!("no {name} that could do it runs in the region {region}; {name}s in {} {work}", listed(regions))
}

fn able(members: &[Member], stage: Stage) -> impl Iterator<Item = &Member> {
    members.iter().filter(move |member| member.has(stage))
}

fn work(stage: Stage) -> &'static str {
    match stage {
        Stage::Router => "read its source from there",
        Stage::Filter => "filter its events there",
        Stage::Dispatcher => "deliver to its target from there",
        Stage::Controller => "control it from there",
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let listed = names.join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more") }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::{MemberId, Region};

    use super::*;
    use crate::units::fixture;

    fn member(stages: &[Stage], region: &str, networks: &[&str]) -> Member {
        Member {
            id: MemberId::new("m"),
            stages: stages.to_vec(),
            region: Some(Region::new(region)),
            networks: networks.iter().map(|name| (*name).to_owned()).collect(),
            address: String::new(),
            capacity: 1,
            version: String::new(),
            started_at: String::new(),
        }
    }

    fn explained(state: State, reason: Option<&str>, members: &[Member]) -> Option<String> {
        let mut status = StreamStatus { state, reason: reason.map(str::to_owned), ..Default::default() };
        explain(&mut status, &fixture::between_regions(), members);
        status.reason
    }

    /// *Scenario*: a stream from qingdao, in the network vpc, to hohhot; processes in some places. *Guarantees*: the status names the stage and the network or region that
    /// is missing; nothing is said where all is well, and no other reason is hidden by a region.
    #[test]
    fn the_status_names_the_place_that_is_missing() {
        use Stage::{Dispatcher, Filter, Router};
        let near = member(&[Router, Filter], "qingdao", &["vpc"]);
        let far = member(&[Dispatcher], "hohhot", &[]);
        assert_eq!(explained(State::Running, None, &[near.clone(), far.clone()]), None);
        assert_eq!(
            explained(State::Starting, Some("no router has taken the stream on yet"), std::slice::from_ref(&far)).as_deref(),
            Some("no router is running; start one")
        );
        assert_eq!(
            explained(State::Starting, None, &[member(&[Router, Filter], "qingdao", &["office", "lab"]), far]).as_deref(),
            Some("no router reaches the network vpc: those that run reach lab, office; start one with --networks vpc")
        );
        let alone = [near, member(&[Dispatcher], "qingdao", &[])];
        assert_eq!(
            explained(State::Running, None, &alone).as_deref(),
            Some("no dispatcher that could do it runs in the region hohhot; dispatchers in qingdao deliver to its target from there")
        );
        assert_eq!(explained(State::RunningFailed, Some("target: refused"), &alone).as_deref(), Some("target: refused"));
    }
}
