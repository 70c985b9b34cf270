//! Opens sessions to a member by its address.

use std::sync::Arc;

use futures::StreamExt;
use rocketbridge_codec::session as codec;
use rocketbridge_model::Region;
use rocketbridge_model::session::{DispatchRequest, FilterRequest};
use rocketbridge_proto::dispatch::v1::dispatch_service_client::DispatchServiceClient;
use rocketbridge_proto::filter::v1::filter_service_client::FilterServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;

use crate::channel::{Channels, MESSAGE_LIMIT};
use crate::error::Error;
use crate::session::{ClientSession, DEPTH};
use crate::status;
use crate::switchboard::Switchboard;

/// How this process opens sessions.
#[derive(Clone)]
pub enum Dialer {
    /// All stages are in this process; addresses do not matter.
    Local(Arc<Switchboard>),
    /// Stages are other processes.
    Grpc(Arc<Channels>),
}

/// A member to open sessions to.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// Where it serves, `host:port`.
    pub address: &'a str,
    /// Where it runs; `None` if nobody said.
    pub region: Option<&'a Region>,
}

/// How batches are compressed on their way to another region. What comes back is small, and is not.
const FAR: CompressionEncoding = CompressionEncoding::Zstd;

impl Dialer {
    /// Opens a session to a filter. An unreachable member is an error here or the first answer.
    pub async fn filter(&self, to: Destination<'_>) -> Result<ClientSession<FilterRequest>, Error> {
        let channels = match self {
            Self::Local(switchboard) => return switchboard.filter(),
            Self::Grpc(channels) => channels,
        };
        let mut client = FilterServiceClient::new(channels.to(to.address)?)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        if channels.is_far(to.region) {
            client = client.send_compressed(FAR);
        }
        let (requests, outgoing) = mpsc::channel(DEPTH);
        let response = client.session(ReceiverStream::new(outgoing).map(codec::encode_filter_request)).await;
        session(requests, response, format!("the filter at {}", to.address), |message| message.answer)
    }

    /// Opens a session to a dispatcher. An unreachable member is an error here or the first answer.
    pub async fn dispatch(&self, to: Destination<'_>) -> Result<ClientSession<DispatchRequest>, Error> {
        let channels = match self {
            Self::Local(switchboard) => return switchboard.dispatch(),
            Self::Grpc(channels) => channels,
        };
        let mut client = DispatchServiceClient::new(channels.to(to.address)?)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        if channels.is_far(to.region) {
            client = client.send_compressed(FAR);
        }
        let (requests, outgoing) = mpsc::channel(DEPTH);
        let response = client.session(ReceiverStream::new(outgoing).map(codec::encode_dispatch_request)).await;
        session(requests, response, format!("the dispatcher at {}", to.address), |message| message.answer)
    }
}

/// Builds the opener's end of a session from the server's response.
fn session<Q, W: Send + 'static>(
    requests: mpsc::Sender<Q>,
    response: Result<tonic::Response<tonic::Streaming<W>>, tonic::Status>,
    peer: String,
    answer: fn(W) -> Option<rocketbridge_proto::session::v1::Answer>,
) -> Result<ClientSession<Q>, Error> {
    let response = response.map_err(|status| status::decode(&status, &peer))?;
    let answers = response.into_inner().map(move |message| match message {
        Ok(message) => codec::decode_answer(answer(message)).map_err(Error::from),
        Err(status) => Err(status::decode(&status, &peer)),
    });
    Ok(ClientSession { requests, answers: answers.boxed() })
}
