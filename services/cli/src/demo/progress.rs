//! How far the demo is: a bar on a terminal, a line for every tenth elsewhere.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::output::table::grouped;

/// How often a bar is drawn at most.
const REDRAW: Duration = Duration::from_millis(100);
const WIDTH: usize = 40;

/// Tells how far something is. Written to standard error by its owner's choice of `output`: it is no result.
pub struct Progress<W: Write> {
    output: W,
    is_terminal: bool,
    total: u64,
    tenths: u64,
    drawn: Option<Instant>,
}

impl<W: Write> Progress<W> {
    /// Of `total` events.
    pub fn new(output: W, is_terminal: bool, total: u64) -> Self {
        Self { output, is_terminal, total, tenths: 0, drawn: None }
    }

    /// Says what is done next, on a line of its own.
    pub fn step(&mut self, text: &str) {
        self.clear();
        // A demo goes on without anybody who reads this.
        let _ = writeln!(self.output, "{text}");
    }

    /// Tells how far it is. Cheap enough to be called for every event.
    pub fn update(&mut self, done: u64, rate: f64, now: Instant) {
        let done = done.min(self.total);
        if self.is_terminal {
            if done == self.total || self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= REDRAW) {
                self.drawn = Some(now);
                let _ = write!(self.output, "\r{}\x1b[K", self.bar(done, rate));
                let _ = self.output.flush();
            }
        } else if let Some(tenths) = (done * 10).checked_div(self.total)
            && tenths > self.tenths
        {
            self.tenths = tenths;
            let _ = writeln!(
                self.output,
                "{:>3} %  {} of {}  {} events/s",
                tenths * 10,
                grouped(done),
                grouped(self.total),
                grouped(rate as u64)
            );
        }
    }

    /// Removes the bar; what follows stands at the beginning of a line.
    pub fn clear(&mut self) {
        if self.is_terminal && self.drawn.take().is_some() {
            let _ = write!(self.output, "\r\x1b[K");
            let _ = self.output.flush();
        }
    }

    fn bar(&self, done: u64, rate: f64) -> String {
        let filled = (done * WIDTH as u64).checked_div(self.total).map_or(WIDTH, |filled| filled as usize);
        let percent = (done * 100).checked_div(self.total).unwrap_or(100);
        format!(
            "[{}{}] {percent:>3} %  {}  {} events/s",
            "#".repeat(filled),
            ".".repeat(WIDTH - filled),
            grouped(done),
            grouped(rate as u64)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_there_is_a_line_for_every_tenth() {
        let mut output = Vec::new();
        let mut progress = Progress::new(&mut output, false, 1_000);
        progress.step("producing");
        (0..=1_000).for_each(|done| progress.update(done, 5_000.4, Instant::now()));
        let text = String::from_utf8(output).expect("text");
        assert_eq!(text.lines().count(), 11);
        assert_eq!(text.lines().nth(1), Some(" 10 %  100 of 1,000  5,000 events/s"));
        assert_eq!(text.lines().last(), Some("100 %  1,000 of 1,000  5,000 events/s"));
    }

    #[test]
    fn on_a_terminal_the_bar_is_drawn_now_and_then_and_removed() {
        let mut output = Vec::new();
        let start = Instant::now();
        let mut progress = Progress::new(&mut output, true, 1_000);
        (0..250).for_each(|done| progress.update(done, 1.0, start));
        progress.update(250, 1.0, start + REDRAW);
        progress.step("done");
        let text = String::from_utf8(output).expect("text");
        assert_eq!(text.matches('\r').count(), 3, "{text:?}");
        assert!(text.contains("[##########..............................]  25 %  250  1 events/s"), "{text:?}");
        assert!(text.ends_with("\r\x1b[Kdone\n"), "{text:?}");
    }
}
