//! The gRPC services of the stages. They only convert messages and hand sessions over to the stage.

use futures::StreamExt;
use futures::stream::BoxStream;
use rocketbridge_codec::session as codec;
use rocketbridge_model::session::Answer;
use rocketbridge_proto::dispatch::v1::dispatch_service_server::{DispatchService, DispatchServiceServer};
use rocketbridge_proto::filter::v1::filter_service_server::{FilterService, FilterServiceServer};
use rocketbridge_proto::{dispatch::v1 as dispatch, filter::v1 as filter, session::v1 as session};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, Streaming};

use crate::channel::MESSAGE_LIMIT;
use crate::error::Error;
use crate::peer::Peer;
use crate::session::{Accept, AcceptDispatch, AcceptFilter, DEPTH, ServerSession};
use crate::status;

/// The service of a filter.
pub fn filter_service(accept: AcceptFilter) -> FilterServiceServer<impl FilterService> {
    FilterServiceServer::new(Filter(accept))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
        .accept_compressed(CompressionEncoding::Zstd)
}

/// The service of a dispatcher.
pub fn dispatch_service(accept: AcceptDispatch) -> DispatchServiceServer<impl DispatchService> {
    DispatchServiceServer::new(Dispatch(accept))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
        .accept_compressed(CompressionEncoding::Zstd)
}

struct Filter(AcceptFilter);

#[tonic::async_trait]
impl FilterService for Filter {
    type SessionStream = Answers<filter::SessionResponse>;

    async fn session(&self, request: Request<Streaming<filter::SessionRequest>>) -> Result<Response<Self::SessionStream>, Status> {
        let response = |answer| filter::SessionResponse { answer: Some(answer) };
        Ok(accept(&*self.0, request, codec::decode_filter_request, response))
    }
}

struct Dispatch(AcceptDispatch);

#[tonic::async_trait]
impl DispatchService for Dispatch {
    type SessionStream = Answers<dispatch::SessionResponse>;

    async fn session(&self, request: Request<Streaming<dispatch::SessionRequest>>) -> Result<Response<Self::SessionStream>, Status> {
        let response = |answer| dispatch::SessionResponse { answer: Some(answer) };
        Ok(accept(&*self.0, request, codec::decode_dispatch_request, response))
    }
}

/// What the opener of a session receives.
type Answers<R> = BoxStream<'static, Result<R, Status>>;

/// Hands a session over to the stage. `W` and `R` are the messages of its service, `Q` is what the stage calls a request.
fn accept<W, Q, R>(
    stage: &dyn Accept<Q>,
    request: Request<Streaming<W>>,
    decode: fn(W) -> Result<Q, rocketbridge_codec::Error>,
    response: impl Fn(session::Answer) -> R + Send + 'static,
) -> Response<Answers<R>>
where
    W: Send + 'static,
    R: Send + 'static,
    Q: 'static,
{
    let known = request.extensions().get::<Peer>().cloned();
    let peer = known.as_ref().map_or_else(|| "an unknown peer".to_owned(), Peer::to_string);
    let requests = request.into_inner().map(decoder(peer.clone(), decode)).boxed();
    let (answers, outgoing) = mpsc::channel(DEPTH);
    stage.accept(ServerSession { requests, answers, peer });
    let answers = ReceiverStream::new(outgoing).map(move |answer| match answer {
        Ok(answer) => {
            // The stage has found what the opener claims in the store.
            if let (Answer::Opened(_), Some(peer)) = (&answer, &known) {
                peer.prove();
            }
            Ok(response(codec::encode_answer(answer)))
        }
        Err(error) => Err(status::encode(error)),
    });
    Response::new(answers.boxed())
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
