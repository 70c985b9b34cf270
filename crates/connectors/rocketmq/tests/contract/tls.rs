//! TLS towards real Apache RocketMQ, whose name server and broker speak nothing else and want client certificates.

use anyhow::{Context, Result, ensure};
use rocketbridge_connector::Code;
use rocketbridge_connector_rocketmq::Message;
use rocketbridge_model::resolved::{RocketMqConnection, Tls};

use crate::certificates;
use crate::cluster::{self, Cluster, Java};
use crate::session::Session;
use crate::{TABLE, table};

/// Its name in the table.
pub(crate) const CASE: &str = "tls_with_client_certificates";

async fn run(version: &str) -> Result<()> {
    if !cluster::java_wanted() {
        println!("skipped: TLS of RocketMQ {version} (Java) is not tested unless ROCKETBRIDGE_TEST_JAVA=1");
        return Ok(());
    }
    table::tried(TABLE, version, CASE, exchange(version)).await
}

async fn exchange(version: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    certificates::write(folder.path())?;
    let path = folder.path().to_string_lossy().into_owned();
    let cluster = Cluster::Java(Java::start(version, &["--tls", &path])?);
    let secure = RocketMqConnection { tls: Some(certificates::tls(folder.path())), ..cluster.connection() };
    let session = Session::new(secure.clone());
    let topic = session.topic("secure", 2).await?;
    let producer = session.admin.producer(&topic);
    let body = vec![b'x'; 300_000];
    for sent in producer.send(&vec![Message { body: body.into(), ..Message::default() }; 4]).await {
        sent?;
    }
    let stored: u64 = session.admin.offsets(&topic).await?.iter().map(|queue| queue.maximum - queue.minimum).sum();
    ensure!(stored == 4, "{stored} messages are stored");

    let other = tempfile::tempdir()?;
    certificates::write(other.path())?;
    let strange = RocketMqConnection {
        tls: Some(Tls { ca: certificates::tls(other.path()).ca, ..certificates::tls(folder.path()) }),
        ..secure.clone()
    };
    let error = Session::new(strange).admin.queues(&topic).await.err().context("another authority is not trusted")?;
    ensure!(error.code() == Code::Denied && error.reason.contains("is not from an authority of tls.ca"), "{error}");
    let nobody = RocketMqConnection { tls: Some(Tls { identity: None, ..certificates::tls(folder.path()) }), ..secure };
    let error = Session::new(nobody).admin.queues(&topic).await.err().context("a client without a certificate is refused")?;
    println!("{version} without a client certificate: {error}");
    let error = Session::new(cluster.connection()).admin.queues(&topic).await.err().context("a client without TLS is refused")?;
    println!("{version} without TLS: {error}");
    Ok(())
}

/// *Scenario*: Apache RocketMQ 5.3.3 that speaks TLS only; clients with the right certificates, of another authority, without a certificate, without TLS.
/// *Guarantees*: topics are made, and large messages sent, acknowledged and stored, by the first; the others are refused and told why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_5_over_tls() -> Result<()> {
    run("5.3.3").await
}

/// *Scenario*: the same on Apache RocketMQ 4.9.7. *Guarantees*: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_4_over_tls() -> Result<()> {
    run("4.9.7").await
}
