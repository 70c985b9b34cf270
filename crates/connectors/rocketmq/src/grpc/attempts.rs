//! An exchange that is signed, and made again with newer keys where it was refused for its own.
//!
//! A refused exchange was not carried out, so making it again repeats nothing.

use std::time::Duration;

use rocketbridge_model::resolved::RocketMqConnection;
use tokio::time::timeout;
use tonic::Request;

use super::headers;
use crate::acl::{Keys, NEWER_KEYS, Signer};
use crate::error::Failure;

/// How long the first keys may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys of one exchange: first those of the moment, then newer ones.
pub(crate) struct Attempts<'a> {
    keys: &'a Keys,
    namespace: &'a str,
    signer: Option<Signer>,
    /// How often it may still be made again.
    left: u32,
}

impl<'a> Attempts<'a> {
    /// Takes the keys of the moment. It waits while the first ones are asked for.
    pub(crate) async fn begin(keys: &'a Keys, connection: &'a RocketMqConnection) -> Result<Self, Failure> {
        let signer = match timeout(PATIENCE, keys.signer()).await {
            Ok(signer) => signer.map_err(Failure::Credentials)?,
            Err(_) => {
                let reason = format!("the keys to sign with did not come within {} s", PATIENCE.as_secs());
                return Err(Failure::Lost { address: connection.endpoints.join(";"), reason });
            }
        };
        Ok(Self { keys, namespace: &connection.namespace, signer, left: NEWER_KEYS })
    }

    /// A request with the headers of every call, signed with the keys of this attempt, without a deadline.
    pub(crate) fn request<Q>(&self, identity: &str, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        headers::write(request.metadata_mut(), identity, self.namespace, self.signer.as_ref());
        request
    }

    /// Whether the exchange is worth making again: its keys were refused, and there are newer ones now.
    pub(crate) async fn again(&mut self, refused: bool) -> bool {
        let Some(signer) = self.signer.as_ref().filter(|_| refused && self.left > 0) else { return false };
        let Some(newer) = self.keys.newer_than(signer).await else { return false };
        self.signer = Some(newer);
        self.left -= 1;
        true
    }
}
