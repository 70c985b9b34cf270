//! What is promised of keys and TLS, at a proxy that speaks TLS only and checks keys and rights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rocketbridge_connector::{Code, Start};
use rocketbridge_model::resolved::{Credentials, KeyFile, Keys, Protocol, RocketMqConnection, RocketMqSource, StartPosition, Tls};
use rocketbridge_model::{Secret, testing};
use tokio::time::{Instant, sleep};

use crate::certificates;
use crate::cluster::Cluster;
use crate::session::{INVISIBLE, LIMITS, Session, acknowledge, bodies, body, deliver, delivered, event, open, receive, text};

const SECRET: &str = "secret12345";
/// How soon a proxy of the kit that was started for this sees changed users and rights, and a little more.
const SEEN: Duration = Duration::from_millis(2_500);

/// A proxy with keys and TLS.
pub(crate) struct Guarded {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Guarded {
    pub(crate) fn start(version: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        certificates::write(folder.path())?;
        let path = folder.path().to_string_lossy().into_owned();
        let mut arguments = vec!["--acl", "--proxy-tls", &path];
        for setting in [
            "userCacheRefreshSeconds=1",
            "userCacheExpiredSeconds=1",
            "aclCacheRefreshSeconds=1",
            "aclCacheExpiredSeconds=1",
            "enableTopicMessageTypeCheck=false",
        ] {
            arguments.extend(["--proxy-conf", setting]);
        }
        let cluster = Cluster::start(version, &arguments)?;
        Ok(Self { cluster, folder })
    }

    /// A connection to the proxy, over TLS, with keys.
    fn grpc(&self, credentials: Credentials) -> RocketMqConnection {
        self.at(&self.cluster.proxy, credentials)
    }

    fn at(&self, endpoint: &str, credentials: Credentials) -> RocketMqConnection {
        let tls = Tls { identity: None, ..certificates::tls(self.folder.path()) };
        RocketMqConnection { tls: Some(tls), credentials: Some(credentials), ..self.cluster.connection(Protocol::Grpc, endpoint) }
    }

    /// A connection to the name server, as the administrator, without TLS.
    fn remoting(&self) -> RocketMqConnection {
        RocketMqConnection { credentials: Some(keys("admin12345")), ..self.cluster.remoting() }
    }
}

fn keys(user: &str) -> Credentials {
    Credentials::Static(triple(user, SECRET))
}

fn triple(user: &str, secret: &str) -> Keys {
    Keys { access_key: user.into(), secret_key: Secret::new(secret), security_token: Secret::default() }
}

fn source(connection: RocketMqConnection, topic: &str) -> RocketMqSource {
    RocketMqSource { connection, group: format!("group-{topic}"), ..testing::source(topic) }
}

/// *Scenario*: a user that may publish to a topic, and one that may subscribe to it for a group; nothing else is granted. *Guarantees*: the first sends; the second receives,
/// extends and acknowledges; nothing comes again. A session token, of which this proxy knows nothing, does no harm.
pub(crate) async fn granted_rights_are_enough(guarded: &Guarded) -> Result<()> {
    let cluster = &guarded.cluster;
    cluster.topic("granted", 2, "NORMAL")?;
    for (user, rights) in
        [("writer12345", &[("Topic:granted", "Pub")][..]), ("reader12345", &[("Topic:granted", "Sub"), ("Group:group-granted", "Sub")][..])]
    {
        cluster.user("createUser", user, SECRET)?;
        rights.iter().try_for_each(|(resource, actions)| cluster.allow(user, resource, actions))?;
    }
    let session = Session::default();
    let events = (0..40).map(|offset| event(offset, offset.to_string(), &[]));
    delivered(&session.target(guarded.grpc(keys("writer12345")), "granted"), events).await?;
    session.stored(guarded.remoting(), "granted", 40).await?;
    let with_token = Keys { security_token: Secret::new("token"), ..triple("reader12345", SECRET) };
    let source = session.source(&source(guarded.grpc(Credentials::Static(with_token)), "granted"))?;
    ensure!(source.terms().await?.partitions == 8);
    let mut open = open(&source).await?;
    let received = receive(&mut open, 40).await?;
    let handles: Vec<_> = received.iter().map(|received| received.handle.clone()).collect();
    let extended = open.handles.extend(&handles, INVISIBLE).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    open.handles.acknowledge(&extended).await.into_iter().collect::<Result<(), _>>()?;
    ensure!(bodies(&received).len() == 40 && open.receiver.receive(LIMITS, INVISIBLE).await?.is_empty());
    ensure!(source.concern().is_none(), "{:?}", source.concern());
    Ok(())
}

/// *Scenario*: calls that nobody granted: to send, to receive from the topic, to receive for the group; a wrong secret, an unknown user, no keys. *Guarantees*: each is denied,
/// with the resource or what is wrong with the keys, and without the secret.
pub(crate) async fn what_is_not_granted_is_told(guarded: &Guarded) -> Result<()> {
    guarded.cluster.topic("secluded", 1, "NORMAL")?;
    let session = Session::default();
    let told = |error: &rocketbridge_connector::Error, words: &str| {
        ensure!(error.code() == Code::Denied && error.to_string().contains(words), "{words}: {error}");
        ensure!(!error.to_string().contains("wrong-secret"), "{error}");
        Ok(())
    };
    let unsigned = RocketMqConnection { credentials: None, ..guarded.grpc(keys("x")) };
    for (connection, words) in [
        (guarded.grpc(keys("reader12345")), "Topic:granted"),
        (guarded.grpc(keys("nobody12345")), "nobody12345 is not found"),
        (guarded.grpc(Credentials::Static(triple("writer12345", "wrong-secret"))), "check signature failed"),
        (unsigned.clone(), "no access_key"),
    ] {
        let refused = deliver(&session.target(connection, "granted"), [event(0, "x", &[])]).await.remove(0);
        told(&refused.err().context(words)?, words)?;
    }
    let for_group = RocketMqSource { group: "group-other".into(), ..source(guarded.grpc(keys("reader12345")), "granted") };
    for (definition, words) in [
        (source(guarded.grpc(keys("reader12345")), "secluded"), "Topic:secluded"),
        (for_group, "Group:group-other"),
        (source(guarded.grpc(keys("writer12345")), "granted"), "Group:group-granted"),
        (source(unsigned, "granted"), "no access_key"),
    ] {
        let source = session.source(&definition)?;
        told(&source.terms().await.err().context(words)?, words)?;
        let mut open = open(&source).await?;
        told(&open.receiver.receive(LIMITS, INVISIBLE).await.err().context(words)?, words)?;
    }
    Ok(())
}

/// *Scenario*: a proxy that does not check types of topics, and a message with a sharding key for a NORMAL topic. *Guarantees*: the proxy says so to the producer, and the
/// message is sent with its key instead of being refused here.
pub(crate) async fn types_are_not_checked_where_the_proxy_does_not(guarded: &Guarded) -> Result<()> {
    guarded.cluster.topic("unchecked", 1, "NORMAL")?;
    let session = Session::default();
    let target = session.target(guarded.grpc(keys("admin12345")), "unchecked");
    delivered(&target, [event(0, "keyed", &[("__SHARDINGKEY", "s")])]).await?;
    let stored = session.stored(guarded.remoting(), "unchecked", 1).await?;
    ensure!(stored[0].envelope.properties.get("__SHARDINGKEY") == Some("s"), "{stored:?}");
    Ok(())
}

/// *Scenario*: a right that is granted after a receiver was refused for it. *Guarantees*: the same receiver gets the messages soon.
pub(crate) async fn a_right_that_comes_late_is_used(guarded: &Guarded) -> Result<()> {
    let cluster = &guarded.cluster;
    cluster.topic("late", 1, "NORMAL")?;
    let session = Session::default();
    session.send(&guarded.remoting(), "late", &[body("x")]).await?;
    let mut open = open(&session.source(&source(guarded.grpc(keys("reader12345")), "late"))?).await?;
    ensure!(open.receiver.receive(LIMITS, INVISIBLE).await.is_err_and(|error| error.code() == Code::Denied));
    cluster.allow("reader12345", "Topic:late", "Sub")?;
    cluster.allow("reader12345", "Group:group-late", "Sub")?;
    let began = Instant::now();
    let received = loop {
        match open.receiver.receive(LIMITS, INVISIBLE).await {
            Ok(received) if !received.is_empty() => break received,
            Err(error) if error.code() != Code::Denied => return Err(error.into()),
            _ => sleep(Duration::from_millis(100)).await,
        }
        ensure!(began.elapsed() < Duration::from_secs(20), "the right is not used");
    };
    acknowledge(&open, &received).await
}

/// *Scenario*: a new group that begins at the earliest message, at the port that speaks both protocols, with rights to subscribe only. *Guarantees*: its offsets can be set, what
/// waits can be counted, and it gets all.
pub(crate) async fn a_new_group_begins_with_the_same_rights(guarded: &Guarded) -> Result<()> {
    let cluster = &guarded.cluster;
    cluster.topic("beginning", 1, "NORMAL")?;
    let session = Session::default();
    session.send(&guarded.remoting(), "beginning", &[body("0"), body("1")]).await?;
    let definition = RocketMqSource {
        group: "GID_rocketbridge_beginning".into(),
        ..source(guarded.at(&cluster.both, keys("reader12345")), "beginning")
    };
    cluster.allow("reader12345", "Topic:beginning", "Sub")?;
    cluster.allow("reader12345", "Group:GID_rocketbridge_beginning", "Sub")?;
    sleep(SEEN).await;
    let source = session.source(&definition)?;
    let mut open = source.open(Start { position: StartPosition::Earliest, moment: 0 }).await?;
    ensure!(source.waiting().await? == Some(2), "{:?}", source.waiting().await);
    let received = receive(&mut open, 2).await?;
    acknowledge(&open, &received).await
}

/// *Scenario*: an authority that did not sign the proxy's certificate; no TLS at all. *Guarantees*: both are denied or unavailable, and say what is wrong.
pub(crate) async fn another_authority_is_told(guarded: &Guarded) -> Result<()> {
    let session = Session::default();
    let other = tempfile::tempdir()?;
    certificates::write(other.path())?;
    let right = guarded.grpc(keys("reader12345"));
    let strange = RocketMqConnection { tls: Some(Tls { identity: None, ..certificates::tls(other.path()) }), ..right.clone() };
    for error in [
        session.source(&source(strange.clone(), "granted"))?.terms().await.err().context("not trusted")?,
        deliver(&session.target(strange, "granted"), [event(0, "x", &[])]).await.remove(0).err().context("not trusted")?,
    ] {
        ensure!(error.code() == Code::Denied && error.reason.contains("is not from an authority of tls.ca"), "{error}");
    }
    let plain = RocketMqConnection { tls: None, ..right };
    let error = session.source(&source(plain, "granted"))?.terms().await.err().context("TLS only")?;
    ensure!(error.code() == Code::Unavailable && error.reason.contains("if it speaks TLS, write `tls`"), "{error}");
    Ok(())
}

/// Replaces the file of keys.
fn replace(path: &Path, user: &str, secret: &str) -> Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, format!(r#"{{"AccessKeyId":"{user}","AccessKeySecret":"{secret}"}}"#))?;
    Ok(std::fs::rename(&beside, path)?)
}

/// *Scenario*: another process replaces the keys in a file 22 times, by those of another user whose former secret counts no more from then on, while messages are sent, received
/// and acknowledged as fast as they can be. *Guarantees*: each is stored once and received once; nothing is refused for keys that were right when they were taken.
pub(crate) async fn keys_in_a_file_change_under_load(guarded: &Guarded) -> Result<()> {
    const CHANGES: usize = 22;
    let cluster = &guarded.cluster;
    cluster.topic("rotated", 4, "NORMAL")?;
    let users = ["rotated-one", "rotated-two"];
    for user in users {
        cluster.user("createUser", user, "secret-0")?;
        cluster.allow(user, "Topic:rotated", "Pub,Sub")?;
        cluster.allow(user, "Group:group-rotated", "Sub")?;
    }
    let path = guarded.folder.path().join("keys.json");
    replace(&path, users[0], "secret-0")?;
    let connection = guarded.grpc(Credentials::File(KeyFile { reference: Secret::new(format!("file:{}", path.display())) }));
    let session = Arc::new(Session::default());
    let (stop, failures) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let sending = tokio::spawn(send_until(Arc::clone(&session), connection.clone(), Arc::clone(&stop), Arc::clone(&failures)));
    let receiving = tokio::spawn(receive_until(Arc::clone(&session), connection, Arc::clone(&stop), Arc::clone(&failures)));
    let (path, changes) = (path.to_string_lossy().into_owned(), CHANGES.to_string());
    let more = [path.as_str(), &changes, users[0], users[1], "secret-0", &cluster.name_server];
    tokio::task::block_in_place(|| cluster.run(include_str!("Rotate.java"), &more))?;
    stop.store(true, Ordering::SeqCst);
    let sent = sending.await??;
    let received = receiving.await??;
    let stored = session.stored(guarded.remoting(), "rotated", sent).await?;
    ensure!(stored.iter().map(text).collect::<BTreeSet<_>>().len() == sent, "something is stored twice");
    let twice: Vec<_> = received.iter().filter(|(_, count)| **count != 1).collect();
    ensure!(received.len() == sent && twice.is_empty(), "{} of {sent} came, twice: {twice:?}", received.len());
    println!("{CHANGES} changes: {sent} sent and received, {} failures", failures.load(Ordering::SeqCst));
    ensure!(sent > 1_000 && failures.load(Ordering::SeqCst) == 0, "{sent} sent, {failures:?} failures");
    Ok(())
}

async fn send_until(
    session: Arc<Session>,
    connection: RocketMqConnection,
    stop: Arc<AtomicBool>,
    failures: Arc<AtomicU32>,
) -> Result<usize> {
    let target = session.target(connection, "rotated");
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        for result in deliver(&target, (next..next + 8).map(|offset| event(offset, offset.to_string(), &[]))).await {
            if let Err(error) = result {
                println!("{error}");
                failures.fetch_add(1, Ordering::SeqCst);
            }
        }
        next += 8;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(usize::try_from(next)?)
}

/// How often each message came, until it is stopped and nothing more comes.
async fn receive_until(
    session: Arc<Session>,
    connection: RocketMqConnection,
    stop: Arc<AtomicBool>,
    failures: Arc<AtomicU32>,
) -> Result<BTreeMap<String, u32>> {
    let mut open = open(&session.source(&source(connection, "rotated"))?).await?;
    let mut came = BTreeMap::new();
    loop {
        let received = match open.receiver.receive(LIMITS, INVISIBLE).await {
            Ok(received) => received,
            Err(error) => {
                println!("{error}");
                failures.fetch_add(1, Ordering::SeqCst);
                continue;
            }
        };
        if received.is_empty() && stop.load(Ordering::SeqCst) {
            return Ok(came);
        }
        let handles: Vec<_> = received.iter().map(|received| received.handle.clone()).collect();
        for result in open.handles.acknowledge(&handles).await {
            if let Err(error) = result {
                println!("{error}");
                failures.fetch_add(1, Ordering::SeqCst);
            }
        }
        for message in &received {
            *came.entry(text(&message.event)).or_default() += 1;
        }
    }
}
