//! A controller that leads.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Lease, Member, Members, Plans, Registration, Stage, UnitKind};
use rocketbridge_controller::Seat;
use rocketbridge_model::{MemberId, PartitionId};
use rocketbridge_proto::stream::v1::PauseStreamRequest;

use crate::support::{Served, sound};

/// *Scenario*: a stream is started, its partitions are found, and it is paused. *Guarantees*: the plan follows, unit by unit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leading_controller_plans_what_runs() {
    let served = Served::start().await;
    let id = MemberId::new("all-in-one");
    let lease = Lease::start(Arc::clone(&served.store), Duration::from_secs(10), &served.tasks).expect("a lease");
    let members = Members::start(Arc::clone(&served.store), &served.tasks);
    let member = Member {
        id: id.clone(),
        stages: vec![Stage::Router, Stage::Filter, Stage::Dispatcher, Stage::Controller],
        region: None,
        networks: Vec::new(),
        address: "127.0.0.1:1".into(),
        capacity: 1,
        version: String::new(),
        started_at: String::new(),
    };
    let _registration = Registration::start(Arc::clone(&served.store), lease.clone(), member, members.clone(), &served.tasks);
    let _election = served.controller.run(Seat { lease, member: id.clone() }, &served.tasks);
    let mut plans = Plans::start(Arc::clone(&served.store), &served.tasks);

    let uid = served.create(sound("s")).await.expect("sound").uid;
    served.start_stream("s").await;
    let source = format!(r#"{{"schema":1,"uid":"{uid}","partitions":[{{"id":"b/0","broker":"b","queue":0,"origin":5}}]}}"#);
    let transaction = rocketbridge_metastore::Transaction::new().put(format!("sources/{uid}"), source);
    served.store.transact(transaction).await.expect("writes");
    let wanted = 1 + 1 + 4 + 4;
    wait_for(&mut plans, |units| units == wanted).await;
    let plan = plans.stream("s").expect("planned");
    assert_eq!(plan.units.get(&UnitKind::Partition(PartitionId::new("b/0"))), Some(&id));
    assert_eq!(plan.units.get(&UnitKind::DispatchShard(3)), Some(&id));

    let pause = PauseStreamRequest { name: "s".into(), ..Default::default() };
    served.streams().pause_stream(pause).await.expect("pauses");
    wait_for(&mut plans, |units| units == 0).await;
}

async fn wait_for(plans: &mut Plans, reached: impl Fn(usize) -> bool) {
    let met = async {
        while !reached(plans.stream("s").map_or(0, |plan| plan.units.len())) {
            plans.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), met).await.expect("the plan follows");
}
