//! The answering side of a stage: units begin and drain here, sessions are received, admitted and served.
//!
//! A session's first request must be `Open` and come soon. What it claims is looked up in this process's own [records](crate::records): which
//! version of the stream it is for, and that its partition belongs to the epoch's owner. What the stage needs for it is prepared next (a filter compiles
//! its program), then it is admitted by [`Shards`]: so a session that is refused takes nothing over from the former one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use rocketbridge_assignment::{Claim, Handler, UnitId, UnitKind};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::Open;
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{TaskKind, Tasks};
use rocketbridge_transport::{Accept, Code, Error, ServerSession};

use crate::carry::Carry;
use crate::patience::Patience;
use crate::records::{Records, confirm};
use crate::shards::{Shards, Ticket};

/// Longest wait for the first request of a session.
const OPENING: Duration = Duration::from_secs(10);

/// What a stage does with its sessions.
pub trait Serve: Send + Sync + 'static {
    /// The requests that it takes.
    type Request: Carry;
    /// What it prepares before a session is admitted.
    type Prepared: Send + 'static;

    /// Prepares for a session of a stream. Errors refuse it.
    fn prepare(&self, stream: &Arc<Stream>) -> impl Future<Output = Result<Self::Prepared, Error>> + Send;

    /// Serves an admitted session until it ends.
    fn serve(&self, admitted: Admitted<Self>) -> impl Future<Output = ()> + Send;
}

/// A session that was admitted.
pub struct Admitted<S: Serve + ?Sized> {
    /// Its first request, with what the definition says of the origin.
    pub open: Open,
    /// The stream, as the store has it at the version that the request names.
    pub stream: Arc<Stream>,
    /// What was prepared for it.
    pub prepared: S::Prepared,
    /// The right to serve it.
    pub ticket: Ticket,
    /// The session.
    pub upstream: ServerSession<S::Request>,
}

/// The answering side of a stage. Cheap to clone.
pub struct Reception<S>(Arc<Inner<S>>);

struct Inner<S> {
    stage: S,
    shards: Shards,
    records: Box<dyn Records>,
    tasks: Tasks,
}

impl<S: Serve> Reception<S> {
    /// One that owns nothing yet. What openers claim is looked up in `records`. Sessions run as `tasks`.
    pub fn new(stage: S, records: impl Records, tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            stage,
            shards: Shards::new(S::Request::STAGE, Patience::of(tasks.shutdown())),
            records: Box::new(records),
            tasks,
        }))
    }

    async fn receive(&self, mut upstream: ServerSession<S::Request>) {
        let first = match tokio::time::timeout(OPENING, upstream.requests.next()).await {
            Ok(Some(first)) => first,
            Ok(None) => return,
            Err(_) => Err(Error::new(Code::Protocol, format!("no first request within {OPENING:?}"))),
        };
        let opened = first
            .and_then(|first| first.into_open().ok_or_else(|| Error::new(Code::Protocol, "the first request of a session must be open")));
        let admitted = match opened {
            Ok(open) => self.admit(open).await,
            Err(error) => Err(error),
        };
        match admitted {
            Ok(Admission { open, stream, prepared, ticket }) => {
                self.0.stage.serve(Admitted { open, stream, prepared, ticket, upstream }).await;
            }
            Err(error) => {
                // Nobody may be there any more to read it.
                let _ = upstream.answers.send(Err(error)).await;
            }
        }
    }

    /// What costs least is asked first, so that who only guesses is refused at once.
    async fn admit(&self, mut open: Open) -> Result<Admission<S>, Error> {
        let Inner { stage, shards, records, .. } = &*self.0;
        shards.check(&open)?;
        let stream = records.stream(&open.stream).await?;
        place(&mut open, &stream)?;
        let unit = UnitId::new(stream.name.clone(), UnitKind::Partition(open.origin.partition.clone()));
        let mut owner = records.owner(&unit);
        confirm(owner.as_mut(), &unit, open.partition_epoch).await?;
        let prepared = stage.prepare(&stream).await?;
        let ticket = shards.admit(&open, || owner.owner().map(|owner| owner.epoch))?;
        Ok(Admission { open, stream, prepared, ticket })
    }
}

/// A session that is about to be served.
struct Admission<S: Serve> {
    open: Open,
    stream: Arc<Stream>,
    prepared: S::Prepared,
    ticket: Ticket,
}

/// Puts the session where the definition says: its partition's events go through one shard, and come from the stream's own source.
fn place(open: &mut Open, stream: &Stream) -> Result<(), Error> {
    let shard = stream.run.shard_of(&open.origin.partition);
    if shard != open.shard {
        let text = format!("partition {} of stream {} belongs to shard {shard}, not {}", open.origin.partition, stream.name, open.shard);
        return Err(Error::new(Code::Protocol, text));
    }
    let origin = (*open.origin).clone().within(&stream.source);
    if *open.origin != origin {
        open.origin = Arc::new(origin);
    }
    Ok(())
}

impl<S> Clone for Reception<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Serve> Accept<S::Request> for Reception<S> {
    fn accept(&self, session: ServerSession<S::Request>) {
        let reception = self.clone();
        let name = format!("{} session", S::Request::STAGE.name());
        self.0.tasks.spawn(name, TaskKind::Worker, async move {
            reception.receive(session).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
}

impl<S: Serve> Handler for Reception<S> {
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>> {
        if let Some(shard) = S::Request::shard(&unit.kind) {
            self.0.shards.begin(&unit.stream, shard, claim.epoch, claim.authority);
        }
        Box::pin(async { Ok(()) })
    }

    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(shard) = S::Request::shard(&unit.kind) {
                self.0.shards.drain(&unit.stream, shard).await;
            }
        })
    }

    fn abandon(&self) {
        self.0.shards.abandon();
    }
}
