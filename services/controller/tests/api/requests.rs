//! Requests that are sent more than once.

use rocketbridge_proto::stream::v1::{CreateStreamRequest, DeleteStreamRequest, StartStreamRequest, Stream, UpdateStreamRequest};
use tonic::{Code, Status};

use crate::support::{Served, mask, sound, told, violations};

const ID: &str = "6f1e3c2a-8f4b-4c53-9a53-0d7b0f6d3f55";

async fn create(served: &Served, stream: Stream, request_id: &str) -> Result<Stream, Status> {
    let request = CreateStreamRequest { stream: Some(stream), request_id: request_id.into(), ..Default::default() };
    Ok(served.streams().create_stream(request).await?.into_inner().stream.expect("answered"))
}

/// *Scenario*: the answer to a create was lost, the stream has changed since, and the client asks again. *Guarantees*: the first answer comes
/// again, and nothing is made twice; another request under the same identity is refused.
#[tokio::test]
async fn a_repeated_create_answers_the_same() {
    let served = Served::start().await;
    let made = create(&served, sound("s"), ID).await.expect("sound");
    let changed = Stream { description: "changed".into(), ..sound("s") };
    let request = UpdateStreamRequest { stream: Some(changed.clone()), update_mask: mask(&["description"]), ..Default::default() };
    served.streams().update_stream(request).await.expect("sound");
    assert_eq!(create(&served, sound("s"), ID).await.expect("repeated"), made);
    assert_eq!(
        create(&served, sound("s"), &ID.to_uppercase()).await.map(|_| ()).map_err(|status| status.code()),
        Err(Code::InvalidArgument)
    );
    assert_eq!(told(create(&served, changed, ID).await), (Code::InvalidArgument, "REQUEST_ID_REUSED".into()));
    assert_eq!(told(create(&served, sound("s"), "").await), (Code::AlreadyExists, "ALREADY_EXISTS".into()));
    let note = served.everything().await.into_iter().find(|(key, _)| key.starts_with("requests/")).expect("a note");
    assert!(!String::from_utf8_lossy(&note.1).contains("hidden"), "a note holds no secret");
}

/// *Scenario*: update, start and delete are sent twice, with changes of others between. *Guarantees*: the second does nothing.
#[tokio::test]
async fn every_method_with_an_identity_is_done_once() {
    let served = Served::start().await;
    served.create(sound("s")).await.expect("sound");
    let id = |number: u32| format!("6f1e3c2a-8f4b-4c53-9a53-00000000000{number}");
    let update = |description: &str, request_id: String| UpdateStreamRequest {
        stream: Some(Stream { description: description.into(), ..sound("s") }),
        update_mask: mask(&["description"]),
        request_id,
        ..Default::default()
    };
    let first = served.streams().update_stream(update("first", id(1))).await.expect("sound").into_inner();
    served.streams().update_stream(update("second", String::new())).await.expect("sound");
    assert_eq!(served.streams().update_stream(update("first", id(1))).await.expect("repeated").into_inner(), first);

    let start = || StartStreamRequest { name: "s".into(), request_id: id(2), ..Default::default() };
    let started = served.streams().start_stream(start()).await.expect("sound").into_inner();
    assert_eq!(served.streams().start_stream(start()).await.expect("repeated").into_inner(), started);

    let delete = || DeleteStreamRequest { name: "s".into(), request_id: id(3), ..Default::default() };
    served.streams().delete_stream(delete()).await.expect("deletes");
    let anew = served.create(sound("s")).await.expect("sound");
    served.streams().delete_stream(delete()).await.expect("repeated");
    assert_eq!(told(served.create(sound("s")).await).0, Code::AlreadyExists, "{} is still there", anew.uid);
}

#[tokio::test]
async fn an_identity_is_a_uuid() {
    let served = Served::start().await;
    let refused = violations(create(&served, sound("s"), "once").await);
    assert!(refused[0].starts_with("request_id: found \"once\"; a request's identity is a UUID"), "{refused:?}");
}
