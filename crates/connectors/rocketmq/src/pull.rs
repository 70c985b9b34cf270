//! One pull: its request, and what its response says.
//!
//! An event's offset is its position in the queue, because that is what is pulled from and committed. Brokers store a position in each
//! message too, and after a message that could not be dispatched the stored ones run ahead of the positions for ever (seen on 4.9.7:
//! messages that call themselves 0 to 6 and 9 at positions 0 to 7). Where both cannot be true, the position counts.

use std::ops::Range;
use std::time::Duration;

use rocketbridge_connector::{PullLimits, Pulled};
use rocketbridge_model::Event;

use crate::error::Failure;
use crate::light;
use crate::message;
use crate::names::Names;
use crate::remoting::code::{request, response};
use crate::remoting::{Request, Response};
use crate::route::Queue;

/// Pull flags of Apache RocketMQ: the broker may hold it; it carries its subscription.
const MAY_SUSPEND: u32 = 2;
const WITH_SUBSCRIPTION: u32 = 4;

/// Who evaluates the SQL92 filter of a source first. What a broker gives is held against the filter here as well: one that cannot read the filter
/// gives everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evaluator {
    Here,
    Broker,
}

/// A pull that the broker may hold for a while when it finds nothing.
pub(crate) fn request(names: &Names, evaluator: Evaluator, queue: &Queue, offset: u64, limits: PullLimits, suspend: Duration) -> Request {
    let flags = WITH_SUBSCRIPTION | if suspend.is_zero() { 0 } else { MAY_SUSPEND };
    let (kind, expression) = match &names.sql {
        Some(sql) if evaluator == Evaluator::Broker => ("SQL92", &sql.text),
        _ => ("TAG", &names.expression),
    };
    Request::new(request::PULL_MESSAGE)
        .field("consumerGroup", names.group.clone())
        .field("topic", names.topic.clone())
        .number("queueId", queue.id)
        .number("queueOffset", offset)
        .number("maxMsgNums", limits.events.clamp(1, i32::MAX as u32))
        .number("maxMsgBytes", limits.bytes.clamp(1, i32::MAX as u32))
        .number("sysFlag", flags)
        .field("commitOffset", "0")
        .number("suspendTimeoutMillis", suspend.as_millis())
        .field("subscription", expression.clone())
        .field("subVersion", "0")
        .field("expressionType", kind)
        .field("bname", queue.broker.clone())
}

/// Whether a broker says that it evaluates no SQL92 filters (`enablePropertyFilter`).
pub(crate) fn is_unfit(response: &Response) -> bool {
    response.code == response::SYSTEM_ERROR && response.remark.contains("does not support consumer to filter message")
}

/// What the response to a pull at an offset brought.
pub(crate) fn read(response: Response, address: &str, names: &Names, evaluator: Evaluator, offset: u64) -> Result<Pulled, Failure> {
    let mut pulled = Pulled {
        // A queue that never had a message has an oldest offset of -1.
        minimum_offset: response.number::<i64>("minOffset").map_or(0, |offset| u64::try_from(offset).unwrap_or_default()),
        maximum_offset: response.number::<i64>("maxOffset").map_or(0, |offset| u64::try_from(offset).unwrap_or_default()),
        // Offsets are Java's `long`: what is beyond is not one.
        next_offset: response.number::<i64>("nextBeginOffset").and_then(|next| u64::try_from(next).ok()).unwrap_or(offset).max(offset),
        ..Pulled::default()
    };
    match response.code {
        response::SUCCESS => {
            let delta = response.number("offsetDelta").unwrap_or_default();
            message::read(response.body, delta, offset, &names.tags, &mut pulled.events)
                .map_err(|malformed| Failure::nonsense(address, malformed.0))?;
            if light::is_light(&names.topic) {
                light::place(&names.topic, &mut pulled.events);
            }
            pulled.next_offset = settle(&mut pulled.events, offset, pulled.next_offset);
        }
        response::PULL_NOT_FOUND | response::PULL_RETRY_IMMEDIATELY => {}
        response::PULL_OFFSET_MOVED => {
            let remark = format!("offsets {} to {} are stored, {offset} is not", pulled.minimum_offset, pulled.maximum_offset);
            return Err(Failure::Refused { address: address.to_owned(), code: response.code, remark });
        }
        _ => return Err(Failure::refused(address, &response)),
    }
    if names.tags.is_empty() && evaluator == Evaluator::Here {
        pulled.missing = holes(&pulled.events, offset, pulled.next_offset);
    }
    if let Some(sql) = &names.sql {
        sql.keep(&mut pulled.events).map_err(|malformed| Failure::nonsense("filter_sql", malformed.to_string()))?;
    }
    Ok(pulled)
}

/// Gives events the offsets of their positions between the one that was asked for and the next one; answers the next one.
///
/// Stored offsets are believed as long as they grow and stay within these bounds. Otherwise, where nothing is filtered and nothing is
/// missing, each position is known. Else events get the lowest position that they can have: a commit that is too low repeats, one that
/// is too high would lose.
fn settle(events: &mut [Event], asked: u64, next: u64) -> u64 {
    let mut lowest = asked;
    let agree = events.iter().all(|event| {
        let fits = event.offset >= lowest && (event.offset < next || next == asked);
        lowest = event.offset.saturating_add(1);
        fits
    });
    if agree {
        return next.max(lowest);
    }
    let stored: Vec<u64> = events.iter().take(8).map(|event| event.offset).collect();
    for (position, event) in (asked..).zip(events.iter_mut()) {
        event.offset = position;
    }
    tracing::debug!(asked, next, ?stored, "stored offsets are not those of the positions: positions count");
    next.max(asked + events.len() as u64)
}

/// The offsets between the one that was asked for and the next one at which no event stands.
fn holes(events: &[Event], asked: u64, next: u64) -> Vec<Range<u64>> {
    let mut holes = Vec::new();
    let mut expected = asked;
    for offset in events.iter().map(|event| event.offset).chain([next]) {
        if offset > expected {
            holes.push(expected..offset);
        }
        expected = offset + 1;
    }
    holes
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;

    use super::*;
    use crate::message::tests::stored;

    fn names(tags: &[&str]) -> Names {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Names { topic: "t".into(), group: "g".into(), expression: "*".into(), tags, sql: None }
    }

    fn answer(code: i32, next: u64, minimum: i64, maximum: i64, offsets: &[i64]) -> Response {
        let fields = [("nextBeginOffset", next.to_string()), ("minOffset", minimum.to_string()), ("maxOffset", maximum.to_string())];
        let fields: HashMap<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let messages: Vec<Bytes> = offsets.iter().map(|offset| stored(*offset, b"", "TAGS\u{1}a\u{2}", 0)).collect();
        Response { code, fields, body: messages.concat().into(), ..Response::default() }
    }

    fn pulled(response: Response, names: &Names, offset: u64) -> (Vec<u64>, u64, Vec<(u64, u64)>) {
        let pulled = read(response, "b:1", names, Evaluator::Here, offset).expect("a pull");
        (
            pulled.events.iter().map(|event| event.offset).collect(),
            pulled.next_offset,
            pulled.missing.iter().map(|missing| (missing.start, missing.end)).collect(),
        )
    }

    /// *Scenario*: a queue of eight positions whose last message calls itself 9, because the broker could not dispatch two before it.
    /// *Guarantees*: it is read at its position, the next offset is the queue's end, and nothing counts as missing: so the next pull is not
    /// beyond the end, which looked like a topic made anew and made 14,605 copies of 7 messages.
    #[test]
    fn offsets_that_run_ahead_of_positions_do_not_lead_beyond_the_end() {
        let response = answer(response::SUCCESS, 8, 0, 8, &[0, 1, 2, 3, 4, 5, 6, 9]);
        assert_eq!(pulled(response, &names(&[]), 0), ((0..8).collect(), 8, vec![]));
        // Further on, all of them are ahead, also of the position that was asked for.
        assert_eq!(pulled(answer(response::SUCCESS, 10, 0, 10, &[10, 11]), &names(&[]), 8), (vec![8, 9], 10, vec![]));
        // And behind it: they are not taken for what was read before.
        assert_eq!(pulled(answer(response::SUCCESS, 10, 0, 10, &[6, 7]), &names(&[]), 8), (vec![8, 9], 10, vec![]));
    }

    /// *Scenario*: the same where a tag is wanted, so that positions are not known. *Guarantees*: no event gets an offset beyond its position,
    /// none is passed over, and nothing is called missing.
    #[test]
    fn where_tags_are_wanted_an_offset_is_never_beyond_its_position() {
        assert_eq!(pulled(answer(response::SUCCESS, 8, 0, 8, &[3, 9]), &names(&["a"]), 0), (vec![0, 1], 8, vec![]));
        assert_eq!(pulled(answer(response::SUCCESS, 20, 0, 30, &[3, 9]), &names(&["a"]), 0), (vec![3, 9], 20, vec![]));
    }

    /// *Scenario*: a source without a filter jumps: within a response, at its end, and without any message (files of the log were removed).
    /// *Guarantees*: each jump is told as missing.
    #[test]
    fn every_jump_of_an_unfiltered_source_is_told() {
        assert_eq!(
            pulled(answer(response::SUCCESS, 9, 0, 9, &[2, 3, 6]), &names(&[]), 1),
            (vec![2, 3, 6], 9, vec![(1, 2), (4, 6), (7, 9)])
        );
        assert_eq!(pulled(answer(response::PULL_RETRY_IMMEDIATELY, 500, 0, 900, &[]), &names(&[]), 100), (vec![], 500, vec![(100, 500)]));
        assert_eq!(pulled(answer(response::PULL_NOT_FOUND, 7, -1, 0, &[]), &names(&[]), 7), (vec![], 7, vec![]));
        // Offsets that are none, or the largest there is: nothing overflows.
        for next in [u64::MAX, i64::MAX as u64 + 1] {
            assert_eq!(pulled(answer(response::PULL_NOT_FOUND, next, 0, 9, &[]), &names(&[]), 7), (vec![], 7, vec![]));
        }
        let largest = i64::MAX as u64;
        assert_eq!(pulled(answer(response::SUCCESS, largest, 0, 9, &[7]), &names(&[]), 7), (vec![7], largest, vec![(8, largest)]));
        // A broker that answers a lower next offset does not lead back.
        assert_eq!(pulled(answer(response::PULL_NOT_FOUND, 0, 0, 0, &[]), &names(&[]), 7), (vec![], 7, vec![]));
    }
}
