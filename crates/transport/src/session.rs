//! The two ends of a session.
//!
//! Both directions are bounded. What is sent is bounded by credit besides, so a sender that waits for room waits for the
//! network, not for a slow target. Dropping an end closes the session; the other end reads the end of its stream.

use futures::stream::BoxStream;
use rocketbridge_model::session::{Answer, DispatchRequest, FilterRequest};
use tokio::sync::mpsc;

use crate::error::Error;

/// Messages that may wait in one direction. When it is full the sender waits: the network is slower than the stage.
pub const DEPTH: usize = 16;

/// The end of the side that opened the session.
pub struct ClientSession<Q> {
    /// Requests; closed when the session has ended.
    pub requests: mpsc::Sender<Q>,
    /// Answers; ends with an error, or without one when the other side closed.
    pub answers: BoxStream<'static, Result<Answer, Error>>,
}

/// The end of the side that answers.
pub struct ServerSession<Q> {
    /// Requests; ends when the opener is done or gone.
    pub requests: BoxStream<'static, Result<Q, Error>>,
    /// Answers. An error is the last one.
    pub answers: mpsc::Sender<Result<Answer, Error>>,
    /// Names the opener in messages.
    pub peer: String,
}

/// Takes sessions. It spawns a task for each and returns at once.
pub trait Accept<Q>: Send + Sync + 'static {
    /// A session has been opened; its first request is `Open`.
    fn accept(&self, session: ServerSession<Q>);
}

impl<Q, F: Fn(ServerSession<Q>) + Send + Sync + 'static> Accept<Q> for F {
    fn accept(&self, session: ServerSession<Q>) {
        self(session);
    }
}

/// Takes sessions from routers.
pub type AcceptFilter = std::sync::Arc<dyn Accept<FilterRequest>>;
/// Takes sessions from filters.
pub type AcceptDispatch = std::sync::Arc<dyn Accept<DispatchRequest>>;
