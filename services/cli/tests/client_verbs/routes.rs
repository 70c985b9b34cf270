//! `rocketbridge route`, and routes in files.

use rocketbridge_proto::route::v1::*;
use rocketbridge_proto::stream::v1 as stream;

use crate::fake::Fake;
use crate::{golden, rocketbridge, status};

const ROUTE: &str = "\
kind: Route
name: dr
from: east
to: 127.0.0.1:9876
topics: [orders-*, '!orders-test']
rename: {prefix: dr-, topics: [{from: orders-eu, to: eu}]}
both_ways: true
start: latest
groups: [billing, 'stock-*']
translation_interval_ms: 500
";

const CREATE: [&str; 9] = ["route", "create", "dr", "--from", "east", "--to", "127.0.0.1:9876", "--topics", "orders-*,!orders-test"];

fn planned(topic: &str, target: &str, queues: (u32, u32), change: Change, direction: Direction) -> PlannedStream {
    PlannedStream {
        stream: format!("route.dr.{topic}"),
        direction: direction.into(),
        source_topic: topic.into(),
        target_topic: target.into(),
        change: change.into(),
        source_queues: queues.0,
        target_queues: queues.1,
    }
}

fn running() -> RouteStatus {
    let own = |name: &str, state, reason: &str| stream::StreamStatus { name: name.into(), ..status(state, reason, 3) };
    let line = |topic: &str, gone, direction: Direction, status| RouteStream {
        direction: direction.into(),
        source_topic: topic.into(),
        target_topic: format!("dr-{topic}"),
        gone,
        status: Some(status),
    };
    RouteStatus {
        name: "dr".into(),
        state: State::Running.into(),
        problems: vec!["topic bills is not at east".into()],
        streams: vec![
            line("orders-1", false, Direction::Forward, own("route.dr.orders-1", stream::State::Running, "")),
            line("orders-2", true, Direction::Back, own("route.dr.back.orders-2", stream::State::RunningFailed, "no topic dr-orders-2")),
        ],
        tps: 10_864.2,
        diff_offset: 2_000,
        lag_seconds: Some(75.5),
        revision: 2,
        groups: vec![progress("billing", Direction::Forward, ""), progress("stock", Direction::Back, "it consumes at east: c-1")],
        active: Active::To.into(),
    }
}

fn progress(group: &str, direction: Direction, reason: &str) -> GroupProgress {
    let queue = |id: u32, target_committed| QueueProgress {
        source_queue: format!("broker-a/{id}"),
        source_committed: Some(1_500),
        target_queue: format!("broker-b/{id}"),
        target_committed,
        translated: Some(1_400),
        copied: true,
        behind: 1_400 - target_committed.unwrap_or_default(),
    };
    GroupProgress {
        group: group.into(),
        direction: direction.into(),
        source_topic: "orders-1".into(),
        target_topic: "dr-orders-1".into(),
        behind: 1_500,
        reason: reason.into(),
        queues: vec![queue(0, Some(1_300)), queue(1, None)],
    }
}

/// *Scenario*: a failover that waits for two steps and is done; one that is refused; one that is not done in time; a failback as a dry run, as text and as JSON. *Guarantees*: it is asked again until it is done, what it waits
/// for is said once; a refusal and a deadline are status 1, and the latter says how to go on; the steps and groups are shown; no line is wider than 100 columns.
#[tokio::test]
async fn a_failover_is_asked_for_until_it_is_done() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let step = |text: &str, state: StepState, detail: &str| SwitchStep { text: text.into(), state: state.into(), detail: detail.into() };
    let stands = |copied: StepState, detail: &str, done| SwitchProgress {
        done,
        steps: vec![
            step("no group of the route consumes at east", StepState::Done, ""),
            step("west holds all that east holds", copied, detail),
            step("west is in use", if done { StepState::Done } else { StepState::Planned }, ""),
        ],
        groups: vec![progress("billing", Direction::Forward, "")],
        active: if done { Active::To } else { Active::FailingOver }.into(),
    };
    let waits = stands(StepState::Waiting, "12 messages of east are not at west yet", false);
    let refused = rocketbridge(&server, &["route", "failover", "dr"], "").await;
    assert_eq!(refused.status, 1);
    assert!(refused.remarks.contains("group billing (c-1) still consumes at east"), "{}", refused.remarks);
    fake.script().switches = [waits.clone(), waits.clone(), stands(StepState::Done, "", true)].into();
    let done = rocketbridge(&server, &["route", "failover", "dr", "--force"], "").await;
    assert_eq!((done.status, done.remarks.as_str()), (0, "west holds all that east holds: 12 messages of east are not at west yet\n"));
    golden("route_failover.txt", &done.results);
    fake.script().switches = [waits.clone()].into();
    let late = rocketbridge(&server, &["route", "failover", "dr", "--wait", "0s"], "").await;
    assert_eq!(late.status, 1);
    assert!(late.remarks.contains("ask again to go on: west holds all that east holds: 12 messages"), "{}", late.remarks);
    let shown = rocketbridge(&server, &["route", "failback", "dr", "--dry-run"], "").await;
    assert_eq!((shown.status, shown.remarks.as_str()), (0, ""));
    golden("route_failback_dry_run.txt", &shown.results);
    golden(
        "route_failback_dry_run.json",
        &rocketbridge(&server, &["route", "failback", "dr", "--dry-run", "-o", "json"], "").await.results,
    );
    assert!([&done, &shown].iter().all(|shown| shown.results.lines().all(|line| line.chars().count() <= 100)));
    let calls = fake.script().calls.clone();
    assert_eq!(calls[..2], ["FailoverRoute dr false false", "FailoverRoute dr true false"]);
    assert_eq!(calls.last().map(String::as_str), Some("FailbackRoute dr false true"));
}

/// *Scenario*: a route in one line, then paused, started and deleted; one that the server refuses. *Guarantees*: it is created and started at once; each verb
/// says what it did; a refusal is status 1 with the field.
#[tokio::test]
async fn a_route_is_made_in_one_line() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let further = ["--prefix", "dr-", "--rename", "orders-eu=eu", "--both-ways", "--start", "2023-11-14T22:13:20Z"];
    let groups = ["--groups", "billing,stock-*,!stock-test", "--translation-interval-ms", "500"];
    let created = rocketbridge(&server, &[&CREATE[..], &further, &groups].concat(), "").await;
    assert_eq!((created.status, created.results.as_str()), (0, "route/dr created and started\n"), "{}", created.remarks);
    let stored = fake.script().routes["dr"].clone();
    assert_eq!((stored.start.as_str(), stored.mode.as_str(), stored.both_ways), ("1700000000000", "MIRROR", true));
    assert_eq!(stored.topics, ["orders-*", "!orders-test"]);
    assert_eq!((stored.groups.join(" "), stored.translation_interval_ms), ("billing stock-* !stock-test".into(), Some(500)));
    let names = vec![TopicName { from: "orders-eu".into(), to: "eu".into() }];
    assert_eq!(stored.rename, Some(Rename { prefix: "dr-".into(), suffix: String::new(), topics: names }));
    for (verb, said) in [("pause", "route/dr paused\n"), ("start", "route/dr started\n"), ("delete", "route/dr deleted\n")] {
        let ended = rocketbridge(&server, &["route", verb, "dr"], "").await;
        assert_eq!((ended.status, ended.results.as_str()), (0, said), "{}", ended.remarks);
    }
    let expected = ["CreateRoute dr", "StartRoute dr", "PauseRoute dr", "StartRoute dr", "DeleteRoute dr"];
    assert_eq!(fake.script().calls, expected);
    fake.script().violations.insert("dr".into(), vec![("to".into(), "found \"x\"; from and to are the same instance".into())]);
    let refused = rocketbridge(&server, &CREATE, "").await;
    assert_eq!(refused.status, 1);
    assert!(refused.remarks.contains("from and to are the same instance"), "{}", refused.remarks);
    assert!(fake.script().routes.is_empty());
}

/// *Scenario*: a dry run, as text and as JSON. *Guarantees*: topics to be created or widened are told with their queues; nothing is created; no line is wider than 100 columns.
#[tokio::test]
async fn a_dry_run_shows_the_difference() {
    let fake = Fake::default();
    let server = fake.serve().await;
    fake.script().preview = PreviewRouteResponse {
        streams: vec![
            planned("orders-1", "dr-orders-1", (8, 0), Change::Create, Direction::Forward),
            planned("orders-2", "dr-orders-2", (8, 4), Change::Create, Direction::Forward),
            planned("dr-orders-1", "orders-1", (8, 8), Change::None, Direction::Back),
            planned("orders-test", "dr-orders-test", (0, 8), Change::Delete, Direction::Forward),
        ],
        problems: vec!["topic bills is not at east".into()],
        groups: vec!["billing".into(), "stock-1".into()],
    };
    let groups = ["--groups", "billing,stock-*", "--dry-run"];
    let shown = rocketbridge(&server, &[&CREATE[..], &groups].concat(), "").await;
    golden("route_dry_run.txt", &shown.results);
    assert!(shown.results.lines().all(|line| line.chars().count() <= 100));
    let json = rocketbridge(&server, &[&CREATE[..], &groups, &["-o", "json"]].concat(), "").await;
    golden("route_dry_run.json", &json.results);
    assert_eq!(fake.script().calls, ["PreviewRoute dr orders-* !orders-test billing stock-*"; 2]);
}

/// *Scenario*: the status of a route, as text, with its queues, and as JSON; a list of routes; a description. *Guarantees*: the forms stay as they are; zeros are shown to programs.
#[tokio::test]
async fn a_route_shows_its_streams_and_queues() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let applied = rocketbridge(&server, &["apply", "--start", "-f", "-"], ROUTE).await;
    assert_eq!(applied.results, "route/dr created\nroute/dr started\n", "{}", applied.remarks);
    fake.script().route_status = running();
    let shown = rocketbridge(&server, &["route", "status", "dr", "--queues"], "").await;
    golden("route_status.txt", &shown.results);
    assert!(shown.results.lines().all(|line| line.chars().count() <= 100));
    golden("route_status.json", &rocketbridge(&server, &["route", "status", "dr", "-o", "json"], "").await.results);
    golden("get_routes.txt", &rocketbridge(&server, &["get", "routes"], "").await.results);
    golden("describe_route.txt", &rocketbridge(&server, &["describe", "route", "dr"], "").await.results);
    let yaml = rocketbridge(&server, &["get", "route", "dr", "-o", "yaml"], "").await.results;
    let again = rocketbridge(&server, &["apply", "-f", "-"], &yaml).await;
    assert_eq!((again.results.as_str(), again.remarks.as_str()), ("route/dr unchanged\n", ""), "{yaml}");
}

/// *Scenario*: a route whose ends hold the same, and one with each kind of difference. *Guarantees*: status 0 and the number of messages; status 1 and the first difference of each
/// queue in words; JSON has the same.
#[tokio::test]
async fn a_difference_is_named_and_is_a_failure() {
    let fake = Fake::default();
    let server = fake.serve().await;
    fake.script().route_status = running();
    let queue = |id: u32, difference| QueueComparison {
        source_queue: format!("broker-a/{id}"),
        target_queue: format!("broker-b/{id}"),
        from: 1_000,
        to: 3_000,
        messages: 1_990,
        checksum: 0xabc,
        behind: 10,
        looped: 0,
        difference,
    };
    fake.script().compared.queues = vec![queue(0, None)];
    let same = rocketbridge(&server, &["route", "verify", "dr"], "").await;
    assert_eq!(same.status, 0, "{}", same.remarks);
    assert!(same.results.starts_with("route/dr   both ends hold the same: 3,980 messages\n"), "{}", same.results);
    assert_eq!(fake.script().calls[1..], ["VerifyRoute dr route.dr.orders-1", "VerifyRoute dr route.dr.back.orders-2"]);
    let difference = |kind: DifferenceKind, target_offset, part: &str| {
        Some(Difference { kind: kind.into(), source_offset: 1_500, target_offset, part: part.into() })
    };
    fake.script().compared.queues = vec![
        queue(0, difference(DifferenceKind::Missing, None, "")),
        queue(1, difference(DifferenceKind::Repeated, Some(1_700), "")),
        queue(2, difference(DifferenceKind::Changed, Some(1_700), "body")),
        queue(3, difference(DifferenceKind::Unknown, Some(1_700), "")),
    ];
    let differs = rocketbridge(&server, &["route", "verify", "dr", "--topic", "orders-1"], "").await;
    assert_eq!((differs.status, differs.remarks.as_str()), (1, ""));
    golden("route_verify.txt", &differs.results);
    assert!(differs.results.lines().all(|line| line.chars().count() <= 100));
    let json = rocketbridge(&server, &["route", "verify", "dr", "--topic", "orders-1", "-o", "json"], "").await;
    golden("route_verify.json", &json.results);
    let none = rocketbridge(&server, &["route", "verify", "dr", "--topic", "nothing"], "").await;
    assert!(none.status == 1 && none.remarks.contains("no stream for topic nothing"), "{}", none.remarks);
}
