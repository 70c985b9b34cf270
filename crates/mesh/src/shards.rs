//! Which shards this process owns, and the sessions that it serves for them.
//!
//! A session is admitted if its shard is owned here under the epoch that the opener knows, and its partition's epoch is that of the partition's
//! owner key (invariant I3). A later session for the same partition ends the former one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_assignment::{Authority, Stage};
use rocketbridge_delivery::Fence;
use rocketbridge_delivery::fence::Admission;
use rocketbridge_model::Epoch;
use rocketbridge_model::session::Open;
use rocketbridge_transport::{Code, Error};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::patience::Patience;

/// The shards of one stage of this process. Cheap to clone.
#[derive(Clone)]
pub struct Shards(Arc<Inner>);

struct Inner {
    stage: Stage,
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    owned: HashMap<ShardKey, Shard>,
    fence: Fence<PartitionKey, CancellationToken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ShardKey {
    stream: String,
    shard: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PartitionKey {
    shard: ShardKey,
    uid: String,
    partition: String,
}

struct Shard {
    epoch: Epoch,
    authority: Authority,
    /// Sessions should end when their open events have.
    draining: CancellationToken,
    /// Sessions end now.
    ended: CancellationToken,
    sessions: TaskTracker,
}

/// The right to serve one session. Dropping it leaves.
pub struct Ticket {
    shards: Shards,
    partition: PartitionKey,
    admission: Admission,
    authority: Authority,
    draining: CancellationToken,
    ended: CancellationToken,
    _counted: tokio_util::task::task_tracker::TaskTrackerToken,
}

impl Shards {
    /// None yet. `stage` is named in messages; sessions end within the patience of the process.
    pub fn new(stage: Stage, patience: Patience) -> Self {
        Self(Arc::new(Inner { stage, patience, state: Mutex::default() }))
    }

    /// The shard is owned here from now on.
    pub fn begin(&self, stream: &str, shard: u32, epoch: Epoch, authority: Authority) {
        let key = ShardKey { stream: stream.to_owned(), shard };
        let shard =
            Shard { epoch, authority, draining: CancellationToken::new(), ended: CancellationToken::new(), sessions: TaskTracker::new() };
        if let Some(former) = self.0.state.lock().owned.insert(key, shard) {
            former.ended.cancel();
        }
    }

    /// Sessions of the shard are asked to end; returns when they have and the shard is no longer owned here. Dropped before
    /// that, it ends them at once.
    pub async fn drain(&self, stream: &str, shard: u32) {
        let key = ShardKey { stream: stream.to_owned(), shard };
        let Some((draining, sessions)) = self.0.state.lock().owned.get(&key).map(|shard| (shard.draining.clone(), shard.sessions.clone()))
        else {
            return;
        };
        let _end = EndOnDrop { shards: self, key };
        draining.cancel();
        sessions.close();
        sessions.wait().await;
    }

    /// Nothing is owned here any more; every session ends now.
    pub fn abandon(&self) {
        let mut state = self.0.state.lock();
        for (_, shard) in state.owned.drain() {
            shard.ended.cancel();
        }
    }

    /// Whether a session would be admitted, as far as this process alone can tell: asked before anything is done for it.
    pub fn check(&self, open: &Open) -> Result<(), Error> {
        self.find(&self.0.state.lock(), open).map(|_| ())
    }

    /// The shard of a session, if it is owned here and the session may begin.
    fn find<'a>(&self, state: &'a State, open: &Open) -> Result<&'a Shard, Error> {
        let key = ShardKey { stream: open.stream.name.clone(), shard: open.shard };
        let fenced = |text: String| Error::new(Code::Fenced, text);
        let Some(shard) = state.owned.get(&key) else {
            return Err(fenced(format!("this {} does not own shard {} of stream {}", self.0.stage.name(), open.shard, open.stream.name)));
        };
        if shard.epoch != open.shard_epoch {
            return Err(fenced(format!(
                "this {} owns shard {} of stream {} under epoch {}, not {}",
                self.0.stage.name(),
                open.shard,
                open.stream.name,
                shard.epoch,
                open.shard_epoch
            )));
        }
        if shard.draining.is_cancelled() || !shard.authority.is_valid() {
            return Err(Error::new(
                Code::Unavailable,
                format!("this {} is handing shard {} of stream {} over", self.0.stage.name(), open.shard, open.stream.name),
            ));
        }
        Ok(shard)
    }

    /// Admits a session. `owner` is the epoch that the owner key of its partition has; it is asked under the lock, so that what one admission has seen
    /// no later one can miss.
    pub fn admit(&self, open: &Open, owner: impl FnOnce() -> Option<Epoch>) -> Result<Ticket, Error> {
        let mut state = self.0.state.lock();
        let shard = self.find(&state, open)?;
        let (ended, draining) = (shard.ended.child_token(), shard.draining.clone());
        let (authority, counted) = (shard.authority.clone(), shard.sessions.token());
        let key = ShardKey { stream: open.stream.name.clone(), shard: open.shard };
        let partition = PartitionKey { shard: key, uid: open.stream.uid.clone(), partition: open.origin.partition.to_string() };
        let fenced =
            |stale| Error::new(Code::Fenced, format!("partition {} of stream {}: {stale}", open.origin.partition, open.stream.name));
        let (admission, former) = state.fence.admit(partition.clone(), open.partition_epoch, owner(), ended.clone()).map_err(fenced)?;
        if let Some(former) = former {
            former.cancel();
        }
        Ok(Ticket { shards: self.clone(), partition, admission, authority, draining, ended, _counted: counted })
    }

    fn end(&self, key: &ShardKey) {
        let mut state = self.0.state.lock();
        if let Some(shard) = state.owned.remove(key) {
            shard.ended.cancel();
        }
        for session in state.fence.forget(|partition| &partition.shard == key) {
            session.cancel();
        }
    }
}

struct EndOnDrop<'a> {
    shards: &'a Shards,
    key: ShardKey,
}

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.shards.end(&self.key);
    }
}

impl Ticket {
    /// Whether this process may still act for the shard: asked before every effect on the outside.
    pub fn is_valid(&self) -> bool {
        !self.ended.is_cancelled() && self.authority.is_valid()
    }

    /// The same question, for whoever acts in the session's name.
    pub fn validity(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let (ended, authority) = (self.ended.clone(), self.authority.clone());
        move || !ended.is_cancelled() && authority.is_valid()
    }

    /// Fires when the session should end as soon as its open events have.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// When the session, which begins to end now, has waited so long for others as it may.
    pub fn until(&self, wait: Duration) -> Instant {
        self.shards.0.patience.until(wait)
    }

    /// Fires when the session must end now: another took over, or the shard is lost.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// What to tell the opener of a session that had to end.
    pub fn end_reason(&self) -> Error {
        Error::new(Code::Fenced, format!("the session was succeeded by another, or the {} lost the shard", self.shards.0.stage.name()))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shards.0.state.lock().fence.leave(&self.partition, self.admission);
    }
}
