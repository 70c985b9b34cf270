//! History that a broker of 5.x has moved to its second tier (`rocketmq-tiered-store`, here on files).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rocketbridge_connector_rocketmq::Message;
use rocketbridge_model::resolved::StartPosition;
use tokio::time::{Instant, sleep};

use crate::cluster::{self, Cluster, Java};
use crate::session::{Session, first, open, read};
use crate::{TABLE, table};

/// Its name in the table.
pub(crate) const CASE: &str = "tiered_history_is_read";
/// Messages of 100 KiB, many times as much as a file of the log holds.
const MESSAGES: usize = 120;
const DEADLINE: Duration = Duration::from_secs(90);

/// Moves messages to the second tier within a second, and removes files of the log as soon as it is asked to.
const SETTINGS: [&str; 8] = [
    "messageStorePlugIn=org.apache.rocketmq.tieredstore.TieredMessageStore",
    "tieredBackendServiceProvider=org.apache.rocketmq.tieredstore.provider.PosixFileSegment",
    "tieredStorageLevel=NOT_IN_DISK",
    "tieredStoreGroupCommitTimeout=500",
    "mappedFileSizeCommitLog=2097152",
    "fileReservedTime=0",
    "cleanResourceInterval=500",
    "deleteWhen=00;01;02;03;04;05;06;07;08;09;10;11;12;13;14;15;16;17;18;19;20;21;22;23",
];

async fn history(version: &str) -> Result<()> {
    let tier = tempfile::tempdir()?;
    let path = format!("tieredStoreFilePath={}", tier.path().display());
    let settings: Vec<&str> = SETTINGS.iter().copied().chain([path.as_str()]).flat_map(|setting| ["--broker-conf", setting]).collect();
    let java = Java::start(version, &settings)?;
    let first_file = java.store().join("commitlog/00000000000000000000");
    let cluster = Cluster::Java(java);
    let session = Session::new(cluster.connection());
    let topic = session.topic("tiered", 1).await?;
    let bodies = || (0..MESSAGES).map(|number| format!("{number}/{}", "x".repeat(100 * 1024)));
    for body in bodies() {
        session.send(&topic, &[Message { body: body.into(), ..Message::default() }]).await?;
        // A broker with files this small has to keep pace.
        sleep(Duration::from_millis(20)).await;
    }
    let files = std::fs::read_dir(first_file.parent().context("a folder")?)?.count();
    ensure!(files > 1, "{files} files of the log");
    let deadline = Instant::now() + DEADLINE;
    while first_file.exists() {
        ensure!(Instant::now() < deadline, "the broker keeps {}", first_file.display());
        sleep(Duration::from_millis(200)).await;
    }
    let source = session.source(&topic, &[]);
    ensure!(source.offset_at(&first(&source).await?, StartPosition::Earliest).await? == 0);
    let events = read(&mut open(&source).await?, 0, MESSAGES).await?;
    ensure!(events.iter().map(|event| event.offset).eq(0..MESSAGES as u64));
    ensure!(events.iter().map(|event| &event.envelope.body[..]).eq(bodies().map(String::into_bytes)), "not the same bodies");
    Ok(())
}

/// *Scenario*: Apache RocketMQ 5.3.3 has moved messages to its second tier and removed the files of its log that held them. *Guarantees*: the earliest offset is that of
/// the second tier, and the messages are read from there on, each as it was sent. It runs when `ROCKETBRIDGE_TEST_CASE` names it: now and then a broker with files this
/// small removes one before it has moved all that it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_5_tiered() -> Result<()> {
    if !cluster::java_wanted() {
        println!("skipped: tiered history (Java) is not tested unless ROCKETBRIDGE_TEST_JAVA=1");
        return Ok(());
    }
    if !std::env::var("ROCKETBRIDGE_TEST_CASE").is_ok_and(|wanted| wanted.contains("tiered")) {
        println!("skipped: tiered history is tested where ROCKETBRIDGE_TEST_CASE names it");
        return Ok(());
    }
    table::tried(TABLE, "5.3.3", CASE, history("5.3.3")).await
}
