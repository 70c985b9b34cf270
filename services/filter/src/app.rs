//! The stage as the mesh sees it: shards begin, drain and are abandoned, sessions are accepted.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::{Claim, Handler, Owners, UnitId, UnitKind};
use rocketbridge_mesh::link::UnitOwner;
use rocketbridge_mesh::{Link, Shards};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{FilterRequest, Open};
use rocketbridge_program::{Compiler, Program};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{TaskKind, Tasks};
use rocketbridge_transport::{Accept, Code, Dialer, Error, ServerSession};

use crate::session::Session;

/// Longest wait for the first request of a session.
const OPENING: Duration = Duration::from_secs(10);

/// The filter of a process. Cheap to clone.
#[derive(Clone)]
pub struct Filter(Arc<Inner>);

struct Inner {
    shards: Shards,
    owners: Owners,
    dialer: Dialer,
    compiler: Compiler,
    programs: Mutex<HashMap<(String, u64), Weak<Program>>>,
    tasks: Tasks,
}

impl Filter {
    /// A filter that owns nothing yet. Streams are compiled by `compiler`. Sessions run as `tasks`.
    pub fn new(owners: Owners, dialer: Dialer, compiler: Compiler, tasks: Tasks) -> Self {
        Self(Arc::new(Inner { shards: Shards::new("filter"), owners, dialer, compiler, programs: Mutex::default(), tasks }))
    }

    async fn open(&self, mut upstream: ServerSession<FilterRequest>) {
        let first = tokio::time::timeout(OPENING, upstream.requests.next()).await;
        let session = match first {
            Ok(Some(Ok(FilterRequest::Open(open)))) => self.admit(*open),
            Ok(Some(Ok(_))) => Err(Error::new(Code::Protocol, "the first request of a session must be open")),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => return,
            Err(_) => Err(Error::new(Code::Protocol, format!("no first request within {OPENING:?}"))),
        };
        match session {
            Ok((open, ticket, program)) => {
                let unit = UnitId::new(open.stream.name.clone(), UnitKind::DispatchShard(open.shard));
                let locate = Box::new(UnitOwner::new(self.0.owners.clone(), unit));
                let (stream, origin) = (open.stream.clone(), open.origin.clone());
                let link = Link::new(self.0.dialer.clone(), locate, open);
                Session { stream, origin, program, ticket, link, upstream }.run().await;
            }
            Err(error) => {
                let _ = upstream.answers.send(Err(error)).await;
            }
        }
    }

    fn admit(&self, open: Open) -> Result<(Open, rocketbridge_mesh::Ticket, Arc<Program>), Error> {
        let program = self.program(&open.stream)?;
        let ticket = self.0.shards.admit(&open)?;
        Ok((open, ticket, program))
    }

    /// One program serves all partitions of a revision.
    fn program(&self, stream: &Stream) -> Result<Arc<Program>, Error> {
        let key = (stream.uid.clone(), stream.revision.0);
        if let Some(program) = self.0.programs.lock().get(&key).and_then(Weak::upgrade) {
            return Ok(program);
        }
        let program = Program::compile(stream, &self.0.compiler);
        let program = program.map_err(|error| Error::new(Code::Refused, format!("stream {}: {error}", stream.name)))?;
        let program = Arc::new(program);
        let mut programs = self.0.programs.lock();
        programs.retain(|_, program| program.strong_count() > 0);
        programs.insert(key, Arc::downgrade(&program));
        Ok(program)
    }
}

impl Accept<FilterRequest> for Filter {
    fn accept(&self, session: ServerSession<FilterRequest>) {
        let filter = self.clone();
        self.0.tasks.spawn("filter session", TaskKind::Worker, async move {
            filter.open(session).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
}

impl Handler for Filter {
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>> {
        if let UnitKind::FilterShard(shard) = unit.kind {
            self.0.shards.begin(&unit.stream, shard, claim.epoch, claim.authority);
        }
        Box::pin(async { Ok(()) })
    }

    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let UnitKind::FilterShard(shard) = unit.kind {
                self.0.shards.drain(&unit.stream, shard).await;
            }
        })
    }

    fn abandon(&self) {
        self.0.shards.abandon();
    }
}
