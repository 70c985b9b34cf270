//! The members of the mesh: each process describes itself under `members/{id}`, for as long as its lease lives.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{LeaseId, Metastore, Mirror, Transaction};
use rocketbridge_model::{MemberId, Region};
use rocketbridge_runtime::{Backoff, Chain, TaskHandle, TaskKind, Tasks};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::lease::{Lease, Term};
use crate::stage::Stage;
use crate::value::{decode, encode};

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// A process of the mesh, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Unique for the life of the process.
    pub id: MemberId,
    /// Its stages. Standalone has all of them.
    pub stages: Vec<Stage>,
    /// Where it runs. Absent: no region was configured.
    #[serde(default)]
    pub region: Option<Region>,
    /// The networks that it reaches. Empty: all.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Where its sessions are served, `host:port`.
    pub address: String,
    /// How many units it takes in relation to other members; 0 counts as 1.
    #[serde(default = "one")]
    pub capacity: u32,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// When it started, RFC 3339; for people, never compared.
    #[serde(default)]
    pub started_at: String,
}

/// All members. Cheap to clone; each clone remembers separately what it has seen.
#[derive(Clone, Debug)]
pub struct Members(Mirror);

/// The membership of this process.
#[derive(Clone, Debug)]
pub struct Registration {
    withdraw: CancellationToken,
    task: TaskHandle,
}

impl Member {
    /// The key of a member.
    pub fn key(id: &MemberId) -> String {
        keyspace::member(id.as_str())
    }

    /// Whether it can work on units of a stage.
    pub fn has(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }
}

impl Members {
    /// Starts to follow the members.
    pub fn start(store: Arc<dyn Metastore>, tasks: &Tasks) -> Self {
        Self(Mirror::start(store, keyspace::MEMBERS, tasks))
    }

    /// All members, by id. Members whose description cannot be read are left out.
    pub fn all(&self) -> Vec<Member> {
        self.0.snapshot().values().filter_map(decode).collect()
    }

    /// One member.
    pub fn get(&self, id: &MemberId) -> Option<Member> {
        self.0.snapshot().get(&Member::key(id)).and_then(decode)
    }

    /// Whether this copy shows the member registered under the lease.
    fn is_registered(&self, id: &MemberId, lease: LeaseId) -> bool {
        self.0.snapshot().get(&Member::key(id)).is_some_and(|entry| entry.lease == Some(lease))
    }

    /// Waits until members differ from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        self.0.changed().await;
    }

    /// Waits until the members are known. Cancel-safe.
    pub async fn ready(&mut self) {
        self.0.ready().await;
    }
}

impl Registration {
    /// Registers `member` under every term of `lease`, until it is withdrawn or `tasks` drain.
    pub fn start(store: Arc<dyn Metastore>, lease: Lease, member: Member, members: Members, tasks: &Tasks) -> Self {
        let withdraw = CancellationToken::new();
        let registrar = Registrar { store, lease, member, members };
        let stop = withdraw.clone();
        let shutdown = tasks.shutdown().clone();
        let task = tasks.spawn("registration", TaskKind::Worker, async move {
            let mut registrar = registrar;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = shutdown.draining() => {}
                () = registrar.run() => {}
            }
            registrar.withdraw().await
        });
        Self { withdraw, task }
    }

    /// Withdraws from the mesh, so that the planner moves this process's units away: the first step of a drain. Returns when this succeeded or
    /// failed. A failure is logged and only costs time, because the membership also ends with the lease.
    pub async fn withdraw(&self) {
        self.withdraw.cancel();
        self.task.ended().await;
    }
}

struct Registrar {
    store: Arc<dyn Metastore>,
    lease: Lease,
    member: Member,
    members: Members,
}

impl Registrar {
    async fn run(&mut self) {
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        loop {
            let term = self.lease.term().await;
            if let Err(error) = self.register(&term).await {
                let delay = backoff.next_delay();
                tracing::warn!(member = %self.member.id, error = %Chain(&error), ?delay, "cannot register this process, retrying");
                tokio::time::sleep(delay).await;
                continue;
            }
            backoff.reset();
            tokio::select! {
                () = term.lost() => {}
                () = self.members.changed() => {}
            }
        }
    }

    /// Writes the member's key, unless it already exists under this term.
    async fn register(&self, term: &Term) -> Result<(), Error> {
        if self.members.is_registered(&self.member.id, term.id()) {
            return Ok(());
        }
        let failed = || Error::store(format!("register {}", self.member.id));
        let key = Member::key(&self.member.id);
        if self.store.get(&key).await.map_err(failed())?.is_some_and(|entry| entry.lease == Some(term.id())) {
            return Ok(());
        }
        let value = encode("member", &self.member)?;
        let transaction = Transaction::new().put_leased(key, value, term.id());
        self.store.transact(transaction).await.map_err(failed())?;
        tracing::info!(member = %self.member.id, "registered");
        Ok(())
    }

    async fn withdraw(&self) -> Result<(), Error> {
        let transaction = Transaction::new().delete(Member::key(&self.member.id));
        self.store.transact(transaction).await.map(drop).map_err(Error::store(format!("withdraw {}", self.member.id)))
    }
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a member written by a newer and by an older version. *Guarantees*: both are read.
    #[test]
    fn other_versions_are_read() {
        let newer = r#"{"id":"m","stages":["router","filter"],"address":"a:1","capacity":3,"version":"9","shoe_size":44}"#;
        let member: Member = serde_json::from_str(newer).expect("readable");
        assert!(member.has(Stage::Filter) && !member.has(Stage::Dispatcher));
        let older = r#"{"id":"m","stages":["dispatcher"],"address":"a:1"}"#;
        let member: Member = serde_json::from_str(older).expect("readable");
        assert_eq!((member.capacity, member.region, member.networks.len()), (1, None, 0));
        assert_eq!(Member::key(&MemberId::new("a/b")), "members/a%2Fb");
    }
}
