//! What the connector promises over gRPC, against the proxy of Apache RocketMQ 5.3.3. What was sent is read back over remoting, and the other way round.
//!
//! It runs when `ROCKETBRIDGE_TEST_JAVA=1` (it needs Java, Maven and a C compiler); otherwise a line says that it was skipped.

mod cases;
#[path = "../support/certificates.rs"]
mod certificates;
mod cluster;
mod keys;
mod session;
#[path = "../support/table.rs"]
mod table;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::keys::Guarded;
use crate::table::{Section, tried};

/// What is told of this suite in `docs/compatibility.md`.
const TABLE: Section = Section { heading: "Over gRPC", columns: &["5.3.3", "5.5.0"] };

/// Makes a function that runs every case on one cluster, in order: it takes seconds to start.
macro_rules! in_order {
    ($all:ident, $names:ident, $module:ident, $cluster:ty: $($case:ident),* $(,)?) => {
        /// The names of the cases.
        const $names: &[&str] = &[$(stringify!($case)),*];

        async fn $all(cluster: &$cluster) -> Result<()> {
            $(
                if is_wanted(stringify!($case)) {
                    let began = Instant::now();
                    let column = version().unwrap_or_default();
                    tried(TABLE, &column, stringify!($case), $module::$case(cluster)).await.context(stringify!($case))?;
                    println!("{} {:.1} s", stringify!($case), began.elapsed().as_secs_f32());
                }
            )*
            Ok(())
        }
    };
}

in_order![contract, CASES, cases, Cluster:
    messages_arrive_whole,
    compressed_bodies_arrive_readable,
    topics_get_the_types_that_they_take,
    what_cannot_be_carried_stands_alone,
    an_untyped_topic_is_told,
    message_groups_keep_their_order,
    namespaces_are_part_of_the_name,
    unknown_topics_are_told,
    endpoints_of_the_other_kind_are_told_or_found_out,
    messages_are_received_whole_and_acknowledged,
    messages_that_are_given_back_or_left_come_again,
    an_extended_message_stays_invisible,
    tags_and_expressions_are_filtered,
    an_ordered_group_keeps_its_order,
    a_new_group_begins_where_the_definition_says,
    what_waits_is_counted_where_remoting_is_spoken_too,
    priorities_and_lite_topics_are_kept,
    a_proxy_that_is_back_is_used_at_once,
];

in_order![with_keys, KEY_CASES, keys, Guarded:
    granted_rights_are_enough,
    what_is_not_granted_is_told,
    types_are_not_checked_where_the_proxy_does_not,
    a_right_that_comes_late_is_used,
    a_new_group_begins_with_the_same_rights,
    another_authority_is_told,
    keys_in_a_file_change_under_load,
];

/// Whether a case is to run: `ROCKETBRIDGE_TEST_CASE` may name some, by parts of their names with commas between them.
fn is_wanted(case: &str) -> bool {
    std::env::var("ROCKETBRIDGE_TEST_CASE").map_or(true, |wanted| wanted.split(',').any(|part| case.contains(part)))
}

/// The version to test; `None` if Java is not to be tested.
fn version() -> Option<String> {
    if std::env::var("ROCKETBRIDGE_TEST_JAVA").as_deref() != Ok("1") {
        println!("skipped: the proxy of RocketMQ (Java) is not tested unless ROCKETBRIDGE_TEST_JAVA=1");
        return None;
    }
    Some(std::env::var("ROCKETBRIDGE_TEST_VERSION").unwrap_or_else(|_| "5.3.3".to_owned()))
}

/// *Scenario*: the contract on the proxy of Apache RocketMQ, in cluster mode. *Guarantees*: it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_proxy() -> Result<()> {
    let Some(version) = version() else { return Ok(()) };
    contract(&Cluster::start(&version, &[])?).await
}

/// *Scenario*: a proxy that speaks TLS only and checks keys and rights. *Guarantees*: what is promised of keys and TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_proxy_with_keys_over_tls() -> Result<()> {
    let Some(version) = version() else { return Ok(()) };
    with_keys(&Guarded::start(&version)?).await
}

/// *Scenario*: the page that the suite writes. *Guarantees*: each of its rows is a case that there is.
#[test]
fn the_table_has_no_other_rows() -> Result<()> {
    table::has_no_other_rows(TABLE, &[CASES, KEY_CASES].concat())
}
