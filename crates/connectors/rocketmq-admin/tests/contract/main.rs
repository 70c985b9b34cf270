//! What administration promises, against each broker it is made for: the embedded one, and real Apache RocketMQ 5.3 and 4.9. Whatever is set is read back.
//!
//! The Java brokers run when `ROCKETBRIDGE_TEST_JAVA=1` (it needs Java, Maven and a C compiler); otherwise a line says they were skipped.

#![recursion_limit = "256"]

mod access;
mod cases;
// The clusters of the connector's contract; not every case there is one here.
#[path = "../../../rocketmq/tests/contract/cluster.rs"]
#[allow(dead_code)]
mod cluster;
mod sync;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::cluster::{Cluster, Java};

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        /// Every case on one cluster, in order.
        async fn all(cluster: &mut Cluster) -> Result<()> {
            $(
                let began = Instant::now();
                cases::$case(cluster).await.context(stringify!($case))?;
                println!("{}: {} {:.1} s", cluster.name(), stringify!($case), began.elapsed().as_secs_f32());
            )*
            Ok(())
        }
    };
}

contract![
    topics_are_set_and_read_back,
    groups_are_set_and_read_back,
    progress_is_told,
    groups_begin_elsewhere,
    members_are_told_and_protect_their_offsets,
    what_brokers_count_is_told,
    networks_hold_for_administration,
    a_broker_that_is_gone_is_said,
];

/// *Scenario*: the whole contract on an embedded cluster. *Guarantees*: it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    let mut cluster = Cluster::embedded("embedded").await?;
    let outcome = all(&mut cluster).await;
    cluster.stop().await;
    outcome
}

async fn java(version: &'static str) -> Result<()> {
    if !cluster::java_wanted() {
        println!("skipped: RocketMQ {version} (Java) is not tested unless ROCKETBRIDGE_TEST_JAVA=1");
        return Ok(());
    }
    let mut cluster = Cluster::Java(Java::start(version, &[])?);
    all(&mut cluster).await?;
    drop(cluster);
    let cluster = Cluster::Java(Java::start(version, &["--acl"])?);
    access::keys_decide(&cluster).await.context("keys_decide")?;
    match version {
        "4.9.7" => access::plain_accounts_are_set(&cluster).await.context("plain_accounts_are_set"),
        _ => access::users_and_rules_are_set_and_read_back(&cluster).await.context("users_and_rules_are_set_and_read_back"),
    }
}

/// *Scenario*: the whole contract on Apache RocketMQ 5.3.3. *Guarantees*: it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_5() -> Result<()> {
    java("5.3.3").await
}

/// *Scenario*: the whole contract on Apache RocketMQ 4.9.7. *Guarantees*: it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_4() -> Result<()> {
    java("4.9.7").await
}

/// *Scenario*: the ends of routes from Apache RocketMQ 5.3.3 to 4.9.7, and from 4.9.7 to 5.3.3. *Guarantees*: what differs is found and ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_of_two_versions() -> Result<()> {
    if !cluster::java_wanted() {
        println!("skipped: the sync between RocketMQ 5.3.3 and 4.9.7 (Java) is not tested unless ROCKETBRIDGE_TEST_JAVA=1");
        return Ok(());
    }
    // Names of clusters are made of versions and flags, and those without flags are in use beside.
    let role = ["--broker-conf", "brokerRole=ASYNC_MASTER"];
    let start = |version, flags: &[&str]| Java::start(version, flags).map(Cluster::Java);
    sync::ends_are_set_up_alike(&start("5.3.3", &role)?, &start("4.9.7", &role)?, false).await.context("5.3.3 to 4.9.7")?;
    sync::ends_are_set_up_alike(&start("4.9.7", &role)?, &start("5.3.3", &role)?, false).await.context("4.9.7 to 5.3.3")?;
    let (source, target) = (start("5.3.3", &[role[0], role[1], "--acl"])?, start("5.3.3", &["--acl", role[0], role[1]])?);
    sync::rights_are_narrowed(&source, &target).await.context("rights_are_narrowed")
}

/// *Scenario*: both ends of a route are embedded clusters. *Guarantees*: what differs is found and ended, types of messages too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_of_embedded_clusters() -> Result<()> {
    let (source, target) = (Cluster::embedded("qingdao").await?, Cluster::embedded("hohhot").await?);
    let outcome = sync::ends_are_set_up_alike(&source, &target, true).await;
    source.stop().await;
    target.stop().await;
    outcome
}
