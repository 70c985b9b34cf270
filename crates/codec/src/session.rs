//! The messages of both kinds of session.

use std::sync::Arc;

use rocketbridge_model::session::{
    Answer, Batch, Credit, Delivery, DispatchRequest, FilterRequest, Open, Parameter, ParameterKey, Skip, StreamVersion, Trouble,
};
use rocketbridge_model::{Epoch, Outcome, OutcomeRange, Revision};
use rocketbridge_proto::{dispatch::v1 as dispatch, filter::v1 as filter, session::v1 as proto};

use crate::error::Error;
use crate::event;

/// Encodes a message from router to filter.
pub fn encode_filter_request(request: FilterRequest) -> filter::SessionRequest {
    use filter::session_request::Request;
    let request = match request {
        FilterRequest::Open(open) => Request::Open(encode_open(&open)),
        FilterRequest::Batch(batch) => Request::Batch(filter::Batch {
            first_receipt: batch.first_receipt,
            revision: batch.revision.0,
            events: batch.events.into_iter().map(event::encode).collect(),
        }),
        FilterRequest::Skip(skip) => Request::Skip(encode_skip(skip)),
    };
    filter::SessionRequest { request: Some(request) }
}

/// Decodes a message from router to filter.
pub fn decode_filter_request(request: filter::SessionRequest) -> Result<FilterRequest, Error> {
    use filter::session_request::Request;
    match request.request.ok_or_else(|| Error::absent("filter.SessionRequest", "request"))? {
        Request::Open(open) => Ok(FilterRequest::Open(Box::new(decode_open(open)?))),
        Request::Batch(batch) => Ok(FilterRequest::Batch(Batch {
            first_receipt: batch.first_receipt,
            revision: Revision(batch.revision),
            events: batch.events.into_iter().map(event::decode).collect::<Result<_, _>>()?,
        })),
        Request::Skip(skip) => Ok(FilterRequest::Skip(decode_skip(skip))),
    }
}

/// Encodes a message from filter to dispatcher.
pub fn encode_dispatch_request(request: DispatchRequest) -> dispatch::SessionRequest {
    use dispatch::session_request::Request;
    let request = match request {
        DispatchRequest::Open(open) => Request::Open(encode_open(&open)),
        DispatchRequest::Deliveries(deliveries) => {
            Request::Deliveries(dispatch::Deliveries { deliveries: deliveries.into_iter().map(encode_delivery).collect() })
        }
        DispatchRequest::Skip(skip) => Request::Skip(encode_skip(skip)),
    };
    dispatch::SessionRequest { request: Some(request) }
}

/// Decodes a message from filter to dispatcher.
pub fn decode_dispatch_request(request: dispatch::SessionRequest) -> Result<DispatchRequest, Error> {
    use dispatch::session_request::Request;
    match request.request.ok_or_else(|| Error::absent("dispatch.SessionRequest", "request"))? {
        Request::Open(open) => Ok(DispatchRequest::Open(Box::new(decode_open(open)?))),
        Request::Deliveries(deliveries) => {
            deliveries.deliveries.into_iter().map(decode_delivery).collect::<Result<_, _>>().map(DispatchRequest::Deliveries)
        }
        Request::Skip(skip) => Ok(DispatchRequest::Skip(decode_skip(skip))),
    }
}

/// Encodes an answer.
pub fn encode_answer(answer: Answer) -> proto::Answer {
    use proto::answer::Answer as Wire;
    let answer = match answer {
        Answer::Opened(credit) => Wire::Opened(proto::Opened { credit: Some(encode_credit(credit)) }),
        Answer::Credit(credit) => Wire::Credit(encode_credit(credit)),
        Answer::Outcomes(ranges) => Wire::Outcomes(proto::Outcomes { ranges: ranges.into_iter().map(encode_range).collect() }),
        Answer::Drain => Wire::Drain(proto::Drain {}),
        Answer::Trouble(trouble) => {
            let Trouble { reason, permanent, blocked_offset, goes_on } = trouble.unwrap_or_default();
            Wire::Trouble(proto::Trouble { reason, permanent, blocked_offset, goes_on })
        }
    };
    proto::Answer { answer: Some(answer) }
}

/// Decodes an answer.
pub fn decode_answer(answer: Option<proto::Answer>) -> Result<Answer, Error> {
    use proto::answer::Answer as Wire;
    match answer.and_then(|answer| answer.answer).ok_or_else(|| Error::absent("Answer", "answer"))? {
        Wire::Opened(opened) => Ok(Answer::Opened(decode_credit(opened.credit.ok_or_else(|| Error::absent("Opened", "credit"))?))),
        Wire::Credit(credit) => Ok(Answer::Credit(decode_credit(credit))),
        Wire::Outcomes(outcomes) => outcomes.ranges.into_iter().map(decode_range).collect::<Result<_, _>>().map(Answer::Outcomes),
        Wire::Drain(proto::Drain {}) => Ok(Answer::Drain),
        Wire::Trouble(trouble) if trouble.reason.is_empty() => Ok(Answer::Trouble(None)),
        Wire::Trouble(trouble) => {
            let proto::Trouble { reason, permanent, blocked_offset, goes_on } = trouble;
            Ok(Answer::Trouble(Some(Trouble { reason, permanent, blocked_offset, goes_on })))
        }
    }
}

fn encode_skip(skip: Skip) -> proto::Skip {
    proto::Skip { offset: skip.offset, reason: skip.reason }
}

fn decode_skip(skip: proto::Skip) -> Skip {
    Skip { offset: skip.offset, reason: skip.reason }
}

fn encode_open(open: &Open) -> proto::Open {
    let StreamVersion { name, uid, revision, as_of } = open.stream.clone();
    proto::Open {
        version: Some(proto::StreamVersion { name, uid, revision: revision.0, as_of }),
        origin: Some(event::encode_origin(&open.origin)),
        partition_epoch: open.partition_epoch.0,
        shard: open.shard,
        shard_epoch: open.shard_epoch.0,
        ..proto::Open::default()
    }
}

fn decode_open(open: proto::Open) -> Result<Open, Error> {
    let proto::StreamVersion { name, uid, revision, as_of } = open.version.ok_or_else(|| Error::absent("Open", "version"))?;
    Ok(Open {
        stream: StreamVersion { name, uid, revision: Revision(revision), as_of },
        origin: Arc::new(event::decode_origin(open.origin.ok_or_else(|| Error::absent("Open", "origin"))?)),
        partition_epoch: Epoch(open.partition_epoch),
        shard: open.shard,
        shard_epoch: Epoch(open.shard_epoch),
    })
}

fn encode_delivery(delivery: Delivery) -> dispatch::Delivery {
    dispatch::Delivery {
        receipt: delivery.receipt,
        event: Some(event::encode(delivery.event)),
        parameters: delivery
            .parameters
            .into_iter()
            .map(|parameter| dispatch::Parameter { key: encode_key(parameter.key) as i32, value: parameter.value })
            .collect(),
        rejected: delivery.rejected.unwrap_or_default(),
    }
}

fn decode_delivery(delivery: dispatch::Delivery) -> Result<Delivery, Error> {
    Ok(Delivery {
        receipt: delivery.receipt,
        event: event::decode(delivery.event.ok_or_else(|| Error::absent("Delivery", "event"))?)?,
        parameters: delivery
            .parameters
            .into_iter()
            .map(|parameter| Ok(Parameter { key: decode_key(parameter.key())?, value: parameter.value }))
            .collect::<Result<_, Error>>()?,
        rejected: (!delivery.rejected.is_empty()).then_some(delivery.rejected),
    })
}

fn encode_key(key: ParameterKey) -> dispatch::ParameterKey {
    match key {
        ParameterKey::Body => dispatch::ParameterKey::Body,
        ParameterKey::Properties => dispatch::ParameterKey::Properties,
        ParameterKey::Keys => dispatch::ParameterKey::Keys,
        ParameterKey::Tags => dispatch::ParameterKey::Tags,
        ParameterKey::ShardingKey => dispatch::ParameterKey::ShardingKey,
    }
}

fn decode_key(key: dispatch::ParameterKey) -> Result<ParameterKey, Error> {
    match key {
        dispatch::ParameterKey::Body => Ok(ParameterKey::Body),
        dispatch::ParameterKey::Properties => Ok(ParameterKey::Properties),
        dispatch::ParameterKey::Keys => Ok(ParameterKey::Keys),
        dispatch::ParameterKey::Tags => Ok(ParameterKey::Tags),
        dispatch::ParameterKey::ShardingKey => Ok(ParameterKey::ShardingKey),
        dispatch::ParameterKey::Unspecified => Err(Error::new("Parameter", "key", "unknown to this version")),
    }
}

fn encode_credit(credit: Credit) -> proto::Credit {
    proto::Credit { events: credit.events, bytes: credit.bytes }
}

fn decode_credit(credit: proto::Credit) -> Credit {
    Credit { events: credit.events, bytes: credit.bytes }
}

fn encode_range(range: OutcomeRange) -> proto::OutcomeRange {
    let (deduplicated, looped) = (range.outcome == Outcome::Deduplicated, range.outcome == Outcome::Looped);
    let unproven = range.outcome == Outcome::Unproven;
    let (kind, reason) = match range.outcome {
        Outcome::Filtered | Outcome::Looped => (proto::OutcomeKind::Filtered, String::new()),
        Outcome::Delivered | Outcome::Deduplicated | Outcome::Unproven => (proto::OutcomeKind::Delivered, String::new()),
        Outcome::Parked => (proto::OutcomeKind::Parked, String::new()),
        Outcome::DeadLettered => (proto::OutcomeKind::DeadLettered, String::new()),
        Outcome::Discarded(reason) => (proto::OutcomeKind::Discarded, reason),
        Outcome::Skipped(reason) => (proto::OutcomeKind::Skipped, reason),
        Outcome::Nack(reason) => (proto::OutcomeKind::Nack, reason),
    };
    proto::OutcomeRange { first: range.first, count: range.count, kind: kind as i32, reason, deduplicated, looped, unproven }
}

fn decode_range(range: proto::OutcomeRange) -> Result<OutcomeRange, Error> {
    let outcome = match range.kind() {
        proto::OutcomeKind::Filtered if range.looped => Outcome::Looped,
        proto::OutcomeKind::Filtered => Outcome::Filtered,
        proto::OutcomeKind::Delivered if range.deduplicated => Outcome::Deduplicated,
        proto::OutcomeKind::Delivered if range.unproven => Outcome::Unproven,
        proto::OutcomeKind::Delivered => Outcome::Delivered,
        proto::OutcomeKind::Parked => Outcome::Parked,
        proto::OutcomeKind::DeadLettered => Outcome::DeadLettered,
        proto::OutcomeKind::Discarded => Outcome::Discarded(range.reason),
        proto::OutcomeKind::Skipped => Outcome::Skipped(range.reason),
        proto::OutcomeKind::Nack => Outcome::Nack(range.reason),
        proto::OutcomeKind::Unspecified => return Err(Error::new("OutcomeRange", "kind", "unknown to this version")),
    };
    if range.count == 0 {
        return Err(Error::new("OutcomeRange", "count", "0; at least 1 is needed"));
    }
    Ok(OutcomeRange { first: range.first, count: range.count, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_comes_back() {
        let every = [
            Outcome::Filtered,
            Outcome::Looped,
            Outcome::Delivered,
            Outcome::Deduplicated,
            Outcome::Unproven,
            Outcome::Parked,
            Outcome::DeadLettered,
            Outcome::Discarded("too old".into()),
            Outcome::Skipped("seen by ops".into()),
            Outcome::Nack("no route".into()),
        ];
        let ranges = every.into_iter().zip(0..).map(|(outcome, first)| OutcomeRange { first, count: 2, outcome }).collect();
        for answer in [
            Answer::Opened(Credit { events: 1, bytes: 2 }),
            Answer::Credit(Credit { events: 3, bytes: u64::MAX }),
            Answer::Outcomes(ranges),
            Answer::Drain,
            Answer::Trouble(None),
            Answer::Trouble(Some(Trouble { reason: "refused".into(), permanent: true, ..Trouble::default() })),
            Answer::Trouble(Some(Trouble { reason: "keys end".into(), goes_on: true, ..Trouble::default() })),
            Answer::Trouble(Some(Trouble { reason: "too long".into(), permanent: true, blocked_offset: Some(0), goes_on: false })),
        ] {
            assert_eq!(decode_answer(Some(encode_answer(answer.clone()))), Ok(answer));
        }
    }

    #[test]
    fn a_skip_comes_back_in_both_kinds_of_session() {
        let skip = Skip { offset: 7, reason: "poison".into() };
        let filter = |request| decode_filter_request(encode_filter_request(request)).expect("whole");
        let dispatch = |request| decode_dispatch_request(encode_dispatch_request(request)).expect("whole");
        assert!(matches!(filter(FilterRequest::Skip(skip.clone())), FilterRequest::Skip(found) if found == skip));
        assert!(matches!(dispatch(DispatchRequest::Skip(skip.clone())), DispatchRequest::Skip(found) if found == skip));
    }

    #[test]
    fn an_outcome_that_is_not_known_is_an_error_and_never_an_acknowledgement() {
        let wire = proto::OutcomeRange { first: 0, count: 1, kind: 99, ..Default::default() };
        assert_eq!(decode_range(wire).expect_err("kind 99").field, "kind");
    }

    #[test]
    fn absent_parts_are_named() {
        assert_eq!(decode_answer(None).expect_err("nothing").field, "answer");
        assert_eq!(decode_open(proto::Open::default()).expect_err("no version").field, "version");
        let open = proto::Open { version: Some(proto::StreamVersion::default()), ..proto::Open::default() };
        assert_eq!(decode_open(open).expect_err("no origin").field, "origin");
    }
}
