//! Definitions and requests that are too large, and what they cost.

use std::time::{Duration, Instant};

use rocketbridge_metastore::Transaction;
use rocketbridge_proto::network::v1::{CreateNetworkRequest, Network, SecurityGroup, SecurityGroupRule};
use rocketbridge_proto::stream::v1::{
    CreateStreamRequest, GetStreamRequest, GetStreamStatusRequest, ListStreamsRequest, SkipEventRequest, State, Tag,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Served, mask, sound, told, violations};

fn tags(count: usize) -> Vec<Tag> {
    (0..count).map(|number| Tag { key: number.to_string(), ..Default::default() }).collect()
}

/// What a status takes in headers, bytes.
fn headers(status: &Status) -> usize {
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).expect("headers");
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// *Scenario*: a stream with 150,000 labels is validated, ten times at once. *Guarantees*: each is refused for the length of the list alone, and all within a second.
#[tokio::test]
async fn a_list_that_is_too_long_is_refused_at_once() {
    let served = Served::start().await;
    let mut stream = sound("s");
    stream.tags = tags(150_000);
    let request = CreateStreamRequest { stream: Some(stream), validate_only: true, ..Default::default() };
    let before = Instant::now();
    let answers = futures::future::join_all((0..10).map(|_| {
        let (request, mut client) = (request.clone(), served.streams());
        async move { client.create_stream(request).await }
    }));
    for answer in answers.await {
        let refused = violations(answer);
        assert_eq!(refused, ["tags: found \"150000 entries\"; at most 64 are allowed; remove 149936"]);
    }
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
}

/// Six streams of so many labels, as former versions took them, that run; and how long it takes to look at them 20 times, to list one and to make another.
async fn look_at_labels(count: usize) -> Duration {
    let served = Served::start().await;
    for number in 0..6 {
        let name = format!("s{number}");
        served.create(sound(&name)).await.expect("sound");
        let key = format!("definitions/streams/{name}");
        let entry = served.store.get(&key).await.expect("answers").expect("there");
        let mut record: serde_json::Value = serde_json::from_slice(&entry.value).expect("JSON");
        record["definition"]["tags"] = (0..count).map(|key| serde_json::json!({"key": key.to_string(), "value": ""})).collect();
        served.store.transact(Transaction::new().put(key, record.to_string())).await.expect("stored");
        served.start_stream(&name).await;
    }
    let before = Instant::now();
    for number in 0..20 {
        let request = GetStreamStatusRequest { name: format!("s{}", number % 6) };
        let status = served.streams().get_stream_status(request).await.expect("there").into_inner().status.expect("answered");
        assert_eq!(status.state(), State::Starting, "{}", status.reason);
    }
    let list = ListStreamsRequest { page_size: 1, ..Default::default() };
    served.streams().list_streams(list).await.expect("a page");
    served.create(sound("new")).await.expect("sound");
    before.elapsed()
}

/// *Scenario*: six streams of 3,500 and of 35,000 labels are stored, and run. *Guarantees*: they are not stopped by limits that are newer than they are, and looking at them costs in
/// proportion to their size, not to its square.
#[tokio::test]
async fn what_is_stored_beyond_the_limits_stays_cheap() {
    let (few, many) = (look_at_labels(3_500).await, look_at_labels(35_000).await);
    println!("20 looks, a list and a new stream: {few:?} with 3,500 labels, {many:?} with 35,000");
    assert!(many < 40 * few + Duration::from_millis(500), "{few:?} and {many:?}");
}

/// *Scenario*: a definition with 600 violations of long values. *Guarantees*: the status takes less than 8 KiB of headers, shows the first violations with the beginnings of
/// values, and says how many more there are.
#[tokio::test]
async fn violations_are_few_and_short() {
    let served = Served::start().await;
    let rule = |number: u32| SecurityGroupRule { direction: "x".repeat(64), cidr: format!("{number}"), ..Default::default() };
    let group = |number: u32| SecurityGroup { id: number.to_string(), rules: (0..200).map(rule).collect(), ..Default::default() };
    let network = Network { name: "n".into(), security_groups: (0..3).map(group).collect(), ..Default::default() };
    let request = CreateNetworkRequest { network: Some(network), ..Default::default() };
    let status = served.networks().create_network(request).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(headers(&status) < 8 << 10, "{}", headers(&status));
    let shown = status.get_details_bad_request().expect("BadRequest").field_violations;
    assert!((3..=21).contains(&shown.len()), "{}", shown.len());
    let more = &shown[shown.len() - 1];
    assert!(more.field.is_empty() && more.description.contains("more violations are not shown"), "{more:?}");
}

/// *Scenario*: names, a partition, a page token and fields of an update that are too long. *Guarantees*: each is refused for its length; none is echoed.
#[tokio::test]
async fn texts_of_requests_are_measured_first() {
    let served = Served::start().await;
    let long = "n".repeat(1_000_000);
    let small = |status: &Status| headers(status) < 2_000 && !status.message().contains(&long[..200]);
    let status = served.streams().get_stream(GetStreamRequest { name: long.clone() }).await.expect_err("refused");
    assert_eq!((status.code(), small(&status)), (Code::InvalidArgument, true), "{}", status.message());
    assert_eq!(status.get_details_bad_request().expect("BadRequest").field_violations[0].field, "name");
    let status =
        served.streams().list_streams(ListStreamsRequest { page_token: long.clone(), ..Default::default() }).await.expect_err("refused");
    assert_eq!((status.code(), small(&status)), (Code::InvalidArgument, true), "{}", status.message());
    let skip = SkipEventRequest { name: "s".into(), partition: long.clone(), reason: "r".into(), ..Default::default() };
    let status = served.streams().skip_event(skip).await.expect_err("refused");
    assert_eq!((status.code(), small(&status)), (Code::InvalidArgument, true), "{}", status.message());
    let paths = vec!["description"; 1_000];
    let update =
        rocketbridge_proto::stream::v1::UpdateStreamRequest { stream: Some(sound("s")), update_mask: mask(&paths), ..Default::default() };
    assert_eq!(told(served.streams().update_stream(update).await), (Code::InvalidArgument, "DEFINITION_REFUSED".into()));
}

/// *Scenario*: a network whose texts are each short enough, 600 KB together. *Guarantees*: it is refused as a violation that says how large a network may be, and nothing is stored.
#[tokio::test]
async fn a_definition_has_a_largest_size() {
    let served = Served::start().await;
    let rule = |_| SecurityGroupRule {
        direction: "egress".into(),
        cidr: "10.0.0.0/8".into(),
        description: "d".repeat(1_000),
        ..Default::default()
    };
    let group = |number: u32| SecurityGroup { id: number.to_string(), rules: (0..200).map(rule).collect(), ..Default::default() };
    let network = Network { name: "n".into(), security_groups: (0..3).map(group).collect(), ..Default::default() };
    let before = served.everything().await;
    let refused = violations(served.networks().create_network(CreateNetworkRequest { network: Some(network), ..Default::default() }).await);
    assert!(refused[0].starts_with("network: found ") && refused[0].contains("a network has at most 524288 bytes"), "{refused:?}");
    assert_eq!(served.everything().await, before);
}
