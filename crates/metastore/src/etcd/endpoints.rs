//! The members of a cluster, and the attempts of a call on them.
//!
//! An attempt ends in one of three ways: answered (also with a refusal), never sent, or in doubt. After doubt only a call that is safe to
//! repeat is tried again; after an attempt that was never sent every call is.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Client, KvClient, WatchClient};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use rocketbridge_runtime::Backoff;

use crate::entry::LeaseId;
use crate::error::{BoxError, Error};

use super::config::Config;

/// A page of entries, or the changes of a busy moment, may exceed tonic's 4 MiB; larger answers are requested again in smaller pages.
const DECODE_LIMIT: usize = 32 << 20;

const BACKOFF_BASE: Duration = Duration::from_millis(25);
const BACKOFF_CAP: Duration = Duration::from_millis(500);

/// Whether a call may be sent again after an attempt with an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    Unsafe,
}

pub(super) struct Endpoints {
    config: Config,
    clients: Vec<OnceCell<Client>>,
    /// The endpoint that answered last.
    current: AtomicUsize,
}

enum Verdict {
    Answered(Error),
    NeverSent(BoxError),
    InDoubt(BoxError),
}

/// An attempt took too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct NoAnswer(Duration);

impl Endpoints {
    pub(super) fn new(config: Config) -> Self {
        Self { clients: config.endpoints.iter().map(|_| OnceCell::new()).collect(), config, current: AtomicUsize::new(0) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// All endpoints, for messages.
    pub(super) fn names(&self) -> String {
        self.config.endpoints.join(",")
    }

    /// Makes attempts until one is answered; returns the answer and the endpoint that gave it.
    pub(super) async fn call<T, A>(&self, step: &'static str, repeat: Repeat, attempt: A) -> Result<(String, T), Error>
    where
        A: Fn(Client) -> BoxFuture<'static, Result<T, etcd_client::Error>> + Send + Sync,
        T: Send,
    {
        let began = Instant::now();
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        let mut failed_in_this_round = 0;
        loop {
            let index = self.current.load(Ordering::Relaxed) % self.clients.len();
            let place = &self.config.endpoints[index];
            // A caller with a shorter deadline drops this call; the next one must not wait for the same silent endpoint.
            let dropped = LeaveOnDrop(Some((self, index)));
            let result = self.attempt(index, &attempt).await;
            dropped.disarm();
            let source = match result {
                Ok(answer) => return Ok((place.clone(), answer)),
                Err(failure) => match judge(failure, step, place) {
                    Verdict::Answered(error) => return Err(error),
                    Verdict::InDoubt(source) if repeat == Repeat::Unsafe => {
                        self.leave(index);
                        let place = place.clone();
                        return Err(Error::OutcomeUnknown { step, place, source });
                    }
                    Verdict::NeverSent(source) | Verdict::InDoubt(source) => source,
                },
            };
            self.leave(index);
            if began.elapsed() >= self.config.call_timeout {
                return Err(Error::Unavailable { step, place: self.names(), waited: began.elapsed(), source });
            }
            failed_in_this_round += 1;
            if failed_in_this_round >= self.clients.len() {
                failed_in_this_round = 0;
                tokio::time::sleep(backoff.next_delay()).await;
            }
        }
    }

    async fn attempt<T, A>(&self, index: usize, attempt: &A) -> Result<T, Failure>
    where
        A: Fn(Client) -> BoxFuture<'static, Result<T, etcd_client::Error>>,
    {
        let limit = self.config.attempt_timeout;
        let began = Instant::now();
        // Connecting sends no request except for a token, so however it fails, the call itself was never sent.
        let connected = timeout(limit, self.client(index)).await.map_err(|_| Failure::NotConnected(NoAnswer(limit).into()))?;
        let client = connected.map_err(|error| match error {
            etcd_client::Error::GRpcStatus(status) if answered(status.code()) => Failure::Status(status),
            error => Failure::NotConnected(error.into()),
        })?;
        match timeout(limit.saturating_sub(began.elapsed()), attempt(client.clone())).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(etcd_client::Error::GRpcStatus(status))) => Err(Failure::Status(status)),
            Ok(Err(error)) => Err(Failure::Other(error)),
            Err(_) => Err(Failure::TimedOut(NoAnswer(limit))),
        }
    }

    async fn client(&self, index: usize) -> Result<&Client, etcd_client::Error> {
        let connect = || Client::connect([&self.config.endpoints[index]], Some(self.config.connect_options()));
        self.clients[index].get_or_try_init(connect).await
    }

    /// Moves on to the next endpoint, unless another call already has.
    fn leave(&self, index: usize) {
        let next = (index + 1) % self.clients.len();
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Endpoints").field("config", &self.config).finish_non_exhaustive()
    }
}

struct LeaveOnDrop<'a>(Option<(&'a Endpoints, usize)>);

impl LeaveOnDrop<'_> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        if let Some((endpoints, index)) = self.0 {
            endpoints.leave(index);
        }
    }
}

enum Failure {
    NotConnected(BoxError),
    Status(Status),
    Other(etcd_client::Error),
    TimedOut(NoAnswer),
}

/// The client's access to keys, with room for large answers.
pub(super) fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(DECODE_LIMIT)
}

/// The client's access to watches, with room for large answers.
pub(super) fn watch(client: &Client) -> WatchClient {
    client.watch_client().max_decoding_message_size(DECODE_LIMIT)
}

/// The status code that the server refused with.
pub(super) fn code(error: &Error) -> Option<Code> {
    match error {
        Error::Refused { source, .. } | Error::Denied { source, .. } => source.downcast_ref::<Status>().map(|status| status.code()),
        _ => None,
    }
}

/// Whether a lease is gone: the server does not know it, or answered a first renewal with no time left.
pub(super) fn lease_error(error: Error, lease: LeaseId) -> Error {
    let gone = match &error {
        Error::Refused { source, .. } => {
            code(&error) == Some(Code::NotFound) || matches!(source.downcast_ref(), Some(etcd_client::Error::LeaseKeepAliveError(_)))
        }
        _ => false,
    };
    match error {
        Error::Refused { place, .. } if gone => Error::LeaseLost { lease, place },
        error => error,
    }
}

fn judge(failure: Failure, step: &'static str, place: &str) -> Verdict {
    let place = place.to_owned();
    match failure {
        Failure::NotConnected(source) => Verdict::NeverSent(source),
        Failure::TimedOut(error) => Verdict::InDoubt(error.into()),
        Failure::Status(status) if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated) => {
            let source = status.into();
            Verdict::Answered(Error::Denied { step, place, source })
        }
        Failure::Status(status) if answered(status.code()) => {
            let source = status.into();
            Verdict::Answered(Error::Refused { step, place, source })
        }
        Failure::Status(status) if refused_connection(&status) => Verdict::NeverSent(status.into()),
        Failure::Status(status) => Verdict::InDoubt(status.into()),
        // This is not a status: the client itself failed before sending, or a lease was gone at its first renewal.
        Failure::Other(error @ (etcd_client::Error::TransportError(_) | etcd_client::Error::IoError(_))) => Verdict::InDoubt(error.into()),
        Failure::Other(error @ etcd_client::Error::WatchError(_)) => Verdict::InDoubt(error.into()),
        Failure::Other(error) => {
            let source = error.into();
            Verdict::Answered(Error::Refused { step, place, source })
        }
    }
}

/// Whether a status is the server's answer to the request. All other codes come from broken connections, lost leaders and closing servers,
/// and differ between versions.
fn answered(code: Code) -> bool {
    match code {
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => true,
        Code::Cancelled | Code::Unknown | Code::DeadlineExceeded | Code::Aborted | Code::Internal | Code::Unavailable => false,
    }
}

/// Whether nobody listens at the endpoint, so that nothing can have been sent.
fn refused_connection(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}
