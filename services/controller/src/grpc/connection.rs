//! `ConnectionService`.

use rocketbridge_codec::definition::secrets::Guarded;
use rocketbridge_codec::definition::{Kind, Mask, protobuf};
use rocketbridge_codec::report::timestamp;
use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::record::Record;
use rocketbridge_proto::connection::v1 as proto;
use rocketbridge_proto::connection::v1::connection_service_server::{ConnectionService, ConnectionServiceServer};
use tonic::{Request as Call, Response, Status};

use super::status;
use crate::book::{Book, Update};
use crate::error::Error;
use crate::page::page;
use crate::request::Request;

/// Serves connections.
#[derive(Clone, Debug)]
pub struct ConnectionApi {
    book: Book,
}

type Stored = Record<ConnectionDefinition>;

impl ConnectionApi {
    /// Serves the connections of a book.
    pub fn new(book: Book) -> Self {
        Self { book }
    }

    /// The service for a server.
    pub fn into_service(self) -> ConnectionServiceServer<Self> {
        ConnectionServiceServer::new(self)
    }

    async fn create(&self, request: proto::CreateConnectionRequest) -> Result<Stored, Error> {
        let note = Request::new("CreateConnection", &request.request_id, request.validate_only, &request)?;
        self.book.create(protobuf::connection_from(request.connection.unwrap_or_default()), &note).await
    }

    async fn list(&self, request: proto::ListConnectionsRequest) -> Result<proto::ListConnectionsResponse, Error> {
        let mut listing = self.book.listing::<Stored>().await?;
        let (unreadable, unreadable_count) = listing.unreadable(&request.page_token);
        let (records, next_page_token) = page(Kind::Connection, listing.records, request.page_size, &request.page_token)?;
        Ok(proto::ListConnectionsResponse {
            connections: records.into_iter().map(message).collect(),
            next_page_token,
            unreadable,
            unreadable_count,
        })
    }

    async fn update(&self, request: proto::UpdateConnectionRequest) -> Result<Stored, Error> {
        let note = Request::new("UpdateConnection", "", request.validate_only, &request)?;
        let connection = request.connection.unwrap_or_default();
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let mask = Mask::parse::<ConnectionDefinition>(&paths).map_err(Error::Refused)?;
        let update = Update { mask, etag: connection.etag.clone(), allow_missing: request.allow_missing };
        self.book.update(protobuf::connection_from(connection), &update, &note).await
    }

    async fn delete(&self, request: proto::DeleteConnectionRequest) -> Result<(), Error> {
        let note = Request::new("DeleteConnection", "", request.validate_only, &request)?;
        self.book.delete::<Stored>(&request.name, &request.etag, request.allow_missing, &note).await
    }
}

#[tonic::async_trait]
impl ConnectionService for ConnectionApi {
    async fn create_connection(
        &self,
        call: Call<proto::CreateConnectionRequest>,
    ) -> Result<Response<proto::CreateConnectionResponse>, Status> {
        let record = self.create(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::CreateConnectionResponse { connection: Some(message(record)) }))
    }

    async fn get_connection(&self, call: Call<proto::GetConnectionRequest>) -> Result<Response<proto::GetConnectionResponse>, Status> {
        let record = self.book.get(&call.into_inner().name).await.map_err(status::encode)?;
        Ok(Response::new(proto::GetConnectionResponse { connection: Some(message(record)) }))
    }

    async fn list_connections(
        &self,
        call: Call<proto::ListConnectionsRequest>,
    ) -> Result<Response<proto::ListConnectionsResponse>, Status> {
        self.list(call.into_inner()).await.map(Response::new).map_err(status::encode)
    }

    async fn update_connection(
        &self,
        call: Call<proto::UpdateConnectionRequest>,
    ) -> Result<Response<proto::UpdateConnectionResponse>, Status> {
        let record = self.update(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::UpdateConnectionResponse { connection: Some(message(record)) }))
    }

    async fn delete_connection(
        &self,
        call: Call<proto::DeleteConnectionRequest>,
    ) -> Result<Response<proto::DeleteConnectionResponse>, Status> {
        self.delete(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::DeleteConnectionResponse {}))
    }
}

fn message(mut record: Stored) -> proto::Connection {
    record.definition.redact();
    proto::Connection {
        etag: record.etag(),
        create_time: Some(timestamp(record.create_time)),
        update_time: Some(timestamp(record.update_time)),
        built_in: record.built_in,
        uid: record.uid,
        ..protobuf::connection_to(record.definition)
    }
}
