//! The owners of units, for those who must reach an owner.

use std::sync::Arc;

use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Entry, Metastore, Mirror, Single, Snapshot};
use rocketbridge_model::{Epoch, MemberId, Region};
use rocketbridge_runtime::Tasks;

use crate::claim::Holder;
use crate::unit::UnitId;
use crate::value::decode;

/// The owner of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub member: MemberId,
    /// Where its sessions are served, `host:port`.
    pub address: String,
    /// Where it runs. `None`: no region was configured.
    pub region: Option<Region>,
    /// The number of this ownership. An owner with a lower one is a former owner.
    pub epoch: Epoch,
}

/// All owners. Cheap to clone; each clone remembers separately what it has seen.
#[derive(Clone, Debug)]
pub struct Owners(Mirror);

/// The owner of one unit, followed by itself: what happens to other units wakes nobody here.
#[derive(Clone, Debug)]
pub struct UnitOwner(Single);

/// All owners at one moment.
pub(crate) struct Owned(Arc<Snapshot>);

impl Owners {
    /// Starts to follow the owners.
    pub fn start(store: Arc<dyn Metastore>, tasks: &Tasks) -> Self {
        Self(Mirror::start(store, keyspace::OWNERS, tasks))
    }

    /// The owner of a unit; `None` while it has none.
    pub fn owner(&self, unit: &UnitId) -> Option<Owner> {
        self.0.snapshot().get(&unit.key()).and_then(read)
    }

    /// Follows the owner of one unit.
    pub fn follow(&self, unit: &UnitId) -> UnitOwner {
        UnitOwner(self.0.follow(&unit.key()))
    }

    /// All units that have an owner.
    pub fn all(&self) -> Vec<(UnitId, Owner)> {
        let snapshot = self.0.snapshot();
        snapshot.values().filter_map(|entry| Some((UnitId::from_key(&entry.key)?, read(entry)?))).collect()
    }

    /// Waits until owners differ from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        self.0.changed().await;
    }

    /// Waits until the owners are known. Cancel-safe.
    pub async fn ready(&mut self) {
        self.0.ready().await;
    }

    /// The owners as this copy shows them now.
    pub(crate) fn now(&self) -> Owned {
        Owned(self.0.snapshot())
    }
}

impl UnitOwner {
    /// The owner now; `None` while there is none.
    pub fn owner(&self) -> Option<Owner> {
        self.0.entry().as_ref().and_then(read)
    }

    /// Waits until the owner differs from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        self.0.changed().await;
    }
}

impl Owned {
    /// Whether an ownership that was confirmed at `epoch` has ended.
    pub(crate) fn is_over(&self, unit: &UnitId, epoch: Epoch) -> bool {
        let entry = self.0.get(&unit.key());
        self.0.revision >= epoch.0 && entry.is_none_or(|entry| entry.create_revision != epoch.0)
    }

    /// Whether nobody owns the unit.
    pub(crate) fn is_free(&self, unit: &UnitId) -> bool {
        !self.0.contains_key(&unit.key())
    }
}

fn read(entry: &Entry) -> Option<Owner> {
    let Holder { member, address, region } = decode(entry)?;
    let epoch = Epoch(entry.create_revision);
    Some(Owner { member, address, region, epoch })
}
