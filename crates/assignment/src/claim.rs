//! The fenced ownership of units: an owner key under the lease, created if absent. The key's create revision is the epoch.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_metastore as metastore;
use rocketbridge_metastore::{Compare, Entry, Metastore, Transaction};
use rocketbridge_model::{Epoch, MemberId, Region};
use rocketbridge_runtime::{Backoff, Chain};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::lease::Term;
use crate::unit::UnitId;
use crate::value::{decode, encode};

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// Claims units for one member.
#[derive(Clone, Debug)]
pub struct Claims {
    store: Arc<dyn Metastore>,
    holder: Holder,
}

/// The value of an owner key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) member: MemberId,
    pub(crate) address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<Region>,
}

impl Claims {
    /// Claims for `member`, whose sessions are served at `address`, in `region` if it was told one.
    pub fn new(store: Arc<dyn Metastore>, member: MemberId, address: String, region: Option<Region>) -> Self {
        Self { store, holder: Holder { member, address, region } }
    }

    /// Claims a unit under a term. Repeating a claim is safe: one whose answer was lost is recognised as this process's own.
    ///
    /// # Errors
    ///
    /// [`Error::Held`], [`Error::LeaseLost`], or the store's failure.
    pub async fn claim(&self, term: &Term, unit: &UnitId) -> Result<Epoch, Error> {
        let key = unit.key();
        let create =
            Transaction::new().when(Compare::KeyAbsent(key.clone())).put_leased(key.clone(), encode("owner", &self.holder)?, term.id());
        let outcome = match self.store.transact(create).await {
            Ok(outcome) if outcome.succeeded => Some(Epoch(outcome.revision)),
            Ok(_) => None,
            Err(error) if error.code() == metastore::Code::OutcomeUnknown => None,
            Err(error) if error.code() == metastore::Code::LeaseLost => {
                return Err(Error::LeaseLost { unit: unit.clone() });
            }
            Err(error) => return Err(Error::store(format!("claim {unit}"))(error)),
        };
        let epoch = match outcome {
            Some(epoch) => epoch,
            None => self.read_back(term, unit, &key).await?,
        };
        if term.authority().is_valid() { Ok(epoch) } else { Err(Error::LeaseLost { unit: unit.clone() }) }
    }

    /// Releases a unit, if it is still owned with this epoch. Retries until the store has answered: a unit that is not released could not be
    /// claimed by anyone until the lease ends.
    pub async fn release(&self, unit: &UnitId, epoch: Epoch) -> Result<(), Error> {
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        loop {
            let delete = Transaction::new().when(Compare::CreateRevision(unit.key(), epoch.0)).delete(unit.key());
            match self.store.transact(delete).await {
                // If it did not succeed, the unit was no longer ours, or an earlier attempt had released it.
                Ok(_) => return Ok(()),
                Err(error) if error.retry() == rocketbridge_runtime::Retry::Again => {
                    tracing::warn!(%unit, error = %Chain(&error), "cannot release the unit, retrying");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                Err(error) => return Err(Error::store(format!("release {unit}"))(error)),
            }
        }
    }

    async fn read_back(&self, term: &Term, unit: &UnitId, key: &str) -> Result<Epoch, Error> {
        let entry = self.store.get(key).await.map_err(Error::store(format!("read owner of {unit}")))?;
        let holder = entry.as_ref().and_then(decode::<Holder>).map(|holder| holder.member);
        match entry {
            Some(Entry { lease, create_revision, .. }) if lease == Some(term.id()) => Ok(Epoch(create_revision)),
            _ => Err(Error::Held { unit: unit.clone(), owner: holder.unwrap_or_default() }),
        }
    }
}
