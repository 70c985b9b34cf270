//! A proxy that answers by a script.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_rocketmq_proto::v2::messaging_service_server::{MessagingService, MessagingServiceServer};
use rocketbridge_rocketmq_proto::v2::*;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Result, Status as Failed, Streaming};

/// What the proxy does and has heard.
#[derive(Default)]
pub(crate) struct Script {
    /// Statuses of the next sends; OK when it is empty.
    pub(crate) sends: VecDeque<Status>,
    /// Answers of the next receives; no message when it is empty.
    pub(crate) receives: VecDeque<Vec<Result<ReceiveMessageResponse>>>,
    /// Whether settings are forgotten, as by a proxy that was started anew.
    pub(crate) is_forgetful: bool,
    /// Headers of the calls, by name of the call.
    pub(crate) calls: Vec<(&'static str, tonic::metadata::MetadataMap)>,
    pub(crate) sent: Vec<Message>,
    pub(crate) acknowledged: Vec<AckMessageEntry>,
    pub(crate) settings: usize,
    /// Whether the next settings are refused for their keys.
    pub(crate) refuses_settings: bool,
    /// The settings that were said last.
    pub(crate) said: Settings,
    /// Longest body, and whether types are checked, as producers are told.
    pub(crate) checks: (i32, bool),
    pub(crate) heartbeats: usize,
    pub(crate) leaves: usize,
    /// Streams of telemetry that are open.
    pub(crate) streams: Vec<mpsc::Sender<Result<TelemetryCommand>>>,
}

/// The proxy. It ends when it is dropped, with its connections: it has a runtime of its own.
pub(crate) struct Proxy {
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) address: String,
    runtime: Option<Runtime>,
}

/// What the proxy answers by.
struct Scripted {
    script: Arc<Mutex<Script>>,
    address: String,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// A proxy at an address.
    pub(crate) fn at(address: &str) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("it is open");
        let address = listener.local_addr().expect("bound").to_string();
        let script = Arc::<Mutex<Script>>::default();
        let scripted = Scripted { script: Arc::clone(&script), address: address.clone() };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.spawn(async move {
            let listener = TcpListenerStream::new(TcpListener::from_std(listener).expect("it is open"));
            Server::builder().add_service(MessagingServiceServer::new(scripted)).serve_with_incoming(listener).await
        });
        Self { script, address, runtime: Some(runtime) }
    }

    /// Waits until something holds of the script.
    pub(crate) async fn wait(&self, what: &str, holds: impl Fn(&Script) -> bool) {
        for _ in 0..500 {
            if holds(&self.script.lock()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never happened: {what}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Scripted {
    fn hear<T>(&self, call: &'static str, request: &Request<T>) {
        self.script.lock().calls.push((call, request.metadata().clone()));
    }
}

pub(crate) fn status(code: Code, message: &str) -> Status {
    Status { code: code.into(), message: message.into() }
}

fn ok() -> Option<Status> {
    Some(status(Code::Ok, "OK"))
}

/// A message that is handed out.
pub(crate) fn message(id: &str, handle: &str) -> Result<ReceiveMessageResponse> {
    let system_properties =
        Some(SystemProperties { message_id: id.into(), receipt_handle: Some(handle.into()), ..SystemProperties::default() });
    let message = Message { system_properties, body: id.to_owned().into(), ..Message::default() };
    Ok(ReceiveMessageResponse { content: Some(receive_message_response::Content::Message(message)) })
}

pub(crate) fn said(code: Code, words: &str) -> Result<ReceiveMessageResponse> {
    Ok(ReceiveMessageResponse { content: Some(receive_message_response::Content::Status(status(code, words))) })
}

#[tonic::async_trait]
impl MessagingService for Scripted {
    type ReceiveMessageStream = tokio_stream::Iter<std::vec::IntoIter<Result<ReceiveMessageResponse>>>;
    type PullMessageStream = tokio_stream::Iter<std::vec::IntoIter<Result<PullMessageResponse>>>;
    type TelemetryStream = ReceiverStream<Result<TelemetryCommand>>;

    async fn query_route(&self, request: Request<QueryRouteRequest>) -> Result<Response<QueryRouteResponse>> {
        self.hear("query_route", &request);
        let (host, port) = self.address.rsplit_once(':').expect("an address");
        let endpoints = Endpoints {
            scheme: AddressScheme::IPv4.into(),
            addresses: vec![Address { host: host.into(), port: port.parse().expect("a port") }],
        };
        let broker = Some(Broker { name: "broker-a".into(), id: 0, endpoints: Some(endpoints) });
        let queue =
            MessageQueue { permission: Permission::ReadWrite.into(), broker, accept_message_types: vec![1], ..MessageQueue::default() };
        Ok(Response::new(QueryRouteResponse { status: ok(), message_queues: vec![queue] }))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>> {
        self.hear("heartbeat", &request);
        self.script.lock().heartbeats += 1;
        Ok(Response::new(HeartbeatResponse { status: ok() }))
    }

    async fn send_message(&self, request: Request<SendMessageRequest>) -> Result<Response<SendMessageResponse>> {
        self.hear("send_message", &request);
        let mut script = self.script.lock();
        let status = script.sends.pop_front().or_else(ok);
        let is_stored = status.as_ref().is_some_and(|status| status.code == Code::Ok as i32);
        let entries = vec![SendResultEntry { status: status.clone(), ..SendResultEntry::default() }];
        script.sent.extend(request.into_inner().messages);
        Ok(Response::new(SendMessageResponse { status, entries: if is_stored { entries } else { Vec::new() } }))
    }

    async fn receive_message(&self, request: Request<ReceiveMessageRequest>) -> Result<Response<Self::ReceiveMessageStream>> {
        self.hear("receive_message", &request);
        let mut script = self.script.lock();
        let answers = if script.is_forgetful {
            vec![said(Code::InternalServerError, "java.lang.NullPointerException")]
        } else {
            script.receives.pop_front().unwrap_or_else(|| vec![said(Code::MessageNotFound, "no new message")])
        };
        Ok(Response::new(tokio_stream::iter(answers)))
    }

    async fn ack_message(&self, request: Request<AckMessageRequest>) -> Result<Response<AckMessageResponse>> {
        self.hear("ack_message", &request);
        let entries = request.into_inner().entries;
        self.script.lock().acknowledged.extend(entries.clone());
        // In another order than they were asked for, as proxies do that ask several brokers.
        let entries = entries.into_iter().rev().map(|entry| {
            let is_late = entry.receipt_handle.starts_with("late");
            let status = if is_late { Some(status(Code::InvalidReceiptHandle, "receipt handle is expired")) } else { ok() };
            AckMessageResultEntry { message_id: entry.message_id, receipt_handle: entry.receipt_handle, status }
        });
        Ok(Response::new(AckMessageResponse { status: Some(status(Code::MultipleResults, "")), entries: entries.collect() }))
    }

    async fn change_invisible_duration(
        &self,
        request: Request<ChangeInvisibleDurationRequest>,
    ) -> Result<Response<ChangeInvisibleDurationResponse>> {
        self.hear("change_invisible_duration", &request);
        let handle = request.into_inner().receipt_handle;
        let status = if handle.starts_with("late") { Some(status(Code::InvalidReceiptHandle, "receipt handle is expired")) } else { ok() };
        Ok(Response::new(ChangeInvisibleDurationResponse { status, receipt_handle: format!("{handle}+") }))
    }

    async fn telemetry(&self, request: Request<Streaming<TelemetryCommand>>) -> Result<Response<Self::TelemetryStream>> {
        self.hear("telemetry", &request);
        let (sender, receiver) = mpsc::channel(8);
        self.script.lock().streams.push(sender.clone());
        let (script, mut commands) = (Arc::clone(&self.script), request.into_inner());
        tokio::spawn(async move {
            while let Ok(Some(command)) = commands.message().await {
                if let Some(telemetry_command::Command::Settings(mut settings)) = command.command {
                    let refused = std::mem::take(&mut script.lock().refuses_settings);
                    if refused {
                        let status = Some(status(Code::Unauthorized, "token expired"));
                        sender.send(Ok(TelemetryCommand { status, command: None })).await.ok();
                        return;
                    }
                    settings = {
                        let mut script = script.lock();
                        script.settings += 1;
                        script.is_forgetful = false;
                        script.said = settings.clone();
                        if let Some(settings::PubSub::Publishing(publishing)) = &mut settings.pub_sub {
                            (publishing.max_body_size, publishing.validate_message_type) = script.checks;
                        }
                        settings
                    };
                    settings.backoff_policy = Some(RetryPolicy { max_attempts: 17, ..RetryPolicy::default() });
                    let settings = telemetry_command::Command::Settings(settings);
                    if sender.send(Ok(TelemetryCommand { status: ok(), command: Some(settings) })).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn notify_client_termination(
        &self,
        request: Request<NotifyClientTerminationRequest>,
    ) -> Result<Response<NotifyClientTerminationResponse>> {
        self.hear("notify_client_termination", &request);
        self.script.lock().leaves += 1;
        Ok(Response::new(NotifyClientTerminationResponse { status: ok() }))
    }

    async fn query_assignment(&self, _: Request<QueryAssignmentRequest>) -> Result<Response<QueryAssignmentResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        _: Request<ForwardMessageToDeadLetterQueueRequest>,
    ) -> Result<Response<ForwardMessageToDeadLetterQueueResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn pull_message(&self, _: Request<PullMessageRequest>) -> Result<Response<Self::PullMessageStream>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn update_offset(&self, _: Request<UpdateOffsetRequest>) -> Result<Response<UpdateOffsetResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn get_offset(&self, _: Request<GetOffsetRequest>) -> Result<Response<GetOffsetResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn query_offset(&self, _: Request<QueryOffsetRequest>) -> Result<Response<QueryOffsetResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn end_transaction(&self, _: Request<EndTransactionRequest>) -> Result<Response<EndTransactionResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn recall_message(&self, _: Request<RecallMessageRequest>) -> Result<Response<RecallMessageResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }

    async fn sync_lite_subscription(&self, _: Request<SyncLiteSubscriptionRequest>) -> Result<Response<SyncLiteSubscriptionResponse>> {
        Err(Failed::unimplemented("not asked for"))
    }
}
