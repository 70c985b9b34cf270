//! Requests for messages that a proxy answers with nothing, at once, although it was asked to hold them until there is a message.
//!
//! Now and then that is right: a broker has just looked at messages that the filter does not want. One after the other it is a broker that refuses what its
//! proxy asks, in a way that no client is told of: on 5.3.3 a broker that checks rights itself (`authorizationEnabled`) reads the request before it has noted when
//! it came, and takes every one for a request that came too late (`PopMessageProcessor`: "pop message is timeout too much"). On 5.5.0 that is mended.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

/// An empty answer that came sooner was not held. Proxies hold a request for 5 s at least, and a busy one may need a moment to say no.
const AT_ONCE: Duration = Duration::from_millis(1_500);
/// After so many of one broker, one after the other, it is told.
const TOLD: u32 = 10;
/// How much longer to wait after each before the broker is asked again, and at most: so that this costs no more than requests that are held.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many requests were not held one after the other, by broker.
#[derive(Default)]
pub(crate) struct Unheld(Mutex<BTreeMap<String, u32>>);

impl Unheld {
    /// Notes an answer of a broker; answers how long to wait before it is asked again.
    pub(crate) fn note(&self, broker: &str, messages: usize, took: Duration) -> Duration {
        let mut brokers = self.0.lock();
        if messages > 0 || took >= AT_ONCE {
            brokers.remove(broker);
            return Duration::ZERO;
        }
        let count = brokers.entry(broker.to_owned()).or_default();
        *count = count.saturating_add(1);
        (PAUSE * (*count - 1)).min(LONGEST_PAUSE)
    }

    /// What is wrong, for people.
    pub(crate) fn concern(&self) -> Option<String> {
        let brokers = self.0.lock();
        let (broker, _) = brokers.iter().find(|(_, count)| **count >= TOLD)?;
        Some(format!(
            "broker {broker} answers every request for messages with none at once, and should hold it for some seconds: nothing may come out of it. Brokers of RocketMQ 5.3.3 that \
             check rights themselves do so to their proxies: let the proxies check rights, and set authorizationEnabled=false in broker.conf, or use RocketMQ 5.5.0"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(30);
    const HELD: Duration = Duration::from_secs(5);

    /// *Scenario*: empty answers at once, of one broker, while another holds its requests; then one that is held; then messages. *Guarantees*: the pauses grow up
    /// to a bound, it is told with the broker and the cure from the tenth on, and is over with the first answer that was held or brought something.
    #[test]
    fn answers_at_once_are_told_and_slowed_down() {
        let unheld = Unheld::default();
        assert_eq!(unheld.note("a", 0, SOON), Duration::ZERO);
        for count in 1..9 {
            assert_eq!(unheld.note("a", 0, SOON), PAUSE * count);
            assert_eq!(unheld.note("b", 0, HELD), Duration::ZERO);
        }
        assert_eq!(unheld.concern(), None);
        unheld.note("a", 0, SOON);
        let concern = unheld.concern().expect("told");
        assert!(concern.starts_with("broker a answers every request") && concern.contains("authorizationEnabled=false"), "{concern}");
        for _ in 0..200 {
            assert!(unheld.note("a", 0, SOON) <= LONGEST_PAUSE);
        }
        assert_eq!(unheld.note("a", 0, HELD), Duration::ZERO);
        assert_eq!(unheld.concern(), None);
        for _ in 0..20 {
            unheld.note("a", 0, SOON);
        }
        assert!(unheld.concern().is_some());
        unheld.note("a", 1, SOON);
        assert_eq!(unheld.concern(), None);
    }
}
