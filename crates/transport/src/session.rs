//! The two ends of a session.
//!
//! Both directions are bounded. Credit bounds events as well, so a sender that waits for room waits for the
//! network, not for a slow target. Dropping an end closes the session; the other end reads the end of its stream.

use futures::stream::BoxStream;
use rocketbridge_model::session::{Answer, DispatchRequest, FilterRequest};
use tokio::sync::mpsc;

use crate::error::Error;

/// How many messages may wait in one direction. When the queue is full the sender waits: the network is slower than the stage.
pub const DEPTH: usize = 16;

/// The opener's end of a session.
pub struct ClientSession<Q> {
    /// Requests; closed when the session has ended.
    pub requests: mpsc::Sender<Q>,
    /// Answers; ends with an error, or without one when the other side closed.
    pub answers: BoxStream<'static, Result<Answer, Error>>,
}

/// The answering side's end of a session.
pub struct ServerSession<Q> {
    /// Requests; ends when the opener has finished or disappeared.
    pub requests: BoxStream<'static, Result<Q, Error>>,
    /// Answers. An error is the last answer.
    pub answers: mpsc::Sender<Result<Answer, Error>>,
    /// Names the opener in messages.
    pub peer: String,
}

/// Accepts sessions: spawns a task for each and returns at once.
pub trait Accept<Q>: Send + Sync + 'static {
    /// Accepts a session that has been opened; its first request is `Open`.
    fn accept(&self, session: ServerSession<Q>);
}

impl<Q, F: Fn(ServerSession<Q>) + Send + Sync + 'static> Accept<Q> for F {
    fn accept(&self, session: ServerSession<Q>) {
        self(session);
    }
}

/// Accepts sessions from routers.
pub type AcceptFilter = std::sync::Arc<dyn Accept<FilterRequest>>;
/// Accepts sessions from filters.
pub type AcceptDispatch = std::sync::Arc<dyn Accept<DispatchRequest>>;
