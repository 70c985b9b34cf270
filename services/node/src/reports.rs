//! How a controller asks every router what it is doing.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use rocketbridge_assignment::{Members, Stage};
use rocketbridge_controller::Reports;
use rocketbridge_model::MemberId;
use rocketbridge_model::status::StreamReport;
use rocketbridge_transport::Channels;
use rocketbridge_transport::report::{Reporter, ask};

/// Asks every router for its reports: this process without a detour, others over gRPC, all at once.
pub(crate) struct Ask {
    /// This process.
    pub(crate) own: (MemberId, Arc<dyn Reporter>),
    /// Everybody.
    pub(crate) members: Members,
    /// How others are reached.
    pub(crate) channels: Arc<Channels>,
}

impl Reports for Ask {
    fn stream_reports(&self, streams: Vec<String>) -> BoxFuture<'_, Vec<(MemberId, Result<Vec<StreamReport>, String>)>> {
        Box::pin(async move {
            let routers = self.members.all().into_iter().filter(|member| member.has(Stage::Router));
            let asks = routers.map(|member| {
                let streams = streams.clone();
                async move {
                    if member.id == self.own.0 {
                        return (member.id, Ok(self.own.1.reports(&streams)));
                    }
                    let told = ask(&self.channels, &member.address, streams).await;
                    (member.id, told.map_err(|error| error.to_string()))
                }
            });
            join_all(asks).await
        })
    }
}
