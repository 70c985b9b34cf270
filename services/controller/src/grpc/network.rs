//! `NetworkService`.

use rocketbridge_codec::definition::secrets::Guarded;
use rocketbridge_codec::definition::{Kind, Mask, protobuf};
use rocketbridge_codec::report::timestamp;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::record::Record;
use rocketbridge_proto::network::v1 as proto;
use rocketbridge_proto::network::v1::network_service_server::{NetworkService, NetworkServiceServer};
use tonic::{Request as Call, Response, Status};

use super::status;
use crate::book::{Book, Update};
use crate::error::Error;
use crate::page::page;
use crate::request::Request;

/// Serves networks.
#[derive(Clone, Debug)]
pub struct NetworkApi {
    book: Book,
}

type Stored = Record<NetworkDefinition>;

impl NetworkApi {
    /// Serves the networks of a book.
    pub fn new(book: Book) -> Self {
        Self { book }
    }

    /// The service for a server.
    pub fn into_service(self) -> NetworkServiceServer<Self> {
        NetworkServiceServer::new(self)
    }

    async fn create(&self, request: proto::CreateNetworkRequest) -> Result<Stored, Error> {
        let note = Request::new("CreateNetwork", &request.request_id, request.validate_only, &request)?;
        self.book.create(protobuf::network_from(request.network.unwrap_or_default()), &note).await
    }

    async fn list(&self, request: proto::ListNetworksRequest) -> Result<proto::ListNetworksResponse, Error> {
        let mut listing = self.book.listing::<Stored>().await?;
        let (unreadable, unreadable_count) = listing.unreadable(&request.page_token);
        let (records, next_page_token) = page(Kind::Network, listing.records, request.page_size, &request.page_token)?;
        Ok(proto::ListNetworksResponse {
            networks: records.into_iter().map(message).collect(),
            next_page_token,
            unreadable,
            unreadable_count,
        })
    }

    async fn update(&self, request: proto::UpdateNetworkRequest) -> Result<Stored, Error> {
        let note = Request::new("UpdateNetwork", "", request.validate_only, &request)?;
        let network = request.network.unwrap_or_default();
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let mask = Mask::parse::<NetworkDefinition>(&paths).map_err(Error::Refused)?;
        let update = Update { mask, etag: network.etag.clone(), allow_missing: request.allow_missing };
        self.book.update(protobuf::network_from(network), &update, &note).await
    }

    async fn delete(&self, request: proto::DeleteNetworkRequest) -> Result<(), Error> {
        let note = Request::new("DeleteNetwork", "", request.validate_only, &request)?;
        self.book.delete::<Stored>(&request.name, &request.etag, request.allow_missing, &note).await
    }
}

#[tonic::async_trait]
impl NetworkService for NetworkApi {
    async fn create_network(&self, call: Call<proto::CreateNetworkRequest>) -> Result<Response<proto::CreateNetworkResponse>, Status> {
        let record = self.create(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::CreateNetworkResponse { network: Some(message(record)) }))
    }

    async fn get_network(&self, call: Call<proto::GetNetworkRequest>) -> Result<Response<proto::GetNetworkResponse>, Status> {
        let record = self.book.get(&call.into_inner().name).await.map_err(status::encode)?;
        Ok(Response::new(proto::GetNetworkResponse { network: Some(message(record)) }))
    }

    async fn list_networks(&self, call: Call<proto::ListNetworksRequest>) -> Result<Response<proto::ListNetworksResponse>, Status> {
        self.list(call.into_inner()).await.map(Response::new).map_err(status::encode)
    }

    async fn update_network(&self, call: Call<proto::UpdateNetworkRequest>) -> Result<Response<proto::UpdateNetworkResponse>, Status> {
        let record = self.update(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::UpdateNetworkResponse { network: Some(message(record)) }))
    }

    async fn delete_network(&self, call: Call<proto::DeleteNetworkRequest>) -> Result<Response<proto::DeleteNetworkResponse>, Status> {
        self.delete(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::DeleteNetworkResponse {}))
    }
}

fn message(mut record: Stored) -> proto::Network {
    record.definition.redact();
    proto::Network {
        etag: record.etag(),
        create_time: Some(timestamp(record.create_time)),
        update_time: Some(timestamp(record.update_time)),
        uid: record.uid,
        ..protobuf::network_to(record.definition)
    }
}
