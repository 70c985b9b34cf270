//! Offset reset: a group begins somewhere else.

use rocketbridge_connector::{Code, Error};
use rocketbridge_connector_rocketmq::{Queue, QueueProgress};
use rocketbridge_model::resolved::StartPosition;
use rocketmq_client_rust::{MQAdminMutationExt, OffsetAdmin};
use rocketmq_model::message::MessageQueue;

use crate::administration::Administration;

/// How long an offset may take, in milliseconds.
const OFFSET: u64 = 5_000;

/// What a reset does to one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueReset {
    /// The queue.
    pub queue: Queue,
    /// The offset that the group committed; `None` if it never did.
    pub from: Option<u64>,
    /// The offset that it begins at after the reset.
    pub to: u64,
}

impl Administration {
    /// What a reset of a group in a topic would do, queue by queue, sorted. Nothing is changed.
    ///
    /// # Errors
    ///
    /// The topic does not exist; a broker cannot be reached or refuses.
    pub async fn plan_reset(&self, group: &str, topic: &str, to: StartPosition) -> Result<Vec<QueueReset>, Error> {
        let attempt = format!("find where group {group} would begin in topic {topic}");
        let mut resets = Vec::new();
        // Our own client tells a queue where nothing was committed from one that stands at 0; the library does not.
        for QueueProgress { queue, committed, maximum } in self.admin.progress(topic, group).await? {
            let to = self.offset_at(topic, &queue, maximum, to, &attempt).await?;
            resets.push(QueueReset { queue, from: committed, to });
        }
        Ok(resets)
    }

    /// Commits the offsets of a plan in the group's name, and reads them back.
    ///
    /// # Errors
    ///
    /// The group has members: they would commit their own offsets over it. A broker cannot be reached or refuses, or tells another offset than was
    /// set; then some queues may be reset.
    pub async fn reset(&self, group: &str, topic: &str, plan: &[QueueReset]) -> Result<(), Error> {
        let attempt = format!("reset group {group} in topic {topic}");
        let members = self.members(group).await?.members;
        if !members.is_empty() {
            let names: Vec<&str> = members.iter().map(|member| member.client.as_str()).collect();
            let reason = format!("the group is consuming ({}), and would commit over it; stop its members first", names.join(", "));
            return Err(Error::new(Code::Rejected, attempt, reason));
        }
        let (wire_topic, wire_group) = (self.wire_name(topic), self.wire_name(group));
        for reset in plan {
            let address = self.master(&reset.queue.broker, &attempt)?.to_owned();
            let queue = library_queue(&wire_topic, &reset.queue);
            let commit = |relay: String| {
                OffsetAdmin::update_consume_offset(&self.library, relay.into(), wire_group.as_str().into(), queue, reset.to)
            };
            self.at(&address, &attempt, commit).await?;
        }
        // The embedded broker passes over commits that lead backwards, and has a request of its own for them.
        for (reset, told) in self.missed(group, topic, plan).await? {
            let address = self.master(&reset.queue.broker, &attempt)?.to_owned();
            let (number, expected, to) = (number(reset.queue.id), signed(told.unwrap_or_default()), signed(reset.to));
            let (wire_group, wire_topic) = (wire_group.as_str(), wire_topic.as_str());
            let commit = |relay: String| {
                let (group, topic) = (wire_group.into(), wire_topic.into());
                MQAdminMutationExt::reset_consumer_offset_if_current(&self.library, relay.into(), group, topic, number, expected, to)
            };
            self.at(&address, &attempt, commit).await?;
        }
        let Some((reset, told)) = self.missed(group, topic, plan).await?.pop() else { return Ok(()) };
        let (Queue { broker, id }, told) = (&reset.queue, told.map_or_else(|| "nothing".to_owned(), |offset| offset.to_string()));
        let reason = format!("broker {broker} tells {told} for queue {id}, and {} was committed", reset.to);
        Err(Error::new(Code::Internal, attempt, reason))
    }

    /// The queues whose broker tells another offset than a plan has, and that offset.
    async fn missed<'p>(&self, group: &str, topic: &str, plan: &'p [QueueReset]) -> Result<Vec<(&'p QueueReset, Option<u64>)>, Error> {
        let told = self.admin.progress(topic, group).await?;
        let told = |queue: &Queue| told.iter().find(|progress| progress.queue == *queue).and_then(|progress| progress.committed);
        Ok(plan.iter().map(|reset| (reset, told(&reset.queue))).filter(|(reset, told)| *told != Some(reset.to)).collect())
    }

    async fn offset_at(&self, topic: &str, queue: &Queue, maximum: u64, to: StartPosition, attempt: &str) -> Result<u64, Error> {
        let address = self.master(&queue.broker, attempt)?.to_owned();
        let wire = self.wire_name(topic);
        let asked = library_queue(&wire, queue);
        let minimum = self.at(&address, attempt, |relay| OffsetAdmin::min_offset(&self.library, relay.into(), asked, OFFSET)).await?;
        let minimum = u64::try_from(minimum).unwrap_or_default();
        Ok(match to {
            StartPosition::Earliest => minimum,
            StartPosition::Latest => maximum,
            StartPosition::Timestamp(time) => {
                let number = number(queue.id);
                let search = |relay: String| {
                    OffsetAdmin::search_offset(
                        &self.library,
                        relay.into(),
                        wire.as_str().into(),
                        number,
                        time.max(0).unsigned_abs(),
                        OFFSET,
                    )
                };
                self.at(&address, attempt, search).await?.clamp(minimum, maximum)
            }
        })
    }
}

fn library_queue(topic: &str, queue: &Queue) -> MessageQueue {
    MessageQueue::from_parts(topic, queue.broker.as_str(), number(queue.id))
}

/// The number of a queue, as the library has it.
fn number(queue: u32) -> i32 {
    i32::try_from(queue).unwrap_or(i32::MAX)
}

/// An offset, as the library has it.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
