//! Mirrors under fire: each message once, at its place, whatever dies.

#![recursion_limit = "256"]

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector_rocketmq::QueueReport;
use rocketbridge_harness::{Api, Audit, Brokers, Etcd, Kind, Load, Mesh, Role, Route, Standalone, eventually};
use rocketbridge_proto::stream::v1::{RunOptions, State, Stream, StreamStatus};

const QUEUES: u32 = 4;
const KILLS: u64 = 20;
/// Messages between two kills. All of them fit into one file of an embedded broker's log, which removes whole files when the disk fills up.
const SHARE: u64 = 1_000;
const DEADLINE: Duration = Duration::from_secs(120);

fn mirror(brokers: &Brokers) -> Stream {
    let run_options = RunOptions { mode: "MIRROR".to_owned(), maximum_tasks: Some(QUEUES), ..Default::default() };
    Stream { run_options: Some(run_options), ..Route::new("mirror", "orders", &brokers.source, &brokers.target).stream() }
}

/// Both ends hold the same, message by message.
async fn equal(brokers: &Brokers, messages: u64) -> Vec<QueueReport> {
    let reports = brokers.compare("orders").await;
    assert!(reports.iter().all(|report| report.difference.is_none() && report.behind == 0), "{reports:#?}");
    assert_eq!(reports.iter().map(|report| report.messages).sum::<u64>(), messages, "{reports:#?}");
    let held: u64 = reports.iter().map(|report| report.target_offsets.end - report.target_offsets.start).sum();
    assert_eq!(held, messages, "nothing else is there: {reports:#?}");
    assert!(reports.iter().all(|report| report.source == report.target || report.source.id == report.target.id), "{reports:#?}");
    reports
}

async fn killed_twenty_times(kind: Kind) {
    let Some(brokers) = Brokers::start(kind).await else { return };
    brokers.source.create_topic("orders", QUEUES).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone = Standalone::start(directory.path());
    standalone.api().await.run(mirror(&brokers)).await;
    let load = Load::new(&brokers.source, "orders", QUEUES, 11);
    // The topic is made by the mirror, with its first message.
    load.send(0..u64::from(QUEUES)).await;
    eventually("the mirror made its topic", DEADLINE, async || {
        let queues = brokers.target.admin().queues("orders").await.map_err(|error| error.to_string())?;
        if queues.len() == QUEUES as usize { Ok(()) } else { Err(format!("{queues:?}")) }
    })
    .await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 11).await;
    let mut sent = u64::from(QUEUES);
    for kill in 0..KILLS {
        let before = audit.delivered();
        let dying = async {
            // At another moment of the load each time.
            audit.wait(before + 1 + kill * SHARE / (2 * KILLS), DEADLINE).await;
            standalone.process.kill();
        };
        tokio::join!(load.send(sent..sent + SHARE), dying);
        sent += SHARE;
        standalone = Standalone::start(directory.path());
    }
    let api = standalone.api().await;
    audit.wait(sent, DEADLINE).await;
    let report = audit.expect(0..sent, |_| true).await;
    // What the load itself had to send again, the source may hold twice.
    assert!(report.delivered == sent && report.duplicated <= load.resent(), "{report}");
    let status = api.status("mirror").await;
    println!("{kind:?}: {report}; {:?}", status.counts);
    equal(&brokers, sent + report.duplicated).await;
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: a mirror on embedded clusters whose process is killed with SIGKILL twenty times under load, each time at another moment. *Guarantees*: each
/// message is there once, in the queue of its number, in order, as it was; the topic was made with as many queues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_killed_twenty_times_loses_and_repeats_nothing() {
    killed_twenty_times(Kind::Embedded).await;
}

/// *Scenario*: the same on Apache RocketMQ 5.3.3. *Guarantees*: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_on_rocketmq_5_that_is_killed_twenty_times_loses_and_repeats_nothing() {
    killed_twenty_times(Kind::Java("5.3.3")).await;
}

/// What happens to a dispatcher.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Freeze,
}

/// *Scenario*: a mirror over a mesh. Under load a dispatcher is stopped with SIGSTOP until another owns its shards, and goes on then; and one is killed; three
/// times each. *Guarantees*: what the stopped one was about to send is not sent; each message is there once, at its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_owner_of_a_mirror_sends_nothing_late() {
    let Some(etcd) = Etcd::start(1) else { return };
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    let mut mesh = Mesh::start(&etcd, &[]);
    let api = mesh.api().await;
    api.run(mirror(&brokers)).await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 12).await;
    let load = Arc::new(Load::new(&brokers.source, "orders", QUEUES, 12));
    let mut sent = 0;
    for fault in [Fault::Freeze, Fault::Kill, Fault::Freeze, Fault::Kill, Fault::Freeze, Fault::Kill] {
        let victim = dispatcher(&api, |_| true).await;
        let sending = tokio::spawn({
            let load = load.clone();
            async move { load.send(sent..sent + 2 * SHARE).await }
        });
        audit.wait(sent + SHARE / 4, DEADLINE).await;
        let process = mesh.take(&victim);
        let is_replaced = |status: &StreamStatus| status.partitions.iter().all(|part| part.dispatcher != victim);
        match fault {
            Fault::Kill => {
                process.kill();
                mesh.add(Role::Dispatcher);
                dispatcher(&api, is_replaced).await;
            }
            Fault::Freeze => {
                process.freeze();
                dispatcher(&api, is_replaced).await;
                process.thaw();
                mesh.put(Role::Dispatcher, process);
            }
        }
        sending.await.expect("the load is sent");
        sent += 2 * SHARE;
        audit.wait(sent, DEADLINE).await;
        println!("{fault:?} {victim}: {} arrived, {} again", audit.delivered(), audit.repeated());
    }
    let report = audit.expect(0..sent, |_| true).await;
    assert!(report.delivered == sent && report.duplicated <= load.resent(), "{report}");
    println!("{report}; {:?}", api.status("mirror").await.counts);
    equal(&brokers, sent + report.duplicated).await;
    brokers.stop().await;
}

/// A dispatcher that has a part in the mirror, once it runs and meets a condition.
async fn dispatcher(api: &Api, wanted: impl Fn(&StreamStatus) -> bool) -> String {
    eventually("the mirror runs", DEADLINE, async || {
        let status = api.try_status("mirror").await.map_err(|status| status.to_string())?;
        let owner = status.partitions.iter().map(|part| part.dispatcher.clone()).find(|name| !name.is_empty());
        let runs = status.state() == State::Running && status.partitions.len() == QUEUES as usize;
        owner.filter(|_| runs && wanted(&status)).ok_or_else(|| format!("{:?} {:?}", status.state(), status.reason))
    })
    .await
}
