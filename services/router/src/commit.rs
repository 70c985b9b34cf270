//! Commits behind the flow, in a task of its own, so that a slow broker does not hold events up.
//!
//! Only the newest offset is ever committed; those in between are passed over. A failed commit is tried again with the
//! next: nothing is lost by it, more would be repeated after a crash.

use std::time::Duration;

use rocketbridge_assignment::Authority;
use rocketbridge_connector::PartitionCommitter;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::gauge::Gauge;
use crate::notices::Notices;
use crate::skips::PartitionSkips;

/// The committer of one open partition.
pub(crate) struct Commit {
    target: watch::Sender<u64>,
    /// Holds one message: the wish to be told when everything is committed.
    flush: mpsc::Sender<tokio::sync::oneshot::Sender<()>>,
    task: AbortOnDropHandle<()>,
}

impl Commit {
    /// Starts with what is committed already.
    pub(crate) fn start(
        committer: Box<dyn PartitionCommitter>,
        committed: u64,
        interval: Duration,
        authority: Authority,
        gauge: Gauge,
        skips: PartitionSkips,
    ) -> Self {
        let (target, targets) = watch::channel(committed);
        let (flush, flushes) = mpsc::channel(1);
        let worker = Worker { committer, committed, interval, authority, gauge, skips, notices: Notices::default() };
        // Not spawned through the process's tasks: it lives and dies with this handle, and a drain flushes it first.
        let task = AbortOnDropHandle::new(tokio::spawn(worker.run(targets, flushes)));
        Self { target, flush, task }
    }

    /// Every event before this offset has ended.
    pub(crate) fn advance(&self, offset: u64) {
        self.target.send_if_modified(|target| {
            let newer = offset > *target;
            *target = offset.max(*target);
            newer
        });
    }

    /// Commits nothing any more, whatever comes.
    pub(crate) fn halt(&self) {
        self.task.abort();
    }

    /// Commits what is due now, and returns when that was tried.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = tokio::sync::oneshot::channel();
        if self.flush.send(done).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

struct Worker {
    committer: Box<dyn PartitionCommitter>,
    committed: u64,
    interval: Duration,
    authority: Authority,
    gauge: Gauge,
    skips: PartitionSkips,
    notices: Notices,
}

impl Worker {
    async fn run(mut self, mut targets: watch::Receiver<u64>, mut flushes: mpsc::Receiver<tokio::sync::oneshot::Sender<()>>) {
        loop {
            // Both arms only receive; a change that is not taken here is seen by the next comparison.
            let flushed = tokio::select! {
                biased;
                flush = flushes.recv() => match flush {
                    Some(flush) => Some(flush),
                    None => return,
                },
                changed = targets.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    None
                }
            };
            let target = *targets.borrow_and_update();
            self.commit(target).await;
            match flushed {
                Some(flushed) => {
                    let _ = flushed.send(());
                }
                None => {
                    // Until the interval is over, only a flush is heard.
                    if let Ok(Some(flush)) = tokio::time::timeout(self.interval, flushes.recv()).await {
                        let target = *targets.borrow_and_update();
                        self.commit(target).await;
                        let _ = flush.send(());
                    }
                    if self.committed < *targets.borrow() {
                        targets.mark_changed();
                    }
                }
            }
        }
    }

    async fn commit(&mut self, target: u64) {
        if target <= self.committed || !self.authority.is_valid() {
            return;
        }
        match self.committer.commit(target).await {
            Ok(()) => {
                self.committed = target;
                self.gauge.committed(target);
                self.skips.forget(target).await;
            }
            Err(error) => {
                if let Some(untold) = self.notices.is_news(error.reason.clone(), Instant::now()) {
                    tracing::warn!(%error, offset = target, untold, "commit failed, tried again with the next");
                }
            }
        }
    }
}
