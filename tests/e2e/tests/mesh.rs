//! The mesh under fire: every stage killed, frozen and rolled, and the leader of etcd killed, while messages flow.

#![recursion_limit = "256"]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketbridge_harness::{Api, Audit, Brokers, Cluster, Etcd, Kind, Load, Mesh, Role, Route, binary, eventually, tls};
use rocketbridge_proto::admin::v1::GetStreamReportsRequest;
use rocketbridge_proto::admin::v1::member_service_client::MemberServiceClient;
use rocketbridge_proto::dispatch::v1::dispatch_service_client::DispatchServiceClient;
use rocketbridge_proto::filter::v1::filter_service_client::FilterServiceClient;
use rocketbridge_proto::stream::v1::{PartitionStatus, State, StreamStatus};
use rocketbridge_proto::{dispatch::v1 as dispatch, filter::v1 as filter};
use tonic::transport::Endpoint;

const MESSAGES: u64 = 200_000;
const QUEUES: u32 = 8;
/// As `router.window_events` is set below.
const WINDOW: u64 = 1024;
/// As `router.commit_interval` is set below.
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);
/// How long the mesh may take to continue after a fault. Ownerships outlive a process by 4 s; the rest is for busy machines.
const RECOVERY: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(30);

/// What goes wrong, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill(Role),
    Freeze(Role),
    Roll(Role),
    KillEtcdLeader,
}

const FAULTS: [Fault; 6] = [
    Fault::Kill(Role::Router),
    Fault::Kill(Role::Filter),
    // What comes after it takes longer than leases last, so they must have been renewed with the next leader.
    Fault::KillEtcdLeader,
    Fault::Kill(Role::Dispatcher),
    Fault::Freeze(Role::Router),
    Fault::Roll(Role::Dispatcher),
];

/// *Scenario*: a controller, two routers, two filters and two dispatchers on three members of etcd route 200,000 messages of 8 queues from
/// one cluster to another. While they flow, a router, a filter and a dispatcher are killed with SIGKILL and replaced, the leader of etcd is killed,
/// a router is stopped with SIGSTOP until others own its partitions and then continues, and a dispatcher is replaced with SIGTERM.
/// *Guarantees*: every message that the source acknowledged arrives, with the same body, keys, tag and properties; first deliveries of each
/// queue come in its order; repeats stay within the stated window; whoever is rolled ends with status 0 within its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_every_stage_dies() {
    let Some(etcd) = Etcd::start(3) else { return };
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    let window = WINDOW.to_string();
    let commit_interval = format!("{}ms", COMMIT_INTERVAL.as_millis());
    let variables =
        [("ROCKETBRIDGE_ROUTER_WINDOW_EVENTS", window.as_str()), ("ROCKETBRIDGE_ROUTER_COMMIT_INTERVAL", commit_interval.as_str())];
    let mut mesh = Mesh::start(&etcd, &variables);
    let api = mesh.api().await;
    let route = Route::new("orders", "orders", &brokers.source, &brokers.target);
    let status = api.run(route.stream_of(QUEUES)).await;
    println!("placed: {}", placement(&status));
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 42).await;
    let load = Arc::new(Load::new(&brokers.source, "orders", QUEUES, 42));

    let begin = Instant::now();
    // A share of the load for each fault, and one for the end. Its fault comes when an eighth of it has arrived from every queue, so every
    // partition is in full flow; the next share begins when all of it has arrived, so every partition flows again.
    let share = MESSAGES / (FAULTS.len() as u64 + 1);
    let mut moves = Moves::of(&status);
    let mut repeated = 0;
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let first = share * number as u64;
        let victim = victim(fault, &etcd, &api).await;
        let before = stored(&brokers.target).await;
        let sending = tokio::spawn({
            let load = load.clone();
            async move { load.send(first..first + share).await }
        });
        // Asked of the broker: the audit lags behind.
        let (at, stored) = eventually("every partition flows", RECOVERY, async || {
            let stored = stored(&brokers.target).await;
            let flows = stored.iter().zip(&before).all(|(now, before)| now - before >= share / 8 / u64::from(QUEUES));
            let count: u64 = stored.iter().sum::<u64>() - before.iter().sum::<u64>();
            if flows { Ok((begin.elapsed(), count)) } else { Err(format!("{before:?}, now {stored:?}")) }
        })
        .await;
        assert!(stored < share, "{fault:?} comes too late to show anything");
        let produced = load.produced() - first;
        inflict(fault, &victim, &mut mesh, &etcd, &api).await;
        sending.await.expect("the load is sent");
        let waiting = Instant::now();
        audit.wait(first + share, RECOVERY).await;
        let (recovered, repeats) = (waiting.elapsed(), audit.repeated() - repeated);
        repeated += repeats;
        moves.note(&api.wait_until_running("orders", RECOVERY).await);
        println!(
            "{at:6.1?} {fault:?} {victim} when {stored} of {share} had arrived ({produced} were produced); all arrived {recovered:.1?} after the last was produced, {repeats} again"
        );
    }
    load.send(share * FAULTS.len() as u64..MESSAGES).await;
    let report = audit.report(0..MESSAGES, |_| true, RECOVERY).await;
    let status = api.wait_until_running("orders", RECOVERY).await;
    moves.note(&status);
    println!("{:6.1?} everything arrived; placed: {}", begin.elapsed(), placement(&status));
    println!("{report}");

    // A partition whose filter or dispatcher changed repeats at most its window, what was open. One whose router changed repeats besides what
    // ended since the last commit: what flowed during the interval, and during a commit that was under way.
    let peak = audit.peak(COMMIT_INTERVAL);
    let allowed = moves.routers * (WINDOW + 2 * peak) + moves.others * WINDOW;
    println!(
        "repeats allowed: {allowed} = {} changes of router x (window {WINDOW} + 2 x {peak} in {COMMIT_INTERVAL:?}) + {} of filter or dispatcher x {WINDOW}; {} sent again at the source",
        moves.routers,
        moves.others,
        load.resent()
    );
    assert!(report.is_right() && report.produced == MESSAGES, "{report}");
    assert!(report.duplicated <= allowed + load.resent(), "{} repeats are more than {allowed}", report.duplicated);
    assert!(mesh.all().all(|process| !process.log().contains("panicked")), "a process panicked");
    brokers.stop().await;
}

/// *Scenario*: while messages flow through a mesh, a third router, filter and dispatcher are added, and then one process of every stage, the
/// controller last, is replaced: a fresh one starts and the old one gets SIGTERM. *Guarantees*: what is handed over is drained first, so
/// nothing is repeated, besides nothing being lost or out of order; each ends with status 0 within its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_repeats_nothing() {
    const SHARE: u64 = 10_000;
    let Some(etcd) = Etcd::start(1) else { return };
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    let mut mesh = Mesh::start(&etcd, &[]);
    let route = Route::new("orders", "orders", &brokers.source, &brokers.target);
    mesh.api().await.run(route.stream_of(QUEUES)).await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 43).await;
    let load = Arc::new(Load::new(&brokers.source, "orders", QUEUES, 43));
    let mut sent = 0;
    for change in [None, Some(Role::Router), Some(Role::Filter), Some(Role::Dispatcher), Some(Role::Controller)] {
        let sending = tokio::spawn({
            let load = load.clone();
            async move { load.send(sent..sent + SHARE).await }
        });
        audit.wait_each((sent + SHARE / 8) / u64::from(QUEUES), RECOVERY).await;
        match change {
            None => [Role::Router, Role::Filter, Role::Dispatcher].into_iter().for_each(|role| {
                mesh.add(role);
            }),
            Some(role) => {
                let api = mesh.api().await;
                let victim = match role {
                    Role::Controller => mesh.of(role).next().expect("there is one").name().to_owned(),
                    _ => victim(Fault::Roll(role), &etcd, &api).await,
                };
                inflict(Fault::Roll(role), &victim, &mut mesh, &etcd, &api).await;
            }
        }
        sending.await.expect("the load is sent");
        sent += SHARE;
        audit.wait(sent, RECOVERY).await;
        println!("{change:?}: {} arrived, {} again", audit.delivered(), audit.repeated());
    }
    let status = mesh.api().await.wait_until_running("orders", RECOVERY).await;
    let report = audit.expect(0..sent, |_| true).await;
    println!("{report}; placed: {}", placement(&status));
    assert!(report.duplicated <= load.resent(), "what is handed over is drained first, so nothing is repeated: {report}");
    brokers.stop().await;
}

/// *Scenario*: a mesh whose processes have the certificates that `rocketbridge certs dev` made. A client creates a stream and messages flow; then it opens a
/// session to a filter, and asks for a router's reports, and a router's certificate opens a session to a dispatcher. *Guarantees*: everything arrives; what is not
/// for a certificate's role is refused with PERMISSION_DENIED and the name that it would need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_have_roles() {
    const SENT: u64 = 2_000;
    let Some(etcd) = Etcd::start(1) else { return };
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let certificates = folder.path().join("certs");
    let made = std::process::Command::new(binary()).args(["certs", "dev"]).arg(&certificates).output().expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mesh = Mesh::start_with_certificates(&etcd, &certificates);
    let server = |role| mesh.of(role).next().expect("there is one").server();
    let api = Api::connect_as(server(Role::Controller), &certificates, "client").await;
    let route = Route::new("orders", "orders", &brokers.source, &brokers.target);
    let status = api.run(route.stream_of(QUEUES)).await;
    // The controller was given the routers' reports, as its role allows.
    assert!(status.partitions.iter().all(|part| part.report.as_ref().is_some_and(|report| report.flowing)), "{}", placement(&status));
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 44).await;
    Load::new(&brokers.source, "orders", QUEUES, 44).send(0..SENT).await;
    audit.expect(0..SENT, |_| true).await;

    let channel = async |server: &str, name: &str| {
        let endpoint = Endpoint::from_shared(server.to_owned()).expect("an address").tls_config(tls(&certificates, name));
        endpoint.expect("certificates").connect().await.expect("any certificate of the authority connects")
    };
    let refused = |refusal: tonic::Status, role: &str| {
        assert_eq!(refusal.code(), tonic::Code::PermissionDenied, "{refusal:?}");
        assert!(refusal.message().contains(&format!("rocketbridge://service/{role}")), "{refusal:?}");
    };
    let client = channel(server(Role::Filter), "client").await;
    refused(
        FilterServiceClient::new(client)
            .session(futures::stream::pending::<filter::SessionRequest>())
            .await
            .map(|_| ())
            .expect_err("no router"),
        "router",
    );
    let router = channel(server(Role::Dispatcher), "router").await;
    refused(
        DispatchServiceClient::new(router)
            .session(futures::stream::pending::<dispatch::SessionRequest>())
            .await
            .map(|_| ())
            .expect_err("no filter"),
        "filter",
    );
    let client = channel(server(Role::Router), "client").await;
    let reports = MemberServiceClient::new(client).get_stream_reports(GetStreamReportsRequest::default()).await;
    refused(reports.map(|_| ()).expect_err("no controller"), "controller");
    brokers.stop().await;
}

/// Makes something go wrong and, where a process ends, starts a fresh one.
async fn inflict(fault: Fault, victim: &str, mesh: &mut Mesh, etcd: &Etcd, api: &Api) {
    match fault {
        Fault::Kill(role) => {
            mesh.take(victim).kill();
            mesh.add(role);
        }
        Fault::Freeze(role) => {
            let process = mesh.take(victim);
            process.freeze();
            eventually("others own what the frozen one owned", RECOVERY, async || {
                let status = api.try_status("orders").await.map_err(|status| status.to_string())?;
                let owned = status.partitions.iter().any(|part| part.router == *victim || part.router.is_empty());
                let flows = status.state() == State::Running && status.partitions.len() == QUEUES as usize;
                if flows && !owned { Ok(()) } else { Err(placement(&status)) }
            })
            .await;
            process.thaw();
            mesh.put(role, process);
        }
        Fault::Roll(role) => {
            mesh.add(role);
            let mut process = mesh.take(victim);
            process.terminate();
            let begin = Instant::now();
            let status = process.wait(DRAIN);
            println!("       {victim} drained in {:.1?}", begin.elapsed());
            assert!(status.success(), "{victim} ended with {status}");
        }
        Fault::KillEtcdLeader => etcd.kill(victim.parse().expect("a member's number")),
    }
}

/// Whom a fault hits: a process that has a part in the stream.
async fn victim(fault: Fault, etcd: &Etcd, api: &Api) -> String {
    let role = match fault {
        Fault::Kill(role) | Fault::Freeze(role) | Fault::Roll(role) => role,
        Fault::KillEtcdLeader => return etcd.leader().to_string(),
    };
    eventually(&format!("a {role:?} has a part in the stream"), RECOVERY, async || {
        let status = api.try_status("orders").await.map_err(|status| status.to_string())?;
        let names = status.partitions.iter().map(|part| match role {
            Role::Router => &part.router,
            Role::Filter => &part.filter,
            Role::Dispatcher | Role::Controller => &part.dispatcher,
        });
        names.into_iter().find(|name| !name.is_empty()).cloned().ok_or_else(|| placement(&status))
    })
    .await
}

/// How many messages each queue of the target holds.
async fn stored(target: &Cluster) -> Vec<u64> {
    let offsets = target.admin().offsets("orders").await.unwrap_or_else(|error| panic!("{error}"));
    offsets.iter().map(|queue| queue.maximum).collect()
}

/// Counts how often a partition got another owner, wanted or not.
struct Moves {
    /// Of each partition: the epoch of its router, its filter and its dispatcher.
    last: Vec<(u64, String, String)>,
    routers: u64,
    others: u64,
}

impl Moves {
    fn of(status: &StreamStatus) -> Self {
        Self { last: Self::owners(status), routers: 0, others: 0 }
    }

    fn note(&mut self, status: &StreamStatus) {
        let now = Self::owners(status);
        for (before, now) in self.last.iter().zip(&now) {
            self.routers += u64::from(before.0 != now.0);
            self.others += u64::from(before.1 != now.1) + u64::from(before.2 != now.2);
        }
        self.last = now;
    }

    fn owners(status: &StreamStatus) -> Vec<(u64, String, String)> {
        let owners =
            |part: &PartitionStatus| (part.report.as_ref().map_or(0, |report| report.epoch), part.filter.clone(), part.dispatcher.clone());
        status.partitions.iter().map(owners).collect()
    }
}

fn placement(status: &StreamStatus) -> String {
    let part = |part: &PartitionStatus| {
        let report = part.report.clone().unwrap_or_default();
        let fate = if report.flowing { "flows".to_owned() } else { format!("waits ({})", report.failure) };
        format!("{} {} {} {} {fate}", report.partition, part.router, part.filter, part.dispatcher)
    };
    format!("{:?} {}; {}", status.state(), status.reason, status.partitions.iter().map(part).collect::<Vec<_>>().join(", "))
}
