//! Where a flow gets its events from, and what it tells of their ends: a source in either form.
//!
//! *By offset*: a reader reads ahead, and a committer commits the contiguous prefix of what has ended. *By handle*: messages are received ahead, and a
//! custodian extends each of them until its own outcome acknowledges it. Ledger, session, window and everything behind them are the same.
//!
//! What was received outlives a flow, for as long as the same process owns the partition and the stream reads the same source: it is [`Kept`], and the next flow
//! goes on with it. What was read at offsets is read again.

use std::time::Duration;

use rocketbridge_delivery::Ledger;
use rocketbridge_model::resolved::{RocketMqSource, Stream};
use tokio::time::Instant;

use crate::allotment::Allotment;
use crate::bucket::Bucket;
use crate::commit::Commit;
use crate::custodian::Custodian;
use crate::horizon::Horizon;
use crate::read::Read;
use crate::reader::Reader;
use crate::receiving::Receiving;

/// The longest that giving messages back may take: what is not given back by then comes again after its invisible time.
const GIVING_BACK: Duration = Duration::from_millis(500);

/// An open source.
pub(crate) enum Supply {
    /// Read at offsets.
    Offsets {
        reader: Reader,
        commit: Commit,
        /// Lives as long as the source is open.
        _horizon: Horizon,
    },
    /// Received by handle.
    Handles(Stock),
}

/// What is received, and who looks after it.
pub(crate) struct Stock {
    pub(crate) receiving: Receiving,
    pub(crate) custodian: Custodian,
}

impl Supply {
    /// What comes next. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Read> {
        match self {
            Self::Offsets { reader, .. } => reader.next().await,
            Self::Handles(stock) => stock.receiving.next().await,
        }
    }

    /// Whether it must be told of each event that ended, and not only how far all have.
    pub(crate) fn wants_each(&self) -> bool {
        matches!(self, Self::Handles(_))
    }

    /// These events have ended, if it wants each; and so have all before `committable`.
    pub(crate) fn ended(&self, offsets: &[u64], committable: u64) {
        match self {
            Self::Offsets { commit, .. } => commit.advance(committable),
            Self::Handles(stock) => stock.custodian.ended(offsets, committable),
        }
    }

    /// The offsets of what is under way mean nothing any more: nothing is committed, whatever comes.
    pub(crate) fn halt(&self) {
        if let Self::Offsets { commit, .. } = self {
            commit.halt();
        }
    }

    /// Nothing is to be received any more, because the partition is handed over. What is read at offsets needs no such word.
    pub(crate) fn stop(&mut self) {
        if let Self::Handles(stock) = self {
            stock.receiving.stop();
        }
    }

    /// Commits or acknowledges what has ended. Returns whether that was confirmed, or at least tried, until then.
    pub(crate) async fn flush(&self, until: Instant) -> bool {
        let flush = async {
            match self {
                Self::Offsets { commit, .. } => commit.flush().await,
                Self::Handles(stock) => stock.custodian.flush().await,
            }
        };
        tokio::time::timeout_at(until, flush).await.is_ok()
    }
}

impl Stock {
    /// Acknowledges what has ended, and gives the rest back to the source, as far as both can be done in time.
    pub(crate) async fn give_back(mut self) {
        self.receiving.stop();
        // Ends by itself, soon: what arrives last is given back, too.
        self.receiving.stopped().await;
        if tokio::time::timeout(GIVING_BACK, self.custodian.release()).await.is_err() {
            tracing::debug!("not everything was given back to the source in time: the rest comes again after its invisible time");
        }
    }
}

/// What was received and has no outcome yet, between two flows.
pub(crate) struct Kept {
    /// Identity of the stream's creation.
    pub(crate) uid: String,
    pub(crate) source: RocketMqSource,
    pub(crate) stock: Stock,
    pub(crate) ledger: Ledger,
    pub(crate) allotment: Allotment,
}

impl Kept {
    /// Whether a stream can go on with it.
    pub(crate) fn is_of(&self, stream: &Stream) -> bool {
        self.uid == stream.uid && self.source == stream.source
    }

    /// From now on at this rate.
    pub(crate) fn throttle(&self, bucket: Option<Bucket>) {
        self.stock.receiving.throttle(bucket);
    }
}
