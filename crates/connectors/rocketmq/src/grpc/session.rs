//! The telemetry stream: it tells a proxy who its client is, and keeps the client known there.
//!
//! A proxy serves receives only to clients whose settings it has. So the first message of the stream is the settings, and what the proxy answers is agreed
//! upon. A stream that breaks is opened again; a proxy that forgot its client (it was started anew) is told again. With the session the client takes its leave.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_rocketmq_proto::v2::settings::PubSub;
use rocketbridge_rocketmq_proto::v2::telemetry_command::Command;
use rocketbridge_rocketmq_proto::v2::{self, Code as Answered, TelemetryCommand};
use rocketbridge_runtime::{Backoff, TaskKind};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Streaming;

use super::attempts::Attempts;
use super::client::{ANSWER, Client};
use crate::error::Failure;

/// How often a heartbeat is sent; proxies forget a client after two minutes.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Waits between attempts to open the stream.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Commands that may wait to be sent. When full, the loop that answers waits; it sends a few a minute.
const OUTGOING: usize = 8;

/// A client's presence at one proxy, for as long as this lives.
pub(crate) struct Session {
    states: watch::Receiver<State>,
    again: Arc<Notify>,
    _end: DropGuard,
}

/// Who a client is.
#[derive(Clone)]
pub(crate) struct Identity {
    /// What it calls itself.
    pub(crate) id: String,
    /// The group that it consumes for, if it does.
    pub(crate) group: Option<v2::Resource>,
    pub(crate) settings: v2::Settings,
}

/// What a proxy answered to the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Whether messages of a message group are handed out one batch after the other.
    pub(crate) is_ordered: bool,
    /// How often a message is handed out before the proxy moves it to the group's dead-letter topic; 0 if it does not say.
    pub(crate) attempts: i32,
    /// Whether a topic takes messages of its own type only.
    pub(crate) checks_types: bool,
    /// Longest body that is taken, bytes; 0 if the proxy does not say.
    pub(crate) longest_body: i32,
}

#[derive(Clone)]
enum State {
    Opening,
    Open(Agreed),
    Failed(Failure),
}

/// A stream that was agreed upon: what is sent on it, what comes on it, and what was agreed.
type Opened = (mpsc::Sender<TelemetryCommand>, Streaming<TelemetryCommand>, Agreed);

/// What ended a stream that had been agreed upon.
enum End {
    /// The session is over.
    Over,
    /// It must be opened again.
    Again(Failure),
}

impl Session {
    /// Opens the stream to a proxy, and keeps it open.
    pub(crate) fn start(client: &Arc<Client>, address: String, identity: Identity) -> Self {
        let (sender, states) = watch::channel(State::Opening);
        let (again, end) = (Arc::new(Notify::new()), CancellationToken::new());
        let life = Life { client: Arc::clone(client), address, identity, states: sender, again: Arc::clone(&again) };
        let name = format!("rocketmq session with {}", life.address);
        client.tasks().spawn(name, TaskKind::Worker, life.run(end.clone()));
        Self { states, again, _end: end.drop_guard() }
    }

    /// Waits until the proxy knows the client.
    pub(crate) async fn ready(&self) -> Result<Agreed, Failure> {
        let mut states = self.states.clone();
        let settled = timeout(ANSWER, states.wait_for(|state| !matches!(state, State::Opening))).await;
        match settled.ok().and_then(Result::ok).as_deref() {
            Some(State::Open(agreed)) => Ok(*agreed),
            Some(State::Failed(failure)) => Err(failure.clone()),
            _ => Err(Failure::Lost { address: "proxy".to_owned(), reason: format!("no settings within {} s", ANSWER.as_secs()) }),
        }
    }

    /// Tells the proxy anew who the client is: it seems to have forgotten.
    pub(crate) fn doubt(&self) {
        self.again.notify_one();
    }
}

/// The loop of a session.
struct Life {
    client: Arc<Client>,
    address: String,
    identity: Identity,
    states: watch::Sender<State>,
    again: Arc<Notify>,
}

impl Life {
    async fn run(self, end: CancellationToken) -> Result<(), Infallible> {
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        loop {
            let opened = tokio::select! {
                biased;
                () = end.cancelled() => break,
                opened = self.open() => opened,
            };
            let failure = match opened {
                Ok((outgoing, incoming, agreed)) => {
                    backoff.reset();
                    self.states.send_replace(State::Open(agreed));
                    match self.keep(&end, &outgoing, incoming).await {
                        End::Over => break,
                        End::Again(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            tracing::debug!(proxy = self.address, reason = %failure.clone().during("session"), "the session is opened again");
            self.states.send_replace(State::Failed(failure));
            tokio::select! {
                biased;
                () = end.cancelled() => break,
                () = sleep(backoff.next_delay()) => {}
            }
        }
        // Also where no stream was open: an earlier one may have made the client known.
        self.take_leave().await;
        Ok(())
    }

    /// Opens the stream, says the settings, and waits for those that the proxy answers; again with newer keys where it was refused for its own.
    async fn open(&self) -> Result<Opened, Failure> {
        let opened = async {
            let mut attempts = self.client.attempts().await?;
            loop {
                match self.open_once(&attempts).await {
                    Err(failure) if attempts.again(failure.refuses_keys()).await => {}
                    opened => return opened,
                }
            }
        };
        let late = || Failure::Lost { address: self.address.clone(), reason: format!("no settings within {} s", ANSWER.as_secs()) };
        timeout(ANSWER, opened).await.unwrap_or_else(|_| Err(late()))
    }

    async fn open_once(&self, attempts: &Attempts<'_>) -> Result<Opened, Failure> {
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        outgoing.send(self.settings()).await.ok();
        let request = attempts.request(&self.identity.id, ReceiverStream::new(queue));
        let mut incoming = match self.client.stub(&self.address)?.telemetry(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Err(self.client.failed(&self.address, &status).await),
        };
        loop {
            let command = self.next(&mut incoming).await?;
            if let Some(status) = &command.status
                && status.code != Answered::Unspecified as i32
            {
                self.client.accepted(&self.address, Some(status))?;
            }
            if let Some(Command::Settings(settings)) = &command.command {
                return Ok((outgoing, incoming, agreed(settings)));
            }
        }
    }

    /// Keeps an open stream until it breaks.
    async fn keep(
        &self,
        end: &CancellationToken,
        outgoing: &mpsc::Sender<TelemetryCommand>,
        mut incoming: Streaming<TelemetryCommand>,
    ) -> End {
        let mut heartbeats = interval_at(Instant::now(), HEARTBEAT);
        loop {
            // Every arm is a wait that may be dropped and begun again; what must be done follows behind.
            tokio::select! {
                biased;
                () = end.cancelled() => return End::Over,
                () = self.again.notified() => {
                    outgoing.send(self.settings()).await.ok();
                }
                command = self.next(&mut incoming) => match command {
                    Ok(TelemetryCommand { command: Some(Command::Settings(settings)), .. }) => {
                        self.states.send_replace(State::Open(agreed(&settings)));
                    }
                    Ok(TelemetryCommand { command: Some(Command::ReconnectEndpointsCommand(_)), .. }) => {
                        let reason = "the proxy asked for a new connection".to_owned();
                        return End::Again(Failure::Lost { address: self.address.clone(), reason });
                    }
                    Ok(command) => {
                        if let Some(answer) = answer(command) {
                            outgoing.send(answer).await.ok();
                        }
                    }
                    Err(failure) => return End::Again(failure),
                },
                _ = heartbeats.tick() => self.beat().await,
            }
        }
    }

    async fn next(&self, incoming: &mut Streaming<TelemetryCommand>) -> Result<TelemetryCommand, Failure> {
        match incoming.message().await {
            Ok(Some(command)) => Ok(command),
            Ok(None) => Err(Failure::Lost { address: self.address.clone(), reason: "the proxy closed the stream".to_owned() }),
            Err(status) => Err(self.client.failed(&self.address, &status).await),
        }
    }

    /// One heartbeat. A failure shows in the stream too, if it lasts; a proxy that does not know its client is told again.
    async fn beat(&self) {
        let request = v2::HeartbeatRequest {
            group: self.identity.group.clone(),
            client_type: self.identity.settings.client_type.unwrap_or_default(),
        };
        let sent = self
            .client
            .call(&self.address, &self.identity.id, ANSWER, request, |mut stub, request| async move { stub.heartbeat(request).await });
        let accepted = sent.await.and_then(|answer| self.client.accepted(&self.address, answer.status.as_ref()));
        if let Err(failure) = accepted {
            if matches!(&failure, Failure::Refused { code, .. } if *code == Answered::UnrecognizedClientType as i32) {
                self.again.notify_one();
            }
            tracing::debug!(proxy = self.address, reason = %failure.during("heartbeat"), "a heartbeat was in vain");
        }
    }

    async fn take_leave(&self) {
        let request = v2::NotifyClientTerminationRequest { group: self.identity.group.clone() };
        let told = self.client.call(&self.address, &self.identity.id, ANSWER, request, |mut stub, request| async move {
            stub.notify_client_termination(request).await
        });
        // Without it the proxy forgets the client by itself.
        told.await.ok();
    }

    fn settings(&self) -> TelemetryCommand {
        TelemetryCommand { status: None, command: Some(Command::Settings(self.identity.settings.clone())) }
    }
}

fn agreed(settings: &v2::Settings) -> Agreed {
    let mut agreed = Agreed { attempts: settings.backoff_policy.as_ref().map_or(0, |policy| policy.max_attempts), ..Agreed::default() };
    match &settings.pub_sub {
        Some(PubSub::Subscription(subscription)) => agreed.is_ordered = subscription.fifo(),
        Some(PubSub::Publishing(publishing)) => {
            (agreed.checks_types, agreed.longest_body) = (publishing.validate_message_type, publishing.max_body_size);
        }
        None => {}
    }
    agreed
}

/// The answer to a command, so that whoever asked by RocketMQ's tools does not wait in vain.
fn answer(command: TelemetryCommand) -> Option<TelemetryCommand> {
    let status = |code: Answered, message: &str| Some(v2::Status { code: code.into(), message: message.to_owned() });
    match command.command? {
        Command::PrintThreadStackTraceCommand(v2::PrintThreadStackTraceCommand { nonce }) => {
            let thread_stack_trace = Some("RocketBridge runs tasks, not threads that could be shown".to_owned());
            let trace = Command::ThreadStackTrace(v2::ThreadStackTrace { nonce, thread_stack_trace });
            Some(TelemetryCommand { status: status(Answered::Ok, "OK"), command: Some(trace) })
        }
        Command::VerifyMessageCommand(v2::VerifyMessageCommand { nonce, .. }) => {
            let result = Command::VerifyMessageResult(v2::VerifyMessageResult { nonce });
            Some(TelemetryCommand {
                status: status(Answered::Unsupported, "RocketBridge consumes no message by hand"),
                command: Some(result),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: commands of RocketMQ's tools. *Guarantees*: each that waits for an answer gets one under its own number.
    #[test]
    fn commands_that_wait_are_answered() {
        let command = |command: Command| answer(TelemetryCommand { status: None, command: Some(command) });
        let nonce = || "n".to_owned();
        let trace = command(Command::PrintThreadStackTraceCommand(v2::PrintThreadStackTraceCommand { nonce: nonce() }));
        assert!(matches!(trace.expect("answered").command, Some(Command::ThreadStackTrace(trace)) if trace.nonce == "n"));
        let verified =
            command(Command::VerifyMessageCommand(v2::VerifyMessageCommand { nonce: nonce(), message: None })).expect("answered");
        assert_eq!(verified.status.map(|status| status.code), Some(Answered::Unsupported.into()));
        assert!(command(Command::ReconnectEndpointsCommand(v2::ReconnectEndpointsCommand { nonce: nonce() })).is_none());
    }
}
