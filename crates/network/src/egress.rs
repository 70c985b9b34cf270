//! What this process may dial, and the count of what it was kept from.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rocketbridge_secrets::Secrets;

use crate::error::{Error, Fault};
use crate::rules::{Refusal, Rules};

/// Most addresses whose refusal is remembered to be logged once only.
const REMEMBERED: usize = 1_000;

/// The rules of a process, shared by its dialers, and the count of dials that a rule forbade.
#[derive(Debug)]
pub struct Egress {
    rules: Rules,
    secrets: Arc<Secrets>,
    refused: AtomicU64,
    dropped: AtomicU64,
    told: Mutex<HashSet<String>>,
}

impl Egress {
    /// Nothing has been refused yet. References to secrets lead to variables of the usual prefix alone; see [`following`](Self::following).
    pub fn new(rules: Rules) -> Self {
        Self { rules, secrets: Arc::default(), refused: AtomicU64::new(0), dropped: AtomicU64::new(0), told: Mutex::default() }
    }

    /// The same, with what references to secrets may lead to.
    #[must_use]
    pub fn following(self, secrets: Secrets) -> Self {
        Self { secrets: Arc::new(secrets), ..self }
    }

    /// What references to secrets lead to.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// Whether an address may be dialled.
    pub fn judge(&self, address: SocketAddr) -> Result<(), Refusal> {
        self.rules.judge(address)
    }

    /// Dials that were refused by the rules of the process, since it started.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Dials that were dropped by a security group, since the process started.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a dial that a rule forbade, and logs the first one of each address.
    pub(crate) fn note(&self, error: &Error) {
        let (count, rule) = match &error.fault {
            Fault::Refused(_) => (self.refused.fetch_add(1, Ordering::Relaxed) + 1, "egress"),
            Fault::Dropped(_) => (self.dropped.fetch_add(1, Ordering::Relaxed) + 1, "security group"),
            _ => return,
        };
        let is_first = {
            let mut told = self.told.lock();
            told.len() < REMEMBERED && told.insert(error.to_string())
        };
        if is_first {
            tracing::warn!(address = error.address, reason = %error.fault, rule, count, "not dialled; further dials to it are only counted");
        }
    }
}

impl Default for Egress {
    /// That of a process on loopback.
    fn default() -> Self {
        Self::new(Rules::usual(true))
    }
}
