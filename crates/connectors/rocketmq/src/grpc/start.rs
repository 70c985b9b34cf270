//! Where a new group begins.
//!
//! Over gRPC nobody can say it: a broker lets a new group begin with the newest message of each queue, or with the oldest where all of them are in memory
//! (`PopMessageProcessor.getInitOffset`). But the remoting port of a proxy speaks both protocols, and so do the endpoints of hosted instances. There the
//! group's offsets are committed before its first message, to where the definition says, and never when it has any.
//!
//! Where only gRPC is spoken, *latest* is what the broker does, less the messages that the router passes over for being older than the stream. *Earliest* and
//! *timestamp* are refused for a group that the stream made for itself, because what is older than the newest message would silently be left out; a group
//! that the definition names is taken to stand where its owner wants it.

use std::sync::Arc;

use rocketbridge_connector::{Code, Error, OffsetSource, PullLimits, Start};
use rocketbridge_model::resolved::StartPosition;
use tokio::time::{Duration, timeout};

use super::beside;
use super::consumer::Consumer;
use crate::client::Client;
use crate::presence::Presence;
use crate::source::TopicSource;

/// How long it may take to look at the queues and commit their offsets.
const PATIENCE: Duration = Duration::from_secs(30);
/// As little as can be asked for.
const FEW: PullLimits = PullLimits { events: 1, bytes: 1024, ahead: false };
/// How the names of groups begin that streams make for themselves.
const OWN_GROUP: &str = "GID_rocketbridge_";

/// Makes a new group begin where the definition says. It is done once for a consumer of this process; doing it again changes nothing.
pub(crate) async fn place(consumer: &Consumer, start: Start) -> Result<(), Error> {
    consumer.placed.get_or_try_init(|| place_now(consumer, start)).await?;
    Ok(())
}

async fn place_now(consumer: &Consumer, start: Start) -> Result<(), Error> {
    let definition = &consumer.definition;
    let attempt = || format!("let group {} begin in topic {}", definition.group, definition.topic);
    let Some(client) = consumer.beside.client(&consumer.client).await else {
        return match start.position {
            StartPosition::Earliest | StartPosition::Timestamp(_) if definition.group.starts_with(OWN_GROUP) => Err(Error::new(
                // A person must change something, and it is no fault of the credentials; nothing else tells it better.
                Code::OffsetOutOfRange,
                attempt(),
                "gRPC cannot say where a new group begins, and the broker would begin with the newest messages; write the proxy's remoting port as endpoint, \
                 which speaks both, or a group_id whose offsets you have set (mqadmin resetOffsetByTime), or CONSUME_FROM_LAST_OFFSET",
            )),
            StartPosition::Earliest | StartPosition::Timestamp(_) | StartPosition::Latest => Ok(()),
        };
    };
    let late = || Error::new(Code::Unavailable, attempt(), format!("no end within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, commit_where_there_is_nothing(consumer, client, start)).await.unwrap_or_else(|_| Err(late()))
}

/// Commits the position to every queue in which the group has no offset. *Latest* is the moment of the stream's start, whoever does this and when: several
/// routers may, side by side.
async fn commit_where_there_is_nothing(consumer: &Consumer, client: Arc<Client>, start: Start) -> Result<(), Error> {
    let position = match start.position {
        StartPosition::Latest => StartPosition::Timestamp(start.moment),
        position => position,
    };
    let definition = beside::definition(&client, &consumer.definition);
    let source: Arc<dyn OffsetSource> = Arc::new(TopicSource::new(Presence::new(client), definition));
    for partition in source.partitions().await? {
        let mut open = source.open(&partition).await?;
        if open.committer.committed().await?.is_none() {
            let offset = source.offset_at(&partition, position).await?;
            match open.committer.commit(offset).await {
                // Through a proxy a heartbeat makes no group; a pull does, where brokers may make groups. What it brings does not matter.
                Err(error) if error.code() == Code::NotFound => {
                    open.reader.pull(offset.saturating_sub(1), FEW).await.ok();
                    open.committer.commit(offset).await?;
                }
                committed => committed?,
            }
            tracing::info!(
                topic = consumer.topic.name,
                group = consumer.group.name,
                partition = %partition.id,
                offset,
                "a new group begins here"
            );
        }
    }
    Ok(())
}
