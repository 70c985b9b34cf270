//! Topics that are made after another one's settings, and what their settings are at each broker.

use std::collections::BTreeMap;

use rocketbridge_connector::{Code, Error};

use super::Admin;
use crate::settings::{self, TopicSettings};

impl Admin {
    /// How a topic is set up at each master that has it, by the broker's name.
    ///
    /// # Errors
    ///
    /// The name server or a master cannot be reached. A topic that is nowhere has no settings, which is no error.
    pub async fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, TopicSettings>, Error> {
        let attempt = || format!("read the settings of topic {topic} through name server {}", self.client.name_servers());
        let masters = self.masters().await?;
        let wire = self.client.wire_name(topic);
        let mut all = BTreeMap::new();
        for (broker, address) in masters {
            let settings = settings::at(&self.client, &address, &wire).await.map_err(|failure| failure.during(attempt()))?;
            all.extend(settings.map(|settings| (broker, settings)));
        }
        Ok(all)
    }

    /// The masters of all clusters: their addresses, as the name server gives them, by the broker's name.
    ///
    /// # Errors
    ///
    /// No name server can be reached.
    pub async fn masters(&self) -> Result<BTreeMap<String, String>, Error> {
        let attempt = || format!("list the brokers of name server {}", self.client.name_servers());
        let clusters = self.clusters().await.map_err(|failure| failure.during(attempt()))?;
        clusters.masters(None).map_err(|reason| Error::new(Code::NotFound, attempt(), reason))
    }

    /// Sets a topic up at one broker. Attributes are given only if the broker does not have the topic yet; those of a topic that it has stay.
    ///
    /// # Errors
    ///
    /// The broker has no master, cannot be reached, or refuses.
    pub async fn set_topic(&self, broker: &str, topic: &str, settings: &TopicSettings, is_new: bool) -> Result<(), Error> {
        let attempt = format!("set up topic {topic} at broker {broker} through name server {}", self.client.name_servers());
        let masters = self.masters().await?;
        let Some(address) = masters.get(broker) else {
            return Err(Error::new(Code::Unavailable, attempt, "the broker has no master now"));
        };
        let mut request = self.set_up(topic, settings.read_queue_nums, settings.write_queue_nums, settings.perm);
        if is_new && !settings.attributes.is_empty() {
            let pairs = settings.attributes.iter().map(|(name, value)| format!("+{name}={value}"));
            request = request.field("attributes", pairs.collect::<Vec<_>>().join(","));
        }
        self.client.ask(address, request).await.map_err(|failure| failure.during(attempt))?;
        let queues = settings.write_queue_nums as usize;
        self.registered(topic, |route| route.writable().iter().filter(|queue| queue.broker == broker).count() >= queues).await;
        Ok(())
    }
}
