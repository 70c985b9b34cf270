//! A server that keeps definitions in memory and does what its script says: refuse, answer one status after the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use rocketbridge_proto::connection::v1 as connection;
use rocketbridge_proto::connection::v1::connection_service_server::{ConnectionService, ConnectionServiceServer};
use rocketbridge_proto::network::v1 as network;
use rocketbridge_proto::network::v1::network_service_server::{NetworkService, NetworkServiceServer};
use rocketbridge_proto::record::v1::UnreadableRecord;
use rocketbridge_proto::route::v1 as route;
use rocketbridge_proto::route::v1::route_service_server::RouteServiceServer;
use rocketbridge_proto::stream::v1::stream_service_server::{StreamService, StreamServiceServer};
use rocketbridge_proto::stream::v1::*;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// What the server has and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) streams: BTreeMap<String, Stream>,
    pub(crate) connections: BTreeMap<String, connection::Connection>,
    pub(crate) networks: BTreeMap<String, network::Network>,
    pub(crate) routes: BTreeMap<String, route::Route>,
    /// Answer to PreviewRoute.
    pub(crate) preview: route::PreviewRouteResponse,
    /// Answer to VerifyRoute.
    pub(crate) compared: route::VerifyRouteResponse,
    /// Answers to FailoverRoute and FailbackRoute, in order; the last stays. Without any the request is refused.
    pub(crate) switches: VecDeque<route::SwitchProgress>,
    /// Answer to GetRouteStatus.
    pub(crate) route_status: route::RouteStatus,
    /// Connections that the server cannot read, and how many there are.
    pub(crate) unreadable: (Vec<UnreadableRecord>, i32),
    /// Violations for definitions by name: field and description.
    pub(crate) violations: BTreeMap<String, Vec<(String, String)>>,
    /// Answers to GetStreamStatus, in order; the last stays.
    pub(crate) statuses: VecDeque<StreamStatus>,
    /// Calls as they came.
    pub(crate) calls: Vec<String>,
    /// Streams a page.
    pub(crate) page: usize,
    changes: u64,
}

/// A running fake.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Script>>);

impl Fake {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().expect("no test panics with the script in its hands")
    }

    /// Serves on a free port of loopback; the address.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = tonic::transport::Server::builder()
            .add_service(StreamServiceServer::new(self.clone()))
            .add_service(ConnectionServiceServer::new(self.clone()))
            .add_service(NetworkServiceServer::new(self.clone()))
            .add_service(RouteServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        format!("http://{address}")
    }

    pub(crate) fn note(&self, call: impl Into<String>) -> MutexGuard<'_, Script> {
        let mut script = self.script();
        script.calls.push(call.into());
        script
    }
}

impl Script {
    pub(crate) fn check(&self, name: &str) -> Result<(), Status> {
        let Some(violations) = self.violations.get(name) else { return Ok(()) };
        let mut details = ErrorDetails::new();
        for (field, description) in violations {
            details.add_bad_request_violation(field, description);
        }
        Err(Status::with_error_details(tonic::Code::InvalidArgument, "the definition is refused", details))
    }

    pub(crate) fn etag(&mut self) -> String {
        self.changes += 1;
        format!("\"{}\"", self.changes)
    }
}

pub(crate) fn missing(name: &str) -> Status {
    Status::not_found(format!("there is nothing named {name}"))
}

pub(crate) fn only(validate_only: bool) -> &'static str {
    if validate_only { " validate_only" } else { "" }
}

#[tonic::async_trait]
impl StreamService for Fake {
    async fn create_stream(&self, request: Request<CreateStreamRequest>) -> Result<Response<CreateStreamResponse>, Status> {
        let request = request.into_inner();
        let mut stream = request.stream.expect("given");
        let mut script = self.note(format!("CreateStream {}{}", stream.name, only(request.validate_only)));
        script.check(&stream.name)?;
        if !request.validate_only {
            stream.etag = script.etag();
            stream.revision = 1;
            stream.state = State::Ready.into();
            script.streams.insert(stream.name.clone(), stream.clone());
        }
        Ok(Response::new(CreateStreamResponse { stream: Some(stream) }))
    }

    async fn get_stream(&self, request: Request<GetStreamRequest>) -> Result<Response<GetStreamResponse>, Status> {
        let name = request.into_inner().name;
        let script = self.note(format!("GetStream {name}"));
        let stream = Some(script.streams.get(&name).ok_or_else(|| missing(&name))?.clone());
        Ok(Response::new(GetStreamResponse { stream }))
    }

    async fn list_streams(&self, request: Request<ListStreamsRequest>) -> Result<Response<ListStreamsResponse>, Status> {
        let token = request.into_inner().page_token;
        let script = self.note(format!("ListStreams {token}"));
        let mut behind = script.streams.values().filter(|stream| stream.name > token).cloned();
        let streams: Vec<Stream> = behind.by_ref().take(script.page.max(1)).collect();
        let next_page_token =
            if behind.next().is_some() { streams.last().map(|stream| stream.name.clone()).unwrap_or_default() } else { String::new() };
        Ok(Response::new(ListStreamsResponse { streams, next_page_token, ..Default::default() }))
    }

    async fn update_stream(&self, request: Request<UpdateStreamRequest>) -> Result<Response<UpdateStreamResponse>, Status> {
        let request = request.into_inner();
        let mut stream = request.stream.expect("given");
        let mask = request.update_mask.unwrap_or_default().paths.join(",");
        let mut script = self.note(format!("UpdateStream {} mask={mask} etag={}{}", stream.name, stream.etag, only(request.validate_only)));
        script.check(&stream.name)?;
        let existing = script.streams.get(&stream.name).ok_or_else(|| missing(&stream.name))?.clone();
        if existing.etag != stream.etag {
            return Err(Status::aborted("the stream has changed since"));
        }
        (stream.state, stream.revision) = (existing.state, existing.revision + 1);
        if !request.validate_only {
            stream.etag = script.etag();
            script.streams.insert(stream.name.clone(), stream.clone());
        }
        Ok(Response::new(UpdateStreamResponse { stream: Some(stream) }))
    }

    async fn delete_stream(&self, request: Request<DeleteStreamRequest>) -> Result<Response<DeleteStreamResponse>, Status> {
        let request = request.into_inner();
        let mut script = self.note(format!("DeleteStream {}", request.name));
        if script.streams.remove(&request.name).is_none() && !request.allow_missing {
            return Err(missing(&request.name));
        }
        Ok(Response::new(DeleteStreamResponse {}))
    }

    async fn start_stream(&self, request: Request<StartStreamRequest>) -> Result<Response<StartStreamResponse>, Status> {
        let name = request.into_inner().name;
        let mut script = self.note(format!("StartStream {name}"));
        let stream = script.streams.get_mut(&name).ok_or_else(|| missing(&name))?;
        stream.state = State::Starting.into();
        Ok(Response::new(StartStreamResponse { stream: Some(stream.clone()) }))
    }

    async fn pause_stream(&self, request: Request<PauseStreamRequest>) -> Result<Response<PauseStreamResponse>, Status> {
        let name = request.into_inner().name;
        let mut script = self.note(format!("PauseStream {name}"));
        let stream = script.streams.get_mut(&name).ok_or_else(|| missing(&name))?;
        stream.state = State::Paused.into();
        Ok(Response::new(PauseStreamResponse { stream: Some(stream.clone()) }))
    }

    async fn skip_event(&self, request: Request<SkipEventRequest>) -> Result<Response<SkipEventResponse>, Status> {
        let SkipEventRequest { name, partition, offset, reason, .. } = request.into_inner();
        let script = self.note(format!("SkipEvent {name} {partition} {offset} {reason:?}"));
        let stream = script.streams.get(&name).ok_or_else(|| missing(&name))?;
        Ok(Response::new(SkipEventResponse { stream: Some(stream.clone()) }))
    }

    async fn get_stream_status(&self, request: Request<GetStreamStatusRequest>) -> Result<Response<GetStreamStatusResponse>, Status> {
        let name = request.into_inner().name;
        let mut script = self.note(format!("GetStreamStatus {name}"));
        let status = if script.statuses.len() > 1 { script.statuses.pop_front() } else { script.statuses.front().cloned() };
        Ok(Response::new(GetStreamStatusResponse { status: Some(status.ok_or_else(|| missing(&name))?) }))
    }

    async fn acknowledge_gaps(&self, request: Request<AcknowledgeGapsRequest>) -> Result<Response<AcknowledgeGapsResponse>, Status> {
        drop(self.note(format!("AcknowledgeGaps {}", request.into_inner().name)));
        Ok(Response::new(AcknowledgeGapsResponse { acknowledged: 2 }))
    }
}

#[tonic::async_trait]
impl ConnectionService for Fake {
    async fn create_connection(
        &self,
        request: Request<connection::CreateConnectionRequest>,
    ) -> Result<Response<connection::CreateConnectionResponse>, Status> {
        let request = request.into_inner();
        let mut connection = request.connection.expect("given");
        let mut script = self.note(format!("CreateConnection {}{}", connection.name, only(request.validate_only)));
        script.check(&connection.name)?;
        if !request.validate_only {
            connection.etag = script.etag();
            connection.secret_key = "******".into();
            script.connections.insert(connection.name.clone(), connection.clone());
        }
        Ok(Response::new(connection::CreateConnectionResponse { connection: Some(connection) }))
    }

    async fn get_connection(
        &self,
        request: Request<connection::GetConnectionRequest>,
    ) -> Result<Response<connection::GetConnectionResponse>, Status> {
        let name = request.into_inner().name;
        let script = self.note(format!("GetConnection {name}"));
        let connection = Some(script.connections.get(&name).ok_or_else(|| missing(&name))?.clone());
        Ok(Response::new(connection::GetConnectionResponse { connection }))
    }

    async fn list_connections(
        &self,
        _request: Request<connection::ListConnectionsRequest>,
    ) -> Result<Response<connection::ListConnectionsResponse>, Status> {
        let connections = self.script().connections.values().cloned().collect();
        let (unreadable, unreadable_count) = self.script().unreadable.clone();
        Ok(Response::new(connection::ListConnectionsResponse { connections, next_page_token: String::new(), unreadable, unreadable_count }))
    }

    /// Keeps the etag: the server found that nothing changes.
    async fn update_connection(
        &self,
        request: Request<connection::UpdateConnectionRequest>,
    ) -> Result<Response<connection::UpdateConnectionResponse>, Status> {
        let request = request.into_inner();
        let connection = request.connection.expect("given");
        let script = self.note(format!("UpdateConnection {}{}", connection.name, only(request.validate_only)));
        script.check(&connection.name)?;
        Ok(Response::new(connection::UpdateConnectionResponse { connection: Some(connection) }))
    }

    async fn delete_connection(
        &self,
        _request: Request<connection::DeleteConnectionRequest>,
    ) -> Result<Response<connection::DeleteConnectionResponse>, Status> {
        Err(Status::failed_precondition("streams refer to it"))
    }
}

#[tonic::async_trait]
impl NetworkService for Fake {
    async fn create_network(
        &self,
        request: Request<network::CreateNetworkRequest>,
    ) -> Result<Response<network::CreateNetworkResponse>, Status> {
        let request = request.into_inner();
        let network = request.network.expect("given");
        let mut script = self.note(format!("CreateNetwork {}{}", network.name, only(request.validate_only)));
        if !request.validate_only {
            script.networks.insert(network.name.clone(), network.clone());
        }
        Ok(Response::new(network::CreateNetworkResponse { network: Some(network) }))
    }

    async fn get_network(&self, request: Request<network::GetNetworkRequest>) -> Result<Response<network::GetNetworkResponse>, Status> {
        let name = request.into_inner().name;
        let script = self.note(format!("GetNetwork {name}"));
        let network = Some(script.networks.get(&name).ok_or_else(|| missing(&name))?.clone());
        Ok(Response::new(network::GetNetworkResponse { network }))
    }

    async fn list_networks(
        &self,
        _request: Request<network::ListNetworksRequest>,
    ) -> Result<Response<network::ListNetworksResponse>, Status> {
        let networks = self.script().networks.values().cloned().collect();
        Ok(Response::new(network::ListNetworksResponse { networks, next_page_token: String::new(), ..Default::default() }))
    }

    async fn update_network(
        &self,
        _request: Request<network::UpdateNetworkRequest>,
    ) -> Result<Response<network::UpdateNetworkResponse>, Status> {
        Err(Status::unimplemented("no test updates a network"))
    }

    async fn delete_network(
        &self,
        _request: Request<network::DeleteNetworkRequest>,
    ) -> Result<Response<network::DeleteNetworkResponse>, Status> {
        Err(Status::unimplemented("no test deletes a network"))
    }
}
