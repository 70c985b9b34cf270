//! Evaluation in slices.
//!
//! What is cheap is evaluated where it is; what may take longer than [`INLINE`] goes to the pool, a slice at a time, so that one stream's
//! heavy programs hold up neither the network nor another stream. The cost is estimated from the slices before: there is no telling from a
//! program what its events will cost.

use std::time::{Duration, Instant};

use rocketbridge_model::{Event, Origin};
use rocketbridge_program::{Program, Verdict};

/// Longest that an evaluation should hold up a thread that also serves the network.
const INLINE: Duration = Duration::from_micros(500);
/// How long a slice in the pool should take.
const SLICE: Duration = Duration::from_millis(4);
/// How much longer a compressed body is taken to be when it is plain.
const GROWTH: u64 = 8;
/// What an event costs besides its bytes, as if it had that many more.
const BASE: u64 = 256;
/// Waste beyond which what matched is copied out of the frame that it came in.
const WASTE: usize = 4;

/// Events and what becomes of each.
pub(crate) struct Evaluated {
    pub(crate) events: Vec<(Event, Verdict)>,
    weight: u64,
    took: Duration,
}

/// What evaluation costs, learnt.
pub(crate) struct Cost {
    /// Of one byte.
    nanoseconds: f64,
}

impl Cost {
    /// Nothing is known: the first slice goes to the pool.
    pub(crate) fn unknown() -> Self {
        Self { nanoseconds: 40.0 }
    }

    /// Whether these events may be evaluated where they are. Nobody knows what becomes of a compressed body.
    pub(crate) fn is_small<'a>(&self, mut events: impl Iterator<Item = &'a Event>) -> bool {
        let plain = events.try_fold(0, |sum, event| (!event.envelope.is_compressed()).then(|| sum + weight(event)));
        plain.is_some_and(|sum| self.of(sum) <= INLINE)
    }

    /// How many of these events make a slice; at least one.
    pub(crate) fn slice<'a>(&self, events: impl Iterator<Item = &'a Event>) -> usize {
        let mut sum = 0;
        let fits = events.take_while(|event| {
            sum += weight(event);
            self.of(sum) <= SLICE
        });
        fits.count().max(1)
    }

    /// Learns from a slice: at once what is dearer than it was thought, slowly what is cheaper.
    pub(crate) fn learn(&mut self, evaluated: &Evaluated) {
        if evaluated.weight > 0 {
            let seen = evaluated.took.as_nanos() as f64 / evaluated.weight as f64;
            self.nanoseconds = seen.max(self.nanoseconds * 0.9 + seen * 0.1);
        }
    }

    fn of(&self, weight: u64) -> Duration {
        Duration::from_nanos((self.nanoseconds * weight as f64) as u64)
    }
}

/// Evaluates events. What matched is copied out of the frames that the events came in if it is a small part of them: otherwise one event
/// that waits for its target would keep the memory of hundreds.
pub(crate) fn evaluate(program: &Program, origin: &Origin, events: Vec<Event>) -> Evaluated {
    let (began, weight) = (Instant::now(), events.iter().map(weight).sum());
    let all: usize = events.iter().map(Event::size).sum();
    let mut events: Vec<(Event, Verdict)> = events
        .into_iter()
        .map(|event| {
            let verdict = program.evaluate(&event, origin);
            (event, verdict)
        })
        .collect();
    let kept: usize = events.iter().filter(|(_, verdict)| *verdict != Verdict::Filtered).map(|(event, _)| event.size()).sum();
    if kept > 0 && kept * WASTE < all {
        for (event, verdict) in &mut events {
            if *verdict != Verdict::Filtered {
                event.detach();
            }
        }
    }
    Evaluated { events, weight, took: began.elapsed() }
}

fn weight(event: &Event) -> u64 {
    let growth = if event.envelope.is_compressed() { GROWTH } else { 1 };
    event.size() as u64 * growth + BASE
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rocketbridge_model::Envelope;
    use rocketbridge_program::Compiler;

    use super::*;

    fn events(count: usize, size: usize) -> Vec<Event> {
        let envelope = Envelope { body: Bytes::from(vec![0; size]), ..Envelope::default() };
        (0..count as u64).map(|offset| Event { offset, envelope: envelope.clone(), attributes: None }).collect()
    }

    /// *Scenario*: a hundred events are slices of one frame, and one of them is wanted. *Guarantees*: once the others are gone, so is the frame.
    #[test]
    fn what_is_wanted_does_not_keep_the_frame_that_it_came_in() {
        let frame = Bytes::from((100..200).map(|number| format!("{{\"n\":{number}}}")).collect::<String>());
        let event = |number: usize| Event {
            offset: number as u64,
            envelope: Envelope { body: frame.slice(number * 9..(number + 1) * 9), ..Envelope::default() },
            attributes: None,
        };
        let program = Program::compile(&crate::transit::tests::stream(r#"{"data":{"body":{"n":[107]}}}"#), &Compiler::default())
            .expect("it compiles");
        let events = (0..100).map(event).collect();
        let evaluated = evaluate(&program, &Origin::default(), events);
        let kept: Vec<Event> =
            evaluated.events.into_iter().filter(|(_, verdict)| *verdict != Verdict::Filtered).map(|(event, _)| event).collect();
        assert_eq!(kept.len(), 1);
        assert!(frame.is_unique(), "the frame is kept");
    }

    /// *Scenario*: events are cheap, and one of them has a compressed body. *Guarantees*: it is made plain in the pool.
    #[test]
    fn compressed_bodies_go_to_the_pool() {
        let mut cost = Cost::unknown();
        (0..100).for_each(|_| cost.learn(&slow(256, Duration::from_nanos(500))));
        let mut few = events(3, 10);
        assert!(cost.is_small(few.iter()));
        few[1].envelope.system_flag = rocketbridge_model::event::system_flag::COMPRESSED;
        assert!(!cost.is_small(few.iter()));
        assert_eq!(weight(&few[1]), 8 * weight(&few[0]) - 7 * BASE);
    }

    fn slow(events: usize, each: Duration) -> Evaluated {
        Evaluated { events: Vec::new(), weight: BASE * events as u64, took: each * events as u32 }
    }

    /// *Scenario*: nothing is known; then events are cheap for long; then one slice is dear. *Guarantees*: the first goes to the pool, cheap
    /// ones stay, and one dear slice is enough to go to the pool again.
    #[test]
    fn what_is_dear_goes_to_the_pool_at_once() {
        let mut cost = Cost::unknown();
        assert!(!cost.is_small(events(256, 0).iter()));
        for _ in 0..100 {
            cost.learn(&slow(256, Duration::from_nanos(500)));
        }
        assert!(cost.is_small(events(256, 0).iter()));
        assert!(!cost.is_small(events(256, 1 << 20).iter()), "bytes count");
        cost.learn(&slow(256, Duration::from_micros(100)));
        assert!(!cost.is_small(events(256, 0).iter()));
        assert_eq!(cost.slice(events(256, 0).iter()), 40);
        cost.learn(&slow(1, Duration::from_secs(1)));
        assert_eq!(cost.slice(events(256, 0).iter()), 1);
    }
}
