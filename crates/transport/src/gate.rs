//! Stands before every service: who may call what, how many calls at once, and how long a request may take to be whole.
//!
//! | service | who may call it |
//! |---|---|
//! | `FilterService` | routers |
//! | `DispatchService` | filters |
//! | `MemberService` | controllers |
//! | all others | everybody whose connection was accepted |
//!
//! Roles are those of certificates ([`role`](crate::role)). Without TLS, which is on loopback only, everybody may call everything.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rocketbridge_proto::{admin::v1::member_service_server, dispatch::v1::dispatch_service_server, filter::v1::filter_service_server};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;

use crate::limits::{Limits, UNFINISHED};
use crate::peer::{Call, Peer, Unfinished};
use crate::role::Role;
use crate::status::StatusBuilder;

/// A service behind the gate.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    limits: Limits,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Area {
    /// Sessions, which only this role opens. They last, and say little for long.
    Sessions(Role),
    /// What only this role calls.
    Mesh(Role),
    /// The API, health and reflection.
    Public,
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, limits: Limits) -> Self {
        Self { inner, limits }
    }
}

/// The services compare the same text, byte by byte, so that no spelling leads past this.
fn area(path: &str) -> Area {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(service, _)| service);
    match service {
        filter_service_server::SERVICE_NAME => Area::Sessions(Role::Router),
        dispatch_service_server::SERVICE_NAME => Area::Sessions(Role::Filter),
        member_service_server::SERVICE_NAME => Area::Mesh(Role::Controller),
        _ => Area::Public,
    }
}

/// Whether a peer may call this now.
fn admit(peer: Option<&Peer>, path: &str) -> Result<(Area, Call), Status> {
    let refuse = |code, reason, text| StatusBuilder::new(code, reason, text).into_status();
    let Some(peer) = peer else {
        return Err(refuse(tonic::Code::Internal, "UNKNOWN_PEER", "the connection of the call is not known".to_owned()));
    };
    let area = area(path);
    if let Area::Sessions(role) | Area::Mesh(role) = area
        && !peer.may_act_as(role)
    {
        let text = format!("{path} is for {role}s; the certificate of this connection has no name {}", role.uri());
        return Err(refuse(tonic::Code::PermissionDenied, "ROLE_REQUIRED", text));
    }
    match peer.call() {
        Some(call) => Ok((area, call)),
        None => {
            let text = format!("this connection has {} calls at once, the most that it may have; wait for some to end", peer.most_calls());
            Err(refuse(tonic::Code::ResourceExhausted, "TOO_MANY_CALLS", text))
        }
    }
}

impl<S> Service<http::Request<Body>> for Gate<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        let (area, call) = match admit(peer, request.uri().path()) {
            Ok(admitted) => admitted,
            Err(status) => return Box::pin(std::future::ready(Ok(status.into_http()))),
        };
        if !matches!(area, Area::Sessions(_))
            && let Some(unfinished) = peer.map(Peer::request)
        {
            let limits = self.limits;
            request =
                request.map(|body| Body::new(Bounded { body, unfinished, limits, whole_by: Instant::now() + limits.request, late: None }));
        }
        let answering = self.inner.call(request);
        Box::pin(async move { Ok(answering.await?.map(|body| Body::new(Counted { body, _call: call }))) })
    }
}

/// The answer of a call, which counts until it has ended or nobody reads it any more.
struct Counted {
    body: Body,
    _call: Call,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that must be whole before long.
struct Bounded {
    body: Body,
    unfinished: Unfinished,
    limits: Limits,
    whole_by: Instant,
    /// When the wait for the next part is over; `None` while there is none.
    late: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(frame) = polled {
            this.late = None;
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            if !this.unfinished.add(bytes) {
                let text = format!("requests that are not whole have more than {UNFINISHED} bytes on this connection; send fewer at once");
                return Poll::Ready(Some(Err(StatusBuilder::new(tonic::Code::ResourceExhausted, "TOO_MANY_BYTES", text).into_status())));
            }
            return Poll::Ready(frame);
        }
        let Limits { silence, request, .. } = this.limits;
        let until = this.whole_by.min(Instant::now() + silence);
        let late = this.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if late.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let text = format!("the request is not whole: nothing came for {silence:?}, or it takes longer than {request:?}");
        Poll::Ready(Some(Err(StatusBuilder::new(tonic::Code::DeadlineExceeded, "REQUEST_UNFINISHED", text).into_status())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Identity;
    use crate::role::Roles;

    /// *Scenario*: paths of every service, and spellings that resemble them. *Guarantees*: the mesh's own services are for their role, and what is not spelt
    /// as they are does not lead to them.
    #[test]
    fn the_services_of_the_mesh_are_for_their_roles() {
        assert_eq!(area("/rocketbridge.filter.v1.FilterService/Session"), Area::Sessions(Role::Router));
        assert_eq!(area("/rocketbridge.dispatch.v1.DispatchService/Session"), Area::Sessions(Role::Filter));
        assert_eq!(area("/rocketbridge.admin.v1.MemberService/GetStreamReports"), Area::Mesh(Role::Controller));
        for public in [
            "/grpc.health.v1.Health/Check",
            "/",
            "",
            "//rocketbridge.filter.v1.FilterService/Session",
            "/rocketbridge.filter.v1.FilterService",
        ] {
            assert_eq!(area(public), Area::Public, "{public}");
        }
    }

    #[test]
    fn a_certificate_without_the_role_is_told_which_it_needs() {
        let peer = Peer::new("10.0.0.1:1".parse().expect("an address"), Identity::Certified(Roles::default()));
        let refused = admit(Some(&peer), "/rocketbridge.filter.v1.FilterService/Session").expect_err("no router");
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        assert!(refused.message().contains("rocketbridge://service/router"), "{}", refused.message());
        assert!(admit(Some(&peer), "/rocketbridge.stream.v1.StreamService/ListStreams").is_ok());
    }
}
