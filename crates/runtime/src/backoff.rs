//! Capped exponential backoff with full jitter.
//!
//! Pure: it never sleeps and reads no clock. The same seed gives the same delays. Full jitter (a delay uniform between zero and the
//! ceiling) spreads the attempts of many processes that lost the same server at the same moment.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The delays before the next attempts: each uniform in `[0, ceiling]`, with a ceiling that doubles from `base` up to `cap`.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: u32,
    state: u64,
}

impl Backoff {
    /// A backoff whose jitter differs between processes and between calls.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self::seeded(base, cap, RandomState::new().build_hasher().finish())
    }

    /// A backoff whose delays follow from `seed`.
    pub fn seeded(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap: cap.max(base), attempts: 0, state: seed }
    }

    /// The time to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempts = self.attempts.saturating_add(1);
        let nanoseconds = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is uniform in 0..=nanoseconds, without the bias of a remainder.
        let wide = u128::from(self.random()) * (u128::from(nanoseconds) + 1);
        Duration::from_nanos((wide >> 64) as u64)
    }

    /// The longest that the next delay can be.
    pub fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.base.checked_mul(factor).map_or(self.cap, |delay| delay.min(self.cap))
    }

    /// The longest that any delay can be.
    pub fn cap(&self) -> Duration {
        self.cap
    }

    /// How many delays were given since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014): one word of state, every seed is good.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(5);

    /// *Scenario*: more failures in a row than the exponent has bits. *Guarantees*: ceilings double, then stay at the cap.
    #[test]
    fn ceilings_double_up_to_the_cap() {
        let mut backoff = Backoff::seeded(BASE, CAP, 1);
        let mut ceilings = Vec::new();
        for _ in 0..100 {
            let ceiling = backoff.ceiling();
            assert!(backoff.next_delay() <= ceiling);
            ceilings.push(ceiling);
        }
        assert_eq!(ceilings[..3], [BASE, BASE * 2, BASE * 4]);
        assert!(ceilings[6..].iter().all(|ceiling| *ceiling == CAP));
        backoff.reset();
        assert_eq!(backoff.ceiling(), BASE);
    }

    /// *Scenario*: many delays at the cap. *Guarantees*: jitter is full: both ends of the range are used, the mean is in its middle.
    #[test]
    fn jitter_uses_the_whole_range() {
        let mut backoff = Backoff::seeded(CAP, CAP, 7);
        let delays: Vec<f64> = (0..1000).map(|_| backoff.next_delay().as_secs_f64()).collect();
        let mean = delays.iter().sum::<f64>() / 1000.0;
        assert!((2.2..2.8).contains(&mean), "mean {mean}");
        assert!(delays.iter().any(|delay| *delay < 0.1) && delays.iter().any(|delay| *delay > 4.9));
    }

    /// *Scenario*: two backoffs. *Guarantees*: equal seeds give equal delays, and by default seeds differ.
    #[test]
    fn seeds_decide() {
        let delays = |mut backoff: Backoff| (0..8).map(|_| backoff.next_delay()).collect::<Vec<_>>();
        assert_eq!(delays(Backoff::seeded(BASE, CAP, 3)), delays(Backoff::seeded(BASE, CAP, 3)));
        assert_ne!(delays(Backoff::new(BASE, CAP)), delays(Backoff::new(BASE, CAP)));
    }
}
