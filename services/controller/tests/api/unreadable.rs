//! Records that cannot be read beside others that can.

use rocketbridge_metastore::Transaction;
use rocketbridge_proto::connection::v1::{
    CreateConnectionRequest, DeleteConnectionRequest, GetConnectionRequest, ListConnectionsRequest, ListConnectionsResponse,
};
use rocketbridge_proto::route::v1::ListRoutesRequest;
use rocketbridge_proto::stream::v1::{DeleteStreamRequest, GetStreamStatusRequest, ListStreamsRequest, State};
use tonic::{Code, Status};

use crate::support::{Served, connection, sound, source, told};

async fn put(served: &Served, key: &str, value: &str) {
    served.store.transact(Transaction::new().put(key, value.to_owned())).await.expect("stored");
}

async fn list(served: &Served) -> ListConnectionsResponse {
    served.connections().list_connections(ListConnectionsRequest::default()).await.expect("a page").into_inner()
}

async fn create(served: &Served, name: &str) -> Result<(), Status> {
    let request = CreateConnectionRequest { connection: Some(connection(name)), ..Default::default() };
    served.connections().create_connection(request).await.map(drop)
}

async fn delete(served: &Served, name: &str) -> Result<(), Status> {
    served.connections().delete_connection(DeleteConnectionRequest { name: name.into(), ..Default::default() }).await.map(drop)
}

/// *Scenario*: a damaged record stands under the key of a connection that a stream names, another under the key of a stream. *Guarantees*: everything else of
/// the API works: list, create, start, status; lists name and count the damaged records; the stream that needs one says so; and both can be
/// deleted, also that which is referred to, and defined anew.
#[tokio::test]
async fn a_damaged_record_holds_up_nothing() {
    let served = Served::start().await;
    create(&served, "good").await.expect("sound");
    create(&served, "damaged").await.expect("sound");
    let mut dependent = sound("dependent");
    source(&mut dependent).instance_endpoint.clear();
    source(&mut dependent).connection = "damaged".into();
    served.create(dependent).await.expect("sound");
    put(&served, "definitions/connections/damaged", "{not json").await;
    put(&served, "definitions/streams/broken", r#"{"schema":99}"#).await;
    put(&served, "definitions/routes/odd", r#"{"schema":1,"definition":{"name":7}}"#).await;

    let listed = list(&served).await;
    let names: Vec<_> = listed.connections.iter().map(|connection| connection.name.as_str()).collect();
    assert_eq!((names.as_slice(), listed.unreadable_count), (&["good"][..], 1));
    let named = &listed.unreadable[0];
    assert_eq!((named.name.as_str(), named.key.as_str()), ("damaged", "definitions/connections/damaged"));
    assert_eq!(named.reason, "cannot read definitions/connections/damaged: it is not JSON at line 1, column 2");
    let streams = served.streams().list_streams(ListStreamsRequest::default()).await.expect("a page").into_inner();
    assert_eq!((streams.streams.len(), streams.unreadable[0].name.as_str()), (1, "broken"));
    assert!(streams.unreadable[0].reason.contains("upgrade this process"), "{}", streams.unreadable[0].reason);
    let routes = served.routes().list_routes(ListRoutesRequest::default()).await.expect("a page").into_inner();
    assert_eq!((routes.routes.len(), routes.unreadable_count), (0, 1));

    create(&served, "later").await.expect("others are made");
    served.create(sound("s")).await.expect("others are made");
    served.start_stream("s").await;
    let status = served.streams().get_stream_status(GetStreamStatusRequest { name: "s".into() }).await.expect("there").into_inner();
    assert_eq!(status.status.expect("answered").state(), State::Starting);

    let got = served.connections().get_connection(GetConnectionRequest { name: "damaged".into() }).await;
    assert_eq!(told(got), (Code::FailedPrecondition, "UNREADABLE".into()));
    assert_eq!(told(create(&served, "damaged").await), (Code::FailedPrecondition, "UNREADABLE".into()));
    delete(&served, "damaged").await.expect("deleted unread");
    let request = DeleteStreamRequest { name: "broken".into(), ..Default::default() };
    served.streams().delete_stream(request).await.expect("deleted unread");
    assert_eq!(list(&served).await.unreadable_count, 0);
    create(&served, "damaged").await.expect("made anew");
    assert_eq!(told(delete(&served, "damaged").await), (Code::FailedPrecondition, "IN_USE".into()));
}

/// *Scenario*: a sound record of another name stands under a connection's key, and one under a key that no name makes. *Guarantees*: neither is taken for a
/// connection of either name; lists say so; both can be deleted.
#[tokio::test]
async fn a_record_under_the_key_of_another_is_refused() {
    let served = Served::start().await;
    create(&served, "own").await.expect("sound");
    let record = served.store.get("definitions/connections/own").await.expect("answers").expect("there").value;
    let record = String::from_utf8(record.to_vec()).expect("JSON");
    for key in ["definitions/connections/other", "definitions/connections/%6fwn"] {
        put(&served, key, &record).await;
    }
    let listed = list(&served).await;
    let unreadable: Vec<_> = listed.unreadable.iter().map(|record| record.name.as_str()).collect();
    assert_eq!((listed.connections.len(), unreadable.as_slice()), (1, &["%6fwn", "other"][..]));
    for name in ["other", "%6fwn"] {
        delete(&served, name).await.expect("deleted unread");
    }
    assert_eq!((list(&served).await.unreadable_count, list(&served).await.connections.len()), (0, 1));
}

/// *Scenario*: a route that cannot be read, and a stream of a route that is not there. *Guarantees*: no stream of a route is deleted while a route cannot be
/// read, as it may be that route's; afterwards it is.
#[tokio::test]
async fn no_orphan_is_deleted_while_a_route_cannot_be_read() {
    let served = Served::start().await;
    served.create(sound("route.gone")).await.expect("sound");
    let key = "definitions/streams/route.gone";
    let entry = served.store.get(key).await.expect("answers").expect("there");
    let mut record: serde_json::Value = serde_json::from_slice(&entry.value).expect("JSON");
    record["owner"] = serde_json::json!({"name": "gone", "uid": "u"});
    put(&served, key, &record.to_string()).await;
    put(&served, "definitions/routes/odd", "{not json").await;
    served.controller.reconciler().reconcile().await.expect("a pass");
    assert!(served.store.get(key).await.expect("answers").is_some());
    served.store.transact(Transaction::new().delete("definitions/routes/odd")).await.expect("removed");
    served.controller.reconciler().reconcile().await.expect("a pass");
    assert!(served.store.get(key).await.expect("answers").is_none());
}

/// *Scenario*: 30 damaged records. *Guarantees*: a list counts them all and names 20.
#[tokio::test]
async fn a_list_names_few_and_counts_all() {
    let served = Served::start().await;
    for number in 0..30 {
        put(&served, &format!("definitions/connections/c{number:02}"), "").await;
    }
    let listed = list(&served).await;
    assert_eq!((listed.unreadable.len(), listed.unreadable_count), (20, 30));
}
