//! A consumer group that reads a topic and commits as it goes.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector::{OffsetSource, OpenPartition, PullLimits};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::brokers::Cluster;
use crate::condition::eventually;
use crate::message::Numbered;

/// How much one pull brings, and how long a queue rests after it: a backlog stays one for a while.
const LIMITS: PullLimits = PullLimits { events: 32, bytes: 256 * 1024, ahead: false };
const REST: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_secs(30);

/// A message that was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: Instant,
}

/// A running consumer: a member of its group, with all queues of one topic. Each pull is committed once its messages are consumed.
pub struct Consumer {
    stop: watch::Sender<bool>,
    /// How many messages are consumed, and what failed last.
    count: watch::Receiver<(usize, String)>,
    queues: Vec<JoinHandle<Vec<Consumed>>>,
}

impl Consumer {
    /// Goes on where the group has committed; from the oldest message where it has not.
    ///
    /// # Panics
    ///
    /// When the topic cannot be read.
    pub async fn start(cluster: &Cluster, topic: &str, group: &str) -> Self {
        let source = cluster.source(topic, group);
        let queues = eventually(&format!("topic {topic} can be read"), DEADLINE, async || {
            let queues = source.partitions().await.map_err(|error| error.to_string())?;
            if queues.is_empty() { Err("no queues".to_owned()) } else { Ok(queues) }
        })
        .await;
        let (stop, stopped) = watch::channel(false);
        let (counted, count) = watch::channel((0, String::new()));
        let counted = Arc::new(counted);
        let mut running = Vec::new();
        for queue in queues {
            let open = source.open(&queue).await.unwrap_or_else(|error| panic!("{error}"));
            running.push(tokio::spawn(consume(Arc::clone(&source), open, stopped.clone(), Arc::clone(&counted))));
        }
        Self { stop, count, queues: running }
    }

    /// Waits until so many messages are consumed.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn wait(&self, messages: usize, deadline: Duration) {
        let mut count = self.count.clone();
        let reached = tokio::time::timeout(deadline, count.wait_for(|(count, _)| *count >= messages)).await;
        let is_reached = reached.is_ok_and(|reached| reached.is_ok());
        let (count, failure) = self.count.borrow().clone();
        assert!(is_reached, "{count} of {messages} messages are consumed; what failed last: {failure}");
    }

    /// How many messages are consumed.
    pub fn count(&self) -> usize {
        self.count.borrow().0
    }

    /// Stops; what was consumed is committed, as far as the cluster answers. Returns it, queue by queue.
    ///
    /// # Panics
    ///
    /// When a queue's task has panicked.
    pub async fn stop(self) -> Vec<Consumed> {
        self.stop.send_replace(true);
        let mut consumed = Vec::new();
        for queue in self.queues {
            consumed.extend(queue.await.expect("it does not panic"));
        }
        consumed
    }
}

/// Consumes a queue until it is told to stop. Failures are tried again: clusters die in tests.
async fn consume(
    source: Arc<dyn OffsetSource>,
    mut open: OpenPartition,
    mut stopped: watch::Receiver<bool>,
    counted: Arc<watch::Sender<(usize, String)>>,
) -> Vec<Consumed> {
    let mut consumed = Vec::new();
    let mut next = None;
    loop {
        if next.is_none() {
            match open.committer.committed().await {
                Ok(committed) => next = Some(committed.unwrap_or_default()),
                Err(error) => counted.send_modify(|(_, failure)| *failure = error.to_string()),
            }
        }
        // A pull that is dropped has consumed nothing.
        let pulled = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            pulled = open.reader.pull(next.unwrap_or_default(), LIMITS), if next.is_some() => pulled,
            () = sleep(REST), if next.is_none() => continue,
        };
        match pulled {
            Ok(pulled) => {
                let numbers = pulled.events.iter().filter_map(|event| Numbered::number_of(event.envelope.properties.get("KEYS")?));
                consumed.extend(numbers.map(|number| Consumed { number, at: Instant::now() }));
                counted.send_modify(|(count, _)| *count += pulled.events.len());
                next = Some(pulled.next_offset);
                // Tried again with the next pull, or lost with the cluster.
                let _ = open.committer.commit(pulled.next_offset).await;
            }
            Err(error) => counted.send_modify(|(_, failure)| *failure = error.to_string()),
        }
        sleep(REST).await;
    }
    drop(source);
    consumed
}
