//! Events that operators let pass.

use rocketbridge_model::MemberId;
use rocketbridge_model::status::{BlockedEvent, PartitionReport, StreamReport};
use rocketbridge_proto::stream::v1::{DeleteStreamRequest, SkipEventRequest};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Served, sound, told};

/// A running stream with one partition that has read up to offset 20, committed 5 and is blocked at `blocked`.
async fn running(blocked: Option<u64>) -> (Served, String) {
    let served = Served::start().await;
    let uid = served.create(sound("s")).await.expect("sound").uid;
    served.start_stream("s").await;
    let source = format!(r#"{{"schema":1,"uid":"{uid}","partitions":[{{"id":"b/0","broker":"b","queue":0,"origin":0}}]}}"#);
    let transaction = rocketbridge_metastore::Transaction::new().put(format!("sources/{uid}"), source);
    served.store.transact(transaction).await.expect("writes");
    let partition = PartitionReport {
        partition: "b/0".into(),
        epoch: 7,
        committed_offset: 5,
        read_offset: 20,
        maximum_offset: 30,
        in_flight: 15,
        blocked: blocked.map(|offset| BlockedEvent { offset, reason: "too long".into(), since: 1 }),
        ..Default::default()
    };
    let report = StreamReport { stream: "s".into(), uid: uid.clone(), partitions: vec![partition], discovery: None };
    *served.told.0.lock() = Some(vec![(MemberId::new("r1"), Ok(vec![report]))]);
    (served, uid)
}

fn request(offset: u64) -> SkipEventRequest {
    SkipEventRequest { name: "s".into(), partition: "b/0".into(), offset, reason: "seen by operations".into(), ..Default::default() }
}

async fn skip(served: &Served, request: SkipEventRequest) -> Result<(), Status> {
    served.streams().skip_event(request).await.map(drop)
}

async fn marks(served: &Served) -> Vec<(String, String)> {
    let all = served.everything().await.into_iter().filter(|(key, _)| key.starts_with("skips/"));
    all.map(|(key, value)| (key, String::from_utf8(value).expect("text"))).collect()
}

/// *Scenario*: an operator skips the event that blocks, checks another one only, repeats the request after the event has passed, and deletes the stream. *Guarantees*:
/// exactly one mark is stored, with the reason; the same request again is answered alike; marks go with their stream.
#[tokio::test]
async fn an_open_event_is_marked_once_and_its_mark_goes_with_the_stream() {
    let (served, uid) = running(Some(5)).await;
    let request_id = "6f1e3c2a-8f4b-4c53-9a53-0d7b0f6d3f55".to_owned();
    skip(&served, SkipEventRequest { validate_only: true, ..request(19) }).await.expect("open");
    assert_eq!(marks(&served).await, []);
    let first = SkipEventRequest { request_id: request_id.clone(), ..request(5) };
    skip(&served, first.clone()).await.expect("it blocks");
    let stored = marks(&served).await;
    assert_eq!((stored.len(), stored[0].0.as_str()), (1, format!("skips/{uid}/b%2F0/5").as_str()));
    assert!(stored[0].1.contains(r#""reason":"seen by operations""#) && stored[0].1.contains(&request_id), "{}", stored[0].1);
    *served.told.0.lock() = Some(Vec::new());
    skip(&served, first).await.expect("the same request again is answered alike");
    let another = SkipEventRequest { request_id, ..request(6) };
    assert_eq!(told(skip(&served, another).await), (Code::InvalidArgument, "REQUEST_ID_REUSED".into()));
    served.streams().delete_stream(DeleteStreamRequest { name: "s".into(), ..Default::default() }).await.expect("deleted");
    assert_eq!(marks(&served).await, []);
}

/// *Scenario*: requests that name nothing that can be skipped. *Guarantees*: each is refused with the field and what would be right; nothing is stored.
#[tokio::test]
async fn what_cannot_be_skipped_is_refused_with_what_would_be_right() {
    let (served, _) = running(Some(5)).await;
    let cases = [
        (request(4), "offset", "from 5 to below 20"),
        (request(20), "offset", "the event that blocks the partition is at offset 5"),
        (SkipEventRequest { partition: "b/1".into(), ..request(5) }, "partition", "b/0"),
        (SkipEventRequest { partition: String::new(), ..request(5) }, "partition", "b/0"),
        (SkipEventRequest { reason: " \n".into(), ..request(5) }, "reason", "say why"),
        (SkipEventRequest { reason: "x".repeat(1_001), ..request(5) }, "reason", "1001 characters"),
    ];
    for (request, field, part) in cases {
        let refused = skip(&served, request).await.expect_err("it is refused");
        let details = refused.get_details_bad_request().unwrap_or_else(|| panic!("{refused:?}"));
        let found = (refused.code(), details.field_violations[0].field.as_str(), details.field_violations[0].description.contains(part));
        assert_eq!(found, (Code::InvalidArgument, field, true), "{details:?}");
    }
    let stale = SkipEventRequest { etag: "\"other\"".into(), ..request(5) };
    assert_eq!(told(skip(&served, stale).await), (Code::Aborted, "ETAG_STALE".into()));
    let missing = SkipEventRequest { name: "t".into(), ..request(5) };
    assert_eq!(told(skip(&served, missing).await), (Code::NotFound, "NOT_FOUND".into()));
    *served.told.0.lock() = Some(Vec::new());
    assert_eq!(told(skip(&served, request(5)).await), (Code::FailedPrecondition, "PARTITION_SILENT".into()));
    let ready = Served::start().await;
    ready.create(sound("s")).await.expect("sound");
    assert_eq!(told(skip(&ready, request(5)).await), (Code::FailedPrecondition, "NOT_RUNNING".into()));
    assert_eq!(marks(&served).await, []);
}
