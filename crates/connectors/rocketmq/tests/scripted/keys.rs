//! Keys that change under load, at a broker that knows to the moment which ones count.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use rocketbridge_connector::{Code, LaneKey, Permit, Registry, Target};
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_credentials::testing::{ACCESS_KEY, Issuer, ROLE, SECRET_KEY};
use rocketbridge_model::resolved::{AssumedRole, Credentials, KeyFile, Keys, RocketMqConnection, RocketMqTarget, Role};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, PartitionId, Secret, testing};
use sha1::Sha1;

use super::server::{Heard, Reply, Server};
use super::{ROUTE, name_server};

const SEND_BATCH: i64 = 320;
/// Bytes of a message in a batch before its body: sizes, checksum, flag.
const BEFORE_BODY: usize = 20;
const NO_PERMISSION: i64 = 16;

/// What a broker stores, and what it refused.
#[derive(Default)]
struct Stored {
    /// How often each body was stored, and the order of the bodies of each lane.
    bodies: Mutex<HashMap<String, u32>>,
    lanes: Mutex<HashMap<String, Vec<u64>>>,
    refused: AtomicU64,
}

/// Keys: access key, secret, token.
type Triple = (String, String, String);

/// A broker and a name server that take what is signed with the keys that `secret_of` gives for an access key now.
async fn guarded(secret_of: impl Fn(&str) -> Option<Triple> + Send + Sync + 'static) -> (Server, Server, Arc<Stored>) {
    let stored = Arc::new(Stored::default());
    let broker = Server::start({
        let stored = Arc::clone(&stored);
        move |heard: &Heard| {
            let keys = secret_of(heard.field("AccessKey").unwrap_or_default());
            if !keys.is_some_and(|keys| is_signed(heard, &keys)) {
                stored.refused.fetch_add(1, Ordering::SeqCst);
                return Reply::answer(NO_PERMISSION, &[]);
            }
            if heard.code == SEND_BATCH {
                let length = u32::from_be_bytes(heard.body[BEFORE_BODY - 4..BEFORE_BODY].try_into().expect("four bytes")) as usize;
                let body = String::from_utf8(heard.body[BEFORE_BODY..BEFORE_BODY + length].to_vec()).expect("text");
                let (lane, number) = body.split_once('/').expect("lane and number");
                stored.lanes.lock().entry(lane.to_owned()).or_default().push(number.parse().expect("a number"));
                *stored.bodies.lock().entry(body).or_default() += 1;
            }
            Reply::success(&[])
        }
    })
    .await;
    let names = name_server(&broker).await;
    (broker, names, stored)
}

fn is_signed(heard: &Heard, (access_key, secret_key, token): &Triple) -> bool {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()).expect("a key");
    mac.update(&heard.signed());
    let expected = STANDARD.encode(mac.finalize().into_bytes());
    heard.field("AccessKey") == Some(access_key)
        && heard.field("SecurityToken").unwrap_or_default() == token
        && heard.field("Signature") == Some(&expected)
}

fn target(connectors: &Connectors, names: &Server, credentials: Credentials) -> Arc<dyn Target> {
    let connection =
        RocketMqConnection { endpoints: vec![names.address().to_owned()], credentials: Some(credentials), ..RocketMqConnection::default() };
    let stream = testing::stream();
    connectors.target(&RocketMqTarget { connection, topic: "t".into(), ..stream.target }, &stream.source)
}

fn delivery(body: String) -> Delivery {
    let envelope = Envelope { body: body.into(), ..Envelope::default() };
    Delivery { receipt: 0, event: Event { offset: 0, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
}

/// Lanes that deliver one after the other until told to stop. Answers how many each delivered, and how many deliveries failed first.
async fn load(target: Arc<dyn Target>, stop: Arc<AtomicBool>) -> (HashMap<String, u64>, u64) {
    let failures = Arc::new(AtomicU64::new(0));
    let lanes = (0..4).map(|lane| {
        let (target, stop, failures) = (Arc::clone(&target), Arc::clone(&stop), Arc::clone(&failures));
        async move {
            let key = LaneKey { stream: "s".into(), partition: PartitionId::new(format!("b/{lane}")) };
            let origin = Origin { partition: PartitionId::new(format!("b/{lane}")), ..Origin::default() };
            let mut next = 0;
            while !stop.load(Ordering::SeqCst) {
                match target.deliver(&key, &origin, &Permit::always(), &[delivery(format!("lane{lane}/{next}"))]).await.remove(0) {
                    Ok(_) => next += 1,
                    Err(error) => {
                        println!("{error}");
                        failures.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
            (format!("lane{lane}"), next)
        }
    });
    let delivered = futures::future::join_all(lanes).await.into_iter().collect();
    (delivered, failures.load(Ordering::SeqCst))
}

/// Every delivery is stored once, in the order of its lane.
fn check(stored: &Stored, delivered: &HashMap<String, u64>) {
    let twice: Vec<_> = stored.bodies.lock().iter().filter(|(_, count)| **count != 1).map(|(body, _)| body.clone()).collect();
    assert_eq!(twice, Vec::<String>::new(), "stored more than once");
    for (lane, count) in delivered {
        assert!(*count > 50, "{lane} delivered {count}: that is no load");
        assert_eq!(stored.lanes.lock()[lane], (0..*count).collect::<Vec<_>>(), "{lane}");
    }
}

fn replace(path: &Path, (access_key, secret_key, token): &Triple) {
    let beside = path.with_extension("new");
    let text = format!(r#"{{"AccessKeyId":"{access_key}","AccessKeySecret":"{secret_key}","SecurityToken":"{token}"}}"#);
    std::fs::write(&beside, text).expect("written");
    std::fs::rename(&beside, path).expect("renamed");
}

/// *Scenario*: another process replaces the keys in a file every 100 ms, 110 times, and the broker takes the former ones no more from that moment on, while
/// four lanes deliver as fast as they can. *Guarantees*: nothing is lost and nothing repeated, each lane keeps its order, and no delivery fails for a
/// signature that was right when it was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_a_file_change_under_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let keys = |number: u32| (format!("ak{number}"), format!("sk{number}"), format!("tk{number}"));
    let accepted = Arc::new(Mutex::new(keys(0)));
    replace(&path, &keys(0));
    let (_broker, names, stored) = guarded({
        let accepted = Arc::clone(&accepted);
        move |_| Some(accepted.lock().clone())
    })
    .await;
    let connectors = Connectors::new();
    let file = Credentials::File(KeyFile { reference: Secret::new(format!("file:{}", path.display())) });
    let target = target(&connectors, &names, file);
    let stop = Arc::new(AtomicBool::new(false));
    let delivering = tokio::spawn(load(Arc::clone(&target), Arc::clone(&stop)));
    for number in 1..=110 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        replace(&path, &keys(number));
        *accepted.lock() = keys(number);
    }
    stop.store(true, Ordering::SeqCst);
    let (delivered, failures) = delivering.await.expect("no panic");
    check(&stored, &delivered);
    let refused = stored.refused.load(Ordering::SeqCst);
    println!(
        "110 changes of a file: {} delivered, {refused} requests refused at first, {failures} deliveries failed",
        delivered.values().sum::<u64>()
    );
    assert!(refused >= 50, "{refused} refusals: the changes were not met");
    assert_eq!(failures, 0);
    assert_eq!(target.concern(), None);
}

/// *Scenario*: an STS issues keys of 150 ms, more than a hundred times, and the broker takes them to their end only, while four lanes deliver as fast as they can.
/// *Guarantees*: nothing is lost, repeated, out of order or even refused; every request for keys is signed anew; the lanes share what is issued.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_role_are_replaced_under_load() {
    let issuer = Issuer::start(Duration::from_millis(150)).await;
    let (_broker, names, stored) = guarded({
        let issuer = issuer.clone();
        move |access_key| issuer.alive(access_key).map(|grant| (grant.access_key, grant.secret_key, grant.security_token))
    })
    .await;
    let connectors = Connectors::new();
    let target = target(&connectors, &names, assumed(&issuer));
    let stop = Arc::new(AtomicBool::new(false));
    let delivering = tokio::spawn(load(Arc::clone(&target), Arc::clone(&stop)));
    let enough = async {
        while issuer.grants().len() <= 105 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), enough).await.expect("keys are replaced");
    stop.store(true, Ordering::SeqCst);
    let (delivered, failures) = delivering.await.expect("no panic");
    check(&stored, &delivered);
    let refused = stored.refused.load(Ordering::SeqCst);
    let requests = issuer.requests();
    println!(
        "{} issues: {} delivered, {refused} requests refused at first, {failures} deliveries failed",
        requests.len(),
        delivered.values().sum::<u64>()
    );
    assert!(requests.iter().all(|request| request == "AssumeRole"), "{requests:?}");
    // Keys that end before they come, on a busy machine, are told until the next ones do.
    let well = async {
        while target.concern().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), well).await.expect("nothing is wrong");
}

fn assumed(issuer: &Issuer) -> Credentials {
    Credentials::Sts(AssumedRole {
        role: Role {
            endpoint: issuer.endpoint(),
            role_arn: ROLE.to_owned(),
            session: "rocketbridge".to_owned(),
            life: Duration::from_secs(3_600),
            policy: String::new(),
        },
        external_id: String::new(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
    })
}

/// *Scenario*: keys that the broker refuses and that nobody replaces; then an STS that refuses. *Guarantees*: each request is sent once and is `Denied`; the STS's own
/// words are the reason, no secret is in them, and the concern names the instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_denied_at_once() {
    let (broker, names, _stored) = guarded(|_| None).await;
    let connectors = Connectors::new();
    let keys = Keys { access_key: "ak".into(), secret_key: Secret::new("hunter2"), security_token: Secret::default() };
    let written = target(&connectors, &names, Credentials::Static(keys));
    let key = LaneKey { stream: "s".into(), partition: PartitionId::new("b/0") };
    let error =
        written.deliver(&key, &Origin::default(), &Permit::always(), &[delivery("a/0".into())]).await.remove(0).expect_err("refused");
    assert_eq!((error.code(), broker.count(SEND_BATCH)), (Code::Denied, 1), "{error}");
    assert!(!error.to_string().contains("hunter2"));

    let issuer = Issuer::start(Duration::from_secs(3_600)).await;
    issuer.fail(Some((403, r#"{"Code":"NoPermission","Message":"not for you"}"#)));
    let target = target(&connectors, &names, assumed(&issuer));
    let error =
        target.deliver(&key, &Origin::default(), &Permit::always(), &[delivery("a/1".into())]).await.remove(0).expect_err("no keys");
    assert_eq!(error.code(), Code::Denied, "{error}");
    assert!(error.to_string().contains("answered 403 NoPermission: not for you"), "{error}");
    let concern = target.concern().expect("told");
    assert!(concern.starts_with(&format!("credentials for {}: there are no keys: AssumeRole {ROLE}", names.address())), "{concern}");
    assert_eq!((broker.count(SEND_BATCH), names.count(ROUTE) > 0), (1, true));
}
