//! What streams are doing, as members tell it.

use rocketbridge_model::MemberId;
use rocketbridge_model::status::{DiscoveryReport, PartitionReport, StreamReport};
use rocketbridge_proto::stream::v1::{
    AcknowledgeGapsRequest, GetStreamRequest, GetStreamStatusRequest, ListStreamsRequest, State, StreamStatus,
};
use tonic::Code;

use crate::support::{Served, sound, told};

async fn status(served: &Served, name: &str) -> StreamStatus {
    let request = GetStreamStatusRequest { name: name.into() };
    served.streams().get_stream_status(request).await.expect("there").into_inner().status.expect("answered")
}

fn report(stream: &str, uid: &str, flowing: bool, failure: Option<&str>) -> StreamReport {
    StreamReport {
        stream: stream.into(),
        uid: uid.into(),
        partitions: vec![PartitionReport {
            partition: "b/0".into(),
            epoch: 7,
            flowing,
            failure: failure.map(str::to_owned),
            committed_offset: 5,
            maximum_offset: 9,
            rate: 2.5,
            ..Default::default()
        }],
        discovery: None,
    }
}

/// *Scenario*: a stream starts, runs, fails, and its router falls silent. *Guarantees*: status, get and list all say so.
#[tokio::test]
async fn a_status_follows_what_members_tell() {
    let served = Served::start().await;
    let uid = served.create(sound("s")).await.expect("sound").uid;
    assert_eq!(status(&served, "s").await.state(), State::Ready);
    served.start_stream("s").await;
    let starting = status(&served, "s").await;
    assert_eq!((starting.state(), starting.reason.as_str()), (State::Starting, "no router has taken the stream on yet"));

    let member = || MemberId::new("r1");
    let say = |answer: Result<Vec<StreamReport>, String>| *served.told.0.lock() = Some(vec![(member(), answer)]);
    let discovery = Some(DiscoveryReport { failure: Some("connect to 127.0.0.1:9876: refused".into()), waiting: None });
    say(Ok(vec![StreamReport { stream: "s".into(), uid: uid.clone(), discovery, ..Default::default() }]));
    let failed = status(&served, "s").await;
    assert_eq!((failed.state(), failed.reason.as_str()), (State::StartingFailed, "connect to 127.0.0.1:9876: refused"));

    let source = format!(r#"{{"schema":1,"uid":"{uid}","partitions":[{{"id":"b/0","broker":"b","queue":0,"origin":5}}]}}"#);
    let transaction = rocketbridge_metastore::Transaction::new().put(format!("sources/{uid}"), source);
    served.store.transact(transaction).await.expect("writes");
    say(Ok(vec![report("s", &uid, true, None)]));
    let running = status(&served, "s").await;
    assert_eq!((running.state(), running.reason.as_str(), running.diff_offset), (State::Running, "", 4));
    assert!((running.tps - 2.5).abs() < f64::EPSILON && running.partitions.len() == 1);
    let listed = served.streams().list_streams(ListStreamsRequest::default()).await.expect("a page").into_inner();
    assert_eq!(listed.streams[0].state(), State::Running);

    say(Ok(vec![report("s", &uid, false, Some("broker gone"))]));
    let got = served.streams().get_stream(GetStreamRequest { name: "s".into() }).await.expect("there").into_inner();
    let got = got.stream.expect("answered");
    assert_eq!((got.state(), got.state_reason.as_str()), (State::StartingFailed, "partition b/0: broker gone"));
    let mut ran = report("s", &uid, false, Some("broker gone"));
    ran.partitions[0].committed_offset = 6;
    say(Ok(vec![ran]));
    assert_eq!(status(&served, "s").await.state(), State::RunningFailed);
    let missing = served.streams().get_stream_status(GetStreamStatusRequest { name: "t".into() }).await;
    assert_eq!(told(missing), (Code::NotFound, "NOT_FOUND".into()));
}

/// *Scenario*: no member ever answers. *Guarantees*: the API does, within its deadline.
#[tokio::test]
async fn silent_members_do_not_keep_the_api_waiting() {
    let served = Served::start().await;
    served.create(sound("s")).await.expect("sound");
    served.start_stream("s").await;
    *served.told.0.lock() = None;
    let began = tokio::time::Instant::now();
    assert_eq!(status(&served, "s").await.state(), State::Starting);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

/// *Scenario*: routers have written down two gaps of a partition, of a stream that never ran; they are acknowledged, twice. *Guarantees*: the status
/// lists them with partition, range, time and cause until then, and no more; the count of lost messages stays on record.
#[tokio::test]
async fn gaps_are_shown_until_they_are_acknowledged() {
    let served = Served::start().await;
    let uid = served.create(sound("s")).await.expect("sound").uid;
    let source = format!(r#"{{"schema":1,"uid":"{uid}","partitions":[{{"id":"b/0","broker":"b","queue":0,"origin":5}}]}}"#);
    let gap = |from: u64, cause: &str| format!(r#"{{"from":{from},"to":{},"at":1700000000000,"cause":"{cause}"}}"#, from + 3);
    let record =
        format!(r#"{{"schema":1,"uid":"{uid}","partition":"b/0","lost":6,"gaps":[{},{}]}}"#, gap(5, "retention"), gap(90, "made_anew"));
    let key = format!("partitions/{uid}/b%2F0");
    let writes = rocketbridge_metastore::Transaction::new().put(format!("sources/{uid}"), source).put(key.clone(), record);
    served.store.transact(writes).await.expect("writes");
    let shown = status(&served, "s").await.gaps;
    let told: Vec<_> = shown.iter().map(|gap| (gap.partition.as_str(), gap.from, gap.to, gap.cause.as_str())).collect();
    assert_eq!(told, [("b/0", 5, 8, "retention"), ("b/0", 90, 93, "made anew")]);
    assert_eq!(shown[0].at.map(|at| at.seconds), Some(1_700_000_000));
    for expected in [2, 0] {
        let request = AcknowledgeGapsRequest { name: "s".into() };
        let answer = served.streams().acknowledge_gaps(request).await.expect("acknowledges").into_inner();
        assert_eq!(answer.acknowledged, expected);
        assert!(status(&served, "s").await.gaps.is_empty());
    }
    let kept = served.store.get(&key).await.expect("reads").expect("kept");
    assert!(String::from_utf8_lossy(&kept.value).contains(r#""lost":6"#));
}
