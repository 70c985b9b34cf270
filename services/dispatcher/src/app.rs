//! The stage as the mesh sees it: shards begin, drain and are abandoned, sessions are accepted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use rocketbridge_assignment::{Claim, Handler, UnitId, UnitKind};
use rocketbridge_connector::{LaneKey, Registry};
use rocketbridge_mesh::Shards;
use rocketbridge_model::session::{DispatchRequest, Open};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{TaskKind, Tasks};
use rocketbridge_transport::{Accept, Code, Error, ServerSession};

use crate::fate::Rules;
use crate::lane::{Lane, Way};

/// Longest wait for the first request of a session.
const OPENING: Duration = Duration::from_secs(10);

/// The dispatcher of a process. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    shards: Shards,
    registry: Arc<dyn Registry>,
    tasks: Tasks,
}

impl Dispatcher {
    /// A dispatcher that owns nothing yet. Sessions run as `tasks`.
    pub fn new(registry: Arc<dyn Registry>, tasks: Tasks) -> Self {
        Self(Arc::new(Inner { shards: Shards::new("dispatcher"), registry, tasks }))
    }

    async fn open(&self, mut upstream: ServerSession<DispatchRequest>) {
        let first = tokio::time::timeout(OPENING, upstream.requests.next()).await;
        let admitted = match first {
            Ok(Some(Ok(DispatchRequest::Open(open)))) => self.0.shards.admit(&open).map(|ticket| (open, ticket)),
            Ok(Some(Ok(_))) => Err(Error::new(Code::Protocol, "the first request of a session must be open")),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => return,
            Err(_) => Err(Error::new(Code::Protocol, format!("no first request within {OPENING:?}"))),
        };
        match admitted {
            Ok((open, ticket)) => self.lane(*open, ticket, upstream).run().await,
            Err(error) => {
                let _ = upstream.answers.send(Err(error)).await;
            }
        }
    }

    fn lane(&self, open: Open, ticket: rocketbridge_mesh::Ticket, upstream: ServerSession<DispatchRequest>) -> Lane {
        let stream = &open.stream;
        let run = &stream.run;
        let way = Way {
            key: LaneKey { stream: stream.name.clone(), partition: open.origin.partition.clone() },
            target: self.0.registry.target(&stream.target),
            dead_letter: run.dead_letter.as_ref().map(|dead_letter| self.0.registry.dead_letter(dead_letter)),
            rules: Rules::new(run),
            origin: open.origin,
        };
        Lane::new(way, ticket, upstream, run.batch_count, run.batch_linger)
    }
}

impl Accept<DispatchRequest> for Dispatcher {
    fn accept(&self, session: ServerSession<DispatchRequest>) {
        let dispatcher = self.clone();
        self.0.tasks.spawn("dispatcher session", TaskKind::Worker, async move {
            dispatcher.open(session).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
}

impl Handler for Dispatcher {
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>> {
        if let UnitKind::DispatchShard(shard) = unit.kind {
            self.0.shards.begin(&unit.stream, shard, claim.epoch, claim.authority);
        }
        Box::pin(async { Ok(()) })
    }

    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let UnitKind::DispatchShard(shard) = unit.kind {
                self.0.shards.drain(&unit.stream, shard).await;
            }
        })
    }

    fn abandon(&self) {
        self.0.shards.abandon();
    }
}
