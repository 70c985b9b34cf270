//! The answering side of a stage: units begin and drain here, sessions are received, admitted and served.
//!
//! A session's first request must be `Open` and come soon. What the stage needs for it is prepared first (a filter compiles its program),
//! then it is admitted by [`Shards`]: so a session that is refused takes nothing over from the former one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use rocketbridge_assignment::{Claim, Handler, UnitId};
use rocketbridge_model::session::Open;
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{TaskKind, Tasks};
use rocketbridge_transport::{Accept, Code, Error, ServerSession};

use crate::carry::Carry;
use crate::shards::{Shards, Ticket};

/// Longest wait for the first request of a session.
const OPENING: Duration = Duration::from_secs(10);

/// What a stage does with its sessions.
pub trait Serve: Send + Sync + 'static {
    /// The requests that it takes.
    type Request: Carry;
    /// What it prepares before a session is admitted.
    type Prepared: Send + 'static;

    /// Prepares for a session. Errors refuse it.
    fn prepare(&self, open: &Open) -> impl Future<Output = Result<Self::Prepared, Error>> + Send;

    /// Serves an admitted session until it ends.
    fn serve(&self, admitted: Admitted<Self>) -> impl Future<Output = ()> + Send;
}

/// A session that was admitted.
pub struct Admitted<S: Serve + ?Sized> {
    /// Its first request.
    pub open: Open,
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
    tasks: Tasks,
}

impl<S: Serve> Reception<S> {
    /// One that owns nothing yet. Sessions run as `tasks`.
    pub fn new(stage: S, tasks: Tasks) -> Self {
        Self(Arc::new(Inner { stage, shards: Shards::new(S::Request::STAGE), tasks }))
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
            Ok((open, prepared, ticket)) => self.0.stage.serve(Admitted { open, prepared, ticket, upstream }).await,
            Err(error) => {
                // Nobody may be there any more to read it.
                let _ = upstream.answers.send(Err(error)).await;
            }
        }
    }

    async fn admit(&self, open: Open) -> Result<(Open, S::Prepared, Ticket), Error> {
        let prepared = self.0.stage.prepare(&open).await?;
        let ticket = self.0.shards.admit(&open)?;
        Ok((open, prepared, ticket))
    }
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
