//! The stage as the mesh sees it: what it does with the sessions of its shards.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rocketbridge_assignment::{Owners, UnitId, UnitKind};
use rocketbridge_delivery::Budget;
use rocketbridge_mesh::{Admitted, Downlink, Serve};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::FilterRequest;
use rocketbridge_program::{Compiler, Program};
use rocketbridge_runtime::Pool;
use rocketbridge_transport::{Code, Dialer, Error};

use crate::transit::{Passage, Transit};

/// The filter of a process; a `Reception` hands it its sessions.
pub struct Filter {
    owners: Owners,
    dialer: Dialer,
    compiler: Compiler,
    programs: Mutex<HashMap<(String, u64), Weak<Program>>>,
    pool: Pool,
    budget: Budget,
}

impl Filter {
    /// A filter whose streams are compiled by `compiler`. What costs much is compiled and evaluated in `pool`. All sessions together
    /// are granted no more bytes than `budget`.
    pub fn new(owners: Owners, dialer: Dialer, compiler: Compiler, pool: Pool, budget: Budget) -> Self {
        Self { owners, dialer, compiler, programs: Mutex::default(), pool, budget }
    }

    /// One program serves all partitions of a revision.
    async fn program(&self, stream: &Arc<Stream>) -> Result<Arc<Program>, Error> {
        let key = (stream.uid.clone(), stream.revision.0);
        if let Some(program) = self.programs.lock().get(&key).and_then(Weak::upgrade) {
            return Ok(program);
        }
        let (compiled, compiler) = (stream.clone(), self.compiler.clone());
        let program = self.pool.run(move || Program::compile(&compiled, &compiler)).await;
        let program = program.map_err(|error| Error::new(Code::Refused, format!("stream {}: {error}", stream.name)))?;
        let program = Arc::new(program);
        let mut programs = self.programs.lock();
        programs.retain(|_, program| program.strong_count() > 0);
        programs.insert(key, Arc::downgrade(&program));
        Ok(program)
    }
}

impl Serve for Filter {
    type Request = FilterRequest;
    type Prepared = Arc<Program>;

    async fn prepare(&self, stream: &Arc<Stream>) -> Result<Arc<Program>, Error> {
        self.program(stream).await
    }

    async fn serve(&self, Admitted { open, stream, prepared, ticket, upstream }: Admitted<Self>) {
        let unit = UnitId::new(open.stream.name.clone(), UnitKind::DispatchShard(open.shard));
        let locate = Box::new(self.owners.follow(&unit));
        let downlink = Downlink::new(self.dialer.clone(), locate, open.clone());
        let passage = Passage { stream, origin: open.origin, program: prepared };
        Transit::new(downlink, passage, ticket, upstream, self.pool.clone(), self.budget.share()).run().await;
    }
}
