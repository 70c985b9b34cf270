//! The offsets of one queue: its oldest, its newest, and those of a time.

use crate::client::Client;
use crate::error::Failure;
use crate::remoting::Request;
use crate::remoting::code::request;
use crate::route::Queue;

/// Asks for offsets of one queue.
pub(crate) struct Offsets<'a> {
    pub(crate) client: &'a Client,
    /// Wire name of the topic.
    pub(crate) topic: &'a str,
    pub(crate) queue: &'a Queue,
    /// The member of the broker to ask; `None` for whoever is read from.
    pub(crate) address: Option<&'a str>,
}

impl Offsets<'_> {
    /// The oldest stored.
    pub(crate) async fn minimum(&self) -> Result<u64, Failure> {
        self.ask(Request::new(request::GET_MIN_OFFSET)).await
    }

    /// One beyond the newest stored.
    pub(crate) async fn maximum(&self) -> Result<u64, Failure> {
        self.ask(Request::new(request::GET_MAX_OFFSET)).await
    }

    /// Near the first message stored at or after a time.
    pub(crate) async fn search(&self, timestamp: i64) -> Result<u64, Failure> {
        self.ask(Request::new(request::SEARCH_OFFSET_BY_TIMESTAMP).number("timestamp", timestamp)).await
    }

    async fn ask(&self, request: Request) -> Result<u64, Failure> {
        let reader;
        let address = match self.address {
            Some(address) => address,
            None => {
                reader = self.client.reader(self.topic, &self.queue.broker).await?;
                &reader
            }
        };
        let response = self.client.ask(address, naming(request, self.topic, self.queue)).await?;
        let offset: Option<i64> = response.number("offset");
        // Java brokers answer -1 for a queue that never had a message.
        let offset = offset.ok_or_else(|| Failure::nonsense(address, "an answer without an offset"))?;
        Ok(u64::try_from(offset).unwrap_or_default())
    }
}

/// Adds the fields that say which queue it is about.
pub(crate) fn naming(request: Request, topic: &str, queue: &Queue) -> Request {
    request.field("topic", topic.to_owned()).number("queueId", queue.id).field("bname", queue.broker.clone())
}
