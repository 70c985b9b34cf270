//! A request under way, and the keys that it was signed with.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rocketbridge_connector::Code;
use tokio::time::{Instant, timeout_at};

use super::Client;
use crate::acl::{NEWER_KEYS, Signer};
use crate::error::Failure;
use crate::remoting::code::response;
use crate::remoting::{Answer, Connection, Request, Response, Unanswered};

/// A request under way, and what to say if it fails.
pub(crate) struct Exchange {
    pub(super) client: Weak<Client>,
    pub(super) answer: Answer,
    /// Held so that the connection lives until the answer is there.
    pub(super) link: Arc<Connection>,
    pub(super) address: String,
    pub(super) deadline: Instant,
    pub(super) limit: Duration,
    /// `None` where requests are not signed.
    pub(super) signed: Option<Signed>,
}

/// What it takes to send a request again that was refused for its signature.
pub(super) struct Signed {
    request: Request,
    signer: Signer,
    /// The response that refused it, until it is sent again.
    refusal: Option<Response>,
    /// How often it may still be sent again.
    left: u32,
}

impl Signed {
    pub(super) fn new(request: Request, signer: Signer) -> Self {
        Self { request, signer, refusal: None, left: NEWER_KEYS }
    }

    pub(super) fn sign(&self, request: Request) -> Request {
        self.signer.sign(request)
    }
}

impl Exchange {
    /// Waits for the response, whatever its code. Cancel-safe: a dropped wait can be begun again.
    ///
    /// A request that the peer refuses for its keys was not carried out. It is sent again if there are newer keys by then: they change while requests are
    /// under way.
    pub(crate) async fn response(&mut self) -> Result<Response, Failure> {
        loop {
            let is_refused = self.signed.as_ref().is_some_and(|signed| signed.refusal.is_some());
            if !is_refused {
                let response = self.answer.wait(self.deadline, self.limit).await.map_err(|why| match why {
                    Unanswered::Lost(lost) => Failure::lost(&self.address, lost),
                    Unanswered::TooLong(bytes) => Failure::TooLong { address: self.address.clone(), bytes },
                })?;
                let is_denied = response.code != response::SUCCESS && Failure::refused(&self.address, &response).code() == Code::Denied;
                match &mut self.signed {
                    Some(signed) if is_denied => signed.refusal = Some(response),
                    _ => return Ok(response),
                }
            }
            self.send_again().await;
            // It was not sent again: what the peer said is the answer.
            if let Some(refusal) = self.signed.as_mut().and_then(|signed| signed.refusal.take()) {
                return Ok(refusal);
            }
        }
    }

    /// Sends a refused request again, signed with newer keys, if there are any in time. Only then it is refused no more.
    async fn send_again(&mut self) {
        let (Some(signed), Some(client)) = (&mut self.signed, self.client.upgrade()) else { return };
        if signed.left == 0 {
            return;
        }
        let Ok(Some(signer)) = timeout_at(self.deadline, client.keys.newer_than(&signed.signer)).await else { return };
        if let Ok((link, answer)) = client.send(&self.address, signer.sign(signed.request.clone())).await {
            (self.link, self.answer) = (link, answer);
            signed.signer = signer;
            signed.refusal = None;
            signed.left -= 1;
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}
