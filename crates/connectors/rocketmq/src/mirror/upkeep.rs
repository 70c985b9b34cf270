//! The topic of a mirror has the queues that it needs: made after the source's settings where it is missing, with more queues where the source has
//! more. Queues are never taken away.

use rocketbridge_connector::{Code, Error};
use rocketbridge_model::Origin;

use super::MirrorTarget;
use super::home::{are_namesakes, home, queues_needed};
use crate::admin::Admin;
use crate::route::Queue;
use crate::settings::{MESSAGE_TYPE, TopicSettings, WRITE};

/// Readable and writable.
const PERMISSION: u32 = 6;

impl MirrorTarget {
    /// The home of a queue, and whether it was made just now.
    ///
    /// Where the topic is at some brokers of the target, these are the target's brokers; a topic that is nowhere is made at all of them.
    pub(super) async fn upkeep(&self, origin: &Origin, queue: &Queue, attempt: &str) -> Result<(Queue, bool), Error> {
        let admin = Admin::new(self.client.clone());
        let wire = self.client.wire_name(&self.topic);
        let route = match self.client.route(&wire).await {
            Ok(route) => Some(route),
            Err(failure) if failure.code() == Code::NotFound => None,
            Err(failure) => return Err(failure.during(attempt)),
        };
        let brokers = match &route {
            Some(route) => route.brokers(),
            None => admin.masters().await?.into_keys().collect(),
        };
        let Some(home) = home(queue, &origin.brokers, &brokers) else {
            return Err(Error::new(Code::Unavailable, attempt, "the name server knows no broker of the target now"));
        };
        if route.as_ref().is_some_and(|route| route.writable().contains(&home)) {
            return Ok((home, false));
        }
        let needed =
            queues_needed(origin.queues.max(queue.id + 1), origin.brokers.len().max(1), &brokers, are_namesakes(&origin.brokers, &brokers));
        let there = admin.topic_settings(&self.topic).await?.remove(&home.broker);
        let (settings, is_new) = match there {
            Some(there) if there.perm & WRITE == 0 => {
                let reason = format!("topic {} may not be written to at broker {} (perm {})", self.topic, home.broker, there.perm);
                return Err(Error::new(Code::Denied, attempt, reason));
            }
            Some(there) => (widened(there, needed.max(home.id + 1)), false),
            None => (self.as_original(needed.max(home.id + 1)).await, true),
        };
        admin.set_topic(&home.broker, &self.topic, &settings, is_new).await?;
        tracing::info!(
            topic = self.topic,
            broker = home.broker,
            queues = settings.write_queue_nums,
            is_new,
            "the mirror's topic has the queues it needs"
        );
        Ok((home, is_new))
    }

    /// The source's settings with so many queues, and the right to write. Where nobody can say what they are from here, a topic's defaults.
    async fn as_original(&self, queues: u32) -> TopicSettings {
        let source = Admin::new(self.original.client.clone()).topic_settings(&self.original.topic).await;
        let settings = source.ok().and_then(|settings| settings.into_values().next());
        like(settings, queues)
    }
}

fn like(original: Option<TopicSettings>, queues: u32) -> TopicSettings {
    let (perm, attributes) = original.map_or_else(|| (PERMISSION, Default::default()), |original| (original.perm, original.attributes));
    // What a message is means the same at the target; how queues are stored does not.
    let attributes = attributes.into_iter().filter(|(name, _)| name == MESSAGE_TYPE).collect();
    TopicSettings { read_queue_nums: queues, write_queue_nums: queues, perm: perm | WRITE, attributes }
}

fn widened(there: TopicSettings, queues: u32) -> TopicSettings {
    let (read, write) = (there.read_queue_nums.max(queues), there.write_queue_nums.max(queues));
    TopicSettings { read_queue_nums: read, write_queue_nums: write, ..there }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a topic made after one that may be read only, after one that cannot be asked for, and one that grows. *Guarantees*: kind and permission
    /// are the source's, it can be written to, no queue is lost, and how the source stores its queues stays the source's.
    #[test]
    fn a_topic_is_made_after_its_original() {
        let attributes = [("message.type", "FIFO"), ("queue.type", "BatchCQ")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let original = TopicSettings { read_queue_nums: 4, write_queue_nums: 4, perm: 4, attributes: attributes.into() };
        let made = like(Some(original.clone()), 8);
        assert_eq!((made.read_queue_nums, made.write_queue_nums, made.perm), (8, 8, 6));
        assert_eq!(made.attributes.keys().collect::<Vec<_>>(), [MESSAGE_TYPE]);
        assert_eq!((like(None, 3).perm, like(None, 3).write_queue_nums), (6, 3));
        let wide = TopicSettings { read_queue_nums: 16, ..original };
        assert_eq!((widened(wide.clone(), 8).read_queue_nums, widened(wide, 8).write_queue_nums), (16, 8));
    }
}
