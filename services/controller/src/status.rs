//! What a stream is doing, from what is wanted, what is known and what is told.
//!
//! [`derive`] is pure. Nothing of a status is stored: whoever asks gets what the owners say now. What nobody says is not guessed: a
//! partition whose owner does not answer counts neither as flowing nor as failing, and its owner's silence is the reason that is given.

use std::collections::HashMap;

use rocketbridge_assignment::{UnitId, UnitKind};
use rocketbridge_model::partition::PartitionRecord;
use rocketbridge_model::record::{Desired, SourceForm, SourcePartition, SourceRecord, StreamRecord};
use rocketbridge_model::resolved::RunSettings;
use rocketbridge_model::status::{PartitionGap, PartitionReport, PartitionStatus, State, StreamReport, StreamStatus};
use rocketbridge_model::{MemberId, PartitionId};

use crate::reports::Gathered;

/// Who owns a unit; `None` if nobody does.
pub trait OwnerOf {
    /// The owner's identity.
    fn owner_of(&self, unit: &UnitId) -> Option<MemberId>;
}

impl<F: Fn(&UnitId) -> Option<MemberId>> OwnerOf for F {
    fn owner_of(&self, unit: &UnitId) -> Option<MemberId> {
        self(unit)
    }
}

/// What one stream is doing.
///
/// `source` is what routers found of its source, `None` if nothing yet; `remembered` what they remember of its partitions; `run` its
/// settings, `None` if it cannot be resolved.
pub fn derive(
    record: &StreamRecord,
    run: Option<&RunSettings>,
    source: Option<&SourceRecord>,
    remembered: &[PartitionRecord],
    owners: &dyn OwnerOf,
    gathered: &Gathered,
) -> StreamStatus {
    let name = record.definition.name.as_str();
    let evidence = Evidence::new(name, &record.uid, owners, gathered);
    let remembered: HashMap<&PartitionId, &PartitionRecord> = remembered.iter().map(|record| (&record.partition, record)).collect();
    let mut status = StreamStatus { name: name.to_owned(), revision: record.revision, ..Default::default() };
    let (mut standings, mut gone, mut lags) = (Vec::new(), Vec::new(), Vec::new());
    let form = source.map(|source| source.form).unwrap_or_default();
    if form == SourceForm::Handles {
        let waiting = evidence.waiting();
        status.backlog = waiting.unwrap_or_default();
        status.waiting_unknown = waiting.is_none();
    }
    for partition in source.map(|source| source.partitions.as_slice()).unwrap_or_default() {
        let remembered = remembered.get(&partition.id).copied();
        let report = evidence.report(partition);
        match partition.gone {
            // What its last owner may still say is about a partition that is gone.
            Some(_) => gone.extend(unread(partition, remembered)),
            None => standings.push(evidence.standing(partition, report)),
        }
        let shard = run.map(|run| run.shard_of(&partition.id));
        let owner = |kind: fn(u32) -> UnitKind| shard.and_then(|shard| owners.owner_of(&UnitId::new(name, kind(shard))));
        let mut report = report.cloned().unwrap_or_else(|| {
            // Nobody reads it: what was last known of it is better than nothing.
            let known = remembered.map(|record| (record.committed, record.maximum)).unwrap_or_default();
            let partition = partition.id.to_string();
            PartitionReport { partition, committed_offset: known.0, maximum_offset: known.1, ..Default::default() }
        });
        report.gone = partition.gone;
        let gaps = remembered.map(|record| record.gaps.as_slice()).unwrap_or_default();
        status.gaps.extend(gaps.iter().map(|gap| PartitionGap { partition: partition.id.clone(), gap: *gap }));
        status.rate += report.rate;
        status.delay = status.delay.max(report.latency);
        let waiting = match form {
            SourceForm::Offsets => report.maximum_offset.saturating_sub(report.committed_offset),
            SourceForm::Handles => report.in_flight,
        };
        // What a source says of its end may be anything.
        status.backlog = status.backlog.saturating_add(waiting);
        lags.push(report.lag);
        status.counts_since = status.counts_since.max(report.counts_since);
        status.counts += report.counts;
        status.partitions.push(PartitionStatus {
            report,
            router: evidence.router(&partition.id),
            filter: owner(UnitKind::FilterShard),
            dispatcher: owner(UnitKind::DispatchShard),
        });
    }
    // The oldest message may be in the partition that nobody speaks for.
    status.lag = lags.into_iter().collect::<Option<Vec<_>>>().and_then(|lags| lags.into_iter().max());
    (status.state, status.reason) = match record.desired {
        Desired::Ready => (State::Ready, None),
        Desired::Paused => (State::Paused, None),
        // All of them are gone: a broker that is away for long, or a topic that was taken off it.
        Desired::Running if standings.is_empty() && !status.partitions.is_empty() => {
            let reason = evidence.discovery_failure().unwrap_or_else(|| summary(&gone.iter().map(String::as_str).collect::<Vec<_>>()));
            let reason = if reason.is_empty() { "the source has none of its partitions any more".to_owned() } else { reason };
            (State::RunningFailed, Some(reason))
        }
        Desired::Running if standings.is_empty() => evidence.without_partitions(source.is_some()),
        Desired::Running => judge(&standings, evidence.discovery_failure()),
    };
    if status.state == State::Running && status.reason.is_none() && !gone.is_empty() {
        status.reason = Some(summary(&gone.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    status
}

/// What a partition that has left the source still held, if anything.
fn unread(partition: &SourcePartition, remembered: Option<&PartitionRecord>) -> Option<String> {
    let unread = remembered.map(|record| record.maximum.saturating_sub(record.committed)).filter(|unread| *unread > 0)?;
    Some(format!("partition {}: it has left the source, with {unread} messages that were not read", partition.id))
}

/// How one partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Its events flow; something may wait all the same.
    Flowing { waits: Option<String> },
    /// It cannot flow.
    Failing { reason: String, ran: bool },
    /// It is on its way.
    Waiting { ran: bool },
    /// Nobody says.
    Unknown { reason: String },
}

/// What is told of one stream.
struct Evidence<'a> {
    name: &'a str,
    uid: &'a str,
    owners: &'a dyn OwnerOf,
    gathered: &'a Gathered,
    /// By partition: the report of the latest owner, where a former one still tells of its drain.
    partitions: HashMap<&'a str, &'a PartitionReport>,
}

impl<'a> Evidence<'a> {
    fn new(name: &'a str, uid: &'a str, owners: &'a dyn OwnerOf, gathered: &'a Gathered) -> Self {
        let mut evidence = Self { name, uid, owners, gathered, partitions: HashMap::new() };
        for report in evidence.told().flat_map(|report| &report.partitions) {
            let latest = evidence.partitions.entry(&report.partition).or_insert(report);
            if report.epoch >= latest.epoch {
                *latest = report;
            }
        }
        evidence
    }

    fn router(&self, partition: &PartitionId) -> Option<MemberId> {
        self.owners.owner_of(&UnitId::new(self.name, UnitKind::Partition(partition.clone())))
    }

    fn told(&self) -> impl Iterator<Item = &'a StreamReport> + use<'a> {
        let uid = self.uid;
        self.gathered.reports.iter().map(|(_, report)| report).filter(move |report| report.uid == uid)
    }

    fn report(&self, partition: &SourcePartition) -> Option<&'a PartitionReport> {
        self.partitions.get(partition.id.as_str()).copied()
    }

    fn standing(&self, partition: &SourcePartition, report: Option<&PartitionReport>) -> Standing {
        let Some(report) = report else {
            return match self.silence(self.router(&partition.id)) {
                Some(reason) => Standing::Unknown { reason },
                None => Standing::Waiting { ran: false },
            };
        };
        let has_moved = !report.received && report.committed_offset > partition.origin;
        let ran = report.flowed || report.counts.ended() > 0 || has_moved;
        match (&report.failure, report.flowing) {
            (waits, true) => Standing::Flowing { waits: waits.as_ref().map(|reason| format!("partition {}: {reason}", partition.id)) },
            (Some(reason), false) => Standing::Failing { reason: format!("partition {}: {reason}", partition.id), ran },
            (None, false) => Standing::Waiting { ran },
        }
    }

    /// Messages that wait in a source that hands out messages, if it says how many.
    fn waiting(&self) -> Option<u64> {
        self.told().find_map(|report| report.discovery.as_ref()?.waiting)
    }

    fn discovery_failure(&self) -> Option<String> {
        self.told().find_map(|report| report.discovery.as_ref()?.failure.clone())
    }

    /// Before any partition is known, the discovery is all there is.
    fn without_partitions(&self, found: bool) -> (State, Option<String>) {
        if let Some(failure) = self.discovery_failure() {
            return (State::StartingFailed, Some(failure));
        }
        if found {
            return (State::Starting, Some("the source has no partitions".to_owned()));
        }
        let discoverer = self.owners.owner_of(&UnitId::new(self.name, UnitKind::Discovery));
        let reason = match &discoverer {
            None => Some("no router has taken the stream on yet".to_owned()),
            Some(_) => self.silence(discoverer.clone()),
        };
        (State::Starting, reason)
    }

    /// Why an owner says nothing; `None` if there is no owner, or it could be asked and had nothing to say yet.
    fn silence(&self, owner: Option<MemberId>) -> Option<String> {
        let owner = owner?;
        let unreachable = self.gathered.unreachable.iter().find(|(member, _)| *member == owner);
        match unreachable {
            Some((_, reason)) => Some(format!("member {owner} does not answer: {reason}")),
            None if self.gathered.late => Some(format!("member {owner} did not answer in time")),
            None => None,
        }
    }
}

/// The state of a stream that should run, from its partitions, and from why its source cannot be looked over, if so.
fn judge(standings: &[Standing], discovery_failure: Option<String>) -> (State, Option<String>) {
    let (mut failing, mut unknown, mut waiting, mut ran) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut flowing = 0;
    for standing in standings {
        match standing {
            Standing::Flowing { waits } => {
                flowing += 1;
                ran = true;
                waiting.extend(waits.as_deref());
            }
            Standing::Failing { reason, ran: before } => {
                failing.push(reason.as_str());
                ran |= before;
            }
            Standing::Waiting { ran: before } => ran |= before,
            Standing::Unknown { reason } => unknown.push(reason.as_str()),
        }
    }
    let failed = if ran { State::RunningFailed } else { State::StartingFailed };
    if flowing == standings.len() {
        waiting.extend(discovery_failure.as_deref());
        (State::Running, (!waiting.is_empty()).then(|| summary(&waiting)))
    } else if !failing.is_empty() {
        let from_the_start = !ran && failing.len() < standings.len();
        (if from_the_start { State::Starting } else { failed }, Some(summary(&failing)))
    } else if discovery_failure.is_some() {
        (failed, discovery_failure)
    } else {
        (State::Starting, (!unknown.is_empty()).then(|| summary(&unknown)))
    }
}

/// The first reason, and how many others there are: the partitions of a status tell each.
fn summary(reasons: &[&str]) -> String {
    match reasons.len() {
        0 | 1 => reasons.first().copied().unwrap_or_default().to_owned(),
        2 => format!("{} (and 1 more partition)", reasons[0]),
        more => format!("{} (and {} more partitions)", reasons[0], more - 1),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocketbridge_model::partition::{Gap, GapCause};
    use rocketbridge_model::status::{DiscoveryReport, OutcomeCounts};
    use rocketbridge_model::{StreamDefinition, testing};

    use super::*;

    fn record(desired: Desired) -> StreamRecord {
        let definition = StreamDefinition { name: "s".into(), ..Default::default() };
        StreamRecord { uid: "u".into(), desired, definition, ..Default::default() }
    }

    fn source(partitions: u32) -> SourceRecord {
        let partition =
            |queue| SourcePartition { id: PartitionId::new(format!("b/{queue}")), broker: "b".into(), queue, origin: 100, gone: None };
        SourceRecord { schema: 1, uid: "u".into(), partitions: (0..partitions).map(partition).collect(), ..Default::default() }
    }

    fn told(partitions: Vec<PartitionReport>, discovery: Option<&str>) -> Gathered {
        let discovery = discovery.map(|failure| DiscoveryReport { failure: Some(failure.to_owned()), waiting: None });
        let report = StreamReport { stream: "s".into(), uid: "u".into(), partitions, discovery };
        Gathered { reports: vec![(MemberId::new("r1"), report)], ..Default::default() }
    }

    fn partition(queue: u32, flowing: bool, failure: &str, committed: u64) -> PartitionReport {
        PartitionReport {
            partition: format!("b/{queue}"),
            epoch: 1,
            flowing,
            failure: (!failure.is_empty()).then(|| failure.to_owned()),
            committed_offset: committed,
            maximum_offset: 110,
            ..Default::default()
        }
    }

    fn r1(_: &UnitId) -> Option<MemberId> {
        Some(MemberId::new("r1"))
    }

    fn state(desired: Desired, source: Option<SourceRecord>, gathered: &Gathered) -> (State, Option<String>) {
        let status = derive(&record(desired), None, source.as_ref(), &[], &r1, gathered);
        (status.state, status.reason)
    }

    fn running(partitions: Vec<PartitionReport>) -> (State, Option<String>) {
        state(Desired::Running, Some(source(2)), &told(partitions, None))
    }

    #[test]
    fn what_is_not_wanted_to_run_is_ready_or_paused() {
        let flowing = told(vec![partition(0, true, "", 100)], None);
        assert_eq!(state(Desired::Ready, None, &flowing), (State::Ready, None));
        assert_eq!(state(Desired::Paused, Some(source(1)), &flowing), (State::Paused, None));
    }

    #[test]
    fn without_partitions_the_discovery_decides() {
        assert_eq!(state(Desired::Running, None, &told(Vec::new(), None)), (State::Starting, None));
        let failed = state(Desired::Running, None, &told(Vec::new(), Some("connect to ns:9876: refused")));
        assert_eq!(failed, (State::StartingFailed, Some("connect to ns:9876: refused".into())));
        let nobody = derive(&record(Desired::Running), None, None, &[], &|_: &UnitId| None, &Gathered::default());
        assert_eq!((nobody.state, nobody.reason.as_deref()), (State::Starting, Some("no router has taken the stream on yet")));
        let empty = state(Desired::Running, Some(source(0)), &Gathered::default());
        assert_eq!(empty, (State::Starting, Some("the source has no partitions".into())));
    }

    #[test]
    fn all_partitions_flowing_is_running() {
        assert_eq!(running(vec![partition(0, true, "", 100), partition(1, true, "", 100)]), (State::Running, None));
        let waits = running(vec![partition(0, true, "target: slow", 100), partition(1, true, "", 100)]);
        assert_eq!(waits, (State::Running, Some("partition b/0: target: slow".into())));
        assert_eq!(running(vec![partition(0, true, "", 100)]), (State::Starting, None));
        assert_eq!(running(vec![partition(0, true, "", 100), partition(1, false, "", 100)]), (State::Starting, None));
    }

    /// *Scenario*: partitions fail from the start, or after they ran, or while others run. *Guarantees*: the states of Alibaba's API tell them apart.
    #[test]
    fn failing_from_the_start_is_not_failing_after_a_run() {
        let denied = |queue, committed| partition(queue, false, "denied", committed);
        let said = |state, text: &str| (state, Some(text.to_owned()));
        let both = "partition b/0: denied (and 1 more partition)";
        assert_eq!(running(vec![denied(0, 0), denied(1, 100)]), said(State::StartingFailed, both));
        assert_eq!(running(vec![denied(0, 0), denied(1, 101)]), said(State::RunningFailed, both));
        assert_eq!(running(vec![denied(0, 0), partition(1, true, "", 100)]), said(State::RunningFailed, "partition b/0: denied"));
        assert_eq!(running(vec![denied(0, 0)]), said(State::Starting, "partition b/0: denied"));
        let mut counted = denied(0, 0);
        counted.counts = OutcomeCounts { delivered: 1, ..Default::default() };
        assert_eq!(running(vec![counted, denied(1, 0)]), said(State::RunningFailed, both));
    }

    /// *Scenario*: the partitions are known from before, and the source can no longer be looked over. *Guarantees*: the reason is told.
    #[test]
    fn a_discovery_that_fails_later_is_told() {
        let with = |partitions| state(Desired::Running, Some(source(1)), &told(partitions, Some("refused")));
        assert_eq!(with(vec![partition(0, false, "", 0)]), (State::StartingFailed, Some("refused".into())));
        assert_eq!(with(vec![partition(0, false, "", 101)]), (State::RunningFailed, Some("refused".into())));
        assert_eq!(with(vec![partition(0, true, "", 0)]), (State::Running, Some("refused".into())));
    }

    #[test]
    fn a_member_that_does_not_answer_leaves_its_partitions_unknown() {
        let silent = Gathered { unreachable: vec![(MemberId::new("r1"), "timed out".into())], ..Default::default() };
        let expected = "member r1 does not answer: timed out (and 1 more partition)";
        assert_eq!(state(Desired::Running, Some(source(2)), &silent), (State::Starting, Some(expected.into())));
        assert_eq!(state(Desired::Running, None, &silent), (State::Starting, Some("member r1 does not answer: timed out".into())));
        let late = Gathered { late: true, ..Default::default() };
        assert_eq!(state(Desired::Running, Some(source(1)), &late).1, Some("member r1 did not answer in time".into()));
    }

    /// *Scenario*: one of two queues leaves the topic's route with 200 messages unread and its last owner failing; then another one of nothing unread;
    /// then all. *Guarantees*: the stream goes on as RUNNING and says what was not read; what was read to its end is not told of; a lag of 200
    /// is shown, not 0; and a stream with nothing left to read has failed.
    #[test]
    fn a_partition_that_is_gone_is_told_with_what_was_unread() {
        let remembered = |queue: u32, committed| PartitionRecord {
            partition: PartitionId::new(format!("b/{queue}")),
            committed,
            maximum: 300,
            gaps: vec![Gap { from: 5, to: 9, at: 1, cause: GapCause::Retention }],
            ..Default::default()
        };
        let mut both = source(2);
        both.partitions[1].gone = Some(7);
        let gathered = told(vec![PartitionReport { maximum_offset: 100, ..partition(0, true, "", 100) }], None);
        let status = |source: &SourceRecord, committed| {
            derive(&record(Desired::Running), None, Some(source), &[remembered(1, committed)], &r1, &gathered)
        };
        let unread = status(&both, 100);
        let reason = "partition b/1: it has left the source, with 200 messages that were not read";
        assert_eq!((unread.state, unread.reason.as_deref(), unread.backlog), (State::Running, Some(reason), 200));
        assert_eq!((unread.partitions[1].report.gone, unread.gaps.len()), (Some(7), 1));
        assert_eq!((status(&both, 300).state, status(&both, 300).reason), (State::Running, None));
        both.partitions[0].gone = Some(8);
        assert_eq!((status(&both, 100).state, status(&both, 100).reason.as_deref()), (State::RunningFailed, Some(reason)));
        assert_eq!(status(&both, 300).state, State::RunningFailed);
    }

    /// *Scenario*: a source hands out messages to two partitions, whose offsets are numbers of their owners; it says how many messages wait, or does not; and one of them fails from the start.
    /// *Guarantees*: the backlog is what is under way and what waits, and what is not known is said to be unknown; the lag is unknown; a number is no sign of progress.
    #[test]
    fn a_source_that_hands_out_messages_has_no_offsets_to_compare() {
        let received = |queue, in_flight| PartitionReport {
            partition: format!("receive/{queue}"),
            received: true,
            committed_offset: 1_764_300_000_000_000,
            maximum_offset: 0,
            in_flight,
            ..partition(queue, true, "", 0)
        };
        let mut source = source(2);
        source.form = SourceForm::Handles;
        for partition in &mut source.partitions {
            partition.id = PartitionId::new(format!("receive/{}", partition.queue));
        }
        let derive = |partitions, waiting| {
            let report = StreamReport {
                stream: "s".into(),
                uid: "u".into(),
                partitions,
                discovery: Some(DiscoveryReport { failure: None, waiting }),
            };
            let gathered = Gathered { reports: vec![(MemberId::new("r1"), report)], ..Default::default() };
            derive(&record(Desired::Running), None, Some(&source), &[], &r1, &gathered)
        };
        let known = derive(vec![received(0, 3), received(1, 4)], Some(50));
        assert_eq!((known.state, known.backlog, known.waiting_unknown, known.lag), (State::Running, 57, false, None));
        let unknown = derive(vec![received(0, 3), received(1, 4)], None);
        assert_eq!((unknown.backlog, unknown.waiting_unknown), (7, true));
        let fails = |queue| PartitionReport { flowing: false, failure: Some("denied".into()), ..received(queue, 0) };
        assert_eq!(derive(vec![fails(0), fails(1)], None).state, State::StartingFailed);
    }

    /// *Scenario*: a former owner and a former creation of the stream still tell. *Guarantees*: neither is believed.
    #[test]
    fn only_the_latest_owner_of_this_creation_counts() {
        let mut gathered = told(vec![partition(0, false, "draining", 100)], None);
        let newer = PartitionReport { epoch: 2, ..partition(0, true, "", 100) };
        gathered.reports.extend(told(vec![newer], None).reports);
        let mut former = told(vec![PartitionReport { epoch: 9, ..partition(0, false, "former", 0) }], Some("former"));
        former.reports[0].1.uid = "former".into();
        gathered.reports.extend(former.reports);
        assert_eq!(state(Desired::Running, Some(source(1)), &gathered), (State::Running, None));
    }

    /// *Scenario*: one partition is caught up, and the owner of the other does not answer; a paused stream. *Guarantees*: the age of the oldest message is
    /// not known: it is not told as none.
    #[test]
    fn the_age_of_what_nobody_speaks_for_is_not_known() {
        let caught_up = || PartitionReport { lag: Some(Duration::ZERO), ..partition(0, true, "", 110) };
        let lag = |desired, partitions| derive(&record(desired), None, Some(&source(2)), &[], &r1, &told(partitions, None)).lag;
        assert_eq!(lag(Desired::Running, vec![caught_up()]), None);
        assert_eq!(lag(Desired::Paused, Vec::new()), None);
        let other = PartitionReport { lag: Some(Duration::from_secs(3)), ..partition(1, true, "", 100) };
        assert_eq!(lag(Desired::Running, vec![caught_up(), other]), Some(Duration::from_secs(3)));
    }

    #[test]
    fn figures_are_summed_and_owners_named() {
        let report = |queue, rate, millis| PartitionReport {
            rate,
            latency: Duration::from_millis(millis),
            lag: Some(Duration::from_secs(millis)),
            counts_since: Some(1_700_000_000_000 + i64::from(queue) * 2_000),
            counts: OutcomeCounts { delivered: 5, redelivered: 1, ..Default::default() },
            ..partition(queue, true, "", 103)
        };
        let run = testing::run();
        let owners = |unit: &UnitId| match &unit.kind {
            UnitKind::Partition(_) => Some(MemberId::new("r1")),
            UnitKind::FilterShard(0) => Some(MemberId::new("f1")),
            _ => None,
        };
        let gathered = told(vec![report(0, 1.5, 3), report(1, 2.0, 7)], None);
        let status = derive(&record(Desired::Running), Some(&run), Some(&source(2)), &[], &owners, &gathered);
        assert_eq!((status.rate, status.delay, status.backlog), (3.5, Duration::from_millis(7), 14));
        assert_eq!((status.lag, status.counts_since), (Some(Duration::from_secs(7)), Some(1_700_000_002_000)));
        assert_eq!((status.counts.delivered, status.counts.redelivered), (10, 2));
        let first = &status.partitions[0];
        assert_eq!((first.router.as_ref(), first.filter.as_ref()), (Some(&MemberId::new("r1")), Some(&MemberId::new("f1"))));
        assert_eq!(first.dispatcher, None);
    }
}
