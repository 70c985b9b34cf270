//! Keys that change under load, at brokers that enforce them: ACL 2.0 of RocketMQ 5.3, ACL 1.0 of 4.9.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use rocketbridge_connector::{Code, Permit, Target};
use rocketbridge_credentials::testing::{ACCESS_KEY, Issuer, ROLE, SECRET_KEY};
use rocketbridge_model::resolved::{AssumedRole, Credentials, KeyFile, RocketMqConnection, Role};
use rocketbridge_model::{Origin, Secret};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::raw;
use crate::session::{Session, body, deliver_from, event, origin, read, stored};

/// Lanes that deliver side by side, one for each queue.
const LANES: u32 = 4;
/// How often the keys in a file are replaced.
const CHANGES: u64 = 110;
/// How often an STS issues keys.
const ISSUES: usize = 8;
const DEADLINE: Duration = Duration::from_secs(60);

/// A topic behind access control, and the accounts of its broker.
struct Guarded {
    administrator: Session,
    topic: String,
    accounts: Accounts,
}

/// The accounts of a broker that may do everything.
#[derive(Clone, Copy)]
struct Accounts {
    broker: SocketAddr,
    /// Those of 5.x: users.
    is_user: bool,
}

impl Accounts {
    /// Makes one, or gives it another secret, which counts from now on.
    async fn set(self, access_key: &str, secret_key: &str) -> Result<()> {
        let Self { broker, is_user } = self;
        if !is_user {
            let fields = [
                ("accessKey", access_key),
                ("secretKey", secret_key),
                ("admin", "true"),
                ("whiteRemoteAddress", ""),
                ("defaultTopicPerm", "PUB|SUB"),
                ("defaultGroupPerm", "PUB|SUB"),
            ];
            let fields = fields.map(|(name, value)| (name, value.to_owned()));
            return raw::ask_as_administrator(broker, raw::UPDATE_AND_CREATE_ACL_CONFIG, &fields, &[]).await;
        }
        let fields = [("username", access_key.to_owned())];
        let user = json!({"username": access_key, "password": secret_key, "userType": "Super"}).to_string();
        match raw::ask_as_administrator(broker, raw::AUTH_UPDATE_USER, &fields, user.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => raw::ask_as_administrator(broker, raw::AUTH_CREATE_USER, &fields, user.as_bytes()).await,
        }
    }

    /// Removes one.
    async fn remove(self, access_key: &str) -> Result<()> {
        let (code, name) = if self.is_user { (raw::AUTH_DELETE_USER, "username") } else { (raw::DELETE_ACL_CONFIG, "accessKey") };
        raw::ask_as_administrator(self.broker, code, &[(name, access_key.to_owned())], &[]).await
    }
}

impl Guarded {
    async fn new(cluster: &Cluster, topic: &str) -> Result<Self> {
        let administrator = Session::new(cluster.connection_with("admin12345", "secret12345"));
        let marker = administrator.topic(&format!("{topic}-marker"), 1).await?;
        administrator.send(&marker, &[body("where are you?")]).await?;
        let broker = stored(&administrator, &marker, 1).await?[0].envelope.store_host.context("a broker")?;
        let topic = administrator.topic(topic, LANES).await?;
        let accounts = Accounts { broker, is_user: cluster.java_5().is_some() };
        Ok(Self { administrator, topic, accounts })
    }

    /// What a target with these credentials is given, until told to stop.
    fn load(&self, cluster: &Cluster, credentials: Credentials) -> Load {
        let session = Session::new(RocketMqConnection { credentials: Some(credentials), ..cluster.connection() });
        let target = session.target(&self.topic, false);
        Load { _session: session, target, delivered: Arc::default(), denied: Arc::default(), stop: Arc::default() }
    }

    /// Reads everything back and wants each message once, each lane in order in a queue of its own.
    async fn check(&self, delivered: &[u64]) -> Result<()> {
        let source = self.administrator.source(&self.topic, &[]);
        let ends = self.administrator.admin.offsets(&self.topic).await?;
        let mut found = Vec::new();
        for (partition, end) in source.partitions().await?.iter().zip(ends) {
            let events = read(&mut source.open(partition).await?, 0, end.maximum as usize).await?;
            let bodies: Vec<_> = events.iter().map(|event| String::from_utf8_lossy(&event.envelope.body).into_owned()).collect();
            let lane: usize = bodies.first().and_then(|first| first.split_once('/')).context("a message")?.0.parse()?;
            let expected: Vec<_> = (0..delivered[lane]).map(|number| format!("{lane}/{number}")).collect();
            ensure!(bodies == expected, "lane {lane}: {} are stored, {} were delivered", bodies.len(), expected.len());
            found.push(lane);
        }
        found.sort_unstable();
        ensure!(found.into_iter().eq(0..LANES as usize));
        Ok(())
    }
}

/// Lanes that deliver one message after the other.
struct Load {
    _session: Session,
    target: Arc<dyn Target>,
    delivered: Arc<AtomicU64>,
    denied: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Delivers until told to stop, each message until it is delivered. Answers how many each lane delivered.
    async fn run(&self) -> Result<Vec<u64>> {
        let lanes = (0..LANES).map(|lane| async move {
            let from = Origin { queue: lane, ..origin() };
            let mut next = 0;
            while !self.stop.load(Ordering::SeqCst) {
                let event = event(next, format!("{lane}/{next}"), &[]);
                match deliver_from(&self.target, &from, &Permit::always(), [event]).await.remove(0) {
                    Ok(_) => {
                        next += 1;
                        self.delivered.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => {
                        ensure!(error.code() == Code::Denied, "{error}");
                        self.denied.fetch_add(1, Ordering::SeqCst);
                        sleep(Duration::from_millis(10)).await;
                    }
                }
            }
            Ok(next)
        });
        join_all(lanes).await.into_iter().collect()
    }

    /// Waits until something more was delivered: with the keys that count now.
    async fn progress(&self) -> Result<()> {
        let (before, deadline) = (self.delivered.load(Ordering::SeqCst), Instant::now() + DEADLINE);
        // One of each lane may have been stored before the keys changed.
        while self.delivered.load(Ordering::SeqCst) <= before + u64::from(LANES) {
            ensure!(Instant::now() < deadline, "nothing is delivered any more");
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    async fn beside(&self, changes: impl Future<Output = Result<()>>) -> Result<Vec<u64>> {
        let changed = async {
            let changed = changes.await;
            self.stop.store(true, Ordering::SeqCst);
            changed
        };
        let (delivered, changed) = tokio::join!(self.run(), changed);
        changed?;
        delivered
    }
}

fn replace(path: &Path, access_key: &str, secret_key: &str, token: &str) -> Result<()> {
    let beside = path.with_extension("new");
    let keys = json!({"AccessKeyId": access_key, "AccessKeySecret": secret_key, "SecurityToken": token});
    std::fs::write(&beside, keys.to_string())?;
    Ok(std::fs::rename(&beside, path)?)
}

/// *Scenario*: keys with a session token in a file, which are replaced 110 times, and at the broker at the same time, while four lanes deliver as fast as they can.
/// *Guarantees*: after each change the lanes go on with the new keys, which are the only ones that count; everything is stored once and in order.
pub(crate) async fn keys_in_a_file_are_replaced_under_load(cluster: &mut Cluster) -> Result<()> {
    let guarded = Guarded::new(cluster, "by-file").await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("keys.json");
    let set = async |number: u64| {
        let secret = format!("secret-{number:06}");
        replace(&path, "bridge12345", &secret, &format!("token-{number}"))?;
        guarded.accounts.set("bridge12345", &secret).await
    };
    set(0).await?;
    let load = guarded.load(cluster, Credentials::File(KeyFile { reference: Secret::new(format!("file:{}", path.display())) }));
    let began = Instant::now();
    let changes = async {
        for number in 1..=CHANGES {
            set(number).await?;
            load.progress().await?;
        }
        Ok(())
    };
    let delivered = load.beside(changes).await?;
    let (all, denied, name) = (delivered.iter().sum::<u64>(), load.denied.load(Ordering::SeqCst), cluster.name());
    println!("{name}: {CHANGES} changes of a file in {:?}: {all} delivered, {denied} denied at first", began.elapsed());
    // Between the file and the broker the new keys do not count yet.
    ensure!(denied <= CHANGES * u64::from(LANES), "{denied} denied");
    ensure!(load.target.concern().is_none(), "{:?}", load.target.concern());
    guarded.check(&delivered).await
}

/// *Scenario*: an STS issues keys that live for two seconds, and the broker knows each from the moment on at which it is issued until the next but one is, while four
/// lanes deliver as fast as they can. *Guarantees*: the keys are replaced before they end; no delivery is denied; everything is stored once and in order.
pub(crate) async fn keys_of_a_role_are_replaced_under_load(cluster: &mut Cluster) -> Result<()> {
    let guarded = Guarded::new(cluster, "by-role").await?;
    let issuer = Issuer::start(Duration::from_secs(2)).await;
    let accounts = guarded.accounts;
    issuer.register({
        let before = parking_lot::Mutex::new(Vec::<String>::new());
        move |grant| {
            let known = async {
                accounts.set(&grant.access_key, &grant.secret_key).await?;
                let mut before = before.lock().clone();
                before.reverse();
                if let Some(ended) = before.get(1) {
                    accounts.remove(ended).await?;
                }
                Ok::<_, anyhow::Error>(())
            };
            tokio::task::block_in_place(|| Handle::current().block_on(known)).expect("the broker knows the keys");
            before.lock().push(grant.access_key.clone());
        }
    });
    let role = Role {
        endpoint: issuer.endpoint(),
        role_arn: ROLE.to_owned(),
        session: "rocketbridge".to_owned(),
        life: Duration::from_secs(3_600),
        policy: String::new(),
    };
    let assumed = AssumedRole { role, external_id: String::new(), access_key: ACCESS_KEY.to_owned(), secret_key: Secret::new(SECRET_KEY) };
    let load = guarded.load(cluster, Credentials::Sts(assumed));
    let changes = async {
        let deadline = Instant::now() + DEADLINE;
        while issuer.grants().len() < ISSUES {
            ensure!(Instant::now() < deadline, "{} issues", issuer.grants().len());
            load.progress().await?;
        }
        load.progress().await
    };
    let delivered = load.beside(changes).await?;
    let (all, denied, name) = (delivered.iter().sum::<u64>(), load.denied.load(Ordering::SeqCst), cluster.name());
    println!("{name}: {} issues of an STS: {all} delivered, {denied} denied", issuer.grants().len());
    ensure!(denied == 0, "{denied} denied");
    guarded.check(&delivered).await
}
