//! What a process tells of its streams.

use std::time::Duration;

use rocketbridge_model::status::{BlockedEvent, DiscoveryReport, OutcomeCounts, PartitionReport, StreamReport};
use rocketbridge_proto::admin::v1 as proto;

/// A report to the wire.
pub fn encode(report: StreamReport) -> proto::StreamReport {
    proto::StreamReport {
        stream: report.stream,
        uid: report.uid,
        partitions: report.partitions.into_iter().map(encode_partition).collect(),
        discovery: report
            .discovery
            .map(|discovery| proto::DiscoveryReport { failure: discovery.failure.unwrap_or_default(), waiting: discovery.waiting }),
    }
}

/// A report from the wire.
pub fn decode(report: proto::StreamReport) -> StreamReport {
    StreamReport {
        stream: report.stream,
        uid: report.uid,
        partitions: report.partitions.into_iter().map(decode_partition).collect(),
        discovery: report.discovery.map(|discovery| DiscoveryReport { failure: non_empty(discovery.failure), waiting: discovery.waiting }),
    }
}

/// A partition's report to the wire.
pub fn encode_partition(report: PartitionReport) -> proto::PartitionReport {
    proto::PartitionReport {
        partition: report.partition,
        epoch: report.epoch,
        flowing: report.flowing,
        flowed: report.flowed,
        failure: report.failure.unwrap_or_default(),
        read_offset: report.read_offset,
        committed_offset: report.committed_offset,
        maximum_offset: report.maximum_offset,
        in_flight: report.in_flight,
        counts: Some(encode_counts(report.counts)),
        gone: report.gone.unwrap_or_default(),
        latency_us: u64::try_from(report.latency.as_micros()).unwrap_or(u64::MAX),
        rate: report.rate,
        blocked: report.blocked.map(|blocked| proto::BlockedEvent {
            offset: blocked.offset,
            reason: blocked.reason,
            since_ms: blocked.since,
        }),
        lag_seconds: report.lag.map(|lag| lag.as_secs_f64()),
        counts_since: report.counts_since.map(timestamp),
        received: report.received,
    }
}

/// Counts to the wire.
pub fn encode_counts(counts: OutcomeCounts) -> proto::OutcomeCounts {
    proto::OutcomeCounts {
        filtered: counts.filtered,
        delivered: counts.delivered,
        parked: counts.parked,
        dead_lettered: counts.dead_lettered,
        discarded: counts.discarded,
        redelivered: counts.redelivered,
        skipped: counts.skipped,
        gaps: counts.gaps,
        deduplicated: counts.deduplicated,
        looped: counts.looped,
        unproven: counts.unproven,
    }
}

fn decode_partition(report: proto::PartitionReport) -> PartitionReport {
    let counts = report.counts.unwrap_or_default();
    PartitionReport {
        partition: report.partition,
        epoch: report.epoch,
        flowing: report.flowing,
        flowed: report.flowed,
        failure: non_empty(report.failure),
        read_offset: report.read_offset,
        committed_offset: report.committed_offset,
        maximum_offset: report.maximum_offset,
        in_flight: report.in_flight,
        counts: OutcomeCounts {
            filtered: counts.filtered,
            delivered: counts.delivered,
            parked: counts.parked,
            dead_lettered: counts.dead_lettered,
            discarded: counts.discarded,
            redelivered: counts.redelivered,
            skipped: counts.skipped,
            gaps: counts.gaps,
            deduplicated: counts.deduplicated,
            looped: counts.looped,
            unproven: counts.unproven,
        },
        gone: Some(report.gone).filter(|gone| *gone != 0),
        latency: Duration::from_micros(report.latency_us),
        rate: report.rate,
        blocked: report.blocked.map(|blocked| BlockedEvent { offset: blocked.offset, reason: blocked.reason, since: blocked.since_ms }),
        // A peer's number may be anything.
        lag: report.lag_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        counts_since: report.counts_since.map(|time| time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000)),
        received: report.received,
    }
}

/// Milliseconds since 1970 to the wire.
pub fn timestamp(milliseconds: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(milliseconds.rem_euclid(1_000) * 1_000_000).expect("less than a second");
    prost_types::Timestamp { seconds: milliseconds.div_euclid(1_000), nanos }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_back_whole() {
        let counts = OutcomeCounts {
            filtered: 1,
            delivered: 2,
            parked: 3,
            dead_lettered: 4,
            discarded: 5,
            redelivered: 6,
            skipped: 7,
            gaps: 8,
            deduplicated: 9,
            looped: 10,
            unproven: 11,
        };
        let report = StreamReport {
            stream: "s".into(),
            uid: "u".into(),
            partitions: vec![PartitionReport {
                partition: "b/0".into(),
                epoch: 7,
                flowing: true,
                flowed: true,
                failure: Some("slow".into()),
                read_offset: 8,
                committed_offset: 9,
                maximum_offset: 10,
                in_flight: 11,
                counts,
                latency: Duration::from_micros(12),
                rate: 13.5,
                blocked: Some(BlockedEvent { offset: 9, reason: "too long".into(), since: 14 }),
                lag: Some(Duration::from_millis(1_500)),
                counts_since: Some(1_700_000_000_123),
                gone: Some(14),
                received: true,
            }],
            discovery: Some(DiscoveryReport { failure: None, waiting: Some(0) }),
        };
        assert_eq!(decode(encode(report.clone())), report);
    }
}
