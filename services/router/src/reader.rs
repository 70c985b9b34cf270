//! Reads ahead of the flow, in a task of its own, so that the source's round trips overlap with everything else.

use std::time::Duration;

use rocketbridge_connector::{Code, Error, PartitionReader, PullLimits, Pulled};
use rocketbridge_model::resolved::StartPosition;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Reads that may wait for the flow. When they do, reading pauses: the window is full.
const AHEAD: usize = 2;

/// What the reader brings.
pub(crate) enum Read {
    /// Events, or at least where the source stands.
    Pulled(Pulled),
    /// The next offset is no longer stored, or the topic was made anew; reading goes on elsewhere.
    Skipped(Skip),
}

/// Offsets that will never be read. Told to people, never passed over quietly.
#[derive(Debug)]
pub(crate) struct Skip {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Reads until it is dropped. The stream of reads ends with an error after which the partition must be opened again.
pub(crate) struct Reader {
    reads: mpsc::Receiver<Result<Read, Error>>,
    _task: AbortOnDropHandle<()>,
}

impl Reader {
    /// Starts to read at an offset. `rate` bounds events per second.
    pub(crate) fn start(reader: Box<dyn PartitionReader>, offset: u64, limits: PullLimits, rate: Option<f64>, bounds: Bounds) -> Self {
        let (sender, reads) = mpsc::channel(AHEAD);
        // Not spawned through the process's tasks: it lives and dies with this handle and holds nothing that must be drained.
        let task = AbortOnDropHandle::new(tokio::spawn(run(reader, offset, limits, rate, bounds, sender)));
        Self { reads, _task: task }
    }

    /// The next read. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Read, Error>> {
        self.reads.recv().await
    }
}

/// Asks the source for its oldest and newest offset.
pub(crate) type Bounds = Box<dyn Fn(StartPosition) -> futures::future::BoxFuture<'static, Result<u64, Error>> + Send + Sync>;

async fn run(
    mut reader: Box<dyn PartitionReader>,
    mut offset: u64,
    limits: PullLimits,
    rate: Option<f64>,
    bounds: Bounds,
    sender: mpsc::Sender<Result<Read, Error>>,
) {
    loop {
        let read = match reader.pull(offset, limits).await {
            Ok(pulled) => {
                offset = offset.max(pulled.next_offset);
                if let Some(rate) = rate {
                    tokio::time::sleep(Duration::from_secs_f64(pulled.events.len() as f64 / rate)).await;
                }
                Ok(Read::Pulled(pulled))
            }
            Err(error) if error.code() == Code::OffsetOutOfRange => match resume(offset, &bounds).await {
                Ok(to) => {
                    let skip = Skip { from: offset, to };
                    offset = to;
                    Ok(Read::Skipped(skip))
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if sender.send(read).await.is_err() || failed {
            return;
        }
    }
}

/// Below the oldest: what is stored begins there. Above the newest: the topic was made anew, so from its beginning.
async fn resume(offset: u64, bounds: &Bounds) -> Result<u64, Error> {
    let oldest = bounds(StartPosition::Earliest).await?;
    let newest = bounds(StartPosition::Latest).await?;
    if offset < oldest || offset > newest { Ok(oldest) } else { Ok(offset) }
}
