//! Changes of routes that are not changes of their definition.

use futures::FutureExt;
use rocketbridge_codec::definition::Kind;
use rocketbridge_model::record::{Active, Desired, RouteRecord};

use super::{Book, Step, check_etag, check_name, not_found};
use crate::clock;
use crate::error::Error;
use crate::request::Request;

impl Book {
    /// Sets whether the streams of a route should run. A route that already does so is left as it is.
    ///
    /// # Errors
    ///
    /// There is no such route, its etag is stale, or it is to be paused and was never started.
    pub async fn set_route_desired(&self, name: &str, etag: &str, desired: Desired, request: &Request) -> Result<RouteRecord, Error> {
        check_name(name)?;
        let changed = self.change(request, || self.route_desire_step(name, etag, desired).boxed());
        changed.await?.ok_or_else(|| not_found::<RouteRecord>(name))
    }

    async fn route_desire_step(&self, name: &str, etag: &str, desired: Desired) -> Result<Step<RouteRecord>, Error> {
        let Some(found) = self.find::<RouteRecord>(name).await? else { return Err(not_found::<RouteRecord>(name)) };
        check_etag(name, etag, Some(&found.record))?;
        match (desired, found.record.desired) {
            (Desired::Paused, Desired::Ready) => return Err(Error::NeverStarted { kind: Kind::Route, name: name.to_owned() }),
            (wanted, current) if wanted == current => return Ok(Step::Answer(Some(found.record))),
            _ => {}
        }
        let mut record = found.record;
        let now = clock::now();
        if record.started == 0 {
            record.started = now;
        }
        record.desired = desired;
        record.change += 1;
        record.update_time = now;
        Self::replacement(record, found.mod_revision)
    }

    /// Notes which end of a route is in use, unless the route has changed since it was read.
    ///
    /// # Errors
    ///
    /// The route has changed meanwhile or is gone, or the metadata store fails.
    pub async fn turn_route(&self, route: &RouteRecord, active: Active) -> Result<RouteRecord, Error> {
        let turned = self.change(&Request::default(), || self.turn_step(route, active).boxed()).await?;
        turned.filter(|turned| turned.active == active).ok_or(Error::Contended)
    }

    async fn turn_step(&self, route: &RouteRecord, active: Active) -> Result<Step<RouteRecord>, Error> {
        let found = self.find::<RouteRecord>(&route.definition.name).await?;
        let Some(found) = found.filter(|found| found.record == *route) else { return Ok(Step::Answer(None)) };
        let turned = RouteRecord { active, change: route.change + 1, update_time: clock::now(), ..found.record };
        Self::replacement(turned, found.mod_revision)
    }

    /// Notes that every topic that there was at a route's first start has its stream, unless the route has changed since it was read.
    ///
    /// # Errors
    ///
    /// The metadata store fails.
    pub async fn complete_route(&self, route: &RouteRecord) -> Result<(), Error> {
        self.change(&Request::default(), || self.complete_step(route).boxed()).await.map(drop)
    }

    async fn complete_step(&self, route: &RouteRecord) -> Result<Step<RouteRecord>, Error> {
        let found = self.find::<RouteRecord>(&route.definition.name).await?;
        let Some(found) = found.filter(|found| found.record == *route) else { return Ok(Step::Answer(None)) };
        Self::replacement(RouteRecord { complete: true, ..found.record }, found.mod_revision)
    }
}
