//! What members report about their streams: every process serves it, controllers request it.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_codec::report as codec;
use rocketbridge_model::status::StreamReport;
use rocketbridge_proto::admin::v1 as proto;
use rocketbridge_proto::admin::v1::member_service_client::MemberServiceClient;
use rocketbridge_proto::admin::v1::member_service_server::{MemberService, MemberServiceServer};
use tonic::{Request, Response, Status};

use crate::channel::Channels;
use crate::error::Error;
use crate::status;

/// The longest time that a member may take to answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// Reports what this process is doing. Never waits.
pub trait Reporter: Send + Sync + 'static {
    /// The reports of the named streams; of all streams if none is named.
    fn reports(&self, streams: &[String]) -> Vec<StreamReport>;
}

/// The reporter of a process that has no part in any stream.
pub struct Nothing;

impl Reporter for Nothing {
    fn reports(&self, _: &[String]) -> Vec<StreamReport> {
        Vec::new()
    }
}

/// The service of a process that answers with its reports.
pub fn member_service(reporter: Arc<dyn Reporter>) -> MemberServiceServer<impl MemberService> {
    MemberServiceServer::new(ReportServer(reporter))
}

/// Requests the reports of a member.
///
/// # Errors
///
/// The member did not answer within a second, or refused.
pub async fn ask(channels: &Channels, address: &str, streams: Vec<String>) -> Result<Vec<StreamReport>, Error> {
    let mut client = MemberServiceClient::new(channels.to(address)?).max_decoding_message_size(crate::channel::MESSAGE_LIMIT);
    let mut request = Request::new(proto::GetStreamReportsRequest { streams });
    request.set_timeout(DEADLINE);
    let peer = format!("the member at {address}");
    match tokio::time::timeout(DEADLINE, client.get_stream_reports(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner().reports.into_iter().map(codec::decode).collect()),
        Ok(Err(status)) => Err(status::decode(&status, &peer)),
        Err(_) => Err(Error::new(crate::error::Code::Unavailable, format!("{peer} did not answer within {DEADLINE:?}"))),
    }
}

struct ReportServer(Arc<dyn Reporter>);

#[tonic::async_trait]
impl MemberService for ReportServer {
    async fn get_stream_reports(
        &self,
        request: Request<proto::GetStreamReportsRequest>,
    ) -> Result<Response<proto::GetStreamReportsResponse>, Status> {
        let reports = self.0.reports(&request.into_inner().streams).into_iter().map(codec::encode).collect();
        Ok(Response::new(proto::GetStreamReportsResponse { reports }))
    }
}
