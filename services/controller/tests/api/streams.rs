//! Streams: create, get, list, update, delete, start, pause.

use rocketbridge_proto::stream::v1::{
    CreateStreamRequest, DeleteStreamRequest, GetStreamRequest, ListStreamsRequest, PatternDialect, PauseStreamRequest, RunOptions,
    StartStreamRequest, State, Stream, Tag, TargetParameter, UpdateStreamRequest,
};
use tonic::{Code, Status};

use crate::support::{Served, mask, sink, sound, source, told, violations};

async fn get(served: &Served, name: &str) -> Result<Stream, Status> {
    Ok(served.streams().get_stream(GetStreamRequest { name: name.into() }).await?.into_inner().stream.expect("answered"))
}

async fn update(served: &Served, stream: Stream, paths: &[&str]) -> Result<Stream, Status> {
    let request = UpdateStreamRequest { stream: Some(stream), update_mask: mask(paths), ..Default::default() };
    Ok(served.streams().update_stream(request).await?.into_inner().stream.expect("answered"))
}

/// *Scenario*: a stream is made and read. *Guarantees*: what was written comes back, with what the server adds, and no secret is shown.
#[tokio::test]
async fn a_stream_comes_back_as_it_was_made() {
    let served = Served::start().await;
    let made = served.create(sound("orders")).await.expect("sound");
    assert_eq!((made.revision, made.state()), (1, State::Ready));
    assert!(made.create_time.is_some() && made.create_time == made.update_time);
    assert!(made.etag.starts_with('"') && made.uid.len() == 36, "{made:?}");
    let mut read = get(&served, "orders").await.expect("there");
    assert_eq!(read, made);
    assert_eq!(source(&mut read).instance_password, "******");
    let stored = served.everything().await;
    assert!(stored.iter().any(|(key, value)| key == "definitions/streams/orders" && String::from_utf8_lossy(value).contains("hidden")));
    assert_eq!(told(get(&served, "other").await), (Code::NotFound, "NOT_FOUND".into()));
    assert_eq!(told(served.create(sound("orders")).await), (Code::AlreadyExists, "ALREADY_EXISTS".into()));
}

/// *Scenario*: a definition with several mistakes. *Guarantees*: each is a field violation of one INVALID_ARGUMENT; nothing is stored.
#[tokio::test]
async fn a_refused_definition_names_every_violation() {
    let served = Served::start().await;
    let mut wrong = sound("orders");
    wrong.filter_pattern = r#"{"data":{"body":{"price":[{"prefx":"1"}]}}}"#.into();
    source(&mut wrong).offset = "LAST".into();
    sink(&mut wrong).topic = None;
    let body = TargetParameter { form: "TEMPLATE".into(), value: "{}".into(), template: "${price}".into() };
    sink(&mut wrong).body = Some(body);
    let refused = violations(served.create(wrong).await);
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert!(
        refused[0]
            .starts_with("filter_pattern.$.data.body.price[0].prefx: found the unknown operator \"prefx\"; allowed: exactly, prefix, "),
        "{refused:?}"
    );
    assert!(refused[0].ends_with("; did you mean \"prefix\"?"), "{refused:?}");
    assert!(
        refused[1].starts_with("source.source_rocketmq_parameters.offset: found \"LAST\"; one of CONSUME_FROM_LAST_OFFSET"),
        "{refused:?}"
    );
    assert_eq!(refused[2], "sink.sink_rocketmq_parameters.topic.value: is missing; a topic is needed; write the topic's name");
    assert_eq!(
        refused[3],
        "sink.sink_rocketmq_parameters.body.template: found the unknown variable \"price\"; allowed: variables that Value defines: none; \
         correct it, or leave body out to keep the original's"
    );
    assert!(served.everything().await.is_empty());
}

/// *Scenario*: a pattern that only one dialect knows, in streams of each; then a change of the dialect alone, and a dialect of a later version.
/// *Guarantees*: each is checked in its dialect, which comes back and counts as a change; the unknown one is refused.
#[tokio::test]
async fn a_stream_has_a_dialect() {
    let served = Served::start().await;
    let with = |dialect: i32| Stream {
        filter_pattern: r#"{"a":[{"anything-but":[null,1,"x"]}]}"#.into(),
        filter_pattern_dialect: dialect,
        ..sound("s")
    };
    let refused = violations(served.create(with(PatternDialect::Default.into())).await);
    assert!(refused[0].starts_with("filter_pattern.$.a[0].anything-but"), "{refused:?}");
    let made = served.create(with(PatternDialect::Alibaba.into())).await.expect("sound");
    assert_eq!(made.filter_pattern_dialect(), PatternDialect::Alibaba);
    assert_eq!(
        violations(update(&served, with(0), &["filter_pattern_dialect"]).await).len(),
        1,
        "the pattern is none in the default dialect"
    );
    let plain = Stream { filter_pattern: "{}".into(), ..with(0) };
    let changed = update(&served, plain, &["filter_pattern", "filter_pattern_dialect"]).await.expect("sound");
    assert_eq!((changed.filter_pattern_dialect(), changed.revision), (PatternDialect::Unspecified, 2));
    let changed = update(&served, Stream { name: "s".into(), ..with(2) }, &["filter_pattern_dialect"]).await.expect("sound");
    assert_eq!((changed.filter_pattern.as_str(), changed.filter_pattern_dialect(), changed.revision), ("{}", PatternDialect::Alibaba, 3));
    assert_eq!(
        violations(update(&served, with(7), &["filter_pattern_dialect"]).await),
        ["filter_pattern_dialect: found \"7\"; one of default, alibaba is allowed; write one of them, or leave the field out"]
    );
}

#[tokio::test]
async fn validate_only_stores_nothing() {
    let served = Served::start().await;
    let only = |stream| CreateStreamRequest {
        stream: Some(stream),
        validate_only: true,
        request_id: "6f1e3c2a-8f4b-4c53-9a53-0d7b0f6d3f55".into(),
    };
    let answered = served.streams().create_stream(only(sound("s"))).await.expect("sound").into_inner();
    assert_eq!(answered.stream.expect("answered").name, "s");
    assert!(served.everything().await.is_empty());
    violations(served.streams().create_stream(only(Stream::default())).await);

    let made = served.create(sound("s")).await.expect("sound");
    let request = UpdateStreamRequest { stream: Some(sound("s")), update_mask: mask(&["*"]), validate_only: true, ..Default::default() };
    served.streams().update_stream(request).await.expect("sound");
    let request = StartStreamRequest { name: "s".into(), validate_only: true, ..Default::default() };
    served.streams().start_stream(request).await.expect("sound");
    let request = DeleteStreamRequest { name: "s".into(), validate_only: true, ..Default::default() };
    served.streams().delete_stream(request).await.expect("sound");
    assert_eq!(get(&served, "s").await.expect("there"), made);
}

/// *Scenario*: updates with and without masks. *Guarantees*: only what is named changes; the revision counts what the data path notices, the
/// etag every change, and neither moves when nothing changes.
#[tokio::test]
async fn an_update_changes_what_its_mask_names() {
    let served = Served::start().await;
    let made = served.create(sound("s")).await.expect("sound");

    let words = Stream { description: "words".into(), filter_pattern: "{\"source\":[\"x\"]}".into(), ..sound("s") };
    let described = update(&served, words.clone(), &["description"]).await.expect("sound");
    assert_eq!((described.description.as_str(), described.filter_pattern.as_str()), ("words", "{}"));
    assert_eq!(described.revision, 1, "words are not for the data path");
    assert_ne!(described.etag, made.etag);

    let patterned = update(&served, words.clone(), &["filter_pattern"]).await.expect("sound");
    assert_eq!((patterned.revision, patterned.filter_pattern.as_str()), (2, "{\"source\":[\"x\"]}"));

    let again = update(&served, words, &["filter_pattern"]).await.expect("sound");
    assert_eq!((&again.etag, again.revision, again.update_time), (&patterned.etag, 2, patterned.update_time));

    let set =
        Stream { name: "s".into(), run_options: Some(RunOptions { throttling: Some(5), ..Default::default() }), ..Default::default() };
    let throttled = update(&served, set, &[]).await.expect("sound");
    assert_eq!(throttled.run_options.as_ref().and_then(|options| options.throttling), Some(5));
    assert_eq!((throttled.description.as_str(), throttled.revision), ("words", 3));

    let whole = update(&served, sound("s"), &["*"]).await.expect("sound");
    assert_eq!((whole.description.as_str(), whole.run_options, whole.revision), ("", None, 4));

    let refused = violations(update(&served, sound("s"), &["filterPattern", "run_options.throtling"]).await);
    assert_eq!(
        refused,
        [
            "update_mask.paths[0]: found \"filterPattern\"; there is no such field; did you mean filter_pattern?",
            "update_mask.paths[1]: found \"run_options.throtling\"; there is no such field; did you mean run_options.throttling?",
        ]
    );
    violations(update(&served, Stream { tags: vec![Tag::default()], ..sound("s") }, &["tags"]).await);
    assert_eq!(get(&served, "s").await.expect("there").etag, whole.etag);
}

/// *Scenario*: a stream is read, with stars for its secret, and written back. *Guarantees*: the secret that is stored stays; a new one replaces it.
#[tokio::test]
async fn stars_keep_the_stored_secret() {
    let served = Served::start().await;
    let made = served.create(sound("s")).await.expect("sound");
    let back = update(&served, made.clone(), &["*"]).await.expect("sound");
    assert_eq!(back.etag, made.etag, "nothing changed");
    let mut described = made.clone();
    described.description = "words".into();
    described.etag.clear();
    update(&served, described.clone(), &["*"]).await.expect("sound");
    let holds = async |secret: &str| {
        let stored = served.everything().await;
        stored.iter().any(|(key, value)| key == "definitions/streams/s" && String::from_utf8_lossy(value).contains(secret))
    };
    assert!(holds("hidden").await);
    source(&mut described).instance_password = "fresh".into();
    update(&served, described, &["*"]).await.expect("sound");
    assert!(holds("fresh").await && !holds("hidden").await);
    let mut stars = sound("t");
    source(&mut stars).instance_password = "******".into();
    let refused = violations(served.create(stars).await);
    assert!(refused[0].contains("stars keep the stored secret, but no secret is stored"), "{refused:?}");
}

#[tokio::test]
async fn a_stale_etag_is_aborted() {
    let served = Served::start().await;
    let made = served.create(sound("s")).await.expect("sound");
    let changed = update(&served, Stream { description: "a".into(), ..made.clone() }, &["description"]).await.expect("current");
    let stale = (Code::Aborted, "ETAG_STALE".to_owned());
    assert_eq!(told(update(&served, Stream { description: "b".into(), ..made.clone() }, &["description"]).await), stale);
    let start = |etag: &str| StartStreamRequest { name: "s".into(), etag: etag.into(), ..Default::default() };
    assert_eq!(told(served.streams().start_stream(start(&made.etag)).await), stale);
    let delete = |etag: &str| DeleteStreamRequest { name: "s".into(), etag: etag.into(), ..Default::default() };
    assert_eq!(told(served.streams().delete_stream(delete(&made.etag)).await), stale);
    served.streams().delete_stream(delete(&changed.etag)).await.expect("current");
}

#[tokio::test]
async fn missing_streams_are_made_or_passed_over_where_that_is_allowed() {
    let served = Served::start().await;
    let missing = (Code::NotFound, "NOT_FOUND".to_owned());
    assert_eq!(told(update(&served, sound("s"), &["*"]).await), missing);
    let request = UpdateStreamRequest { stream: Some(sound("s")), update_mask: mask(&["*"]), allow_missing: true, ..Default::default() };
    let made = served.streams().update_stream(request.clone()).await.expect("made").into_inner().stream.expect("answered");
    assert_eq!((made.revision, made.state()), (1, State::Ready));
    let again = served.streams().update_stream(request).await.expect("there").into_inner().stream.expect("answered");
    assert_eq!(again.etag, made.etag);
    let delete = |allow_missing| DeleteStreamRequest { name: "other".into(), allow_missing, ..Default::default() };
    assert_eq!(told(served.streams().delete_stream(delete(false)).await), missing);
    served.streams().delete_stream(delete(true)).await.expect("allowed");
    let refused = violations(served.streams().get_stream(GetStreamRequest::default()).await);
    assert_eq!(refused, ["name: is missing; a name is needed; write the definition's name"]);
}

/// *Scenario*: a second stream reads the same topic with the same group, when it is made, and when it is changed to do so; others read with groups of
/// their own. *Guarantees*: it is refused, with the field, the value, and the other stream's name: each would skip what the other committed.
#[tokio::test]
async fn two_streams_with_one_group_and_one_topic_are_refused() {
    let served = Served::start().await;
    let with_group = |name: &str, group: &str| {
        let mut stream = sound(name);
        source(&mut stream).group_id = group.into();
        stream
    };
    served.create(with_group("first", "GID_orders")).await.expect("sound");
    served.create(sound("second")).await.expect("a group of its own");
    served.create(sound("third")).await.expect("a group of its own");
    let expected = "source.source_rocketmq_parameters.group_id";
    let refused = violations(served.create(with_group("fourth", "GID_orders")).await);
    assert!(refused.len() == 1 && refused[0].starts_with(expected), "{refused:?}");
    assert!(refused[0].contains("GID_orders") && refused[0].contains("\"first\""), "{refused:?}");
    let path = ["source.source_rocketmq_parameters.group_id"];
    let refused = violations(update(&served, with_group("second", "GID_orders"), &path).await);
    assert!(refused.len() == 1 && refused[0].starts_with(expected), "{refused:?}");
    // Its own group is no reason.
    update(&served, with_group("first", "GID_orders"), &path).await.expect("unchanged");
}

/// *Scenario*: a stream is deleted and made anew. *Guarantees*: what routers found of its source goes with it, and the new one is another.
#[tokio::test]
async fn a_deleted_stream_leaves_nothing() {
    let served = Served::start().await;
    let made = served.create(sound("s")).await.expect("sound");
    let key = format!("sources/{}", made.uid);
    let transaction = rocketbridge_metastore::Transaction::new().put(key.as_str(), r#"{"schema":1}"#);
    let transaction = transaction.put(format!("partitions/{}/b%2F0", made.uid), r#"{"schema":1}"#);
    served.store.transact(transaction).await.expect("writes");
    served.streams().delete_stream(DeleteStreamRequest { name: "s".into(), ..Default::default() }).await.expect("deletes");
    let left: Vec<String> = served.everything().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, ["controller/generation"]);
    assert_ne!(served.create(sound("s")).await.expect("sound").uid, made.uid);
}

#[tokio::test]
async fn start_and_pause_change_what_is_wanted_once() {
    let served = Served::start().await;
    let made = served.create(sound("s")).await.expect("sound");
    let pause = || async {
        let request = PauseStreamRequest { name: "s".into(), ..Default::default() };
        served.streams().pause_stream(request).await.map(|answer| answer.into_inner().stream.expect("answered"))
    };
    assert_eq!(told(pause().await), (Code::FailedPrecondition, "NEVER_STARTED".into()));
    let started = served.start_stream("s").await;
    assert_eq!((started.state(), started.revision), (State::Starting, 1));
    assert_ne!(started.etag, made.etag);
    assert_eq!(served.start_stream("s").await.etag, started.etag, "already running is no change");
    let paused = pause().await.expect("runs");
    assert_eq!(paused.state(), State::Paused);
    assert_eq!(pause().await.expect("paused").etag, paused.etag);
    assert_eq!(served.start_stream("s").await.state(), State::Starting);
    let missing = StartStreamRequest { name: "t".into(), ..Default::default() };
    assert_eq!(told(served.streams().start_stream(missing).await), (Code::NotFound, "NOT_FOUND".into()));
}

#[tokio::test]
async fn lists_come_in_pages_by_name() {
    let served = Served::start().await;
    for name in ["c", "a", "b.2", "b"] {
        served.create(sound(name)).await.expect("sound");
    }
    let list = async |page_size, page_token: &str| {
        let request = ListStreamsRequest { page_size, page_token: page_token.into() };
        let answer = served.streams().list_streams(request).await?.into_inner();
        let names: Vec<String> = answer.streams.into_iter().map(|stream| stream.name).collect();
        Ok::<_, Status>((names, answer.next_page_token))
    };
    let (first, token) = list(3, "").await.expect("a page");
    assert_eq!(first, ["a", "b", "b.2"]);
    let (second, end) = list(3, &token).await.expect("a page");
    assert_eq!((second, end.as_str()), (vec!["c".to_owned()], ""));
    assert_eq!(list(0, "").await.expect("a page").0.len(), 4);
    assert!(violations(list(1, "nonsense").await)[0].starts_with("page_token: found \"nonsense\""));
    assert!(violations(list(-1, "").await)[0].starts_with("page_size: found \"-1\""));
}

/// *Scenario*: many clients change one stream and make one name at the same time. *Guarantees*: no change is lost, and one of them makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_the_same_time_are_all_made() {
    let served = Served::start().await;
    let made = futures::future::join_all((0..8).map(|_| served.create(sound("s")))).await;
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in made.into_iter().filter(Result::is_err) {
        assert_eq!(told(refused), (Code::AlreadyExists, "ALREADY_EXISTS".into()));
    }
    let updates = (1..=8_u32).map(|number| {
        let options = RunOptions { throttling: Some(number), maximum_tasks: Some(number), ..Default::default() };
        let path = if number % 2 == 0 { "run_options.throttling" } else { "run_options.maximum_tasks" };
        let stream = Stream { run_options: Some(options), ..sound("s") };
        let served = &served;
        async move { update(served, stream, &[path]).await }
    });
    for result in futures::future::join_all(updates).await {
        result.expect("made, however many others were");
    }
    let stream = get(&served, "s").await.expect("there");
    assert_eq!(stream.revision, 9);
    let options = stream.run_options.expect("set");
    assert_eq!((options.throttling.map(|number| number % 2), options.maximum_tasks.map(|number| number % 2)), (Some(0), Some(1)));
}
