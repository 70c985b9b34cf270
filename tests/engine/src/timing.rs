//! Time per event.

use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds an event, and the sum of what `each` gives for one pass.
pub struct Timed {
    /// The least of three passes.
    pub nanoseconds: f64,
    /// What `each` gave.
    pub sum: usize,
}

/// Calls `each` with every event, three times over.
pub fn time(events: &[String], mut each: impl FnMut(&str) -> usize) -> Timed {
    let mut timed = Timed { nanoseconds: f64::MAX, sum: 0 };
    for _ in 0..3 {
        let begin = Instant::now();
        timed.sum = black_box(events.iter().map(|event| each(black_box(event))).sum());
        timed.nanoseconds = timed.nanoseconds.min(begin.elapsed().as_secs_f64() * 1e9 / events.len() as f64);
    }
    timed
}
