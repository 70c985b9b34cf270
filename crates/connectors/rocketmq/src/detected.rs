//! A target whose protocol nobody said: remoting, unless its endpoints turn out to speak gRPC only.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rocketbridge_connector::{Arrival, Error, LaneKey, Permit, Target};
use rocketbridge_model::Origin;
use rocketbridge_model::session::Delivery;

use crate::probe::GrpcOnly;

/// A topic by either protocol.
pub(crate) struct DetectedTarget {
    remoting: Arc<dyn Target>,
    grpc: Arc<dyn Target>,
    endpoints: Vec<String>,
    grpc_only: GrpcOnly,
}

impl DetectedTarget {
    pub(crate) fn new(remoting: Arc<dyn Target>, grpc: Arc<dyn Target>, endpoints: Vec<String>, grpc_only: GrpcOnly) -> Self {
        Self { remoting, grpc, endpoints, grpc_only }
    }

    fn is_grpc(&self) -> bool {
        self.grpc_only.has_any(&self.endpoints)
    }
}

impl Target for DetectedTarget {
    fn deliver<'a>(
        &'a self,
        lane: &'a LaneKey,
        origin: &'a Origin,
        permit: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, Error>>> {
        async move {
            if self.is_grpc() {
                return self.grpc.deliver(lane, origin, permit, deliveries).await;
            }
            let results = self.remoting.deliver(lane, origin, permit, deliveries).await;
            // The protocol comes to light when no name server answers, before anything is sent. Another lane may have found it while this one was
            // delivering through a route that it knew.
            if self.is_grpc() && results.iter().all(Result::is_err) {
                return self.grpc.deliver(lane, origin, permit, deliveries).await;
            }
            results
        }
        .boxed()
    }

    fn concern(&self) -> Option<String> {
        if self.is_grpc() { self.grpc.concern() } else { self.remoting.concern() }
    }

    fn bare(&self) -> Option<Arc<dyn Target>> {
        let (remoting, grpc) = (self.remoting.bare()?, self.grpc.bare()?);
        Some(Arc::new(Self::new(remoting, grpc, self.endpoints.clone(), self.grpc_only.clone())))
    }
}
