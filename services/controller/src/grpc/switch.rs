//! Fail-over and failback of a route: what is known is gathered, its steps are looked at, and the next one is done.

use std::collections::BTreeMap;
use std::ops::Range;

use futures::future::join_all;
use futures::{StreamExt, stream};
use rocketbridge_model::record::{Desired, RouteRecord};
use rocketbridge_model::route::{Direction, GroupSelection};
use rocketbridge_model::status::{PartitionReport, State, StreamStatus};
use rocketbridge_proto::route::v1 as proto;

use super::{StreamApi, progress};
use crate::book::Book;
use crate::clusters::{Clusters, CommittedOffsets, End, Queue};
use crate::error::Error;
use crate::route::switch::{Facts, Standing, Step, Verb, steps};
use crate::route::{GroupProgress, Leg, Memory, Translating, legs};

/// Groups whose consumers are asked for at once.
const TOGETHER: usize = 16;

/// Does what a route's operator asks for.
pub(super) struct Switcher<'a> {
    pub(super) book: &'a Book,
    pub(super) clusters: &'a dyn Clusters,
    pub(super) streams: &'a StreamApi,
    pub(super) verb: Verb,
}

/// A route, looked at.
struct Look {
    facts: Facts,
    groups: Vec<GroupProgress>,
}

impl Switcher<'_> {
    /// Goes on as far as it can now; with `dry_run` only looks.
    pub(super) async fn ask(&self, name: &str, force: bool, dry_run: bool) -> Result<proto::SwitchProgress, Error> {
        loop {
            let route = self.book.get::<RouteRecord>(name).await?;
            self.check(&route)?;
            let look = self.look(&route, !dry_run).await?;
            let found = steps(self.verb, &look.facts, force);
            let open = found.iter().find(|(_, standing)| !matches!(standing, Standing::Done(_)));
            let [before, under_way, after] = self.verb.stages();
            match open {
                _ if dry_run => {}
                Some((_, Standing::Refused(reason))) => return Err(self.not_safe(name, reason)),
                // Whatever was looked at belongs to the route as it was; if it has changed, all is looked at anew.
                Some((Step::Turn, _)) => {
                    tracing::info!(route = name, verb = self.verb.word(), "the other end of a route is in use from now on");
                    self.book.turn_route(&route, after).await?;
                    continue;
                }
                Some(_) if route.active == before => drop(self.book.turn_route(&route, under_way).await?),
                _ => {}
            }
            let is_done = open.is_none();
            let route = self.book.get::<RouteRecord>(name).await?;
            return Ok(proto::SwitchProgress {
                done: is_done,
                steps: found.into_iter().map(|(step, standing)| self.step(&look.facts, step, standing)).collect(),
                groups: look.groups.into_iter().map(progress::message).collect(),
                active: progress::active(route.active).into(),
            });
        }
    }

    /// Refuses what a failover is not made for.
    fn check(&self, route: &RouteRecord) -> Result<(), Error> {
        let refuse = |reason: &str| Err(self.not_safe(&route.definition.name, reason));
        if route.definition.mode == "RULE" {
            return refuse("a route of mode RULE copies at least once and keeps no positions; only a mirror can be failed over");
        }
        if route.desired != Desired::Running {
            return refuse("it does not run; start it first");
        }
        let [before, under_way, after] = self.verb.stages();
        match [before, under_way, after].contains(&route.active) {
            true => Ok(()),
            false => refuse(match self.verb {
                Verb::Failover => "a failback is under way; finish it first",
                Verb::Failback => "a failover is under way; finish it first",
            }),
        }
    }

    fn not_safe(&self, name: &str, reason: &str) -> Error {
        Error::NotSafe { name: name.to_owned(), verb: self.verb.word(), reason: reason.to_owned() }
    }

    fn direction(&self) -> Direction {
        match self.verb {
            Verb::Failover => Direction::Forward,
            Verb::Failback => Direction::Back,
        }
    }

    /// Looks at everything. In this order: what the end that is left holds; then what was copied, what groups have read, and, if `commits`, their translation. So what was
    /// copied is at least what is compared with it, and what is translated was copied.
    async fn look(&self, route: &RouteRecord, commits: bool) -> Result<Look, Error> {
        let known = self.book.known().await?;
        let streams = self.book.streams_of_routes().await?;
        let legs = legs(route, &known, &streams);
        let way: Vec<&Leg> = legs.iter().filter(|leg| leg.direction == self.direction()).collect();
        // Side by side, because an end that is gone costs each question its whole time.
        let held = join_all(way.iter().map(|leg| self.clusters.ends(End { connection: &leg.source.0, topic: &leg.source.1 })));
        let (consuming, held) = tokio::join!(self.consuming(route, &way), held);
        let pass = Translating::new(self.clusters, route, &legs).pass(&mut Memory::default(), commits).await;
        let [left, other] = match self.verb {
            Verb::Failover => [0, 1],
            Verb::Failback => [1, 0],
        };
        let told = &pass.told[left];
        let mut statuses = BTreeMap::new();
        for leg in &legs {
            statuses.insert(leg.stream.as_str(), self.streams.full_status(&leg.stream).await?);
        }
        let mut uncopied = Some(0_u64);
        for (leg, held) in way.iter().zip(held) {
            let status = &statuses[leg.stream.as_str()];
            let missing = match (held, told) {
                (Ok(held), Ok(told)) => Some(missing(&held, told, leg, status)),
                // What was last known of it.
                _ if !status.partitions.is_empty() => Some(status.partitions.iter().map(|partition| behind(&partition.report)).sum()),
                _ => None,
            };
            uncopied = uncopied.zip(missing).map(|(all, one)| all.saturating_add(one));
        }
        let groups: Vec<GroupProgress> = pass.groups.into_iter().filter(|group| group.direction == self.direction()).collect();
        let silent = [left, other].map(|end| pass.told[end].as_ref().err().cloned());
        let repeated = match silent[0] {
            None => Some(0),
            Some(_) if groups.is_empty() && !route.definition.groups.is_empty() => None,
            Some(_) => Some(self.repeated(&way, &groups).await),
        };
        let names = [route.definition.from.clone(), route.definition.to.clone()];
        let forward = legs.iter().filter(|leg| leg.direction == Direction::Forward);
        let facts = Facts {
            active: route.active,
            ends: [left, other].map(|end| names[end].clone()),
            silent,
            missing: self.unmade(&legs),
            consuming,
            uncopied: uncopied.filter(|_| !way.is_empty()),
            unsettled: groups.iter().filter(|group| !group.is_settled()).map(unsettled).collect(),
            repeated,
            unready: forward.filter_map(|leg| self.unready(&leg.stream, &statuses[leg.stream.as_str()])).collect(),
        };
        Ok(Look { facts, groups })
    }

    /// Topics of streams forward that have none back: the way back is made by the controller that leads.
    fn unmade(&self, legs: &[Leg]) -> Vec<String> {
        let is_there = |direction| legs.iter().any(|leg| leg.direction == direction);
        match self.verb {
            Verb::Failover if !is_there(Direction::Forward) => vec!["of the route".to_owned()],
            Verb::Failover => Vec::new(),
            Verb::Failback => {
                let forward = legs.iter().filter(|leg| leg.direction == Direction::Forward && leg.reverse(legs).is_none());
                forward.map(|leg| leg.target.1.clone()).collect()
            }
        }
    }

    /// Why a stream forward is not yet as it should be once users have gone.
    fn unready(&self, name: &str, status: &StreamStatus) -> Option<String> {
        match self.verb {
            Verb::Failover if status.state != State::Paused => Some(format!("stream {name} is about to be paused")),
            Verb::Failover if status.partitions.iter().any(|partition| partition.router.is_some()) => Some(format!("stream {name} drains")),
            Verb::Failback if status.state != State::Running => Some(format!("stream {name} is about to run")),
            _ => None,
        }
    }

    /// Who consumes at the end that is left, of the groups that the route selects.
    async fn consuming(&self, route: &RouteRecord, way: &[&Leg]) -> Result<BTreeMap<String, Vec<String>>, String> {
        let Some(left) = way.first().map(|leg| &leg.source.0) else { return Ok(BTreeMap::new()) };
        let selection = GroupSelection::of(&route.definition);
        let groups: Vec<String> = self.clusters.groups(left).await?.into_iter().filter(|group| selection.takes(group)).collect();
        let asked =
            stream::iter(groups).map(|group| async move { self.clusters.consumers(left, &group).await.map(|clients| (group, clients)) });
        let asked: Vec<_> = asked.buffer_unordered(TOGETHER).collect().await;
        let asked: BTreeMap<_, _> = asked.into_iter().collect::<Result<_, String>>()?;
        Ok(asked.into_iter().filter(|(_, clients)| !clients.is_empty()).collect())
    }

    /// Most messages that groups read again at the other end: all that it holds behind what they have committed there.
    async fn repeated(&self, way: &[&Leg], groups: &[GroupProgress]) -> u64 {
        let mut repeated = 0_u64;
        for leg in way {
            let held = self.clusters.ends(End { connection: &leg.target.0, topic: &leg.target.1 }).await.unwrap_or_default();
            for group in groups.iter().filter(|group| group.target_topic == leg.target.1) {
                let committed: BTreeMap<_, _> = group.queues.iter().map(|queue| (&queue.target, queue.target_committed)).collect();
                let unread = held.iter().map(|(queue, held)| {
                    let committed = committed.get(queue).copied().flatten().unwrap_or(held.start);
                    held.end.saturating_sub(committed.max(held.start))
                });
                repeated = unread.fold(repeated, u64::saturating_add);
            }
        }
        repeated
    }

    fn step(&self, facts: &Facts, step: Step, standing: Standing) -> proto::SwitchStep {
        let (state, detail) = match standing {
            Standing::Done(detail) => (proto::StepState::Done, detail),
            Standing::Waiting(detail) => (proto::StepState::Waiting, detail),
            Standing::Refused(detail) => (proto::StepState::Refused, detail),
            Standing::Planned => (proto::StepState::Planned, String::new()),
        };
        proto::SwitchStep { text: step.text(self.verb, &facts.ends), state: state.into(), detail }
    }
}

/// Messages that a topic holds and its stream has not copied. What the stream has copied is what it has committed, or says that it will.
fn missing(held: &BTreeMap<Queue, Range<u64>>, told: &CommittedOffsets, leg: &Leg, status: &StreamStatus) -> u64 {
    let committed = told.of(&leg.reader, &leg.source.1);
    let missing = held.iter().map(|(queue, held)| {
        let name = queue.to_string();
        let reported = status.partitions.iter().map(|partition| &partition.report).find(|report| report.partition == name);
        let copied = committed.and_then(|committed| committed.get(queue)).copied().unwrap_or(held.start);
        held.end.saturating_sub(copied.max(reported.map_or(0, |report| report.committed_offset)))
    });
    missing.fold(0, u64::saturating_add)
}

fn behind(report: &PartitionReport) -> u64 {
    report.maximum_offset.saturating_sub(report.committed_offset)
}

fn unsettled(group: &GroupProgress) -> String {
    let reason = group.reason.clone().unwrap_or_else(|| format!("{} messages behind", group.behind()));
    format!("group {} in topic {}: {reason}", group.group, group.source_topic)
}
