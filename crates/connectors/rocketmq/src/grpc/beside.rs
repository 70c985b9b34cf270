//! Remoting beside gRPC: the remoting port of a proxy (8080) speaks both, and so do the endpoints of hosted instances. What gRPC has no words for, or what no
//! open-source proxy answers (offsets: 5.3.3 and 5.5.0 implement none of those calls), is asked there.

use std::sync::Arc;

use rocketbridge_model::resolved::{Protocol, RocketMqConnection, RocketMqSource};
use tokio::sync::OnceCell;

use super::client::Client;
use crate::client::Client as RemotingClient;
use crate::probe::{GrpcOnly, Spoken};

/// The client for remoting, once it is known whether remoting is spoken.
#[derive(Default)]
pub(crate) struct Beside(OnceCell<Option<Arc<RemotingClient>>>);

impl Beside {
    /// The client for the endpoints that speak remoting as well; `None` if there are none, as far as can be heard now.
    pub(crate) async fn client(&self, client: &Client) -> Option<Arc<RemotingClient>> {
        // What could not be heard now is asked again the next time.
        self.0.get_or_try_init(|| look(client)).await.ok().cloned().flatten()
    }
}

async fn look(client: &Client) -> Result<Option<Arc<RemotingClient>>, ()> {
    let (mut endpoints, mut is_heard) = (Vec::new(), true);
    for endpoint in &client.settings().endpoints {
        match client.probe(endpoint).await {
            Some(Spoken::Remoting) => endpoints.push(endpoint.clone()),
            Some(Spoken::Grpc) => {}
            None => is_heard = false,
        }
    }
    if endpoints.is_empty() {
        return if is_heard { Ok(None) } else { Err(()) };
    }
    let connection = RocketMqConnection { protocol: Protocol::Remoting, endpoints, ..client.settings().clone() };
    Ok(Some(RemotingClient::new(connection, client.tasks().clone(), client.egress(), GrpcOnly::default(), client.keys())))
}

/// The definition of a source, as remoting reads it whatever its filter.
pub(crate) fn definition(client: &RemotingClient, definition: &RocketMqSource) -> RocketMqSource {
    RocketMqSource { connection: client.settings().clone(), tags: Vec::new(), sql: None, ..definition.clone() }
}
