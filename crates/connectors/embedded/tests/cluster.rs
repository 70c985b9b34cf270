//! Two embedded clusters in one process, and a restart on the same directory.

use anyhow::{Context, Result};
use rocketbridge_connector_rocketmq::{Admin, Connectors, Message};
use rocketbridge_embedded_rocketmq::{Embedded, EmbeddedConfig, Error, NameServerPort};
use rocketbridge_model::resolved::{RocketMqConnection, StartPosition};

fn admin(connectors: &Connectors, cluster: &Embedded) -> Admin {
    connectors.admin(&RocketMqConnection { endpoints: vec![cluster.name_server()], ..RocketMqConnection::default() })
}

async fn bodies(admin: &Admin, topic: &str, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut tail = admin.tail(topic, &[], StartPosition::Earliest).await?;
    let mut bodies = Vec::new();
    while bodies.len() < count {
        bodies.push(tail.next().await?.event.envelope.body.to_vec());
    }
    bodies.sort();
    Ok(bodies)
}

/// *Scenario*: two clusters start, each gets a topic and messages; one is stopped and started again on its directory, on other ports.
/// *Guarantees*: they do not see each other's topics, and the restarted one has its topic, messages and free ports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_outlives_its_restart() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let qingdao = Embedded::start(EmbeddedConfig::new("qingdao", directory.path().join("qingdao"))).await?;
    let hohhot = Embedded::start(EmbeddedConfig::new("hohhot", directory.path().join("hohhot"))).await?;
    let connectors = Connectors::new();
    qingdao.create_topic("orders", 4).await?;
    qingdao.create_topic("orders", 4).await.context("a second time")?;
    hohhot.create_topic("bills", 1).await?;
    let expected: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte; 3]).collect();
    let messages: Vec<_> = expected.iter().map(|body| Message { body: body.clone().into(), ..Message::default() }).collect();
    for result in admin(&connectors, &qingdao).producer("orders").send(&messages).await {
        result?;
    }
    assert_eq!(bodies(&admin(&connectors, &qingdao), "orders", 256).await?, expected);
    admin(&connectors, &hohhot).queues("orders").await.expect_err("the other cluster's topic");

    qingdao.stop().await;
    let qingdao = Embedded::start(EmbeddedConfig::new("qingdao", directory.path().join("qingdao"))).await?;
    assert_eq!(bodies(&admin(&connectors, &qingdao), "orders", 256).await?, expected);
    qingdao.stop().await;
    hohhot.stop().await;
    Ok(())
}

/// *Scenario*: a second cluster on a directory in use. *Guarantees*: refused, and the first goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_belongs_to_one_cluster() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let first = Embedded::start(EmbeddedConfig::new("first", directory.path())).await?;
    let second = Embedded::start(EmbeddedConfig::new("second", directory.path())).await;
    assert!(matches!(second, Err(Error::DataDirectoryInUse { .. })));
    first.create_topic("orders", 1).await?;
    first.stop().await;
    Ok(())
}

/// *Scenario*: a cluster that keeps its port starts, stops and starts again; then another program takes the port.
/// *Guarantees*: the name server has the same address each time, and a port that is taken is an error that names it, not another address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_server_keeps_its_address() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let config = || EmbeddedConfig { name_server_port: NameServerPort::Kept { first: 0 }, ..EmbeddedConfig::new("kept", directory.path()) };
    let cluster = Embedded::start(config()).await?;
    let address = cluster.name_server();
    cluster.stop().await;
    let cluster = Embedded::start(config()).await?;
    assert_eq!(cluster.name_server(), address);
    cluster.stop().await;

    let taken = std::net::TcpListener::bind(&address)?;
    let port = taken.local_addr()?.port();
    let refused = Embedded::start(config()).await.err().context("the port is taken")?;
    assert_eq!(refused.to_string(), format!("port {port} of 127.0.0.1, which the embedded name server needs, is taken by another program"));
    let other = Embedded::start(EmbeddedConfig { name_server_port: NameServerPort::Any, ..config() }).await?;
    assert_ne!(other.name_server(), address);
    other.stop().await;
    drop(taken);
    let cluster = Embedded::start(config()).await?;
    assert_eq!(cluster.name_server(), address, "what took any port has kept none");
    cluster.stop().await;
    Ok(())
}
