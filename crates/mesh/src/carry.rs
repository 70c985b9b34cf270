//! The requests that sessions between stages carry, seen alike.

use std::future::Future;

use rocketbridge_assignment::{Owner, Stage, UnitKind};
use rocketbridge_model::session::{DispatchRequest, FilterRequest, Open};
use rocketbridge_transport::{ClientSession, Destination, Dialer, Error};

/// Requests of one kind of session.
pub trait Carry: Sized + Send + 'static {
    /// The stage that takes them.
    const STAGE: Stage;

    /// The first request of a session.
    fn open(open: Open) -> Self;

    /// What the first request must be.
    fn into_open(self) -> Option<Open>;

    /// The shard that a unit of the stage is.
    fn shard(unit: &UnitKind) -> Option<u32>;

    /// Opens a session to the owner of a shard.
    fn dial<'a>(dialer: &'a Dialer, owner: &'a Owner) -> impl Future<Output = Result<ClientSession<Self>, Error>> + Send + 'a;
}

impl Carry for FilterRequest {
    const STAGE: Stage = Stage::Filter;

    fn open(open: Open) -> Self {
        Self::Open(Box::new(open))
    }

    fn into_open(self) -> Option<Open> {
        if let Self::Open(open) = self { Some(*open) } else { None }
    }

    fn shard(unit: &UnitKind) -> Option<u32> {
        if let UnitKind::FilterShard(shard) = unit { Some(*shard) } else { None }
    }

    fn dial<'a>(dialer: &'a Dialer, owner: &'a Owner) -> impl Future<Output = Result<ClientSession<Self>, Error>> + Send + 'a {
        dialer.filter(to(owner))
    }
}

impl Carry for DispatchRequest {
    const STAGE: Stage = Stage::Dispatcher;

    fn open(open: Open) -> Self {
        Self::Open(Box::new(open))
    }

    fn into_open(self) -> Option<Open> {
        if let Self::Open(open) = self { Some(*open) } else { None }
    }

    fn shard(unit: &UnitKind) -> Option<u32> {
        if let UnitKind::DispatchShard(shard) = unit { Some(*shard) } else { None }
    }

    fn dial<'a>(dialer: &'a Dialer, owner: &'a Owner) -> impl Future<Output = Result<ClientSession<Self>, Error>> + Send + 'a {
        dialer.dispatch(to(owner))
    }
}

fn to(owner: &Owner) -> Destination<'_> {
    Destination { address: &owner.address, region: owner.region.as_ref() }
}
