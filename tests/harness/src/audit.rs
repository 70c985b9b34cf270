//! The account of the messages that arrived at a target.
//!
//! Messages are identified by their keys and compared with the message that their number determines. Order means the order of first
//! deliveries for each source queue: a target keeps the messages of one queue in one queue, and a queue is read in order.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rocketbridge_connector_rocketmq::{BORN_PROPERTY, ORIGIN_PROPERTY, POSITION_PROPERTY, REASON_PROPERTY, VIA_PROPERTY};
use rocketbridge_model::Event;
use rocketbridge_model::resolved::StartPosition;
use tokio::task::JoinHandle;

use crate::brokers::Cluster;
use crate::condition::eventually;
use crate::message::Numbered;

/// How long it may take until a topic can be followed.
const FOUND: Duration = Duration::from_secs(30);
/// How many examples of each kind of fault a report keeps.
const EXAMPLES: usize = 5;
/// Properties that RocketMQ or the bridge adds.
const OWN: [&str; 18] = [
    "KEYS",
    "TAGS",
    "UNIQ_KEY",
    "WAIT",
    "CLUSTER",
    "MSG_REGION",
    "TRACE_ON",
    "BORNHOST",
    "REAL_TOPIC",
    "REAL_QID",
    "MIN_OFFSET",
    "MAX_OFFSET",
    "INNER_NUM",
    BORN_PROPERTY,
    ORIGIN_PROPERTY,
    REASON_PROPERTY,
    POSITION_PROPERTY,
    VIA_PROPERTY,
];

/// Follows a target's topic from its beginning.
pub struct Audit {
    account: Arc<Mutex<Account>>,
    reading: JoinHandle<()>,
}

/// The result of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that were produced and should arrive.
    pub produced: u64,
    /// Of those, how many arrived.
    pub delivered: u64,
    /// Arrivals beyond the first of each.
    pub duplicated: u64,
    /// Of those produced, how many did not arrive.
    pub lost: u64,
    /// Arrivals whose body, keys, tag or properties differ from those of their number.
    pub corrupt: u64,
    /// First arrivals behind a later message of the same queue.
    pub out_of_order: u64,
    /// Messages that arrived though they should not.
    pub unwanted: u64,
    /// Examples of what was wrong.
    pub examples: Vec<String>,
}

#[derive(Debug, Default)]
struct Account {
    seed: u64,
    queues: u64,
    /// Arrivals by number.
    arrivals: HashMap<u64, u32>,
    /// Of each source queue: first arrivals, and the highest number so far.
    per_queue: Vec<(u64, Option<u64>)>,
    /// First arrivals by source queue and the target's store time, milliseconds.
    times: HashMap<(u64, i64), u64>,
    corrupt: u64,
    out_of_order: u64,
    examples: Vec<String>,
    last: Option<Instant>,
}

impl Audit {
    /// Follows a topic that receives the load of a seed, sent to a number of queues.
    pub async fn follow(cluster: &Cluster, topic: &str, queues: u32, seed: u64) -> Self {
        // A name server may hear of a topic a little later than whoever made it.
        let mut tail = eventually("the topic can be followed", FOUND, async || {
            cluster.admin().tail(topic, &[], StartPosition::Earliest).await.map_err(|error| error.to_string())
        })
        .await;
        let account = Arc::new(Mutex::new(Account::new(queues, seed)));
        let filling = account.clone();
        let reading = tokio::spawn(async move {
            loop {
                // A failure is reported once, and reading continues after it.
                if let Ok(tailed) = tail.next().await {
                    lock(&filling).enter(&tailed.event);
                }
            }
        });
        Self { account, reading }
    }

    /// Distinct messages that arrived so far.
    pub fn delivered(&self) -> u64 {
        lock(&self.account).arrivals.len() as u64
    }

    /// Arrivals beyond the first of each message so far.
    pub fn repeated(&self) -> u64 {
        lock(&self.account).arrivals.values().map(|arrivals| u64::from(*arrivals) - 1).sum()
    }

    /// First arrivals from each source queue.
    pub fn per_queue(&self) -> Vec<u64> {
        lock(&self.account).per_queue.iter().map(|(count, _)| *count).collect()
    }

    /// The lowest number from each source queue that arrived and meets the condition, if there is one.
    pub fn lowest(&self, asked: impl Fn(u64) -> bool) -> Vec<Option<u64>> {
        let account = lock(&self.account);
        let mut lowest = vec![None; account.per_queue.len()];
        for number in account.arrivals.keys().copied().filter(|number| asked(*number)) {
            let least = &mut lowest[usize::try_from(number % account.queues).expect("a few queues")];
            *least = Some(least.map_or(number, |least: u64| least.min(number)));
        }
        lowest
    }

    /// The most first arrivals from one source queue within an interval, by the target's store time.
    pub fn peak(&self, interval: Duration) -> u64 {
        let width = i64::try_from(interval.as_millis()).expect("a short interval");
        let mut intervals: HashMap<(u64, i64), u64> = HashMap::new();
        for ((queue, time), count) in &lock(&self.account).times {
            *intervals.entry((*queue, time / width)).or_default() += count;
        }
        intervals.into_values().max().unwrap_or_default()
    }

    /// Waits until a number of distinct messages have arrived.
    pub async fn wait(&self, count: u64, deadline: Duration) {
        eventually(&format!("{count} messages arrive"), deadline, async || {
            let delivered = self.delivered();
            if delivered >= count { Ok(()) } else { Err(format!("{delivered}, of each queue {:?}", self.per_queue())) }
        })
        .await;
    }

    /// Waits until a number of first arrivals have come from each source queue.
    pub async fn wait_each(&self, count: u64, deadline: Duration) {
        eventually(&format!("{count} messages of each queue arrive"), deadline, async || {
            let per_queue = self.per_queue();
            if per_queue.iter().all(|arrived| *arrived >= count) { Ok(()) } else { Err(format!("of each queue {per_queue:?}")) }
        })
        .await;
    }

    /// Waits until every produced and wanted message has arrived, or none has arrived for `patience`, and returns the account.
    pub async fn report(&self, produced: Range<u64>, wanted: impl Fn(u64) -> bool, patience: Duration) -> Report {
        let begin = Instant::now();
        loop {
            let (report, last) = {
                let account = lock(&self.account);
                (account.report(&produced, &wanted), account.last.unwrap_or(begin).max(begin))
            };
            if report.lost == 0 || last.elapsed() > patience {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// As [`report`](Self::report), for a load of which every message is wanted. Any fault fails the test; repeats are allowed.
    ///
    /// # Panics
    ///
    /// When a message is lost, corrupt, out of order or unwanted.
    pub async fn expect(&self, produced: Range<u64>, wanted: impl Fn(u64) -> bool) -> Report {
        let report = self.report(produced, wanted, Duration::from_secs(20)).await;
        assert!(report.is_right(), "{report}");
        report
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Report {
    /// Whether nothing is wrong. Repeats count as right.
    pub fn is_right(&self) -> bool {
        self.lost == 0 && self.corrupt == 0 && self.out_of_order == 0 && self.unwanted == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { produced, delivered, duplicated, lost, corrupt, out_of_order, unwanted, .. } = self;
        write!(
            formatter,
            "produced {produced} delivered {delivered} duplicated {duplicated} lost {lost} corrupt {corrupt} out-of-order {out_of_order}"
        )?;
        if *unwanted > 0 {
            write!(formatter, " unwanted {unwanted}")?;
        }
        self.examples.iter().try_for_each(|example| write!(formatter, "\n  {example}"))
    }
}

impl Account {
    fn new(queues: u32, seed: u64) -> Self {
        Self { seed, queues: queues.into(), per_queue: vec![(0, None); queues as usize], ..Self::default() }
    }

    fn enter(&mut self, event: &Event) {
        self.last = Some(Instant::now());
        let keys = event.envelope.properties.get("KEYS").unwrap_or_default();
        let Some(number) = Numbered::number_of(keys) else {
            self.corrupt += 1;
            self.example(format!("keys {keys:?} are nobody's"));
            return;
        };
        if let Err(what) = check(&Numbered::new(self.seed, number), event) {
            self.corrupt += 1;
            self.example(format!("message {number}: {what}"));
        }
        let queue = number % self.queues;
        let arrivals = self.arrivals.entry(number).or_default();
        *arrivals += 1;
        if *arrivals > 1 {
            return;
        }
        *self.times.entry((queue, event.envelope.store_timestamp)).or_default() += 1;
        let (count, highest) = &mut self.per_queue[usize::try_from(queue).expect("a few queues")];
        *count += 1;
        match *highest {
            Some(earlier) if earlier > number => {
                self.out_of_order += 1;
                self.example(format!("message {number} of queue {queue} first came behind {earlier}"));
            }
            _ => *highest = Some(number),
        }
    }

    fn example(&mut self, example: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }

    fn report(&self, produced: &Range<u64>, wanted: impl Fn(u64) -> bool) -> Report {
        let mut report =
            Report { corrupt: self.corrupt, out_of_order: self.out_of_order, examples: self.examples.clone(), ..Report::default() };
        for number in produced.clone().filter(|number| wanted(*number)) {
            report.produced += 1;
            match self.arrivals.get(&number) {
                Some(arrivals) => {
                    report.delivered += 1;
                    report.duplicated += u64::from(*arrivals) - 1;
                }
                None => {
                    report.lost += 1;
                    if report.lost <= EXAMPLES as u64 {
                        report.examples.push(format!("message {number} of queue {} is missing", number % self.queues));
                    }
                }
            }
        }
        report.unwanted = self.arrivals.len() as u64 - report.delivered;
        if report.unwanted > 0 {
            let stray = self.arrivals.keys().filter(|number| !produced.contains(number) || !wanted(**number));
            report.examples.extend(stray.take(EXAMPLES).map(|number| format!("message {number} is not wanted")));
        }
        report
    }
}

fn check(expected: &Numbered, event: &Event) -> Result<(), String> {
    let envelope = &event.envelope;
    if envelope.body != expected.body {
        return Err(format!("a body of {} bytes instead of {}, or other ones", envelope.body.len(), expected.body.len()));
    }
    let tag = envelope.properties.get("TAGS").unwrap_or_default();
    if tag != expected.tag {
        return Err(format!("tag {tag:?} instead of {:?}", expected.tag));
    }
    let mut properties: Vec<_> = envelope.properties.iter().filter(|(name, _)| !OWN.contains(name)).collect();
    properties.sort_unstable();
    let mut wanted: Vec<_> = expected.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    wanted.sort_unstable();
    if properties != wanted {
        return Err(format!("properties {properties:?} instead of {wanted:?}"));
    }
    Ok(())
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::{Envelope, Properties};

    use super::*;

    const SEED: u64 = 3;

    fn event(number: u64, change: impl FnOnce(&mut Numbered)) -> Event {
        let mut message = Numbered::new(SEED, number);
        change(&mut message);
        let keys = Numbered::keys(number);
        let named = [("KEYS", keys.as_str()), ("TAGS", message.tag), ("UNIQ_KEY", "7F")];
        let own = message.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let properties = Properties::from_pairs(named.into_iter().chain(own)).expect("no separators");
        Event { offset: number, envelope: Envelope { body: message.body, properties, ..Envelope::default() }, attributes: None }
    }

    fn account(events: impl IntoIterator<Item = Event>) -> Report {
        let mut account = Account::new(2, SEED);
        events.into_iter().for_each(|event| account.enter(&event));
        account.report(&(0..10), |_| true)
    }

    fn whole() -> Vec<Event> {
        (0..10).map(|number| event(number, |_| {})).collect()
    }

    #[test]
    fn a_whole_load_is_right_in_any_order_of_its_queues() {
        let report = account((0..10).step_by(2).chain((1..10).step_by(2)).map(|number| event(number, |_| {})));
        assert!(report.is_right() && report.delivered == 10 && report.duplicated == 0, "{report}");
        let said = "produced 10 delivered 10 duplicated 0 lost 0 corrupt 0 out-of-order 0";
        assert_eq!(report.to_string(), said);
    }

    #[test]
    fn every_fault_is_found() {
        let mut lost = whole();
        lost.remove(4);
        assert_eq!((account(lost.clone()).lost, account(lost).is_right()), (1, false));

        let repeated = account(whole().into_iter().chain(whole()));
        assert_eq!((repeated.duplicated, repeated.out_of_order, repeated.is_right()), (10, 0, true), "a replay is no disorder");

        let mut swapped = whole();
        swapped.swap(4, 6);
        assert_eq!(account(swapped).out_of_order, 1);

        assert_eq!(account(whole().into_iter().chain([event(12, |_| {})])).unwanted, 1);

        let changes: [fn(&mut Numbered); 5] = [
            |message| message.body = b"another".as_slice().into(),
            |message| message.tag = "another",
            |message| message.properties.clear(),
            |message| message.properties.push(("more".to_owned(), "x".to_owned())),
            |message| message.properties[0].1.push('x'),
        ];
        for change in changes {
            let mut events = whole();
            events[5] = event(5, change);
            assert_eq!(account(events).corrupt, 1);
        }
        let mut nameless = whole();
        nameless[3].envelope.properties = Properties::default();
        let report = account(nameless);
        assert_eq!((report.corrupt, report.lost), (1, 1));
    }
}
