//! A stream between two clusters, on each implementation of RocketMQ: what arrives, where it begins, and what a change does.

#![recursion_limit = "256"]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketbridge_harness::{Api, Audit, Brokers, Kind, Load, Numbered, Route, Standalone, eventually};
use rocketbridge_proto::stream::v1::{State, Stream, StreamStatus};

const QUEUES: u32 = 4;
const DEADLINE: Duration = Duration::from_secs(60);
const ONLY_PAID: &str = r#"{"data": {"systemProperties": {"TAGS": ["paid"]}}}"#;
const PAID_AND_OPEN: &str = r#"{"data": {"systemProperties": {"TAGS": ["paid", "open"]}}}"#;

/// *Scenario*: the suite below on embedded clusters. *Guarantees*: as its parts say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_embedded_rocketmq() {
    suite(Kind::Embedded).await;
}

/// *Scenario*: the suite below on Apache RocketMQ 5.3.3 brokers. *Guarantees*: as its parts say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_rocketmq_5_3() {
    suite(Kind::Java("5.3.3")).await;
}

/// *Scenario*: the suite below on Apache RocketMQ 4.9.7 brokers. *Guarantees*: as its parts say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_rocketmq_4_9() {
    suite(Kind::Java("4.9.7")).await;
}

/// Where the suite runs. The fields are dropped in this order: whoever fails must not first see the brokers go.
struct Place {
    api: Api,
    standalone: Standalone,
    brokers: Brokers,
}

async fn suite(kind: Kind) {
    let Some(brokers) = Brokers::start(kind).await else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let place = Place { api: standalone.api().await, standalone, brokers };
    let mut begin = Instant::now();
    let mut done = |name: &str| {
        println!("{kind:?}: {name}: {:.1?}", begin.elapsed());
        begin = Instant::now();
    };
    everything_arrives_as_it_was(&place).await;
    done("everything arrives as it was");
    a_pattern_filters(&place).await;
    done("a pattern filters");
    a_tag_expression_filters_at_the_source(&place).await;
    done("a tag expression filters at the source");
    a_stream_begins_at_the_latest(&place).await;
    done("a stream begins at the latest");
    a_stream_begins_at_a_time(&place).await;
    done("a stream begins at a time");
    a_paused_stream_goes_on_where_it_was(&place).await;
    done("a paused stream goes on where it was");
    a_pattern_changes_at_an_offset(&place).await;
    done("a pattern changes at an offset");
    streams_do_not_disturb_each_other(&place).await;
    done("streams do not disturb each other");
    drop(place.standalone);
    place.brokers.stop().await;
}

impl Place {
    /// A topic on both sides, a load for one and the audit of the other.
    async fn topic(&self, topic: &str, seed: u64) -> (Load, Audit) {
        self.brokers.create_topic(topic, QUEUES).await;
        let load = Load::new(&self.brokers.source, topic, QUEUES, seed);
        (load, Audit::follow(&self.brokers.target, topic, QUEUES, seed).await)
    }

    fn route(&self, topic: &str) -> Route {
        Route::new(&format!("stream-{topic}"), topic, &self.brokers.source, &self.brokers.target)
    }
}

/// *Scenario*: 5,000 messages with every byte value, 0 to 4 KiB long, before and after the start of a stream that takes all; its group is
/// asked for its progress. *Guarantees*: each arrives once, with the same body, keys, tag and properties, in the order of its queue; the
/// committed offsets of the group are the ends of the queues, and the status counts all as delivered.
async fn everything_arrives_as_it_was(place: &Place) {
    let (load, audit) = place.topic("everything", 1).await;
    load.send(0..2500).await;
    let route = Route { group: "GID_everything".to_owned(), ..place.route("everything") };
    place.api.run(route.stream()).await;
    load.send(2500..5000).await;
    let report = audit.expect(0..5000, |_| true).await;
    assert!(report.duplicated <= load.resent(), "nothing went wrong, so only the load may have repeated anything: {report}");
    let admin = place.brokers.source.admin();
    eventually("the group has committed everything", DEADLINE, async || {
        let progress = admin.progress("everything", "GID_everything").await.map_err(|error| error.to_string())?;
        let is_done = progress.len() == QUEUES as usize && progress.iter().all(|queue| queue.committed == Some(queue.maximum));
        if is_done { Ok(()) } else { Err(format!("{progress:?}")) }
    })
    .await;
    let counted = |status: &StreamStatus| {
        status.state() == State::Running && status.diff_offset == 0 && status.counts.as_ref().is_some_and(|counts| counts.delivered == 5000)
    };
    place.api.wait(&route.name, "counts 5,000 delivered", DEADLINE, counted).await;
    place.api.delete(&route.name).await;
    assert_eq!(place.api.get(&route.name).await.expect_err("it is deleted").code(), tonic::Code::NotFound);
}

/// *Scenario*: a pattern on the tag. *Guarantees*: what matches arrives, nothing else does, and the rest is counted as filtered.
async fn a_pattern_filters(place: &Place) {
    let (load, audit) = place.topic("pattern", 2).await;
    load.send(0..1000).await;
    let route = Route { pattern: ONLY_PAID.to_owned(), ..place.route("pattern") };
    place.api.run(route.stream()).await;
    let is_paid = |number| Numbered::tag_of(number) == "paid";
    let paid = (0..1000).filter(|number| is_paid(*number)).count() as u64;
    let counted =
        |status: &StreamStatus| status.counts.as_ref().is_some_and(|counts| counts.delivered == paid && counts.filtered == 1000 - paid);
    place.api.wait(&route.name, "counts what it filtered", DEADLINE, counted).await;
    audit.expect(0..1000, is_paid).await;
    place.api.delete(&route.name).await;
}

/// *Scenario*: a tag expression at the source. *Guarantees*: messages with one of its tags arrive, others do not.
async fn a_tag_expression_filters_at_the_source(place: &Place) {
    let (load, audit) = place.topic("tags", 3).await;
    load.send(0..1000).await;
    let route = Route { tag: "paid || void".to_owned(), ..place.route("tags") };
    place.api.run(route.stream()).await;
    load.send(1000..2000).await;
    audit.expect(0..2000, |number| ["paid", "void"].contains(&Numbered::tag_of(number))).await;
    place.api.delete(&route.name).await;
}

/// *Scenario*: a stream from the latest offset. *Guarantees*: what is sent once it runs arrives, and nothing older.
async fn a_stream_begins_at_the_latest(place: &Place) {
    let (load, audit) = place.topic("latest", 4).await;
    load.send(0..500).await;
    let route = Route { offset: "CONSUME_FROM_LAST_OFFSET".to_owned(), ..place.route("latest") };
    place.api.run(route.stream()).await;
    load.send(500..1000).await;
    audit.expect(500..1000, |_| true).await;
    place.api.delete(&route.name).await;
}

/// *Scenario*: a stream from a time between two loads. *Guarantees*: the second arrives, and nothing of the first.
async fn a_stream_begins_at_a_time(place: &Place) {
    let (load, audit) = place.topic("time", 5).await;
    load.send(0..500).await;
    // Beyond the time of the last message, and past before the next.
    let time = now() + 2;
    eventually("the time passes", DEADLINE, async || if now() > time + 2 { Ok(()) } else { Err("not yet".to_owned()) }).await;
    load.send(500..1000).await;
    let route = Route { offset: "CONSUME_FROM_TIMESTAMP".to_owned(), timestamp: Some(time), ..place.route("time") };
    place.api.run(route.stream()).await;
    audit.expect(500..1000, |_| true).await;
    place.api.delete(&route.name).await;
}

/// *Scenario*: a stream is paused in the middle of a load, the load goes on, and it is started again. *Guarantees*: nothing arrives while it
/// is paused; after it everything does, and nothing twice: the pause drained.
async fn a_paused_stream_goes_on_where_it_was(place: &Place) {
    let (load, audit) = place.topic("pause", 6).await;
    let route = place.route("pause");
    place.api.run(route.stream()).await;
    let pausing = async {
        audit.wait(500, DEADLINE).await;
        place.api.pause(&route.name).await;
    };
    tokio::join!(load.send(0..4000), pausing);
    load.send(4000..5000).await;
    let stored = place.brokers.target.stored("pause").await;
    assert!(stored < 5000, "{stored} messages arrived; the pause came too late to show anything");
    place.api.start(&route.name).await;
    place.api.wait_until_running(&route.name, DEADLINE).await;
    let report = audit.expect(0..5000, |_| true).await;
    assert!(report.duplicated <= load.resent(), "a pause drains, so only the load may have repeated anything: {report}");
    place.api.delete(&route.name).await;
}

/// *Scenario*: the pattern of a running stream is widened from one tag to two while messages flow. *Guarantees*: none of the first tag is
/// lost or repeated out of order, and from one offset of each queue on all of the second tag arrive (invariant I6).
async fn a_pattern_changes_at_an_offset(place: &Place) {
    let (load, audit) = place.topic("change", 7).await;
    let route = Route { pattern: ONLY_PAID.to_owned(), ..place.route("change") };
    let created = place.api.create(route.stream()).await;
    place.api.start(&route.name).await;
    place.api.wait_until_running(&route.name, DEADLINE).await;
    let changing = async {
        audit.wait(200, DEADLINE).await;
        let change = Stream { name: route.name.clone(), filter_pattern: PAID_AND_OPEN.to_owned(), ..Stream::default() };
        place.api.update(change, &["filter_pattern"]).await
    };
    let ((), updated) = tokio::join!(load.send(0..4000), changing);
    assert!(updated.revision > created.revision);
    let is_open = |number| Numbered::tag_of(number) == "open";
    let mut sent = 4000;
    let first_open = eventually("the change takes effect on every queue", DEADLINE, async || {
        load.send(sent..sent + 200).await;
        sent += 200;
        audit.lowest(is_open).into_iter().collect::<Option<Vec<u64>>>().ok_or_else(|| format!("{:?}", audit.lowest(is_open)))
    })
    .await;
    let is_wanted = |number: u64| match Numbered::tag_of(number) {
        "paid" => true,
        "open" => number >= first_open[(number % u64::from(QUEUES)) as usize],
        _ => false,
    };
    audit.expect(0..sent, is_wanted).await;
    place.api.delete(&route.name).await;
}

/// *Scenario*: two streams read one topic, each in a group of its own, one with a pattern, into two topics; one is deleted while the other
/// flows. *Guarantees*: each target has what its stream wants.
async fn streams_do_not_disturb_each_other(place: &Place) {
    let (load, all) = place.topic("fan", 8).await;
    place.brokers.target.create_topic("fan-paid", QUEUES).await;
    let paid = Audit::follow(&place.brokers.target, "fan-paid", QUEUES, 8).await;
    let first = place.route("fan");
    let mut second = Route { name: "stream-fan-paid".to_owned(), pattern: ONLY_PAID.to_owned(), ..place.route("fan") };
    second.target.1 = "fan-paid".to_owned();
    tokio::join!(place.api.run(first.stream()), place.api.run(second.stream()));
    load.send(0..2000).await;
    paid.expect(0..2000, |number| Numbered::tag_of(number) == "paid").await;
    tokio::join!(place.api.delete(&second.name), load.send(2000..4000));
    all.expect(0..4000, |_| true).await;
    place.api.delete(&first.name).await;
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_millis()).expect("it fits for long")
}
