//! What this process's own copies of the metadata store say about what an opener claims.
//!
//! Nothing that an opener says is believed because it says so. The version of the stream must be the one that the store holds, and the epoch
//! of the partition must be the one of its owner key. Copies may be behind the opener's, by the time that a watch takes, so a claim that may be true
//! before long is looked at again for [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rocketbridge_assignment::{Owners, UnitId};
use rocketbridge_model::Epoch;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::StreamVersion;
use rocketbridge_transport::{Code, Error};

use crate::definitions::Definitions;
use crate::downlink::Locate;

/// How long a claim may be ahead of this process's copies. Watches take milliseconds, and an opener waits three times as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The highest revision that a store can have: etcd counts in signed numbers of 64 bits.
const HIGHEST: Epoch = Epoch(i64::MAX as u64);

/// What the metadata store says.
pub trait Records: Send + Sync + 'static {
    /// What a version of a stream says, once it is known here. Errors refuse the session.
    fn stream<'a>(&'a self, version: &'a StreamVersion) -> BoxFuture<'a, Result<Arc<Stream>, Error>>;

    /// Follows the owner of a unit.
    fn owner(&self, unit: &UnitId) -> Box<dyn Locate>;
}

/// The copies that every process keeps.
#[derive(Clone, Debug)]
pub struct Copies {
    /// The streams as they should run now.
    pub definitions: Definitions,
    /// The owners of all units.
    pub owners: Owners,
}

impl Records for Copies {
    fn stream<'a>(&'a self, version: &'a StreamVersion) -> BoxFuture<'a, Result<Arc<Stream>, Error>> {
        Box::pin(self.definitions.find(version, PATIENCE))
    }

    fn owner(&self, unit: &UnitId) -> Box<dyn Locate> {
        Box::new(self.owners.follow(unit))
    }
}

/// What an owner key says of an epoch that somebody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The key has it.
    Held,
    /// The key does not have it, but may have it already at the store.
    Unknown,
    /// It never will.
    Void,
}

fn standing(owner: Option<Epoch>, claimed: Epoch) -> Standing {
    match owner {
        _ if claimed > HIGHEST => Standing::Void,
        Some(owner) if owner == claimed => Standing::Held,
        // Epochs of a key only grow, but for a store that is restored from a backup: then the copy is listed anew, and shows what the store has.
        Some(owner) if owner > claimed => Standing::Void,
        Some(_) | None => Standing::Unknown,
    }
}

/// Waits until the owner key of a unit has an epoch.
///
/// # Errors
///
/// It has a later one, or has not had it within [`PATIENCE`].
pub(crate) async fn confirm(owner: &mut dyn Locate, unit: &UnitId, claimed: Epoch) -> Result<(), Error> {
    let mut epoch = None;
    let confirmed = tokio::time::timeout(PATIENCE, async {
        loop {
            epoch = owner.owner().map(|owner| owner.epoch);
            match standing(epoch, claimed) {
                Standing::Held => return true,
                Standing::Void => return false,
                Standing::Unknown => owner.changed().await,
            }
        }
    });
    if confirmed.await == Ok(true) {
        return Ok(());
    }
    let known = epoch.map_or_else(|| "nobody owns it".to_owned(), |epoch| format!("its owner's epoch is {epoch}"));
    Err(Error::new(Code::Fenced, format!("epoch {claimed} of {unit} is not admitted: {known}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: every relation of a claimed epoch to the owner key's, and the highest number there is. *Guarantees*: only the key's own is
    /// held, former ones are void at once, later ones may be known before long, and what no store can have never is.
    #[test]
    fn only_the_owner_keys_epoch_is_held() {
        let key = |epoch| Some(Epoch(epoch));
        assert_eq!(standing(key(5), Epoch(5)), Standing::Held);
        assert_eq!(standing(key(5), Epoch(4)), Standing::Void);
        assert_eq!(standing(key(5), Epoch(6)), Standing::Unknown);
        assert_eq!(standing(None, Epoch(5)), Standing::Unknown);
        for owner in [None, key(5), Some(HIGHEST)] {
            assert_eq!(standing(owner, Epoch(u64::MAX)), Standing::Void);
        }
    }
}
