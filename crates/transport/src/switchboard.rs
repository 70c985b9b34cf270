//! Sessions within one process.
//!
//! The stages register here under the process's address; a session is two channels, and messages are moved, not encoded.

use std::sync::OnceLock;

use futures::StreamExt;
use rocketbridge_model::session::{DispatchRequest, FilterRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::error::{Code, Error};
use crate::session::{Accept, AcceptDispatch, AcceptFilter, ClientSession, DEPTH, ServerSession};

/// The stages of one process.
#[derive(Default)]
pub struct Switchboard {
    filter: OnceLock<AcceptFilter>,
    dispatch: OnceLock<AcceptDispatch>,
}

impl Switchboard {
    /// Registers the filter. A second one is ignored, because a process has only one.
    pub fn register_filter(&self, accept: AcceptFilter) {
        let _ = self.filter.set(accept);
    }

    /// Registers the dispatcher. A second one is ignored, because a process has only one.
    pub fn register_dispatch(&self, accept: AcceptDispatch) {
        let _ = self.dispatch.set(accept);
    }

    /// Opens a session to the filter.
    pub fn filter(&self) -> Result<ClientSession<FilterRequest>, Error> {
        open(self.filter.get().map(AsRef::as_ref), "filter")
    }

    /// Opens a session to the dispatcher.
    pub fn dispatch(&self) -> Result<ClientSession<DispatchRequest>, Error> {
        open(self.dispatch.get().map(AsRef::as_ref), "dispatcher")
    }
}

fn open<Q: Send + 'static>(accept: Option<&dyn Accept<Q>>, stage: &str) -> Result<ClientSession<Q>, Error> {
    let accept = accept.ok_or_else(|| Error::new(Code::Unavailable, format!("the {stage} of this process has not started")))?;
    let (requests, incoming) = mpsc::channel(DEPTH);
    let (outgoing, answers) = mpsc::channel(DEPTH);
    accept.accept(ServerSession {
        requests: ReceiverStream::new(incoming).map(Ok).boxed(),
        answers: outgoing,
        peer: "this process".into(),
    });
    Ok(ClientSession { requests, answers: ReceiverStream::new(answers).boxed() })
}
