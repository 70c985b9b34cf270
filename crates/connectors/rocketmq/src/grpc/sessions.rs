//! The sessions of one client with its proxies, and who the client says that it is.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rocketbridge_rocketmq_proto::v2::settings::PubSub;
use rocketbridge_rocketmq_proto::v2::{self, ClientType};

use super::client::{ANSWER, Client, access_point};
use super::session::{Agreed, Identity, Session};
use crate::error::Failure;

/// Sessions by proxy, each opened when it is first asked for.
pub(crate) struct Sessions {
    client: Arc<Client>,
    identity: Identity,
    open: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    pub(crate) fn new(client: Arc<Client>, identity: Identity) -> Self {
        Self { client, identity, open: Mutex::default() }
    }

    /// What a proxy and this client agreed upon; waits until the proxy knows the client.
    pub(crate) async fn agreed(&self, proxy: &str) -> Result<Agreed, Failure> {
        let start = || Arc::new(Session::start(&self.client, proxy.to_owned(), self.identity.clone()));
        let session = Arc::clone(self.open.lock().entry(proxy.to_owned()).or_insert_with(start));
        session.ready().await
    }

    /// Tells a proxy anew who the client is, if it was told before: it seems to have forgotten.
    pub(crate) fn doubt(&self, proxy: &str) {
        if let Some(session) = self.open.lock().get(proxy) {
            session.doubt();
        }
    }
}

/// The identity of a client of a kind; `group` is the one that it consumes for.
pub(crate) fn identity(client: &Client, id: &str, group: Option<v2::Resource>, kind: ClientType, what: PubSub) -> Identity {
    let settings = v2::Settings {
        client_type: Some(kind.into()),
        access_point: Some(access_point(&client.settings().endpoints)),
        request_timeout: prost_types::Duration::try_from(ANSWER).ok(),
        pub_sub: Some(what),
        user_agent: Some(v2::Ua {
            language: v2::Language::Rust.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            hostname: String::new(),
        }),
        ..v2::Settings::default()
    };
    Identity { id: id.to_owned(), group, settings }
}
