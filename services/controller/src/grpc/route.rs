//! `RouteService`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketbridge_codec::definition::{Kind, Mask, protobuf};
use rocketbridge_codec::report::timestamp;
use rocketbridge_model::RouteDefinition;
use rocketbridge_model::record::{Desired, RouteRecord, StreamRecord};
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::{Direction, GroupSelection};
use rocketbridge_model::status::StreamStatus;
use rocketbridge_model::validate::resolve;
use rocketbridge_proto::route::v1 as proto;
use rocketbridge_proto::route::v1::route_service_server::{RouteService, RouteServiceServer};
use tonic::{Request as Call, Response, Status};

use super::StreamApi;
use super::progress;
use super::status;
use super::stream::status_message;
use super::switch::Switcher;
use crate::book::{Book, Change, Update};
use crate::clusters::{Clusters, Comparison, DifferenceKind, End};
use crate::error::Error;
use crate::page::page;
use crate::request::Request;
use crate::route::switch::Verb;
use crate::route::{Memory, Survey, Translating, direction_of, legs, survey};

/// Serves routes.
#[derive(Clone)]
pub struct RouteApi {
    book: Book,
    clusters: Arc<dyn Clusters>,
    streams: StreamApi,
}

impl RouteApi {
    /// Serves the routes of a book, with what their instances and their streams tell.
    pub fn new(book: Book, clusters: Arc<dyn Clusters>, streams: StreamApi) -> Self {
        Self { book, clusters, streams }
    }

    /// The service for a server.
    pub fn into_service(self) -> RouteServiceServer<Self> {
        RouteServiceServer::new(self)
    }

    async fn create(&self, request: proto::CreateRouteRequest) -> Result<RouteRecord, Error> {
        let note = Request::new("CreateRoute", &request.request_id, request.validate_only, &request)?;
        self.book.create(protobuf::route_from(request.route.unwrap_or_default()), &note).await
    }

    async fn list(&self, request: proto::ListRoutesRequest) -> Result<proto::ListRoutesResponse, Error> {
        let mut listing = self.book.listing::<RouteRecord>().await?;
        let (unreadable, unreadable_count) = listing.unreadable(&request.page_token);
        let (records, next_page_token) = page(Kind::Route, listing.records, request.page_size, &request.page_token)?;
        Ok(proto::ListRoutesResponse { routes: records.into_iter().map(message).collect(), next_page_token, unreadable, unreadable_count })
    }

    async fn update(&self, request: proto::UpdateRouteRequest) -> Result<RouteRecord, Error> {
        let note = Request::new("UpdateRoute", &request.request_id, request.validate_only, &request)?;
        let route = request.route.unwrap_or_default();
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let mask = Mask::parse::<RouteDefinition>(&paths).map_err(Error::Refused)?;
        let update = Update { mask, etag: route.etag.clone(), allow_missing: request.allow_missing };
        self.book.update(protobuf::route_from(route), &update, &note).await
    }

    async fn delete(&self, request: proto::DeleteRouteRequest) -> Result<(), Error> {
        let note = Request::new("DeleteRoute", &request.request_id, request.validate_only, &request)?;
        self.book.delete::<RouteRecord>(&request.name, &request.etag, request.allow_missing, &note).await
    }

    async fn start(&self, request: proto::StartRouteRequest) -> Result<RouteRecord, Error> {
        let note = Request::new("StartRoute", &request.request_id, request.validate_only, &request)?;
        self.book.set_route_desired(&request.name, &request.etag, Desired::Running, &note).await
    }

    async fn pause(&self, request: proto::PauseRouteRequest) -> Result<RouteRecord, Error> {
        let note = Request::new("PauseRoute", &request.request_id, request.validate_only, &request)?;
        self.book.set_route_desired(&request.name, &request.etag, Desired::Paused, &note).await
    }

    async fn preview(&self, request: proto::PreviewRouteRequest) -> Result<proto::PreviewRouteResponse, Error> {
        let definition = protobuf::route_from(request.route.unwrap_or_default());
        let known = self.book.known().await?;
        self.book.checked(&definition, &known).await?;
        let stored = match self.book.get::<RouteRecord>(&definition.name).await {
            Ok(record) => record,
            Err(Error::NotFound { .. }) => RouteRecord::default(),
            Err(error) => return Err(error),
        };
        let route = RouteRecord { definition, desired: Desired::Running, ..stored };
        let streams = self.book.streams_of_routes().await?;
        let survey = survey(&self.book, self.clusters.as_ref(), &route, &known, &streams).await;
        let (planned, (groups, unlisted)) =
            tokio::join!(self.planned(&route, &survey, &streams), self.groups(&route.definition, survey.connections.as_ref()));
        let problems = survey.problems.into_iter().chain(unlisted).collect();
        Ok(proto::PreviewRouteResponse { streams: planned, problems, groups })
    }

    /// The groups that a route selects of those that its ends know, and why they cannot be listed.
    async fn groups(
        &self,
        definition: &RouteDefinition,
        connections: Option<&(RocketMqConnection, RocketMqConnection)>,
    ) -> (Vec<String>, Vec<String>) {
        let Some((from, to)) = connections.filter(|_| !definition.groups.is_empty()) else { return Default::default() };
        let other = async { if definition.both_ways { self.clusters.groups(to).await } else { Ok(Vec::new()) } };
        let (at_from, at_to) = tokio::join!(self.clusters.groups(from), other);
        let (mut groups, mut problems) = (BTreeSet::new(), Vec::new());
        for (end, listed) in [(&definition.from, at_from), (&definition.to, at_to)] {
            match listed {
                Ok(listed) => groups.extend(listed.into_iter().filter(|group| GroupSelection::of(definition).takes(group))),
                Err(reason) => problems.push(format!("the groups of {end} cannot be listed: {reason}")),
            }
        }
        (groups.into_iter().collect(), problems)
    }

    async fn status(&self, name: &str) -> Result<proto::RouteStatus, Error> {
        let route = self.book.get::<RouteRecord>(name).await?;
        let known = self.book.known().await?;
        let streams = self.book.streams_of_routes().await?;
        let legs = legs(&route, &known, &streams);
        let groups = async {
            let pass = Translating::new(self.clusters.as_ref(), &route, &legs);
            if route.definition.groups.is_empty() { Vec::new() } else { pass.pass(&mut Memory::default(), false).await.groups }
        };
        let (survey, groups) = tokio::join!(survey(&self.book, self.clusters.as_ref(), &route, &known, &streams), groups);
        let own: Vec<StreamRecord> = streams.into_values().filter(|stream| direction_of(&route, stream).is_some()).collect();
        let statuses = self.streams.statuses(&own).await?;
        let groups = groups.into_iter().map(progress::message).collect();
        Ok(proto::RouteStatus { groups, ..status_of(&route, survey, own.into_iter().zip(statuses).collect()) })
    }

    async fn verify(&self, request: proto::VerifyRouteRequest) -> Result<Vec<Comparison>, Error> {
        let route = self.book.get::<RouteRecord>(&request.name).await?;
        let stream = match self.book.get::<StreamRecord>(&request.stream).await {
            Ok(stream) if direction_of(&route, &stream).is_some() => stream,
            Ok(_) | Err(Error::NotFound { .. }) => {
                let fix = "take one that the route's status names";
                return Err(Error::refused("stream", &request.stream, "the route has no such stream", fix));
            }
            Err(error) => return Err(error),
        };
        let known = self.book.known().await?;
        let resolved = resolve(&stream, &*known).map_err(|violations| Error::CannotRun { name: request.stream.clone(), violations })?;
        if !resolved.target.mirror {
            let fix = "a route of mode RULE spreads messages over queues, so its ends cannot be compared";
            return Err(Error::refused("name", &request.name, "only a mirror can be verified", fix));
        }
        let source = End { connection: &resolved.source.connection, topic: &resolved.source.topic };
        let target = End { connection: &resolved.target.connection, topic: &resolved.target.topic };
        self.clusters.compare(source, target).await.map_err(|reason| Error::NotCompared { name: request.stream, reason })
    }

    fn switcher(&self, verb: Verb) -> Switcher<'_> {
        Switcher { book: &self.book, clusters: self.clusters.as_ref(), streams: &self.streams, verb }
    }

    /// What would be done with each stream, with the numbers of queues at both ends.
    async fn planned(&self, route: &RouteRecord, survey: &Survey, streams: &BTreeMap<String, StreamRecord>) -> Vec<proto::PlannedStream> {
        let mut planned = plan(route, survey, streams);
        let Some((from, to)) = &survey.connections else { return planned };
        let at = |end: Direction| {
            // A stream reads at the end where it begins, and writes at the other.
            let topics = planned.iter().map(|stream| match stream.direction() == progress::direction(end) {
                true => stream.source_topic.clone(),
                false => stream.target_topic.clone(),
            });
            topics.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (at_from, at_to) =
            tokio::join!(self.clusters.queues(from, at(Direction::Forward)), self.clusters.queues(to, at(Direction::Back)));
        for stream in &mut planned {
            let (source, target) = match stream.direction() {
                proto::Direction::Back => (&at_to, &at_from),
                _ => (&at_from, &at_to),
            };
            stream.source_queues = source.get(&stream.source_topic).copied().unwrap_or_default();
            stream.target_queues = target.get(&stream.target_topic).copied().unwrap_or_default();
        }
        planned
    }
}

#[tonic::async_trait]
impl RouteService for RouteApi {
    async fn create_route(&self, call: Call<proto::CreateRouteRequest>) -> Result<Response<proto::CreateRouteResponse>, Status> {
        let record = self.create(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::CreateRouteResponse { route: Some(message(record)) }))
    }

    async fn get_route(&self, call: Call<proto::GetRouteRequest>) -> Result<Response<proto::GetRouteResponse>, Status> {
        let record = self.book.get(&call.into_inner().name).await.map_err(status::encode)?;
        Ok(Response::new(proto::GetRouteResponse { route: Some(message(record)) }))
    }

    async fn list_routes(&self, call: Call<proto::ListRoutesRequest>) -> Result<Response<proto::ListRoutesResponse>, Status> {
        self.list(call.into_inner()).await.map(Response::new).map_err(status::encode)
    }

    async fn update_route(&self, call: Call<proto::UpdateRouteRequest>) -> Result<Response<proto::UpdateRouteResponse>, Status> {
        let record = self.update(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::UpdateRouteResponse { route: Some(message(record)) }))
    }

    async fn delete_route(&self, call: Call<proto::DeleteRouteRequest>) -> Result<Response<proto::DeleteRouteResponse>, Status> {
        self.delete(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::DeleteRouteResponse {}))
    }

    async fn start_route(&self, call: Call<proto::StartRouteRequest>) -> Result<Response<proto::StartRouteResponse>, Status> {
        let record = self.start(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::StartRouteResponse { route: Some(message(record)) }))
    }

    async fn pause_route(&self, call: Call<proto::PauseRouteRequest>) -> Result<Response<proto::PauseRouteResponse>, Status> {
        let record = self.pause(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::PauseRouteResponse { route: Some(message(record)) }))
    }

    async fn preview_route(&self, call: Call<proto::PreviewRouteRequest>) -> Result<Response<proto::PreviewRouteResponse>, Status> {
        self.preview(call.into_inner()).await.map(Response::new).map_err(status::encode)
    }

    async fn verify_route(&self, call: Call<proto::VerifyRouteRequest>) -> Result<Response<proto::VerifyRouteResponse>, Status> {
        let compared = self.verify(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::VerifyRouteResponse { queues: compared.into_iter().map(comparison).collect() }))
    }

    async fn failover_route(&self, call: Call<proto::FailoverRouteRequest>) -> Result<Response<proto::FailoverRouteResponse>, Status> {
        let request = call.into_inner();
        let switched =
            self.switcher(Verb::Failover).ask(&request.name, request.force, request.validate_only).await.map_err(status::encode)?;
        Ok(Response::new(proto::FailoverRouteResponse { progress: Some(switched) }))
    }

    async fn failback_route(&self, call: Call<proto::FailbackRouteRequest>) -> Result<Response<proto::FailbackRouteResponse>, Status> {
        let request = call.into_inner();
        let switched =
            self.switcher(Verb::Failback).ask(&request.name, request.force, request.validate_only).await.map_err(status::encode)?;
        Ok(Response::new(proto::FailbackRouteResponse { progress: Some(switched) }))
    }

    async fn get_route_status(&self, call: Call<proto::GetRouteStatusRequest>) -> Result<Response<proto::GetRouteStatusResponse>, Status> {
        let status = self.status(&call.into_inner().name).await.map_err(status::encode)?;
        Ok(Response::new(proto::GetRouteStatusResponse { status: Some(status) }))
    }
}

pub(super) fn message(record: RouteRecord) -> proto::Route {
    proto::Route {
        active: progress::active(record.active).into(),
        etag: record.etag(),
        revision: record.revision.0,
        state: state(record.desired).into(),
        create_time: Some(timestamp(record.create_time)),
        update_time: Some(timestamp(record.update_time)),
        uid: record.uid,
        ..protobuf::route_to(record.definition)
    }
}

fn state(desired: Desired) -> proto::State {
    match desired {
        Desired::Ready => proto::State::Ready,
        Desired::Running => proto::State::Running,
        Desired::Paused => proto::State::Paused,
    }
}

fn comparison(compared: Comparison) -> proto::QueueComparison {
    let difference = compared.difference.map(|difference| {
        let (kind, part) = match difference.kind {
            DifferenceKind::Missing => (proto::DifferenceKind::Missing, ""),
            DifferenceKind::Repeated => (proto::DifferenceKind::Repeated, ""),
            DifferenceKind::Changed(part) => (proto::DifferenceKind::Changed, part),
            DifferenceKind::Unknown => (proto::DifferenceKind::Unknown, ""),
        };
        proto::Difference {
            kind: kind.into(),
            source_offset: difference.source_offset,
            target_offset: difference.target_offset,
            part: part.to_owned(),
        }
    });
    proto::QueueComparison {
        source_queue: compared.source,
        target_queue: compared.target,
        from: compared.compared.start,
        to: compared.compared.end,
        messages: compared.messages,
        checksum: compared.checksum,
        behind: compared.behind,
        looped: compared.looped,
        difference,
    }
}

/// The streams that a route wants, and those that it would lose.
fn plan(route: &RouteRecord, survey: &Survey, streams: &BTreeMap<String, StreamRecord>) -> Vec<proto::PlannedStream> {
    let change_of = |name: &str| match survey.changes.iter().find(|change| change.stream() == name) {
        Some(Change::Create(_)) => proto::Change::Create,
        Some(Change::Set(..)) => proto::Change::Update,
        Some(Change::Delete(_)) => proto::Change::Delete,
        None => proto::Change::None,
    };
    let wanted = survey.wanted.iter().map(|wanted| proto::PlannedStream {
        stream: wanted.definition.name.clone(),
        direction: progress::direction(wanted.direction).into(),
        source_topic: wanted.source.clone(),
        target_topic: wanted.target.clone(),
        change: change_of(&wanted.definition.name).into(),
        ..Default::default()
    });
    let lost = streams.iter().filter(|(name, _)| change_of(name) == proto::Change::Delete).filter_map(|(name, record)| {
        let (way, source_topic) = direction_of(route, record)?;
        Some(proto::PlannedStream {
            stream: name.clone(),
            direction: progress::direction(way).into(),
            source_topic,
            target_topic: target_of(record),
            change: proto::Change::Delete.into(),
            ..Default::default()
        })
    });
    wanted.chain(lost).collect()
}

fn target_of(record: &StreamRecord) -> String {
    let sink = record.definition.sink.sink_rocketmq_parameters.as_ref();
    sink.and_then(|sink| sink.topic.as_ref()).map(|topic| topic.value.clone()).unwrap_or_default()
}

/// The status of a route, from that of its streams. The age of the oldest message is known only if each stream that is behind tells it.
fn status_of(route: &RouteRecord, survey: Survey, streams: Vec<(StreamRecord, StreamStatus)>) -> proto::RouteStatus {
    let is_gone =
        |record: &StreamRecord| survey.wanted.iter().any(|wanted| wanted.gone && wanted.definition.name == record.definition.name);
    let mut status = proto::RouteStatus {
        name: route.definition.name.clone(),
        state: state(route.desired).into(),
        active: progress::active(route.active).into(),
        revision: route.revision.0,
        ..Default::default()
    };
    let lags: Option<Vec<_>> = streams.iter().map(|(_, status)| status.lag).collect();
    status.lag_seconds = lags.and_then(|lags| lags.into_iter().max()).map(|lag| lag.as_secs_f64());
    for (record, stream) in streams {
        status.tps += stream.rate;
        status.diff_offset += stream.backlog;
        let Some((way, source_topic)) = direction_of(route, &record) else { continue };
        status.streams.push(proto::RouteStream {
            direction: progress::direction(way).into(),
            source_topic,
            target_topic: target_of(&record),
            gone: is_gone(&record),
            status: Some(status_message(stream)),
        });
    }
    status.problems = survey.problems;
    status
}
