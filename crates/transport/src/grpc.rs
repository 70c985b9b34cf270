//! The gRPC services of the stages. They only convert messages and hand sessions over to the stage.

use futures::StreamExt;
use futures::stream::BoxStream;
use rocketbridge_codec::session as codec;
use rocketbridge_proto::dispatch::v1::dispatch_service_server::{DispatchService, DispatchServiceServer};
use rocketbridge_proto::filter::v1::filter_service_server::{FilterService, FilterServiceServer};
use rocketbridge_proto::{dispatch::v1 as dispatch, filter::v1 as filter};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::channel::MESSAGE_LIMIT;
use crate::error::Error;
use crate::session::{AcceptDispatch, AcceptFilter, DEPTH, ServerSession};
use crate::status;

/// The service of a filter.
pub fn filter_service(accept: AcceptFilter) -> FilterServiceServer<impl FilterService> {
    FilterServiceServer::new(Filter(accept)).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT)
}

/// The service of a dispatcher.
pub fn dispatch_service(accept: AcceptDispatch) -> DispatchServiceServer<impl DispatchService> {
    DispatchServiceServer::new(Dispatch(accept)).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT)
}

struct Filter(AcceptFilter);

#[tonic::async_trait]
impl FilterService for Filter {
    type SessionStream = BoxStream<'static, Result<filter::SessionResponse, Status>>;

    async fn session(&self, request: Request<Streaming<filter::SessionRequest>>) -> Result<Response<Self::SessionStream>, Status> {
        let peer = peer(&request);
        let requests = request.into_inner().map(decoder(peer.clone(), codec::decode_filter_request)).boxed();
        let (answers, outgoing) = mpsc::channel(DEPTH);
        self.0.accept(ServerSession { requests, answers, peer });
        let answers = ReceiverStream::new(outgoing).map(|answer| match answer {
            Ok(answer) => Ok(filter::SessionResponse { answer: Some(codec::encode_answer(answer)) }),
            Err(error) => Err(status::encode(error)),
        });
        Ok(Response::new(answers.boxed()))
    }
}

struct Dispatch(AcceptDispatch);

#[tonic::async_trait]
impl DispatchService for Dispatch {
    type SessionStream = BoxStream<'static, Result<dispatch::SessionResponse, Status>>;

    async fn session(&self, request: Request<Streaming<dispatch::SessionRequest>>) -> Result<Response<Self::SessionStream>, Status> {
        let peer = peer(&request);
        let requests = request.into_inner().map(decoder(peer.clone(), codec::decode_dispatch_request)).boxed();
        let (answers, outgoing) = mpsc::channel(DEPTH);
        self.0.accept(ServerSession { requests, answers, peer });
        let answers = ReceiverStream::new(outgoing).map(|answer| match answer {
            Ok(answer) => Ok(dispatch::SessionResponse { answer: Some(codec::encode_answer(answer)) }),
            Err(error) => Err(status::encode(error)),
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn peer<T>(request: &Request<T>) -> String {
    request.remote_addr().map_or_else(|| "an unknown peer".to_owned(), |address| address.to_string())
}

fn decoder<W, Q>(
    peer: String,
    decode: impl Fn(W) -> Result<Q, rocketbridge_codec::Error>,
) -> impl FnMut(Result<W, Status>) -> Result<Q, Error> {
    move |message| match message {
        Ok(message) => decode(message).map_err(Error::from),
        Err(status) => Err(status::decode(&status, &peer)),
    }
}
