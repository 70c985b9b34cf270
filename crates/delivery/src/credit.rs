//! How much may be under way in one session.
//!
//! The receiver grants, the sender spends. Grants are for events and for bytes; an event may be sent while both are
//! above nothing, so that one event larger than the whole byte window still passes, alone.

use rocketbridge_model::session::Credit;

/// The sender's side: what it may still send.
#[derive(Debug, Default)]
pub struct Allowance {
    events: u64,
    bytes: i128,
}

impl Allowance {
    /// Adds a grant.
    pub fn grant(&mut self, credit: Credit) {
        self.events += u64::from(credit.events);
        self.bytes += i128::from(credit.bytes);
    }

    /// Whether one more event may be sent.
    pub fn is_open(&self) -> bool {
        self.events > 0 && self.bytes > 0
    }

    /// Spends one event of this size. Call it only while [`Allowance::is_open`].
    pub fn spend(&mut self, bytes: usize) {
        debug_assert!(self.is_open(), "spent without credit");
        self.events = self.events.saturating_sub(1);
        self.bytes -= bytes as i128;
    }
}

/// The receiver's side: what it gives back as events end, in portions worth a message.
#[derive(Debug)]
pub struct Grants {
    window: Credit,
    ended: Credit,
}

impl Grants {
    /// For a window that is granted at first.
    pub fn new(window: Credit) -> Self {
        Self { window, ended: Credit::default() }
    }

    /// The first grant.
    pub fn window(&self) -> Credit {
        self.window
    }

    /// Notes that an event of this size has ended.
    pub fn end(&mut self, bytes: usize) {
        self.ended.events = self.ended.events.saturating_add(1);
        self.ended.bytes = self.ended.bytes.saturating_add(bytes as u64);
    }

    /// What to grant now: everything that ended, once that is an eighth of the window or more.
    pub fn take(&mut self) -> Option<Credit> {
        let due = self.ended.events >= (self.window.events / 8).max(1) || self.ended.bytes >= (self.window.bytes / 8).max(1);
        (due && self.ended != Credit::default()).then(|| std::mem::take(&mut self.ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_larger_than_the_window_passes_alone() {
        let mut allowance = Allowance::default();
        allowance.grant(Credit { events: 10, bytes: 100 });
        allowance.spend(1_000);
        assert!(!allowance.is_open());
        allowance.grant(Credit { events: 1, bytes: 1_000 });
        assert!(allowance.is_open());
    }

    #[test]
    fn what_is_spent_comes_back_whole() {
        let window = Credit { events: 16, bytes: 1_000 };
        let (mut allowance, mut grants) = (Allowance::default(), Grants::new(window));
        allowance.grant(grants.window());
        for _ in 0..1_000 {
            assert!(allowance.is_open());
            allowance.spend(10);
            grants.end(10);
            if let Some(credit) = grants.take() {
                allowance.grant(credit);
            }
        }
        assert!(allowance.is_open());
    }
}
