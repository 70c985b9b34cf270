//! One pass over the progress of a route's groups: both ends are asked, progress is translated, and what is behind is set.

use std::collections::{BTreeSet, HashMap};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use rocketbridge_model::record::RouteRecord;
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::{Direction, GroupSelection};
use tokio::time::Instant;

use super::hands::Hands;
use super::leg::Leg;
use super::progress::{GroupProgress, QueueProgress};
use crate::clusters::{Clusters, Commit, CommittedOffsets, End, Positions, Progress, Way};

/// Groups of a route that are translated at once; each translates several queues at once.
const GROUPS: usize = 4;
/// Offsets that are set at once.
const COMMITS: usize = 16;
/// Names that a reason shows.
const SHOWN: usize = 3;

/// The instances and streams of a route, to translate progress between.
pub struct Translating<'a> {
    clusters: &'a dyn Clusters,
    route: &'a RouteRecord,
    legs: &'a [Leg],
}

/// What passes over one route remember.
#[derive(Debug, Default)]
pub struct Memory {
    hands: Hands,
    /// Groups that were settled, by stream and group, with what was known then: while it stays, nothing is read.
    settled: Settled,
}

type Settled = HashMap<(String, String), (Known, GroupProgress)>;

/// A stream and a group, what its progress depends on, and the progress.
type Found = ((String, String), Known, GroupProgress);

/// What the translation of a group's progress depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    read: Progress,
    at_target: Progress,
    copied_back: Progress,
}

/// What a pass found, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The groups that the route selects and that have read any of its topics, sorted.
    pub groups: Vec<GroupProgress>,
    /// What `from` and `to` tell of committed offsets, those of the route's streams included.
    pub told: [Told; 2],
}

/// What an end tells of committed offsets; or why it does not, for people.
pub type Told = Result<CommittedOffsets, String>;

impl<'a> Translating<'a> {
    /// Progress between the instances of a route, along its streams.
    pub fn new(clusters: &'a dyn Clusters, route: &'a RouteRecord, legs: &'a [Leg]) -> Self {
        Self { clusters, route, legs }
    }

    /// Makes a pass. Without `commits` nothing is set; why nothing could be is found out all the same.
    pub async fn pass(&self, memory: &mut Memory, commits: bool) -> Pass {
        let Some((from, to)) = self.instances() else {
            return Pass { groups: Vec::new(), told: [Ok(CommittedOffsets::default()), Ok(CommittedOffsets::default())] };
        };
        let told = self.told(from, to).await;
        let work: Vec<(&Leg, String)> =
            self.legs.iter().flat_map(|leg| self.groups_of(leg, &told).into_iter().map(move |group| (leg, group))).collect();
        let found: Vec<BoxFuture<'_, Found>> =
            work.into_iter().map(|(leg, group)| self.find(leg, group, &told, &memory.settled).boxed()).collect();
        let mut found: Vec<Found> = stream::iter(found).buffer_unordered(GROUPS).collect().await;
        found.sort_by(|(one, ..), (other, ..)| (&one.1, &one.0).cmp(&(&other.1, &other.0)));
        let (mut groups, mut keys): (Vec<_>, Vec<_>) = found.into_iter().map(|(key, known, progress)| (progress, (key, known))).unzip();
        self.set(memory, &mut groups, commits).await;
        memory.settled = keys
            .drain(..)
            .zip(&groups)
            .filter(|(_, group)| group.is_settled())
            .map(|((key, known), group)| (key, (known, group.clone())))
            .collect();
        for group in &mut groups {
            if group.queues.iter().any(|queue| queue.translated.is_some() && !queue.is_copied) {
                group.give("the mirror has not copied all that it has read");
            }
        }
        Pass { groups, told }
    }

    /// The progress of a group, by what is known of it now; nothing is read if it was settled and that has not changed.
    async fn find(&self, leg: &Leg, group: String, told: &[Told; 2], settled: &Settled) -> Found {
        let known = self.known(leg, &group, told);
        let key = (leg.stream.clone(), group.clone());
        let progress = match settled.get(&key).filter(|(before, _)| *before == known) {
            Some((_, progress)) => progress.clone(),
            None => self.translate(leg, group, &known, told).await,
        };
        (key, known, progress)
    }

    fn instances(&self) -> Option<(&'a RocketMqConnection, &'a RocketMqConnection)> {
        self.legs.first().map(|leg| match leg.direction {
            Direction::Forward => (&leg.source.0, &leg.target.0),
            Direction::Back => (&leg.target.0, &leg.source.0),
        })
    }

    async fn told(&self, from: &RocketMqConnection, to: &RocketMqConnection) -> [Told; 2] {
        let topics: BTreeSet<&str> = self.legs.iter().flat_map(|leg| [leg.source.1.as_str(), &leg.target.1]).collect();
        let readers: BTreeSet<&str> = self.legs.iter().map(|leg| leg.reader.as_str()).collect();
        let selection = GroupSelection::of(&self.route.definition);
        let wanted = |group: &str, topic: &str| topics.contains(topic) && (readers.contains(group) || selection.takes(group));
        let (from, to) = tokio::join!(self.clusters.committed(from, &wanted), self.clusters.committed(to, &wanted));
        [from, to]
    }

    /// The groups that have committed anything of a stream's topics at either end.
    fn groups_of(&self, leg: &Leg, told: &[Told; 2]) -> BTreeSet<String> {
        let selection = GroupSelection::of(&self.route.definition);
        let (source, target) = ends(leg, told);
        let of = |told: &'_ Told, topic: &str| -> Vec<String> {
            let groups = told.as_ref().map(|told| told.groups.iter()).into_iter().flatten();
            groups.filter(|(group, topics)| topics.contains_key(topic) && selection.takes(group)).map(|(group, _)| group.clone()).collect()
        };
        of(source, &leg.source.1).into_iter().chain(of(target, &leg.target.1)).collect()
    }

    fn known(&self, leg: &Leg, group: &str, told: &[Told; 2]) -> Known {
        let (source, target) = ends(leg, told);
        let of =
            |told: &Told, group: &str, topic: &str| told.as_ref().ok().and_then(|told| told.of(group, topic)).cloned().unwrap_or_default();
        let reader = leg.reverse(self.legs).map(|back| back.reader.as_str()).unwrap_or_default();
        Known {
            read: of(source, group, &leg.source.1),
            at_target: of(target, group, &leg.target.1),
            copied_back: of(target, reader, &leg.target.1),
        }
    }

    async fn translate(&self, leg: &Leg, group: String, known: &Known, told: &[Told; 2]) -> GroupProgress {
        let mut progress = GroupProgress {
            group,
            direction: leg.direction,
            source_topic: leg.source.1.clone(),
            target_topic: leg.target.1.clone(),
            ..Default::default()
        };
        let [source, target] = self.names(leg.direction);
        for (end, told) in [(source, ends(leg, told).0), (target, ends(leg, told).1)] {
            match told {
                Err(reason) => progress.give(format!("{end} does not answer: {reason}")),
                Ok(told) => told
                    .silent
                    .iter()
                    .for_each(|(broker, reason)| progress.give(format!("broker {broker} of {end} does not answer: {reason}"))),
            }
        }
        let only_at_target = |(queue, committed): (&_, &u64)| QueueProgress {
            target: Clone::clone(queue),
            target_committed: Some(*committed),
            ..Default::default()
        };
        if ends(leg, told).0.is_err() || ends(leg, told).1.is_err() {
            progress.queues = known.at_target.iter().map(only_at_target).collect();
            return progress;
        }
        let (source, target) =
            (End { connection: &leg.source.0, topic: &leg.source.1 }, End { connection: &leg.target.0, topic: &leg.target.1 });
        let way = Way { source, target, both_ways: self.route.goes_back() };
        let positions = Positions { read: &known.read, at_target: &known.at_target, copied_back: &known.copied_back };
        match self.clusters.translate(way, positions).await {
            Ok(found) => {
                progress.queues = found.iter().map(|found| QueueProgress::of(found, &known.read, &known.at_target)).collect();
                found.into_iter().filter_map(|found| found.translated.err()).for_each(|reason| progress.give(reason));
            }
            Err(reason) => progress.give(reason),
        }
        progress
    }

    /// Sets what is behind, of groups that nobody consumes with at the target. Who does is asked right before.
    async fn set(&self, memory: &mut Memory, groups: &mut [GroupProgress], commits: bool) {
        let now = Instant::now();
        let moved: BTreeSet<(Direction, String)> =
            groups.iter().filter(|group| memory.hands.look(group, now)).map(|group| (group.direction, group.group.clone())).collect();
        let behind: BTreeSet<(Direction, String)> =
            groups.iter().filter(|group| !group.commits().is_empty()).map(|group| (group.direction, group.group.clone())).collect();
        let asked: Vec<BoxFuture<'_, _>> = behind
            .into_iter()
            .map(|(direction, name)| {
                let moved = moved.contains(&(direction, name.clone()));
                async move { (self.why_not(direction, &name, moved).await, direction, name) }.boxed()
            })
            .collect();
        let asked: Vec<_> = stream::iter(asked).buffer_unordered(GROUPS).collect().await;
        for (why_not, direction, name) in asked {
            let own = groups.iter_mut().filter(|group| group.direction == direction && group.group == name);
            for group in own {
                match &why_not {
                    Some(reason) => group.give(reason.as_str()),
                    None if commits => self.commit(memory, group).await,
                    None => {}
                }
            }
        }
    }

    /// Why the progress of a group must not be set at the target of a direction now.
    async fn why_not(&self, direction: Direction, group: &str, moved: bool) -> Option<String> {
        let [_, end] = self.names(direction);
        if moved {
            return Some(format!("somebody commits its offsets at {end}, so it consumes there"));
        }
        let (from, to) = self.instances()?;
        let connection = if direction == Direction::Forward { to } else { from };
        match self.clusters.consumers(connection, group).await {
            Ok(consumers) if consumers.is_empty() => None,
            Ok(consumers) => Some(format!("it consumes at {end}: {}", shown(&consumers))),
            Err(reason) => Some(format!("nobody knows whether it consumes at {end}: {reason}")),
        }
    }

    async fn commit(&self, memory: &mut Memory, group: &mut GroupProgress) {
        let Some((from, to)) = self.instances() else { return };
        let connection = if group.direction == Direction::Forward { to } else { from };
        let set: Vec<BoxFuture<'_, (Commit, Result<(), String>)>> = group
            .commits()
            .into_iter()
            .map(|commit| {
                async move {
                    let set = self.clusters.commit(connection, &commit).await;
                    (commit, set)
                }
                .boxed()
            })
            .collect();
        let set: Vec<_> = stream::iter(set).buffer_unordered(COMMITS).collect().await;
        for (commit, set) in set {
            match set {
                Ok(()) => {
                    memory.hands.note(group, &commit.queue, commit.offset);
                    group.note(&commit);
                }
                Err(reason) => group.give(reason),
            }
        }
    }

    /// What the definition calls the ends of a direction: where progress is read and where it is set.
    fn names(&self, direction: Direction) -> [&'a str; 2] {
        let definition = &self.route.definition;
        match direction {
            Direction::Forward => [&definition.from, &definition.to],
            Direction::Back => [&definition.to, &definition.from],
        }
    }
}

/// What the source and the target of a stream tell.
fn ends<'t>(leg: &Leg, [from, to]: &'t [Told; 2]) -> (&'t Told, &'t Told) {
    match leg.direction {
        Direction::Forward => (from, to),
        Direction::Back => (to, from),
    }
}

/// Some names, and how many more there are.
pub(super) fn shown(names: &[String]) -> String {
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
