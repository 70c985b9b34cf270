//! Streams through networks: proxies, vSwitches and security groups, and brokers that can be reached in no other way.

#![recursion_limit = "256"]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rocketbridge_harness::{Audit, Brokers, Kind, Load, Process, Proxy, Route, Standalone, Trap, binary, eventually, skip};
use rocketbridge_proto::stream::v1::{State, Stream, source};

const QUEUES: u32 = 4;
const DEADLINE: Duration = Duration::from_secs(60);
/// Set in the run of a test that has networks of its own.
const INNER: &str = "ROCKETBRIDGE_TEST_OWN_NETWORK";
/// Where the proxy of a VPC listens, in the process that is one.
const PROXY_AT: &str = "ROCKETBRIDGE_TEST_PROXY_AT";

/// Runs the binary under test to its end and returns its output.
fn cli(before: &[&str], arguments: &[&str]) -> String {
    let binary = binary();
    let binary = binary.to_str().expect("its path is text");
    let whole = [before, &[binary], arguments].concat();
    let mut command = Command::new(whole[0]);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("ROCKETBRIDGE_")) {
            command.env_remove(variable);
        }
    }
    let output = command.args(&whole[1..]).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{whole:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Applies definitions in YAML.
fn apply(directory: &Path, server: &str, definitions: &str) {
    let file = directory.join("definitions.yaml");
    std::fs::write(&file, definitions).expect("writable");
    cli(&[], &["apply", "-f", file.to_str().expect("text"), "--server", server]);
}

/// Lets the source of a stream name a VPC.
fn in_vpc(mut stream: Stream, vpc: &str) -> Stream {
    let source = stream.source.as_mut().and_then(|source| source.source.as_mut()).expect("it has a source");
    let source::Source::SourceRocketmqParameters(parameters) = source;
    parameters.instance_vpc_id = vpc.to_owned();
    stream
}

/// *Scenario*: a stream whose source is reached through a SOCKS 5 proxy with a password, and whose target through an HTTP proxy, from a vSwitch; 2,000
/// messages. *Guarantees*: all arrive; the proxies were asked for name servers and brokers by address; a wrong password stops the stream and is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_through_proxies() {
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones start");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (socks, http) = (Proxy::start("127.0.0.1:0", Some(("me", "hunter2"))).await, Proxy::start("127.0.0.1:0", None).await);
    let standalone =
        Standalone::start_with(directory.path(), &[("ROCKETBRIDGE_SECRET_PROXY", "hunter2"), ("ROCKETBRIDGE_SECRET_OTHER", "hunter3")]);
    let api = standalone.api().await;
    let networks = |password: &str| {
        format!(
            "kind: Network\nname: near\nvpc_id: vpc-near\negress_proxy: socks5://{}\negress_proxy_username: me\negress_proxy_password: env:{password}\n\
             vswitches: [{{id: elsewhere, address: 203.0.113.9}}, {{id: here, address: 127.0.3.1}}]\n---\n\
             kind: Network\nname: far\negress_proxy: http://{}\n---\n\
             kind: Connection\nname: target\nnetwork: far\nendpoints: ['{}']\n",
            socks.address(),
            http.address(),
            brokers.target.name_server(),
        )
    };
    apply(directory.path(), api.server(), &networks("ROCKETBRIDGE_SECRET_PROXY"));
    brokers.create_topic("orders", QUEUES).await;
    let load = Load::new(&brokers.source, "orders", QUEUES, 1);
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 1).await;
    load.send(0..1000).await;
    let mut stream = in_vpc(Route::new("proxied", "orders", &brokers.source, &brokers.target).stream(), "vpc-near");
    let sink = stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()).expect("it has a sink");
    let rocketbridge_proto::stream::v1::sink::Sink::SinkRocketmqParameters(parameters) = sink;
    let constant = |value: &str| rocketbridge_proto::stream::v1::TargetParameter {
        value: value.to_owned(),
        form: "CONSTANT".to_owned(),
        ..Default::default()
    };
    parameters.instance_endpoint = None;
    parameters.connection = Some(constant("target"));
    api.run(stream).await;
    load.send(1000..2000).await;
    audit.expect(0..2000, |_| true).await;
    for (proxy, cluster) in [(&socks, &brokers.source), (&http, &brokers.target)] {
        let asked = proxy.asked();
        assert!(asked.iter().any(|address| address == cluster.name_server()), "{asked:?}");
        assert!(
            asked.iter().any(|address| address != cluster.name_server()),
            "the broker was dialled through the proxy as well: {asked:?}"
        );
        assert!(asked.iter().all(|address| address.starts_with("127.0.0.1:")), "{asked:?}");
    }

    api.pause("proxied").await;
    apply(directory.path(), api.server(), &networks("ROCKETBRIDGE_SECRET_OTHER"));
    api.start("proxied").await;
    let told = api
        .wait("proxied", "says what the proxy refuses", DEADLINE, |status| status.reason.contains("refuses the user or the password"))
        .await;
    assert!(!told.reason.contains("hunter"), "{}", told.reason);
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: streams whose security group drops the name server, and whose group drops only the broker; to a listener that must not be dialled, and to a
/// real cluster. *Guarantees*: each fails with group, rule and address, nothing is sent there; once the rule accepts, events flow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_security_group_stops_a_stream() {
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones start");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let trap = Trap::set("127.0.0.1:0").await;
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let network = |rules: &str| format!("kind: Network\nname: vpc\nvpc_id: vpc-1\nsecurity_groups:\n- id: sg-1\n  rules: [{rules}]\n");
    let drop_trap =
        format!("{{direction: egress, port_range: {0}/{0}, cidr: 127.0.0.0/8, policy: drop, priority: 9}}", trap.address().port());
    apply(directory.path(), api.server(), &network(&drop_trap));
    let mut trapped = Route::new("trapped", "orders", &brokers.source, &brokers.target);
    trapped.source.0 = trap.address().to_string();
    let created = api.create(in_vpc(trapped.stream(), "vpc-1")).await;
    api.start(&created.name).await;
    let rule =
        format!("security group sg-1 drops {}: rules[0] drops 127.0.0.0/8 {1}/{1} with priority 9", trap.address(), trap.address().port());
    api.wait("trapped", "names group, rule and address", DEADLINE, |status| status.reason.contains(&rule)).await;
    assert!(!trap.was_dialled().await);
    api.delete("trapped").await;

    // The name server may be dialled, but not the broker whose address it gives.
    brokers.create_topic("orders", QUEUES).await;
    let name_server = port(brokers.source.name_server());
    let accept = format!("{{direction: egress, port_range: {name_server}/{name_server}, cidr: 127.0.0.1/32}}");
    let only_name_server = format!("{accept}, {{direction: egress, cidr: 0.0.0.0/0, policy: drop, priority: 100}}");
    apply(directory.path(), api.server(), &network(&only_name_server));
    let load = Load::new(&brokers.source, "orders", QUEUES, 2);
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 2).await;
    load.send(0..100).await;
    let stream = in_vpc(Route::new("narrow", "orders", &brokers.source, &brokers.target).stream(), "vpc-1");
    api.create(stream).await;
    api.start("narrow").await;
    let wanted = "rules[1] drops 0.0.0.0/0 1/65535 with priority 100; this is the broker's address as name server";
    api.wait("narrow", "names the rule that drops the broker", DEADLINE, |status| status.reason.contains(wanted)).await;
    apply(directory.path(), api.server(), &network(&format!("{accept}, {{direction: egress, cidr: 127.0.0.0/8, priority: 50}}")));
    api.wait("narrow", "RUNNING", DEADLINE, |status| status.state() == State::Running).await;
    audit.expect(0..100, |_| true).await;
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: a standalone that may not dial loopback but for its own RocketMQ; a stream to a listener there by address. *Guarantees*: its own RocketMQ serves; the
/// listener is not dialled, and the status says what kind of address it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_dials_only_what_it_may() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let trap = Trap::set("127.0.0.1:0").await;
    let data = directory.path().join("data").to_string_lossy().into_owned();
    let arguments = ["standalone", "--data-dir", &data, "--listen", "127.0.0.1:0", "--embedded-name-server-port", "0"];
    let mut process = Process::start(directory.path(), "standalone", &arguments, &[("ROCKETBRIDGE_EGRESS_ALLOW", "10.0.0.0/8")]);
    let line = process.line();
    let name_server = line.strip_prefix("embedded RocketMQ name server ").expect("the second line").to_owned();
    let api = rocketbridge_harness::Api::connect(process.server()).await;
    for topic in ["orders", "copy"] {
        cli(&[], &["rocketmq", "create-topic", "--name-server", &name_server, "--topic", topic]);
    }
    let route = |name: &str, source: &str| Route {
        name: name.to_owned(),
        source: (source.to_owned(), "orders".to_owned()),
        target: (name_server.clone(), "copy".to_owned()),
        pattern: "{}".to_owned(),
        tag: String::new(),
        offset: String::new(),
        timestamp: None,
        group: String::new(),
    };
    api.run(route("own", &name_server).stream()).await;
    api.create(route("other", &trap.address().to_string()).stream()).await;
    api.start("other").await;
    let wanted = "127.0.0.1 is a loopback address, and this process does not dial those unless egress.allow names them";
    api.wait("other", "says what it may not dial", DEADLINE, |status| status.reason.contains(wanted)).await;
    assert!(!trap.was_dialled().await);
}

/// A VPC: a network namespace with a RocketMQ on its loopback, and a proxy that is the only way in.
struct Vpc {
    /// Runs a command inside.
    inside: Vec<String>,
    proxy: String,
    /// Killed when dropped, in this order.
    children: Vec<Child>,
}

impl Drop for Vpc {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Vpc {
    /// Makes the namespace number `number`, with addresses 10.77.`number`.1 (here) and .2 (inside), a proxy at .2 and a RocketMQ whose name server is at
    /// 127.0.0.1:9876 of the namespace.
    fn make(number: u8, directory: &Path) -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().expect("util-linux is there");
        let pid = holder.id().to_string();
        let mut vpc = Self {
            inside: ["nsenter".to_owned(), format!("--net=/proc/{pid}/ns/net")].to_vec(),
            proxy: format!("10.77.{number}.2:1080"),
            children: vec![holder],
        };
        let own = std::fs::read_link("/proc/self/ns/net").expect("it has a network");
        let began = std::time::Instant::now();
        while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|of_holder| of_holder == own) {
            assert!(began.elapsed() < DEADLINE, "the namespace is not made");
            std::thread::yield_now();
        }
        let (here, inside) = (format!("10.77.{number}.1/30"), format!("10.77.{number}.2/30"));
        let link = format!("vpc{number}");
        run(&["ip", "link", "add", &link, "type", "veth", "peer", "name", "inside", "netns", &pid]);
        run(&["ip", "addr", "add", &here, "dev", &link]);
        run(&["ip", "link", "set", &link, "up"]);
        vpc.run(&["ip", "addr", "add", &inside, "dev", "inside"]);
        vpc.run(&["ip", "link", "set", "inside", "up"]);
        vpc.run(&["ip", "link", "set", "lo", "up"]);

        let this = std::env::current_exe().expect("a test has a path");
        let proxy = vpc
            .command(&[this.to_str().expect("text"), "--exact", "proxy_of_a_vpc", "--ignored", "--nocapture"])
            .env(PROXY_AT, &vpc.proxy)
            .spawn();
        vpc.children.insert(0, proxy.expect("this test runs"));
        let data = directory.join(format!("vpc-{number}"));
        let binary = binary();
        let arguments =
            ["standalone", "--data-dir", data.to_str().expect("text"), "--listen", "127.0.0.1:9080", "--embedded-name-server-port", "9876"];
        let log = std::fs::File::create(directory.join(format!("vpc-{number}.log"))).expect("writable");
        let mut command = vpc.command(&[&[binary.to_str().expect("text")][..], &arguments].concat());
        let mut rocketmq = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary runs");
        let lines = BufReader::new(rocketmq.stdout.take().expect("it is piped")).lines();
        vpc.children.insert(0, rocketmq);
        let said: Vec<String> = lines.take(2).map_while(Result::ok).collect();
        assert_eq!(said.last().map(String::as_str), Some("embedded RocketMQ name server 127.0.0.1:9876"), "{said:?}");
        vpc
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut inside = Command::new(&self.inside[0]);
        inside.args(&self.inside[1..]).args(command).env_remove(INNER);
        inside
    }

    fn run(&self, command: &[&str]) {
        let inside: Vec<&str> = self.inside.iter().map(String::as_str).chain(command.iter().copied()).collect();
        run(&inside);
    }

    /// The command line of the binary under test, run inside.
    fn cli(&self, arguments: &[&str]) -> String {
        cli(&self.inside.iter().map(String::as_str).collect::<Vec<_>>(), arguments)
    }
}

/// The proxy of a VPC, run by the test below as a process inside it.
#[test]
#[ignore = "a part of another test, which runs it in a network of its own"]
fn proxy_of_a_vpc() {
    let Ok(at) = std::env::var(PROXY_AT) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let _proxy = Proxy::start(&at, None).await;
        std::future::pending::<()>().await;
    });
}

/// Runs the test of this name again in a network of its own, where networks can be made. Answers whether this is that run.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INNER).is_some() {
        return true;
    }
    let own = |command: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net", "bash", "-c", "ip link set lo up && exec \"$@\"", "bash"]).args(command);
        unshare
    };
    let can = own(&["ip", "link", "add", "veth-a", "type", "veth", "peer", "name", "veth-b"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        skip("network namespaces with veth pairs (unshare and ip, as root or with user namespaces)");
        return false;
    }
    let this = std::env::current_exe().expect("a test has a path");
    let this = this.to_str().expect("its path is text");
    let status = own(&[this, "--exact", test, "--nocapture"]).env(INNER, "1").status().expect("it was just tried");
    assert!(status.success(), "{test} failed in a network of its own; what it said stands above");
    false
}

/// *Scenario*: two VPCs, each a network namespace whose RocketMQ listens on loopback alone, at the same address in both, with a proxy as the only way in; a stream
/// from one to the other, by SOCKS 5 and HTTP. *Guarantees*: nothing can be reached directly; all 300 messages arrive, and each VPC's address is its own.
#[test]
fn two_vpcs_are_reached_through_their_proxies() {
    if !is_inside("two_vpcs_are_reached_through_their_proxies") {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (a, b) = (Vpc::make(1, directory.path()), Vpc::make(2, directory.path()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = ["--name-server", "127.0.0.1:9876", "--topic", "orders"];
        assert!(std::net::TcpStream::connect("127.0.0.1:9876").is_err(), "the brokers are not here");
        for vpc in [&a, &b] {
            vpc.cli(&[&["rocketmq", "create-topic"][..], &server].concat());
        }
        let standalone = Standalone::start(directory.path());
        let api = standalone.api().await;
        let definitions = format!(
            "kind: Network\nname: a\negress_proxy: socks5://{}\n---\nkind: Network\nname: b\negress_proxy: http://{}\n---\n\
             kind: Connection\nname: in-a\nnetwork: a\nendpoints: ['127.0.0.1:9876']\n---\n\
             kind: Connection\nname: in-b\nnetwork: b\nendpoints: ['127.0.0.1:9876']\n---\n\
             kind: Stream\nname: across\nfilter_pattern: '{{}}'\n\
             source: {{source_rocketmq_parameters: {{connection: in-a, topic: orders, offset: CONSUME_FROM_FIRST_OFFSET}}}}\n\
             sink: {{sink_rocketmq_parameters: {{connection: {{value: in-b, form: CONSTANT}}, topic: {{value: orders, form: CONSTANT}}}}}}\n",
            a.proxy, b.proxy
        );
        apply(directory.path(), api.server(), &definitions);
        api.start("across").await;
        a.cli(&[&["rocketmq", "send"][..], &server, &["--body", "crossing", "--count", "300"]].concat());
        api.wait_until_running("across", DEADLINE).await;
        let arrived = eventually("300 messages arrive in the other VPC", DEADLINE, async || {
            let status = api.status("across").await;
            let delivered = status.counts.as_ref().map_or(0, |counts| counts.delivered);
            if delivered == 300 { Ok(delivered) } else { Err(format!("{status:?}")) }
        })
        .await;
        assert_eq!(arrived, 300);
        let tailed = b.cli(&[&["rocketmq", "tail"][..], &server, &["--from", "earliest", "--count", "300"]].concat());
        assert_eq!(tailed.matches("crossing").count(), 300, "{tailed}");
    });
}
