//! The routes of the fake server.

use rocketbridge_proto::route::v1::route_service_server::RouteService;
use rocketbridge_proto::route::v1::*;
use tonic::{Request, Response, Status};

use crate::fake::{Fake, missing, only};

#[tonic::async_trait]
impl RouteService for Fake {
    async fn create_route(&self, request: Request<CreateRouteRequest>) -> Result<Response<CreateRouteResponse>, Status> {
        let request = request.into_inner();
        let mut route = request.route.expect("given");
        let mut script = self.note(format!("CreateRoute {}{}", route.name, only(request.validate_only)));
        script.check(&route.name)?;
        if !request.validate_only {
            route.etag = script.etag();
            route.state = State::Ready.into();
            script.routes.insert(route.name.clone(), route.clone());
        }
        Ok(Response::new(CreateRouteResponse { route: Some(route) }))
    }

    async fn get_route(&self, request: Request<GetRouteRequest>) -> Result<Response<GetRouteResponse>, Status> {
        let name = request.into_inner().name;
        let script = self.note(format!("GetRoute {name}"));
        let route = Some(script.routes.get(&name).ok_or_else(|| missing(&name))?.clone());
        Ok(Response::new(GetRouteResponse { route }))
    }

    async fn list_routes(&self, _: Request<ListRoutesRequest>) -> Result<Response<ListRoutesResponse>, Status> {
        let routes = self.script().routes.values().cloned().collect();
        Ok(Response::new(ListRoutesResponse { routes, next_page_token: String::new(), ..Default::default() }))
    }

    async fn update_route(&self, _: Request<UpdateRouteRequest>) -> Result<Response<UpdateRouteResponse>, Status> {
        Err(Status::unimplemented("no test updates a route"))
    }

    async fn delete_route(&self, request: Request<DeleteRouteRequest>) -> Result<Response<DeleteRouteResponse>, Status> {
        let name = request.into_inner().name;
        let mut script = self.note(format!("DeleteRoute {name}"));
        script.routes.remove(&name).ok_or_else(|| missing(&name))?;
        Ok(Response::new(DeleteRouteResponse {}))
    }

    async fn start_route(&self, request: Request<StartRouteRequest>) -> Result<Response<StartRouteResponse>, Status> {
        let name = request.into_inner().name;
        let mut script = self.note(format!("StartRoute {name}"));
        let route = script.routes.get_mut(&name).ok_or_else(|| missing(&name))?;
        route.state = State::Running.into();
        Ok(Response::new(StartRouteResponse { route: Some(route.clone()) }))
    }

    async fn pause_route(&self, request: Request<PauseRouteRequest>) -> Result<Response<PauseRouteResponse>, Status> {
        let name = request.into_inner().name;
        let mut script = self.note(format!("PauseRoute {name}"));
        let route = script.routes.get_mut(&name).ok_or_else(|| missing(&name))?;
        route.state = State::Paused.into();
        Ok(Response::new(PauseRouteResponse { route: Some(route.clone()) }))
    }

    async fn preview_route(&self, request: Request<PreviewRouteRequest>) -> Result<Response<PreviewRouteResponse>, Status> {
        let route = request.into_inner().route.expect("given");
        let script = self.note(format!("PreviewRoute {} {} {}", route.name, route.topics.join(" "), route.groups.join(" ")));
        script.check(&route.name)?;
        Ok(Response::new(script.preview.clone()))
    }

    async fn verify_route(&self, request: Request<VerifyRouteRequest>) -> Result<Response<VerifyRouteResponse>, Status> {
        let request = request.into_inner();
        let script = self.note(format!("VerifyRoute {} {}", request.name, request.stream));
        Ok(Response::new(script.compared.clone()))
    }

    async fn failover_route(&self, request: Request<FailoverRouteRequest>) -> Result<Response<FailoverRouteResponse>, Status> {
        let FailoverRouteRequest { name, force, validate_only } = request.into_inner();
        let progress = self.switch(&format!("FailoverRoute {name} {force} {validate_only}"))?;
        Ok(Response::new(FailoverRouteResponse { progress: Some(progress) }))
    }

    async fn failback_route(&self, request: Request<FailbackRouteRequest>) -> Result<Response<FailbackRouteResponse>, Status> {
        let FailbackRouteRequest { name, force, validate_only } = request.into_inner();
        let progress = self.switch(&format!("FailbackRoute {name} {force} {validate_only}"))?;
        Ok(Response::new(FailbackRouteResponse { progress: Some(progress) }))
    }

    async fn get_route_status(&self, request: Request<GetRouteStatusRequest>) -> Result<Response<GetRouteStatusResponse>, Status> {
        let script = self.note(format!("GetRouteStatus {}", request.into_inner().name));
        Ok(Response::new(GetRouteStatusResponse { status: Some(script.route_status.clone()) }))
    }
}

impl Fake {
    fn switch(&self, call: &str) -> Result<SwitchProgress, Status> {
        let mut script = self.note(call);
        match script.switches.len() {
            0 => Err(Status::failed_precondition("failover of route \"dr\" is refused: group billing (c-1) still consumes at east")),
            1 => Ok(script.switches[0].clone()),
            _ => Ok(script.switches.pop_front().expect("two or more")),
        }
    }
}
