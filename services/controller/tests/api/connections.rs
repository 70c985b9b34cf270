//! Connections and networks, and what refers to them.

use std::sync::Arc;

use rocketbridge_controller::set_embedded;
use rocketbridge_model::connection::EMBEDDED;
use rocketbridge_proto::connection::v1::{
    Connection, CreateConnectionRequest, DeleteConnectionRequest, GetConnectionRequest, ListConnectionsRequest, UpdateConnectionRequest,
};
use rocketbridge_proto::network::v1::{
    CreateNetworkRequest, DeleteNetworkRequest, GetNetworkRequest, ListNetworksRequest, Network, UpdateNetworkRequest,
};
use rocketbridge_proto::stream::v1::{DeleteStreamRequest, Stream};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Served, connection, mask, sound, source, told, violations};

async fn create(served: &Served, connection: Connection) -> Result<Connection, Status> {
    let request = CreateConnectionRequest { connection: Some(connection), ..Default::default() };
    Ok(served.connections().create_connection(request).await?.into_inner().connection.expect("answered"))
}

async fn update(served: &Served, connection: Connection, paths: &[&str]) -> Result<Connection, Status> {
    let request = UpdateConnectionRequest { connection: Some(connection), update_mask: mask(paths), ..Default::default() };
    Ok(served.connections().update_connection(request).await?.into_inner().connection.expect("answered"))
}

async fn delete(served: &Served, name: &str) -> Result<(), Status> {
    served.connections().delete_connection(DeleteConnectionRequest { name: name.into(), ..Default::default() }).await.map(drop)
}

/// A stream that names a connection for its source.
fn through(name: &str, connection: &str) -> Stream {
    let mut stream = sound(name);
    let source = source(&mut stream);
    source.instance_endpoint.clear();
    source.connection = connection.into();
    stream
}

#[tokio::test]
async fn connections_are_made_changed_listed_and_removed() {
    let served = Served::start().await;
    let keyed = Connection { access_key: "ak".into(), secret_key: "hidden".into(), ..connection("c") };
    let made = create(&served, keyed.clone()).await.expect("sound");
    assert_eq!((made.secret_key.as_str(), made.uid.len()), ("******", 36));
    let got = served.connections().get_connection(GetConnectionRequest { name: "c".into() }).await.expect("there").into_inner();
    assert_eq!(got.connection, Some(made.clone()));
    assert_eq!(told(create(&served, keyed).await), (Code::AlreadyExists, "ALREADY_EXISTS".into()));
    let elsewhere = Connection { endpoints: vec!["ns:1".into()], ..made.clone() };
    for paths in [&["endpoints"][..], &["*"], &[]] {
        let refused = violations(update(&served, elsewhere.clone(), paths).await);
        let rule = "the stored secret goes where it was stored for, and endpoints has changed";
        assert!(matches!(refused.as_slice(), [one] if one.starts_with("secret_key: ") && one.contains(rule)), "{paths:?}: {refused:?}");
    }
    let again = Connection { secret_key: "hidden".into(), ..elsewhere };
    let moved = update(&served, again, &["endpoints", "secret_key"]).await.expect("the secret is given again");
    assert_eq!((moved.endpoints.as_slice(), moved.secret_key.as_str()), (&["ns:1".to_owned()][..], "******"));
    assert_eq!(told(update(&served, made, &["*"]).await), (Code::Aborted, "ETAG_STALE".into()));
    create(&served, connection("b")).await.expect("sound");
    let first = ListConnectionsRequest { page_size: 1, ..Default::default() };
    let page = served.connections().list_connections(first).await.expect("a page").into_inner();
    assert_eq!((page.connections[0].name.as_str(), page.next_page_token.is_empty()), ("b", false));
    let refused = violations(create(&served, Connection { endpoints: Vec::new(), ..connection("") }).await);
    assert_eq!(refused.len(), 2, "{refused:?}");
    delete(&served, "c").await.expect("unused");
    assert_eq!(told(delete(&served, "c").await), (Code::NotFound, "NOT_FOUND".into()));
}

/// *Scenario*: a connection that a stream uses is removed or broken. *Guarantees*: both are refused, and say what would break.
#[tokio::test]
async fn what_is_used_stays_usable() {
    let served = Served::start().await;
    create(&served, connection("c")).await.expect("sound");
    served.create(through("s", "c")).await.expect("sound");
    let status = delete(&served, "c").await.expect_err("used");
    assert_eq!(status.message(), "connection \"c\" is used by stream s; change or delete them first");
    assert_eq!(told(Err::<(), _>(status)), (Code::FailedPrecondition, "IN_USE".into()));

    // The stream delivers into 127.0.0.1:9877: with that endpoint and its topic, its source would be its target.
    let mut looping = through("t", "c");
    source(&mut looping).topic = "copy".into();
    served.create(looping).await.expect("not yet a loop");
    let status =
        update(&served, Connection { endpoints: vec!["127.0.0.1:9877".into()], ..connection("c") }, &["*"]).await.expect_err("a loop");
    assert!(status.message().starts_with("the change would break stream t: sink.sink_rocketmq_parameters.topic"), "{}", status.message());
    let details = status.get_error_details();
    assert_eq!(details.precondition_failure().map(|failure| failure.violations[0].subject.as_str()), Some("stream t"));
    assert_eq!(told(Err::<(), _>(status)), (Code::FailedPrecondition, "BREAKS_DEPENDENTS".into()));

    for name in ["s", "t"] {
        served.streams().delete_stream(DeleteStreamRequest { name: name.into(), ..Default::default() }).await.expect("deletes");
    }
    delete(&served, "c").await.expect("no longer used");
    assert_eq!(violations(served.create(through("s", "c")).await).len(), 1);
}

/// *Scenario*: two streams read the same topic with the same group at two instances, each through a connection; then one connection is changed to lead to the instance of the
/// other, or elsewhere. *Guarantees*: what would let them share one progress is refused and names both; anything else is taken.
#[tokio::test]
async fn a_connection_never_brings_two_streams_to_one_progress() {
    let served = Served::start().await;
    for (stream, name, endpoint) in [("first", "c", "ns-c:9876"), ("second", "d", "ns-d:9876")] {
        create(&served, Connection { endpoints: vec![endpoint.into()], ..connection(name) }).await.expect("sound");
        let mut through = through(stream, name);
        source(&mut through).group_id = "GID_orders".into();
        served.create(through).await.expect("another instance");
    }
    let moved = |endpoint: &str| Connection { endpoints: vec![endpoint.into()], ..connection("d") };
    let status = update(&served, moved("ns-c:9876"), &["endpoints"]).await.expect_err("one progress");
    let expected = "the change would break stream second: source.source_rocketmq_parameters.group_id: found \"GID_orders\"; stream \"first\" reads topic";
    assert!(status.message().starts_with(expected), "{}", status.message());
    assert_eq!(told(Err::<(), _>(status)), (Code::FailedPrecondition, "BREAKS_DEPENDENTS".into()));
    update(&served, moved("ns-e:9876"), &["endpoints"]).await.expect("elsewhere");
}

/// *Scenario*: a connection is removed while streams that name it are made. *Guarantees*: no stream is left without its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_never_breaks_between_its_check_and_its_use() {
    let served = Served::start().await;
    for round in 0..10 {
        let name = format!("c{round}");
        create(&served, connection(&name)).await.expect("sound");
        let (made, removed) = tokio::join!(served.create(through(&format!("s{round}"), &name)), delete(&served, &name));
        assert!(made.is_ok() != removed.is_ok(), "{made:?} {removed:?}");
    }
}

#[tokio::test]
async fn networks_are_made_changed_listed_and_removed() {
    let served = Served::start().await;
    let network = Network { name: "vpc".into(), vpc_id: "vpc-1".into(), ..Default::default() };
    let create_network = CreateNetworkRequest { network: Some(network.clone()), ..Default::default() };
    let made = served.networks().create_network(create_network).await.expect("sound").into_inner().network.expect("answered");
    let got = served.networks().get_network(GetNetworkRequest { name: "vpc".into() }).await.expect("there").into_inner();
    assert_eq!(got.network, Some(made));
    create(&served, Connection { network: "vpc".into(), ..connection("c") }).await.expect("a plain network");
    let proxied = Network { egress_proxy: "socks5://proxy:1080".into(), ..network };
    let request = UpdateNetworkRequest { network: Some(proxied), update_mask: mask(&["egress_proxy"]), ..Default::default() };
    served.networks().update_network(request).await.expect("the connection goes through the proxy from now on");
    let remove = || DeleteNetworkRequest { name: "vpc".into(), ..Default::default() };
    assert_eq!(told(served.networks().delete_network(remove()).await), (Code::FailedPrecondition, "IN_USE".into()));
    delete(&served, "c").await.expect("unused");
    let list = served.networks().list_networks(ListNetworksRequest::default()).await.expect("a page").into_inner();
    assert_eq!(list.networks[0].egress_proxy, "socks5://proxy:1080");
    served.networks().delete_network(remove()).await.expect("unused");
}

/// *Scenario*: a standalone makes its connection `embedded`, starts again with another address, and again without its RocketMQ.
/// *Guarantees*: users find it as built in, streams may name it, nobody can change or delete it, it follows the address, and it goes with the RocketMQ.
#[tokio::test]
async fn the_built_in_connection_belongs_to_the_process() {
    let served = Served::start().await;
    let set = async |name_server| set_embedded(Arc::clone(&served.store), name_server).await.expect("stored");
    let get = || async {
        let got = served.connections().get_connection(GetConnectionRequest { name: EMBEDDED.into() }).await;
        got.map(|got| got.into_inner().connection.expect("answered"))
    };
    set(Some("127.0.0.1:9081")).await;
    let made = get().await.expect("there");
    assert_eq!((made.built_in, made.endpoints.as_slice()), (true, &["127.0.0.1:9081".to_owned()][..]));
    served.create(through("s", EMBEDDED)).await.expect("a stream may name it");
    update(&served, made.clone(), &["*"]).await.expect("what changes nothing is no change");
    let changed = Connection { endpoints: vec!["ns:1".into()], ..made.clone() };
    assert_eq!(told(update(&served, changed, &["*"]).await), (Code::FailedPrecondition, "BUILT_IN".into()));
    assert_eq!(told(delete(&served, EMBEDDED).await), (Code::FailedPrecondition, "BUILT_IN".into()));
    assert_eq!(told(create(&served, connection(EMBEDDED)).await), (Code::AlreadyExists, "ALREADY_EXISTS".into()));

    set(Some("127.0.0.1:9081")).await;
    assert_eq!(get().await.expect("there"), made, "the same address is no change");
    set(Some("127.0.0.1:9999")).await;
    let moved = get().await.expect("there");
    assert_eq!((moved.uid == made.uid, moved.endpoints.as_slice()), (true, &["127.0.0.1:9999".to_owned()][..]));
    set(None).await;
    assert_eq!(told(get().await), (Code::NotFound, "NOT_FOUND".into()));
}

/// *Scenario*: a user's connection is called `embedded` before a standalone makes its own. *Guarantees*: it stays the user's.
#[tokio::test]
async fn a_users_connection_of_the_built_in_name_is_left_alone() {
    let served = Served::start().await;
    let set = async |name_server| set_embedded(Arc::clone(&served.store), name_server).await.expect("stored");
    let made = create(&served, connection(EMBEDDED)).await.expect("the name is free");
    set(Some("127.0.0.1:9081")).await;
    set(None).await;
    let got = served.connections().get_connection(GetConnectionRequest { name: EMBEDDED.into() }).await.expect("there").into_inner();
    assert_eq!(got.connection, Some(made));
    delete(&served, EMBEDDED).await.expect("a user's");
}
