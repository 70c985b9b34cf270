//! One connection that carries many requests at once, told apart by number.
//!
//! Guarantees: every request ends, with its response, at its deadline, or when the connection is lost; a slow or late response is the
//! trouble of its own request only. A connection on which nothing at all was heard while a request waited in vain is doubted: requests that
//! are under way go on, new ones want another. It never reconnects: its owner dials a new one. Dropping it closes it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use rocketbridge_connector::Permit;
use rocketbridge_network::{ReadHalf, Stream, WriteHalf};
use rocketbridge_runtime::{TaskKind, Tasks};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::frame::{self, Incoming, MAX_FRAME, MAX_HEADER, Request, Response};

/// Requests that may wait to be written; when full, callers wait.
const OUTGOING: usize = 256;
/// Most memory that is taken for a frame before any of it has come.
const PROMISED: usize = 5 << 20;
/// Small requests are written together up to this many bytes.
const COALESCE: usize = 16 * 1024;

/// Why a request has no answer whose permit ended before it was written.
const NOT_SENT: &str = "nothing was sent: the right to send had ended";

/// The peer cannot be reached, or the connection to it broke. The text is for people.
#[derive(Clone, Debug)]
pub(crate) struct Lost(pub(crate) String);

/// Why a request has no response.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// The connection broke, or time ran out.
    Lost(Lost),
    /// The peer answered more than can be taken: so many bytes.
    TooLong(usize),
}

/// A connection.
pub(crate) struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
}

/// A request that is under way.
pub(crate) struct Answer {
    receiver: oneshot::Receiver<Result<Response, Unanswered>>,
    opaque: i32,
    /// How many frames had been heard when it was submitted.
    heard: u64,
    shared: Arc<Shared>,
}

struct Outgoing {
    head: Bytes,
    body: Bytes,
    /// With the request's number.
    permit: Option<(i32, Permit)>,
}

struct Shared {
    next: AtomicI32,
    pending: Mutex<Pending>,
    /// Frames that were read, of whatever kind.
    heard: AtomicU64,
    is_doubted: AtomicBool,
    closed: CancellationToken,
}

#[derive(Default)]
struct Pending {
    answers: HashMap<i32, oneshot::Sender<Result<Response, Unanswered>>>,
    lost: Option<Lost>,
}

impl Connection {
    /// Takes a connection that was dialled, and starts the two tasks that read and write.
    pub(crate) fn over(stream: Stream, address: &str, tasks: &Tasks) -> Self {
        let (read, write) = stream.into_split();
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        let shared = Arc::new(Shared {
            next: AtomicI32::new(1),
            pending: Mutex::default(),
            heard: AtomicU64::new(0),
            is_doubted: AtomicBool::new(false),
            closed: CancellationToken::new(),
        });
        tasks.spawn(format!("rocketmq read {address}"), TaskKind::Worker, {
            let (shared, outgoing) = (Arc::clone(&shared), outgoing.downgrade());
            async move {
                let error = tokio::select! {
                    biased;
                    () = shared.closed.cancelled() => Lost("the connection was closed".to_owned()),
                    error = read_frames(read, &shared, &outgoing) => error,
                };
                shared.lose(error);
                Ok::<_, Infallible>(())
            }
        });
        tasks.spawn(format!("rocketmq write {address}"), TaskKind::Worker, {
            let shared = Arc::clone(&shared);
            async move {
                let written = tokio::select! {
                    biased;
                    () = shared.closed.cancelled() => Ok(()),
                    written = write_frames(write, queue, &shared) => written,
                };
                if let Err(error) = written {
                    shared.lose(Lost(reason(&error)));
                }
                Ok::<_, Infallible>(())
            }
        });
        Self { outgoing, shared }
    }

    /// Whether new requests should go by it.
    pub(crate) fn is_open(&self) -> bool {
        !self.shared.closed.is_cancelled() && !self.shared.is_doubted.load(Ordering::Relaxed)
    }

    /// Sends a request, waiting for room to write. Its answer is waited for apart.
    pub(crate) async fn submit(&self, request: Request) -> Result<Answer, Lost> {
        let opaque = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = self.shared.pending.lock();
            if let Some(lost) = &pending.lost {
                return Err(lost.clone());
            }
            pending.answers.insert(opaque, sender);
        }
        let heard = self.shared.heard.load(Ordering::Relaxed);
        let answer = Answer { receiver, opaque, heard, shared: Arc::clone(&self.shared) };
        let head = request.head(opaque);
        // A failure to send shows in the answer: the tasks that took the other end have marked the connection lost.
        let permit = request.permit.map(|permit| (opaque, permit));
        self.outgoing.send(Outgoing { head, body: request.body, permit }).await.ok();
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.lose(Lost("the connection was closed".to_owned()));
    }
}

impl Answer {
    /// Waits for the response until the deadline. A late response is passed over when it comes; if nothing else was heard either, the peer
    /// is taken for hung.
    pub(crate) async fn wait(&mut self, deadline: Instant, limit: Duration) -> Result<Response, Unanswered> {
        match timeout_at(deadline, &mut self.receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unanswered::Lost(Lost("the connection was closed".to_owned()))),
            Err(_) => {
                if self.shared.heard.load(Ordering::Relaxed) == self.heard {
                    self.shared.is_doubted.store(true, Ordering::Relaxed);
                }
                Err(Unanswered::Lost(Lost(format!("no answer within {:.1} s", limit.as_secs_f32()))))
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.shared.pending.lock().answers.remove(&self.opaque);
    }
}

impl Shared {
    fn fail(&self, opaque: i32, lost: Lost) {
        if let Some(sender) = self.pending.lock().answers.remove(&opaque) {
            sender.send(Err(Unanswered::Lost(lost))).ok();
        }
    }

    fn lose(&self, lost: Lost) {
        self.closed.cancel();
        let answers = {
            let mut pending = self.pending.lock();
            pending.lost.get_or_insert_with(|| lost.clone());
            std::mem::take(&mut pending.answers)
        };
        for sender in answers.into_values() {
            sender.send(Err(Unanswered::Lost(lost.clone()))).ok();
        }
    }
}

async fn read_frames(read: ReadHalf, shared: &Shared, outgoing: &mpsc::WeakSender<Outgoing>) -> Lost {
    let mut reader = BufReader::with_capacity(64 * 1024, read);
    loop {
        let length = match reader.read_u32().await {
            Ok(length) => length as usize,
            Err(error) => return Lost(reason(&error)),
        };
        if length > MAX_FRAME {
            if let Err(lost) = pass_over(&mut reader, length, shared).await {
                return lost;
            }
            continue;
        }
        let frame = match read_frame(&mut reader, length).await {
            Ok(frame) => frame,
            Err(error) => return Lost(reason(&error)),
        };
        shared.heard.fetch_add(1, Ordering::Relaxed);
        match frame::read(frame) {
            Ok(Incoming::Response(opaque, response)) => {
                let waiting = shared.pending.lock().answers.remove(&opaque);
                if let Some(sender) = waiting {
                    sender.send(Ok(response)).ok();
                }
            }
            Ok(Incoming::Request(opaque)) => {
                if let Some(outgoing) = outgoing.upgrade() {
                    // When full the peer goes without an answer, as it would from a client that is gone.
                    outgoing.try_send(Outgoing { head: frame::not_supported(opaque), body: Bytes::new(), permit: None }).ok();
                }
            }
            Ok(Incoming::Notice) => {}
            Err(malformed) => return Lost(format!("the peer does not speak RocketMQ remoting: {}", malformed.0)),
        }
    }
}

async fn read_frame(reader: &mut BufReader<ReadHalf>, length: usize) -> io::Result<Bytes> {
    // A length is only a promise: memory is taken as bytes come.
    let mut frame = BytesMut::with_capacity(length.min(PROMISED));
    let mut limited = reader.take(length as u64);
    while frame.len() < length {
        if frame.len() == frame.capacity() {
            frame.reserve((length - frame.len()).min(frame.len()));
        }
        if limited.read_buf(&mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(frame.freeze())
}

/// Passes over a frame that is too long, and tells whoever asked for it: it is the trouble of that request, not of all that share the connection.
/// An error if it is no answer to anybody.
async fn pass_over(reader: &mut BufReader<ReadHalf>, length: usize, shared: &Shared) -> Result<(), Lost> {
    let lost = |error: io::Error| Lost(reason(&error));
    let mut start = Vec::new();
    (&mut *reader).take(MAX_HEADER as u64 + 4).read_to_end(&mut start).await.map_err(lost)?;
    let asked = frame::answers(&start).and_then(|opaque| shared.pending.lock().answers.remove(&opaque));
    let Some(asked) = asked else {
        let length = length >> 20;
        return Err(Lost(format!("the peer does not speak RocketMQ remoting: a frame of {length} MiB that answers nothing")));
    };
    shared.heard.fetch_add(1, Ordering::Relaxed);
    asked.send(Err(Unanswered::TooLong(length))).ok();
    let mut rest = reader.take((length - start.len()) as u64);
    let passed = tokio::io::copy_buf(&mut rest, &mut tokio::io::sink()).await.map_err(lost)?;
    if passed < (length - start.len()) as u64 { Err(Lost("the peer closed the connection".to_owned())) } else { Ok(()) }
}

async fn write_frames(mut write: WriteHalf, mut queue: mpsc::Receiver<Outgoing>, shared: &Shared) -> io::Result<()> {
    let mut small = BytesMut::with_capacity(COALESCE);
    while let Some(mut next) = queue.recv().await {
        loop {
            if let Some((opaque, permit)) = &next.permit {
                write.write_all_buf(&mut small).await?;
                if !write_permitted(&mut write, next.head.chain(next.body), permit).await? {
                    shared.fail(*opaque, Lost(NOT_SENT.to_owned()));
                }
            } else if next.head.len() + next.body.len() > COALESCE {
                write.write_all_buf(&mut small).await?;
                write.write_all_buf(&mut next.head.chain(next.body)).await?;
            } else {
                small.extend_from_slice(&next.head);
                small.extend_from_slice(&next.body);
            }
            match queue.try_recv() {
                Ok(more) if small.len() < COALESCE => next = more,
                Ok(more) => {
                    write.write_all_buf(&mut small).await?;
                    next = more;
                }
                Err(_) => break,
            }
        }
        write.write_all_buf(&mut small).await?;
        // TLS keeps what it has encrypted until it is told, or has enough.
        write.flush().await?;
        small.clear();
        small.reserve(COALESCE);
    }
    Ok(())
}

/// Writes a request for as long as its permit holds. `false`: nothing of it was written. If the permit ends in the middle, the error closes the
/// connection, so that the peer never gets the rest.
async fn write_permitted(write: &mut (impl AsyncWrite + Unpin), mut frame: impl Buf, permit: &Permit) -> io::Result<bool> {
    let whole = frame.remaining();
    while frame.has_remaining() {
        // The permit is asked each time that the task wakes: the process may have been stopped since.
        let written = poll_fn(|context| {
            if !permit.holds() {
                return Poll::Ready(None);
            }
            let mut slices = [io::IoSlice::new(&[]); 2];
            let count = frame.chunks_vectored(&mut slices);
            Pin::new(&mut *write).poll_write_vectored(context, &slices[..count]).map(Some)
        })
        .await;
        match written {
            Some(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Some(Ok(count)) => frame.advance(count),
            Some(Err(error)) => return Err(error),
            None if frame.remaining() == whole => return Ok(false),
            None => return Err(io::Error::other("the right to send ended in the middle of a request")),
        }
    }
    write.flush().await?;
    Ok(true)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A permit that holds for so many questions.
    fn for_questions(count: usize) -> Permit {
        let asked = AtomicUsize::new(0);
        Permit::new(move || asked.fetch_add(1, Ordering::Relaxed) < count)
    }

    /// *Scenario*: the right to send ends before a request is written, in its middle (the peer reads slowly), and not at all. *Guarantees*: nothing is
    /// written and the connection goes on; the connection ends and the peer never has a whole request; all is written.
    #[tokio::test]
    async fn what_is_no_longer_allowed_is_not_written() {
        let frame = || Bytes::from_static(b"head").chain(Bytes::from_static(b"body"));
        let (mut near, mut far) = tokio::io::duplex(3);
        assert!(!write_permitted(&mut near, frame(), &for_questions(0)).await.expect("the connection goes on"));
        let error = write_permitted(&mut near, frame(), &for_questions(1)).await.expect_err("the connection ends");
        assert!(error.to_string().contains("in the middle of a request"), "{error}");
        drop(near);
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.expect("what was written");
        assert_eq!(read, b"hea");

        let (mut near, mut far) = tokio::io::duplex(3);
        let mut read = [0; 8];
        let always = Permit::always();
        let (written, _) = tokio::join!(write_permitted(&mut near, frame(), &always), far.read_exact(&mut read));
        assert!(written.expect("written") && &read == b"headbody");
    }
}
