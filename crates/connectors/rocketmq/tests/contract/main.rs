//! What the connector promises, against each broker it is made for: the embedded one, and real Apache RocketMQ 5.3 and 4.9.
//!
//! The Java brokers run when `ROCKETBRIDGE_TEST_JAVA=1` (it needs Java, Maven and a C compiler); otherwise a line says they were skipped.

mod cases;
#[path = "../support/certificates.rs"]
mod certificates;
mod cluster;
mod credentials;
mod fidelity;
mod groups;
mod mirror;
mod raw;
mod session;
mod sql;
#[path = "../support/table.rs"]
mod table;
mod tiered;
mod tls;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::cluster::{Cluster, Java};
use crate::table::{Section, tried};

/// What is told of this suite in `docs/compatibility.md`.
const TABLE: Section = Section { heading: "Over remoting", columns: &["embedded", "4.9.7", "5.3.3", "5.5.0"] };

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() -> Result<()> {
                    let mut cluster = Cluster::embedded("embedded").await?;
                    let outcome = tried(TABLE, "embedded", stringify!($case), cases::$case(&mut cluster)).await;
                    cluster.stop().await;
                    outcome
                }
            )*
        }

        /// The names of the cases.
        const CASES: &[&str] = &[$(stringify!($case)),*];

        /// Every case on one cluster, in order: a Java broker takes seconds to start.
        async fn all(cluster: &mut Cluster) -> Result<()> {
            $(
                if is_wanted(stringify!($case)) {
                    let (began, name) = (Instant::now(), cluster.name().to_owned());
                    tried(TABLE, &name, stringify!($case), cases::$case(cluster)).await.context(stringify!($case))?;
                    println!("{name}: {} {:.1} s", stringify!($case), began.elapsed().as_secs_f32());
                }
            )*
            Ok(())
        }
    };
}

contract![
    messages_keep_everything,
    keys_keep_spaces_and_brackets,
    born_times_are_kept,
    transactions_come_once_they_are_committed,
    dead_letters_are_read_by_name,
    light_queues_are_read_by_name,
    compressed_bodies_travel_as_they_are_stored,
    what_is_acknowledged_can_be_read,
    property_bytes_are_kept,
    batches_stored_as_one_message_are_taken_apart,
    retry_topics_take_messages,
    positions_are_found,
    commits_are_kept_by_the_broker,
    tags_are_filtered,
    sql_filters_answer_alike_everywhere,
    unknown_topics_and_groups_are_said,
    unreachable_name_servers_are_said,
    offsets_out_of_range_are_said,
    a_topic_made_anew_is_told_apart,
    refused_messages_stand_alone,
    delays_do_not_begin_again,
    sharding_keys_keep_their_order,
    namespaces_are_prefixes,
    a_waiting_pull_sees_the_next_message,
    a_mirror_sends_nothing_twice,
    a_mirror_finds_its_last_message_among_others,
    a_mirror_without_a_permit_sends_nothing,
    nothing_overtakes_what_a_mirror_cannot_deliver,
    a_mirrors_topic_follows_the_source,
    a_mirrors_topic_is_made_after_the_source,
    a_ring_of_mirrors_ends,
    both_ends_of_a_mirror_are_looked_at,
    progress_is_translated_there_and_back,
    groups_are_seen_and_set_from_outside,
    a_broker_that_is_back_is_used_at_once,
];

/// Cases on one cluster with access control, in order.
macro_rules! guarded {
    ($($case:ident),* $(,)?) => {
        /// The names of the cases.
        const GUARDED_CASES: &[&str] = &[$(stringify!($case)),*];

        async fn guarded(cluster: &mut Cluster) -> Result<()> {
            $(
                if is_wanted(stringify!($case)) {
                    let (began, name) = (Instant::now(), cluster.name().to_owned());
                    tried(TABLE, &name, stringify!($case), cases::$case(cluster)).await.context(stringify!($case))?;
                    println!("{name}: {} {:.1} s", stringify!($case), began.elapsed().as_secs_f32());
                }
            )*
            Ok(())
        }
    };
}

guarded![credentials_decide, keys_in_a_file_are_replaced_under_load, keys_of_a_role_are_replaced_under_load];

/// Whether a case is to run on the Java brokers: `ROCKETBRIDGE_TEST_CASE` may name some, by parts of their names with commas between them.
fn is_wanted(case: &str) -> bool {
    std::env::var("ROCKETBRIDGE_TEST_CASE").map_or(true, |wanted| wanted.split(',').any(|part| case.contains(part)))
}

async fn java(version: &str) -> Result<()> {
    if !cluster::java_wanted() {
        println!("skipped: RocketMQ {version} (Java) is not tested unless ROCKETBRIDGE_TEST_JAVA=1");
        return Ok(());
    }
    let mut cluster = Cluster::Java(Java::start(version, &[])?);
    all(&mut cluster).await?;
    drop(cluster);
    let mut cluster = Cluster::Java(Java::start(version, &["--acl"])?);
    guarded(&mut cluster).await
}

/// *Scenario*: the whole contract on Apache RocketMQ 5.3.3, or another 5.x (`ROCKETBRIDGE_TEST_VERSION`). *Guarantees*: it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_5() -> Result<()> {
    let other = std::env::var("ROCKETBRIDGE_TEST_VERSION").ok().filter(|version| version.starts_with("5."));
    java(other.as_deref().unwrap_or("5.3.3")).await
}

/// *Scenario*: the whole contract on Apache RocketMQ 4.9.7. *Guarantees*: it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_4() -> Result<()> {
    java("4.9.7").await
}

/// *Scenario*: the page that the suite writes. *Guarantees*: each of its rows is a case that there is.
#[test]
fn the_table_has_no_other_rows() -> Result<()> {
    table::has_no_other_rows(TABLE, &[CASES, GUARDED_CASES, &[tls::CASE, tiered::CASE]].concat())
}

/// *Scenario*: two embedded clusters in this process, one set of connectors; a message goes from one to the other while the first is
/// stopped. *Guarantees*: each connection is its own; the end of one does not touch the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_at_once() -> Result<()> {
    let (qingdao, hohhot) = (Cluster::embedded("qingdao").await?, Cluster::embedded("hohhot").await?);
    let outcome = cases::two_clusters(&qingdao, &hohhot).await;
    qingdao.stop().await;
    hohhot.stop().await;
    outcome
}
