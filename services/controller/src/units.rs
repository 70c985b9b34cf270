//! What there is to own.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketbridge_assignment::{Unit, UnitId, UnitKind};
use rocketbridge_model::Region;
use rocketbridge_model::record::{Desired, SourceRecord, StreamRecord};
use rocketbridge_model::resolved::{RocketMqConnection, Stream};

use crate::shelf::Resolved;

/// The units of all streams that should run, sorted. A stream that cannot be resolved has none.
///
/// `sources` are by the identity of the stream's creation. Sources are read and filtered near the source, so that only what matters
/// crosses to the region of the target, where it is delivered.
pub fn units(streams: &[(Arc<StreamRecord>, Resolved)], sources: &BTreeMap<String, SourceRecord>) -> Vec<Unit> {
    let mut units = Vec::new();
    for (record, resolved) in streams.iter().filter(|(record, _)| record.desired == Desired::Running) {
        if let Ok(stream) = resolved.as_ref() {
            push(&mut units, stream, sources.get(&record.uid));
        }
    }
    units.sort_by(|left, right| left.id.cmp(&right.id));
    units
}

/// One unit of each stage of a stream: where all units of the stage should be worked on.
pub fn representatives(stream: &Stream) -> [Unit; 3] {
    let places = Places::of(stream);
    [
        places.router.unit(stream, UnitKind::Discovery),
        places.filter.unit(stream, UnitKind::FilterShard(0)),
        places.dispatcher.unit(stream, UnitKind::DispatchShard(0)),
    ]
}

fn push(units: &mut Vec<Unit>, stream: &Stream, source: Option<&SourceRecord>) {
    let Places { router, filter, dispatcher } = Places::of(stream);
    units.push(router.unit(stream, UnitKind::Discovery));
    let partitions = source.map(|source| source.partitions.as_slice()).unwrap_or_default();
    for partition in partitions.iter().filter(|partition| partition.gone.is_none()) {
        units.push(router.unit(stream, UnitKind::Partition(partition.id.clone())));
    }
    for shard in 0..stream.run.shards {
        units.push(filter.unit(stream, UnitKind::FilterShard(shard)));
        units.push(dispatcher.unit(stream, UnitKind::DispatchShard(shard)));
    }
}

/// Where the units of each stage should be worked on.
struct Places {
    router: Near,
    filter: Near,
    dispatcher: Near,
}

impl Places {
    fn of(stream: &Stream) -> Self {
        let router = Near::to(&stream.source.connection);
        let filter = Near { region: router.region.clone(), network: None };
        Self { router, filter, dispatcher: Near::to(&stream.target.connection) }
    }
}

/// Where a unit should be worked on.
struct Near {
    region: Option<Region>,
    network: Option<String>,
}

impl Near {
    fn to(connection: &RocketMqConnection) -> Self {
        let region = (!connection.region.is_empty()).then(|| connection.region.clone());
        Self { region, network: connection.network.as_ref().map(|network| network.name.clone()) }
    }

    fn unit(&self, stream: &Stream, kind: UnitKind) -> Unit {
        Unit { id: UnitId::new(stream.name.as_str(), kind), region: self.region.clone(), network: self.network.clone() }
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use rocketbridge_model::StreamDefinition;
    use rocketbridge_model::connection::ConnectionDefinition;
    use rocketbridge_model::network::NetworkDefinition;
    use rocketbridge_model::validate::{Known, resolve};
    use serde_json::json;

    use super::*;

    /// A stream from the region qingdao, in the network vpc, to the region hohhot.
    pub(crate) fn between_regions() -> Stream {
        resolve(&stream("s", Desired::Running), &known()).expect("a stream")
    }

    pub(super) fn stream(name: &str, desired: Desired) -> StreamRecord {
        let definition: StreamDefinition = serde_json::from_value(json!({
            "name": name, "filter_pattern": "{}", "run_options": {"maximum_tasks": 2},
            "source": {"source_rocketmq_parameters": {"connection": "qingdao", "topic": "orders"}},
            "sink": {"sink_rocketmq_parameters": {
                "connection": {"value": "hohhot", "form": "CONSTANT"}, "topic": {"value": "copy", "form": "CONSTANT"}}},
        }))
        .expect("a stream");
        StreamRecord { uid: format!("uid of {name}"), desired, definition, ..Default::default() }
    }

    pub(super) fn known() -> Known {
        let connection = |name: &str, network: &str| ConnectionDefinition {
            name: name.into(),
            region: name.into(),
            endpoints: vec![format!("{name}:9876")],
            network: network.into(),
            ..Default::default()
        };
        let network = NetworkDefinition { name: "vpc".into(), ..Default::default() };
        Known { connections: vec![connection("qingdao", "vpc"), connection("hohhot", "")], networks: vec![network] }
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::PartitionId;
    use rocketbridge_model::record::SourcePartition;
    use rocketbridge_model::validate::{Known, resolve};

    use super::fixture::{known, stream};
    use super::*;

    fn resolved(records: &[StreamRecord], known: &Known) -> Vec<(Arc<StreamRecord>, Resolved)> {
        records.iter().map(|record| (Arc::new(record.clone()), Arc::new(resolve(record, known)))).collect()
    }

    fn shown(units: &[Unit]) -> Vec<String> {
        let show = |unit: &Unit| {
            let region = unit.region.as_ref().map_or("-", Region::as_str);
            format!("{} {region} {}", unit.id, unit.network.as_deref().unwrap_or("-"))
        };
        units.iter().map(show).collect()
    }

    /// *Scenario*: a running stream between two regions, one of whose partitions has left the source. *Guarantees*: it is read and filtered near its
    /// source and delivered near its target; nobody owns what is gone.
    #[test]
    fn a_running_stream_has_units_near_both_ends() {
        let partition = |id: &str| SourcePartition { id: PartitionId::new(id), ..Default::default() };
        let gone = SourcePartition { gone: Some(1), ..partition("b/2") };
        let source = SourceRecord { partitions: vec![partition("b/0"), partition("b/1"), gone], ..Default::default() };
        let sources = BTreeMap::from([("uid of s".to_owned(), source)]);
        assert_eq!(
            shown(&units(&resolved(&[stream("s", Desired::Running)], &known()), &sources)),
            [
                "s/discovery/0 qingdao vpc",
                "s/partition/b%2F0 qingdao vpc",
                "s/partition/b%2F1 qingdao vpc",
                "s/filter/0 qingdao -",
                "s/filter/1 qingdao -",
                "s/dispatch/0 hohhot -",
                "s/dispatch/1 hohhot -",
            ]
        );
    }

    #[test]
    fn what_should_not_or_cannot_run_has_no_units() {
        let streams = [stream("ready", Desired::Ready), stream("paused", Desired::Paused)];
        assert!(units(&resolved(&streams, &known()), &BTreeMap::new()).is_empty());
        assert!(units(&resolved(&[stream("s", Desired::Running)], &Known::default()), &BTreeMap::new()).is_empty());
    }
}
