//! Golden output of what is refused, and what is made of what is accepted.

use std::fs;

use super::*;

/// Compares with a file of `tests/golden`; `UPDATE_GOLDEN=1` writes it instead.
fn golden(name: &str, actual: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, actual).expect("golden files can be written");
    }
    assert_eq!(actual, fs::read_to_string(path).unwrap_or_default(), "{name}");
}

fn flags(flags: &[(&'static str, &str)]) -> layers::Flags {
    flags.iter().map(|(name, value)| (*name, Some((*value).to_owned()))).collect()
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Reads a process from flags, environment and a file of this name and text. Folders do not show in what is refused.
fn process(given: &[(&'static str, &str)], variables: &[(&str, &str)], name: &str, text: &str) -> Result<Process, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file in it");
    let answer = Process::read(Layers::collect(false, flags(given), environment(variables), Some(&path)));
    answer.map_err(|refused| format!("{refused}\n").replace(&format!("{}/", folder.path().display()), ""))
}

/// *Scenario:* every layer says something, all of it right. *Guarantees:* flags win over the environment, which wins over the file.
#[test]
fn flags_win_over_environment_over_file() {
    let file = "listen = \"127.0.0.1:1\"\nregion = \"file\"\nlease_ttl = \"10s\"\n[etcd]\nendpoints = [\"http://a:1\", \"http://b:1\"]\n[router]\nwindow_bytes = \"8MiB\"\n";
    let variables = [("ROCKETBRIDGE_REGION", "environment"), ("ROCKETBRIDGE_LEASE_TTL", "11s"), ("ROCKETBRIDGE_DATA_DIR", "/elsewhere")];
    let process = process(&[("lease_ttl", "12s"), ("listen", "localhost:0")], &variables, "c.toml", file).expect("valid");
    assert_eq!(process.listen, "127.0.0.1:0".parse().expect("an address"));
    assert_eq!((process.region.as_str(), process.lease_ttl), ("environment", Duration::from_secs(12)));
    assert_eq!(process.etcd.endpoints, ["http://a:1", "http://b:1"]);
    assert_eq!((process.router.window_bytes, process.router.window_events), (ByteSize(8 << 20), 8_192));
    assert_eq!((process.drain_deadline, process.tls), (Duration::from_secs(25), None));
}

/// *Scenario:* YAML, with nested and dotted keys. *Guarantees:* both forms of a key are one key.
#[test]
fn yaml_is_read() {
    let file = "listen: 127.0.0.1:0\netcd:\n  endpoints: http://a:1,http://b:1\netcd.prefix: /mesh\nnetworks: [vpc-1, vpc-2]\nrouter: {window_events: 100}\n";
    let process = process(&[], &[], "c.yaml", file).expect("valid");
    assert_eq!(process.etcd.endpoints, ["http://a:1", "http://b:1"]);
    assert_eq!((process.etcd.prefix.as_str(), process.router.window_events), ("/mesh", 100));
    assert_eq!(process.networks, ["vpc-1", "vpc-2"]);
}

/// *Scenario:* nothing is said of egress, on loopback and beyond it; ranges are said, none, and wrong ones. *Guarantees:* private ranges are allowed from the
/// start, loopback only to a process on loopback; what is said replaces that; what is no range is refused with its fix.
#[test]
fn ranges_that_may_be_dialled_are_read() {
    let given = [("listen", "127.0.0.1:0"), ("etcd.endpoints", "http://a:1")];
    let egress = |file: &str| process(&given, &[], "c.yaml", file).map(|process| process.egress);
    assert_eq!(egress(""), Ok(Rules::usual(true)));
    let said = egress("egress: {allow: [10.0.0.0/8, '::1/128'], deny: [10.9.0.0/16]}").expect("valid");
    let texts = |ranges: &[rocketbridge_model::Cidr]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (texts(&said.allow), texts(&said.deny)),
        (vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()], vec!["10.9.0.0/16".to_owned()])
    );
    assert_eq!(egress("egress: {allow: []}").expect("valid").allow, []);
    let refused = egress("egress.allow: [10.0.0.1]").expect_err("no range");
    assert!(refused.contains("egress.allow") && refused.contains("write 10.0.0.1/32 for this one address"), "{refused}");
    assert_eq!(Rules::usual(false).allow.len() + 2, Rules::usual(true).allow.len());
}

/// *Scenario:* every limit of patterns is given, in all three layers, and some are none. *Guarantees:* each reaches its place; what is not
/// positive, or beyond what a process can bear, is refused with its bounds.
#[test]
fn limits_of_patterns_are_read() {
    let given = [("listen", "127.0.0.1:0"), ("etcd.endpoints", "http://a:1")];
    let file = "[pattern]\ntext_bytes = \"1KiB\"\ndepth = 2\nconditions = 3\ncombinations = 4\noperand_bytes = 5\nwildcard_stars = 6\nregexps = 7\n\
        regexp_program_bytes = \"8kB\"\nregexp_repeat = 9\n";
    let limits = process(&given, &[("ROCKETBRIDGE_PATTERN_COMBINATIONS_TRIED", "10")], "c.toml", file).expect("valid").pattern;
    let expected = Limits {
        text_bytes: 1_024,
        depth: 2,
        conditions: 3,
        combinations: 4,
        operand_bytes: 5,
        wildcard_stars: 6,
        regexps: 7,
        regexp_program_bytes: 8_000,
        regexp_repeat: 9,
        combinations_tried: 10,
    };
    assert_eq!(limits, expected);
    assert_eq!(process(&given, &[], "c.toml", "").expect("valid").pattern, Limits::default());
    let file = "[pattern]\ncombinations = 0\nwildcard_stars = -1\ndepth = 1000\ntext_bytes = \"0B\"\nregexp_repeat = \"many\"\nwildcard_star = 1\n";
    golden("config_pattern.txt", &process(&given, &[], "c.toml", file).expect_err("wrong"));
}

/// *Scenario:* nothing is given. *Guarantees:* what is needed is named, with every way to give it.
#[test]
fn what_is_missing_is_named() {
    golden("config_missing.txt", &process(&[], &[], "empty.toml", "").expect_err("incomplete"));
}

/// *Scenario:* each layer is wrong in several ways. *Guarantees:* all is told at once, with origin, rule and fix; no secret shows.
#[test]
fn everything_wrong_is_told_at_once() {
    let file = "listen = \"nowhere\"\nlease_tl = \"9s\"\ndata_dir = \"/data\"\ncolour = \"red\"\nmember_id = \"a b\"\nnetworks = 7\n\
        [etcd]\nendpoints = [\"etcd:2379\"]\nprefix = \"mesh/\"\nusername = \"root\"\npassword = \"hunter2\"\nca = \"/nonexistent/ca.pem\"\nkey = \"/dev/null\"\n\
        [telemetry]\nlog_level = \"loud\"\nlog_format = \"xml\"\notlp_endpoint = \"collector\"\n\
        [router]\nwindow_events = 0\nwindow_bytes = \"8 MiB\"\ncommit_interval = [\"1s\"]\n";
    let variables =
        [("ROCKETBRIDGE_DRAIN_DEADLINE", "25"), ("ROCKETBRIDGE_REGOIN", "qingdao"), ("ROCKETBRIDGE_ROUTER_PORT", "tcp://10.0.0.1:9080")];
    let refused = process(&[("lease_ttl", "900ms"), ("advertise", "0.0.0.0:1")], &variables, "mesh.toml", file).expect_err("wrong");
    assert!(!refused.contains("hunter2"), "{refused}");
    golden("config_wrong.txt", &refused);
}

/// *Scenario:* a listener beyond loopback without certificates, with some, and with files that are not there. *Guarantees:* refused (I9).
#[test]
fn beyond_loopback_needs_tls() {
    let etcd = ("etcd.endpoints", "http://127.0.0.1:2379");
    let mut told = String::new();
    for (title, given) in [
        ("no certificates", vec![etcd, ("listen", "10.0.0.1:9080")]),
        ("all addresses", vec![etcd, ("listen", "0.0.0.0:9080")]),
        ("some certificates", vec![etcd, ("listen", "10.0.0.1:9080"), ("tls.ca", "/dev/null")]),
        (
            "missing files",
            vec![etcd, ("listen", "10.0.0.1:0"), ("tls.ca", "/dev/null"), ("tls.cert", "/nonexistent/c"), ("tls.key", "/dev/null")],
        ),
    ] {
        told += &format!("# {title}\n{}", process(&given, &[], "c.toml", "").expect_err("not allowed"));
    }
    golden("config_tls.txt", &told);
    let given = [etcd, ("listen", "10.0.0.1:9080"), ("tls.ca", "/dev/null"), ("tls.cert", "/dev/null"), ("tls.key", "/dev/null")];
    assert!(process(&given, &[], "c.toml", "").expect("complete").tls.is_some());
}

/// *Scenario:* files that cannot be used at all. *Guarantees:* said so; a line with a password is not quoted.
#[test]
fn unusable_files_are_refused() {
    let given = [("listen", "127.0.0.1:0"), ("etcd.endpoints", "http://127.0.0.1:2379")];
    let mut told = String::new();
    for (name, text) in [("c.ini", ""), ("c.toml", "[etcd]\npassword = hunter2\n"), ("c.yaml", "etcd: [\n"), ("c.yml", "- a\n")] {
        told += &process(&given, &[], name, text).expect_err("unusable");
    }
    assert!(!told.contains("hunter2"), "{told}");
    golden("config_files.txt", &told);
}

/// *Scenario:* builds with and without a RocketMQ inside, told to run one, not to, and nothing. *Guarantees:* nothing is needed: one runs if it is there; only
/// an explicit wish for one that is not there is refused, and says why.
#[test]
fn a_build_without_rocketmq_runs_without_one() {
    let read = |is_in_build: bool, given: &[(&'static str, &'static str)]| {
        let mut reader = Reader::new(Layers::collect(true, flags(given), Vec::new(), None));
        let runs = reader.embedded_rocketmq(is_in_build);
        reader.finish(runs).map_err(|refused| refused.to_string())
    };
    let (yes, no) = ([("embedded_rocketmq", "true")], [("embedded_rocketmq", "false")]);
    assert_eq!([read(true, &[]), read(true, &yes), read(true, &no)], [Ok(true), Ok(true), Ok(false)]);
    assert_eq!([read(false, &[]), read(false, &no)], [Ok(false), Ok(false)]);
    let refused = read(false, &yes).expect_err("there is none");
    assert!(refused.contains("this build has no RocketMQ inside; leave it out, or use a build with the feature embedded"), "{refused}");
    let standalone = Standalone::read(Layers::collect(true, Vec::new(), Vec::new(), None)).expect("nothing is needed");
    assert_eq!(standalone.embedded_rocketmq, cfg!(feature = "embedded"));
}

/// *Scenario:* standalone with nothing but defaults, and with a key that is not its own. *Guarantees:* it needs nothing; a foreign key is refused.
#[test]
fn standalone_needs_nothing() {
    let standalone = Standalone::read(Layers::collect(true, flags(&[("embedded_rocketmq", "false")]), Vec::new(), None)).expect("valid");
    assert_eq!((standalone.listen.port(), standalone.listen.ip().is_loopback(), standalone.embedded_rocketmq), (9080, true, false));
    let port =
        |text: &'static str| Standalone::read(Layers::collect(true, flags(&[("embedded.name_server_port", text)]), Vec::new(), None));
    assert_eq!((standalone.name_server_port, port("0").expect("a port").name_server_port), (None, Some(0)));
    assert!(port("65536").expect_err("no port").to_string().contains("write 9081, which is the default, or 0 for any free one"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.yaml");
    fs::write(&path, "etcd: {endpoints: [\"http://a:1\"]}\n").expect("a file in it");
    let refused = Standalone::read(Layers::collect(true, Vec::new(), Vec::new(), Some(&path))).expect_err("foreign");
    assert_eq!(refused.problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["etcd.endpoints"]);
}
