//! `StreamService`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use rocketbridge_assignment::{Members, Owners, UnitId};
use rocketbridge_codec::definition::secrets::Guarded;
use rocketbridge_codec::definition::{Kind, Mask, protobuf};
use rocketbridge_codec::report::{self, timestamp};
use rocketbridge_model::partition::PartitionRecord;
use rocketbridge_model::record::{Desired, StreamRecord};
use rocketbridge_model::status::{PartitionGap, PartitionStatus, State, StreamStatus};
use rocketbridge_model::{MemberId, StreamDefinition};
use rocketbridge_proto::stream::v1 as proto;
use rocketbridge_proto::stream::v1::stream_service_server::{StreamService, StreamServiceServer};
use tonic::{Request as Call, Response, Status};

use super::status;
use crate::book::{Book, Passing, Update};
use crate::clock;
use crate::error::Error;
use crate::page::page;
use crate::placement;
use crate::reports::{Reports, gather};
use crate::request::Request;
use crate::status::derive;

/// Most characters of the reason of a skip.
const LONGEST_REASON: usize = 1_000;
/// Longest name of a partition: a broker's name and a number, bytes.
const LONGEST_PARTITION: usize = 512;

/// Serves streams.
#[derive(Clone)]
pub struct StreamApi {
    book: Book,
    reports: Arc<dyn Reports>,
    owners: Owners,
    members: Members,
}

impl StreamApi {
    /// Serves the streams of a book, with what their owners report.
    pub fn new(book: Book, reports: Arc<dyn Reports>, owners: Owners, members: Members) -> Self {
        Self { book, reports, owners, members }
    }

    /// The service for a server.
    pub fn into_service(self) -> StreamServiceServer<Self> {
        StreamServiceServer::new(self)
    }

    async fn create(&self, request: proto::CreateStreamRequest) -> Result<proto::Stream, Error> {
        let note = Request::new("CreateStream", &request.request_id, request.validate_only, &request)?;
        let record = self.book.create(protobuf::stream_from(request.stream.unwrap_or_default()), &note).await?;
        self.message(record).await
    }

    async fn list(&self, request: proto::ListStreamsRequest) -> Result<proto::ListStreamsResponse, Error> {
        let mut listing = self.book.listing::<StreamRecord>().await?;
        let (unreadable, unreadable_count) = listing.unreadable(&request.page_token);
        let (records, next_page_token) = page(Kind::Stream, listing.records, request.page_size, &request.page_token)?;
        let streams = self.messages(records).await?;
        Ok(proto::ListStreamsResponse { streams, next_page_token, unreadable, unreadable_count })
    }

    async fn update(&self, request: proto::UpdateStreamRequest) -> Result<proto::Stream, Error> {
        let note = Request::new("UpdateStream", &request.request_id, request.validate_only, &request)?;
        let stream = request.stream.unwrap_or_default();
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let mask = Mask::parse::<StreamDefinition>(&paths).map_err(Error::Refused)?;
        let update = Update { mask, etag: stream.etag.clone(), allow_missing: request.allow_missing };
        let record = self.book.update(protobuf::stream_from(stream), &update, &note).await?;
        self.message(record).await
    }

    async fn delete(&self, request: proto::DeleteStreamRequest) -> Result<(), Error> {
        let note = Request::new("DeleteStream", &request.request_id, request.validate_only, &request)?;
        self.book.delete::<StreamRecord>(&request.name, &request.etag, request.allow_missing, &note).await
    }

    async fn start(&self, request: proto::StartStreamRequest) -> Result<proto::Stream, Error> {
        let note = Request::new("StartStream", &request.request_id, request.validate_only, &request)?;
        let record = self.book.set_desired(&request.name, &request.etag, Desired::Running, &note).await?;
        self.message(record).await
    }

    async fn pause(&self, request: proto::PauseStreamRequest) -> Result<proto::Stream, Error> {
        let note = Request::new("PauseStream", &request.request_id, request.validate_only, &request)?;
        let record = self.book.set_desired(&request.name, &request.etag, Desired::Paused, &note).await?;
        self.message(record).await
    }

    async fn skip(&self, request: proto::SkipEventRequest) -> Result<proto::Stream, Error> {
        let note = Request::new("SkipEvent", &request.request_id, request.validate_only, &request)?;
        let passing = Passing { partition: request.partition, offset: request.offset, reason: request.reason.trim().to_owned() };
        check_reason(&passing.reason)?;
        check_partition(&passing.partition)?;
        let check = |record: StreamRecord| self.check_open(record, &passing).boxed();
        let record = self.book.skip(&request.name, &request.etag, &passing, &note, check).await?;
        self.message(record).await
    }

    /// Whether an event of a stream is open: read, and without an outcome that is committed.
    async fn check_open(&self, record: StreamRecord, passing: &Passing) -> Result<(), Error> {
        let name = record.definition.name.clone();
        if record.desired != Desired::Running {
            return Err(Error::NotRunning(name));
        }
        let status = self.statuses(std::slice::from_ref(&record)).await?.pop().unwrap_or_default();
        let partition = passing.partition.as_str();
        let Some(found) = status.partitions.iter().find(|found| found.report.partition == partition) else {
            let known: Vec<_> = status.partitions.iter().map(|found| found.report.partition.as_str()).take(8).collect();
            let fix = if known.is_empty() {
                "none is known yet; look at the stream's status".to_owned()
            } else {
                format!("take one of the stream's status: {}", known.join(", "))
            };
            return Err(Error::refused("partition", partition, "the stream's source has no such partition", &fix));
        };
        let report = &found.report;
        if report.epoch == 0 {
            let reason = match &found.router {
                Some(router) => format!("its owner {router} does not report it"),
                None => "no router owns it".to_owned(),
            };
            return Err(Error::PartitionSilent { name, partition: partition.to_owned(), reason });
        }
        let offset = passing.offset;
        let is_blocked = report.blocked.as_ref().is_some_and(|blocked| blocked.offset == offset);
        if !is_blocked && !(report.committed_offset..report.read_offset).contains(&offset) {
            let rule = format!("open events have offsets from {} to below {}", report.committed_offset, report.read_offset);
            let fix = match &report.blocked {
                Some(blocked) => format!("the event that blocks the partition is at offset {}", blocked.offset),
                None => "only an event that was read and has no outcome can be skipped; no event blocks the partition now".to_owned(),
            };
            return Err(Error::refused("offset", &offset.to_string(), &rule, &fix));
        }
        Ok(())
    }

    async fn status(&self, name: &str) -> Result<proto::StreamStatus, Error> {
        self.full_status(name).await.map(status_message)
    }

    /// What a stream is doing, with what is remembered of its partitions where nobody reads them.
    pub(super) async fn full_status(&self, name: &str) -> Result<StreamStatus, Error> {
        let record = self.book.get::<StreamRecord>(name).await?;
        let remembered = self.book.partitions(&record).await?;
        let statuses = self.statuses_with(std::slice::from_ref(&record), Some(&remembered)).await?;
        Ok(statuses.into_iter().next().unwrap_or_default())
    }

    /// What these streams are doing: each member is asked once, and only about streams that should run.
    pub(super) async fn statuses(&self, records: &[StreamRecord]) -> Result<Vec<StreamStatus>, Error> {
        self.statuses_with(records, None).await
    }

    /// The same, with what routers remember of the partitions of the one stream that is asked about. Partitions of streams that do not run are read for that one only.
    async fn statuses_with(&self, records: &[StreamRecord], remembered: Option<&[PartitionRecord]>) -> Result<Vec<StreamStatus>, Error> {
        let running: Vec<&StreamRecord> = records.iter().filter(|record| record.desired == Desired::Running).collect();
        let owner = |unit: &UnitId| self.owners.owner(unit).map(|owner| owner.member);
        if running.is_empty() {
            // What was not read, and who still drains, is shown of a paused stream, too.
            let sources = match remembered {
                Some(_) => self.book.sources(&records.iter().collect::<Vec<_>>()).await?,
                None => BTreeMap::new(),
            };
            let remembered = remembered.unwrap_or_default();
            let status = |record: &StreamRecord| derive(record, None, sources.get(&record.uid), remembered, &owner, &Default::default());
            return Ok(records.iter().map(status).collect());
        }
        let names = running.iter().map(|record| record.definition.name.clone()).collect();
        let (gathered, known) = tokio::join!(gather(self.reports.as_ref(), names), self.book.known());
        let known = known?;
        let sources = self.book.sources(&running).await?;
        let remembered = remembered.unwrap_or_default();
        let members = self.members.all();
        let status = |record: &StreamRecord| {
            let resolved = rocketbridge_model::validate::resolve(record, &*known).ok();
            let run = resolved.as_ref().map(|stream| &stream.run);
            let mut status = derive(record, run, sources.get(&record.uid), remembered, &owner, &gathered);
            if let Some(stream) = resolved.filter(|_| record.desired == Desired::Running) {
                placement::explain(&mut status, &stream, &members);
            }
            status
        };
        Ok(records.iter().map(status).collect())
    }

    async fn message(&self, record: StreamRecord) -> Result<proto::Stream, Error> {
        Ok(self.messages(vec![record]).await?.pop().unwrap_or_default())
    }

    async fn messages(&self, records: Vec<StreamRecord>) -> Result<Vec<proto::Stream>, Error> {
        let statuses = self.statuses(&records).await?;
        Ok(records.into_iter().zip(statuses).map(|(record, status)| message(record, status)).collect())
    }
}

#[tonic::async_trait]
impl StreamService for StreamApi {
    async fn create_stream(&self, call: Call<proto::CreateStreamRequest>) -> Result<Response<proto::CreateStreamResponse>, Status> {
        let stream = self.create(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::CreateStreamResponse { stream: Some(stream) }))
    }

    async fn get_stream(&self, call: Call<proto::GetStreamRequest>) -> Result<Response<proto::GetStreamResponse>, Status> {
        let record = self.book.get(&call.into_inner().name).await.map_err(status::encode)?;
        let stream = self.message(record).await.map_err(status::encode)?;
        Ok(Response::new(proto::GetStreamResponse { stream: Some(stream) }))
    }

    async fn list_streams(&self, call: Call<proto::ListStreamsRequest>) -> Result<Response<proto::ListStreamsResponse>, Status> {
        self.list(call.into_inner()).await.map(Response::new).map_err(status::encode)
    }

    async fn update_stream(&self, call: Call<proto::UpdateStreamRequest>) -> Result<Response<proto::UpdateStreamResponse>, Status> {
        let stream = self.update(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::UpdateStreamResponse { stream: Some(stream) }))
    }

    async fn delete_stream(&self, call: Call<proto::DeleteStreamRequest>) -> Result<Response<proto::DeleteStreamResponse>, Status> {
        self.delete(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::DeleteStreamResponse {}))
    }

    async fn start_stream(&self, call: Call<proto::StartStreamRequest>) -> Result<Response<proto::StartStreamResponse>, Status> {
        let stream = self.start(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::StartStreamResponse { stream: Some(stream) }))
    }

    async fn pause_stream(&self, call: Call<proto::PauseStreamRequest>) -> Result<Response<proto::PauseStreamResponse>, Status> {
        let stream = self.pause(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::PauseStreamResponse { stream: Some(stream) }))
    }

    async fn skip_event(&self, call: Call<proto::SkipEventRequest>) -> Result<Response<proto::SkipEventResponse>, Status> {
        let stream = self.skip(call.into_inner()).await.map_err(status::encode)?;
        Ok(Response::new(proto::SkipEventResponse { stream: Some(stream) }))
    }

    async fn get_stream_status(
        &self,
        call: Call<proto::GetStreamStatusRequest>,
    ) -> Result<Response<proto::GetStreamStatusResponse>, Status> {
        let status = self.status(&call.into_inner().name).await.map_err(status::encode)?;
        Ok(Response::new(proto::GetStreamStatusResponse { status: Some(status) }))
    }

    async fn acknowledge_gaps(
        &self,
        call: Call<proto::AcknowledgeGapsRequest>,
    ) -> Result<Response<proto::AcknowledgeGapsResponse>, Status> {
        let name = call.into_inner().name;
        let acknowledged = self.book.acknowledge_gaps(&name, clock::now()).await.map_err(status::encode)?;
        tracing::info!(stream = %name, acknowledged, "gaps acknowledged");
        Ok(Response::new(proto::AcknowledgeGapsResponse { acknowledged: u32::try_from(acknowledged).unwrap_or(u32::MAX) }))
    }
}

fn check_partition(partition: &str) -> Result<(), Error> {
    match partition.len() {
        0..=LONGEST_PARTITION => Ok(()),
        length => {
            let rule = format!("a partition's name has at most {LONGEST_PARTITION} bytes");
            Err(Error::refused("partition", &format!("{length} bytes"), &rule, "take one of the stream's status"))
        }
    }
}

fn check_reason(reason: &str) -> Result<(), Error> {
    let length = reason.chars().count();
    if (1..=LONGEST_REASON).contains(&length) {
        return Ok(());
    }
    let rule = format!("a reason of 1 to {LONGEST_REASON} characters is needed");
    let shown = if length == 0 { String::new() } else { format!("{length} characters") };
    Err(Error::refused("reason", &shown, &rule, "say why the event may pass; it is logged, and stands in the metadata store until then"))
}

fn message(mut record: StreamRecord, status: StreamStatus) -> proto::Stream {
    record.definition.redact();
    proto::Stream {
        etag: record.etag(),
        revision: record.revision.0,
        state: state(status.state).into(),
        state_reason: status.reason.unwrap_or_default(),
        create_time: Some(timestamp(record.create_time)),
        update_time: Some(timestamp(record.update_time)),
        uid: record.uid,
        route: record.owner.map(|owner| owner.name).unwrap_or_default(),
        ..protobuf::stream_to(record.definition)
    }
}

pub(super) fn status_message(status: StreamStatus) -> proto::StreamStatus {
    proto::StreamStatus {
        name: status.name,
        state: state(status.state).into(),
        reason: status.reason.unwrap_or_default(),
        tps: status.rate,
        delay_ms: status.delay.as_secs_f64() * 1_000.0,
        diff_offset: status.backlog,
        waiting_unknown: status.waiting_unknown,
        lag_seconds: status.lag.map(|lag| lag.as_secs_f64()),
        counts: Some(report::encode_counts(status.counts)),
        counts_since: status.counts_since.map(timestamp),
        partitions: status.partitions.into_iter().map(partition_message).collect(),
        gaps: status.gaps.into_iter().map(gap_message).collect(),
        revision: status.revision.0,
    }
}

fn gap_message(PartitionGap { partition, gap }: PartitionGap) -> proto::Gap {
    proto::Gap {
        partition: partition.to_string(),
        from: gap.from,
        to: gap.to,
        at: Some(timestamp(gap.at)),
        cause: gap.cause.word().to_owned(),
    }
}

fn partition_message(partition: PartitionStatus) -> proto::PartitionStatus {
    let name = |member: Option<MemberId>| member.map(|member| member.to_string()).unwrap_or_default();
    proto::PartitionStatus {
        report: Some(report::encode_partition(partition.report)),
        router: name(partition.router),
        filter: name(partition.filter),
        dispatcher: name(partition.dispatcher),
    }
}

fn state(state: State) -> proto::State {
    match state {
        State::Ready => proto::State::Ready,
        State::Starting => proto::State::Starting,
        State::StartingFailed => proto::State::StartingFailed,
        State::Running => proto::State::Running,
        State::RunningFailed => proto::State::RunningFailed,
        State::Paused => proto::State::Paused,
    }
}
