//! The stage as the mesh sees it: what it does with the sessions of its shards.

use std::sync::Arc;

use rocketbridge_connector::{LaneKey, Registry};
use rocketbridge_delivery::Budget;
use rocketbridge_mesh::{Admitted, Serve};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::DispatchRequest;
use rocketbridge_transport::Error;

use crate::fate::Rules;
use crate::lane::{Lane, Way};

/// The dispatcher of a process; a `Reception` hands it its sessions.
pub struct Dispatcher {
    registry: Arc<dyn Registry>,
    budget: Budget,
}

impl Dispatcher {
    /// A dispatcher that delivers to what `registry` makes. All sessions together are granted no more bytes than `budget`.
    pub fn new(registry: Arc<dyn Registry>, budget: Budget) -> Self {
        Self { registry, budget }
    }
}

impl Serve for Dispatcher {
    type Request = DispatchRequest;
    type Prepared = ();

    async fn prepare(&self, _: &Arc<Stream>) -> Result<(), Error> {
        Ok(())
    }

    async fn serve(&self, Admitted { open, stream, ticket, upstream, .. }: Admitted<Self>) {
        let run = &stream.run;
        let way = Way {
            key: LaneKey { stream: stream.name.clone(), partition: open.origin.partition.clone() },
            target: self.registry.target(&stream.target, &stream.source),
            dead_letter: run.dead_letter.as_ref().map(|dead_letter| self.registry.dead_letter(dead_letter)),
            rules: Rules::new(run),
            origin: open.origin,
        };
        Lane::new(way, ticket, upstream, run.batch_count, run.batch_linger).within(self.budget.share()).run().await;
    }
}
