//! Groups of routes.

use rocketbridge_controller::clusters::Commit;
use rocketbridge_controller::route::{GroupProgress as Progress, Keeper};
use rocketbridge_proto::route::v1::*;
use tonic::{Code, Status};

use crate::support::Served;

const EAST: &str = "127.0.0.1:9876";
const WEST: &str = "127.0.0.1:9877";

fn route(groups: &[&str]) -> Route {
    Route {
        name: "dr".into(),
        from: EAST.into(),
        to: WEST.into(),
        topics: vec!["orders".into()],
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Default::default()
    }
}

/// A server with a started route over `orders` and `billing`, whose streams are made; both ends have the topic.
async fn started(route: Route) -> (Served, Keeper) {
    let served = Served::start().await;
    served.clusters.set(EAST, &[("orders", 1)]);
    served.clusters.set(WEST, &[("orders", 1)]);
    served.routes().create_route(CreateRouteRequest { route: Some(route), ..Default::default() }).await.expect("sound");
    served.routes().start_route(StartRouteRequest { name: "dr".into(), ..Default::default() }).await.expect("starts");
    reconcile(&served).await;
    let keeper = served.controller.keeper();
    (served, keeper)
}

async fn reconcile(served: &Served) {
    let problems = served.controller.reconciler().reconcile().await.expect("the store answers");
    assert!(problems.is_empty() || problems["dr"].iter().all(|problem| problem.contains("cannot be listed")), "{problems:?}");
}

/// One pass; the groups that it found.
async fn translate(keeper: &mut Keeper) -> Vec<Progress> {
    keeper.translate().await.expect("the store answers").remove("dr").expect("it has groups").groups
}

/// What was committed at an instance from outside: groups and offsets.
fn commits(served: &Served, endpoint: &str) -> Vec<(String, u64)> {
    let commits: Vec<Commit> = served.clusters.change(endpoint, |instance| std::mem::take(&mut instance.commits));
    commits.into_iter().map(|commit| (commit.group, commit.offset)).collect()
}

async fn status(served: &Served) -> RouteStatus {
    let request = GetRouteStatusRequest { name: "dr".into() };
    served.routes().get_route_status(request).await.expect("answers").into_inner().status.expect("answered")
}

async fn failover(served: &Served, force: bool, validate_only: bool) -> Result<SwitchProgress, Status> {
    let request = FailoverRouteRequest { name: "dr".into(), force, validate_only };
    Ok(served.routes().failover_route(request).await?.into_inner().progress.expect("answered"))
}

async fn failback(served: &Served) -> Result<SwitchProgress, Status> {
    let request = FailbackRouteRequest { name: "dr".into(), ..Default::default() };
    Ok(served.routes().failback_route(request).await?.into_inner().progress.expect("answered"))
}

/// The first step that is not done.
fn open(progress: &SwitchProgress) -> (String, StepState) {
    let open = progress.steps.iter().find(|step| step.state() != StepState::Done);
    open.map(|step| (format!("{}: {}", step.text, step.detail), step.state())).unwrap_or_default()
}

/// *Scenario*: a group reads on, at an end where nobody consumes, then somebody does, then somebody whom no broker knows commits, and the target is ahead; the mirror is behind. *Guarantees*: progress follows, once for each
/// change; nothing is set while somebody consumes or commits there; nothing is set back; where the mirror is behind, progress is where the mirror is, and that is said.
#[tokio::test]
async fn progress_follows_and_is_never_set_back() {
    let (served, mut keeper) = started(route(&["billing"])).await;
    served.clusters.commit_of(EAST, "billing", "orders", 50);
    served.clusters.commit_of(EAST, "stock", "orders", 50);
    translate(&mut keeper).await;
    assert_eq!(commits(&served, WEST), [("billing".to_owned(), 1_050)]);
    assert!(translate(&mut keeper).await[0].is_settled());
    served.clusters.commit_of(EAST, "billing", "orders", 60);
    served.clusters.change(WEST, |west| west.consuming.insert("billing".into()));
    let reason = |groups: Vec<Progress>| groups[0].reason.clone().unwrap_or_default();
    assert_eq!(reason(translate(&mut keeper).await), format!("it consumes at {WEST}: client-1"));
    let shown = status(&served).await.groups;
    assert_eq!((shown.len(), shown[0].behind, shown[0].reason.contains("it consumes at")), (1, 10, true), "{shown:?}");
    assert_eq!(commits(&served, WEST), []);
    served.clusters.change(WEST, |west| west.consuming.clear());
    assert_eq!(reason(translate(&mut keeper).await), "");
    assert_eq!(commits(&served, WEST), [("billing".to_owned(), 1_060)]);

    served.clusters.change(WEST, |west| west.copied = Some(1_065));
    served.clusters.commit_of(EAST, "billing", "orders", 70);
    assert_eq!(reason(translate(&mut keeper).await), "the mirror has not copied all that it has read");
    assert_eq!(commits(&served, WEST), [("billing".to_owned(), 1_065)]);
    served.clusters.change(WEST, |west| west.copied = None);
    served.clusters.commit_of(WEST, "billing", "orders", 1_067);
    assert_eq!(reason(translate(&mut keeper).await), format!("somebody commits its offsets at {WEST}, so it consumes there"));
    served.clusters.commit_of(WEST, "billing", "orders", 2_000);
    let mut later = served.controller.keeper();
    assert!(translate(&mut later).await[0].is_settled(), "it is ahead");
    assert_eq!(commits(&served, WEST), []);
}

/// *Scenario*: both ways, each end with a group of its own; then one end does not answer. *Guarantees*: each group is translated to where it is not; a translated offset is not translated on; with an end that does not answer, what the other tells is shown,
/// with the reason.
#[tokio::test]
async fn both_ways_are_translated() {
    let (served, mut keeper) = started(Route { both_ways: true, ..route(&["*"]) }).await;
    served.clusters.commit_of(EAST, "billing", "orders", 50);
    served.clusters.commit_of(WEST, "refunds", "orders", 1_700);
    for _ in 0..3 {
        translate(&mut keeper).await;
    }
    assert_eq!(commits(&served, WEST), [("billing".to_owned(), 1_050)]);
    assert_eq!(commits(&served, EAST), [("refunds".to_owned(), 700)]);
    served.clusters.remove(EAST);
    let groups = status(&served).await.groups;
    let shown: Vec<_> = groups.iter().map(|group| (group.group.as_str(), group.direction(), group.queues.len())).collect();
    let (forward, back) = (Direction::Forward, Direction::Back);
    assert_eq!(shown, [("billing", back, 0), ("billing", forward, 1), ("refunds", back, 0), ("refunds", forward, 1)]);
    assert!(groups.iter().all(|group| group.reason.contains(&format!("{EAST} does not answer: no answer within 5 s"))), "{groups:?}");
    assert_eq!(groups[1].queues[0].target_committed, Some(1_050));
}

/// *Scenario*: a failover while a group consumes, as a dry run and in earnest; when it has stopped; again when it is done; then back. *Guarantees*: it is refused with the reason and the way out, and what was translated so far stays; then progress is
/// translated before the other end is in use, streams forward are paused, and those back are made although the route goes one way; asking again changes nothing; back it goes only after the group has stopped there.
#[tokio::test]
async fn a_route_is_failed_over_and_back() {
    let (served, _keeper) = started(route(&["billing"])).await;
    served.clusters.commit_of(EAST, "billing", "orders", 50);
    served.clusters.change(EAST, |east| east.consuming.insert("billing".into()));
    let refused = failover(&served, false, false).await.expect_err("it consumes");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let expected = format!("failover of route \"dr\" is refused: group billing (client-1) still consumes at {EAST}");
    assert!(refused.message().starts_with(&expected), "{refused}");
    let looked = failover(&served, false, true).await.expect("a dry run is not refused");
    assert_eq!((open(&looked).1, looked.active()), (StepState::Refused, Active::From));
    assert_eq!((commits(&served, WEST), status(&served).await.active()), (vec![("billing".to_owned(), 1_050)], Active::From));

    served.clusters.commit_of(EAST, "billing", "orders", 60);
    served.clusters.change(EAST, |east| east.consuming.clear());
    let turned = failover(&served, false, false).await.expect("nobody consumes");
    assert_eq!((commits(&served, WEST), turned.active()), (vec![("billing".to_owned(), 1_060)], Active::To));
    assert!(open(&turned).0.contains("stream route.dr.orders is about to be paused"), "{turned:?}");
    reconcile(&served).await;
    let done = failover(&served, false, false).await.expect("goes on");
    assert!(done.done && open(&done) == Default::default(), "{done:?}");
    assert_eq!(failover(&served, false, false).await.expect("is done"), done);
    let shown = status(&served).await;
    let streams: Vec<_> =
        shown.streams.iter().map(|stream| (stream.direction(), stream.status.as_ref().map(|own| own.state().as_str_name()))).collect();
    assert_eq!(streams, [(Direction::Back, Some("STATE_STARTING")), (Direction::Forward, Some("STATE_PAUSED"))]);
    assert_eq!(shown.active(), Active::To);

    served.clusters.commit_of(WEST, "billing", "orders", 1_080);
    served.clusters.change(WEST, |west| west.consuming.insert("billing".into()));
    let refused = failback(&served).await.expect_err("it consumes");
    assert!(refused.message().contains(&format!("still consumes at {WEST}")), "{refused}");
    served.clusters.change(WEST, |west| west.consuming.clear());
    let back = failback(&served).await.expect("nobody consumes");
    assert_eq!((commits(&served, EAST), back.active()), (vec![("billing".to_owned(), 80)], Active::From));
    assert!(open(&back).0.contains("stream route.dr.orders is about to run"), "{back:?}");
    reconcile(&served).await;
    assert_eq!(status(&served).await.streams.len(), 1, "the way back is gone with the failback");
}

/// *Scenario*: messages that are not copied; then the end that is left dies. *Guarantees*: it waits while messages can still be copied; of a dead end it says how many messages are lost and repeated at most, and goes on by force only; what cannot be failed over is
/// refused with the reason.
#[tokio::test]
async fn a_dead_end_is_left_by_force() {
    let (served, mut keeper) = started(route(&["billing"])).await;
    served.clusters.commit_of(EAST, "billing", "orders", 50);
    translate(&mut keeper).await;
    served.clusters.change(EAST, |east| east.end = 12);
    served.clusters.change(WEST, |west| west.end = 1_080);
    let waits = failover(&served, false, false).await.expect("it waits");
    assert_eq!((waits.done, waits.active()), (false, Active::FailingOver));
    assert!(open(&waits).0.contains(&format!("12 messages of {EAST} are not at {WEST} yet")), "{waits:?}");
    assert!(failback(&served).await.expect_err("under way").message().contains("a failover is under way; finish it first"));
    served.clusters.remove(EAST);
    let refused = failover(&served, false, false).await.expect_err("it is dead");
    assert!(refused.message().contains("At most 30 messages are read again") && refused.message().contains("--force"), "{refused}");
    let turned = failover(&served, true, false).await.expect("by force");
    assert_eq!(turned.active(), Active::To);
    let refused = failback(&served).await.expect_err("east is dead");
    assert!(refused.message().contains(&format!("{EAST} does not answer")), "{refused}");
    served.routes().pause_route(PauseRouteRequest { name: "dr".into(), ..Default::default() }).await.expect("pauses");
    assert!(failover(&served, true, false).await.expect_err("paused").message().contains("it does not run; start it first"));
}

/// *Scenario*: previews of routes with groups, one way and both ways, and with an end that does not answer. *Guarantees*: the groups that are selected are told, those of the other end
/// only both ways; RocketMQ's own and those of streams are not among them; what cannot be listed is said.
#[tokio::test]
async fn a_preview_tells_the_groups() {
    let served = Served::start().await;
    served.clusters.set(EAST, &[("orders", 1)]);
    served.clusters.set(WEST, &[("orders", 1)]);
    for group in ["billing", "billing-test", "stock", "TOOLS_CONSUMER", "GID_rocketbridge_route.dr.orders_01234567"] {
        served.clusters.commit_of(EAST, group, "orders", 5);
    }
    served.clusters.commit_of(WEST, "refunds", "orders", 5);
    let preview = async |route: Route| {
        let request = PreviewRouteRequest { route: Some(route) };
        served.routes().preview_route(request).await.expect("sound").into_inner()
    };
    let all = ["*", "!*-test"];
    assert_eq!(preview(route(&all)).await.groups, ["billing", "stock"]);
    assert_eq!(preview(Route { both_ways: true, ..route(&all) }).await.groups, ["billing", "refunds", "stock"]);
    assert_eq!(preview(route(&[])).await.groups, [] as [&str; 0]);
    served.clusters.remove(EAST);
    let problems = preview(route(&all)).await.problems;
    assert!(
        problems.iter().any(|problem| problem == &format!("the groups of {EAST} cannot be listed: no answer within 5 s")),
        "{problems:?}"
    );
}
