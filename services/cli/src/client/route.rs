//! What is asked of routes besides their definitions.

use rocketbridge_proto::route::v1::{
    FailbackRouteRequest, FailoverRouteRequest, GetRouteStatusRequest, PauseRouteRequest, PreviewRouteRequest, PreviewRouteResponse,
    QueueComparison, Route, RouteStatus, StartRouteRequest, SwitchProgress, VerifyRouteRequest,
};

use super::{Client, Error};

impl Client {
    /// Lets a route run.
    pub async fn start_route(&self, name: &str) -> Result<Route, Error> {
        let request = StartRouteRequest { name: name.to_owned(), ..Default::default() };
        let what = format!("start route/{name}");
        let answer = self.call(&what, async { self.routes().start_route(request).await }).await?;
        answer.route.ok_or_else(|| self.incomplete(&what))
    }

    /// Drains the streams of a route.
    pub async fn pause_route(&self, name: &str) -> Result<Route, Error> {
        let request = PauseRouteRequest { name: name.to_owned(), ..Default::default() };
        let what = format!("pause route/{name}");
        let answer = self.call(&what, async { self.routes().pause_route(request).await }).await?;
        answer.route.ok_or_else(|| self.incomplete(&what))
    }

    /// What a route would do.
    pub async fn preview_route(&self, route: Route) -> Result<PreviewRouteResponse, Error> {
        let what = format!("preview route/{}", route.name);
        let request = PreviewRouteRequest { route: Some(route) };
        self.call(&what, async { self.routes().preview_route(request).await }).await
    }

    /// Both ends of one stream of a route, compared queue by queue.
    pub async fn verify_route(&self, name: &str, stream: &str) -> Result<Vec<QueueComparison>, Error> {
        let request = VerifyRouteRequest { name: name.to_owned(), stream: stream.to_owned() };
        let what = format!("verify stream/{stream}");
        Ok(self.call(&what, async { self.routes().verify_route(request).await }).await?.queues)
    }

    /// Goes on with a failover of a route, or with a failback.
    pub async fn switch_route(&self, name: &str, is_back: bool, force: bool, validate_only: bool) -> Result<SwitchProgress, Error> {
        let (name, mut routes) = (name.to_owned(), self.routes());
        let what = format!("{} route/{name}", if is_back { "fail back" } else { "fail over" });
        let answer = self.call(&what, async {
            Ok(match is_back {
                false => routes.failover_route(FailoverRouteRequest { name, force, validate_only }).await?.map(|answer| answer.progress),
                true => routes.failback_route(FailbackRouteRequest { name, force, validate_only }).await?.map(|answer| answer.progress),
            })
        });
        answer.await?.ok_or_else(|| self.incomplete(&what))
    }

    /// What a route is doing now.
    pub async fn route_status(&self, name: &str) -> Result<RouteStatus, Error> {
        let request = GetRouteStatusRequest { name: name.to_owned() };
        let what = format!("read the status of route/{name}");
        let answer = self.call(&what, async { self.routes().get_route_status(request).await }).await?;
        answer.status.ok_or_else(|| self.incomplete(&what))
    }
}
