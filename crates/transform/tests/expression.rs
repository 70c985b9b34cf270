//! The EXPRESSION form: programs that work, programs that are refused, and programs that must be stopped.

use bytes::Bytes;
use rocketbridge_pattern::{Fixed, JsonEvent, Message, Properties};
use rocketbridge_transform::{Event, Output, Stop, Transform};

const EVENT: &str = r#"{"id":"m1","data":{"topic":"orders","userProperties":{"colour":"red"},"body":{"price":3.10,"count":2,"long":12345678901234567890,
    "name":"Ann","tags":["b","a","b"],"items":[{"n":1,"k":"x"},{"n":2,"k":"y"}],"text":"{\"in\":[1]}","gone":null}}}"#;

fn run(program: &str) -> Result<String, String> {
    let transform = Transform::compile("EXPRESSION", Some(program), None).map_err(|error| error.to_string())?;
    match transform.apply(&JsonEvent::new(EVENT)) {
        Ok(Output::Value(bytes)) => Ok(String::from_utf8(bytes.to_vec()).expect("the output is text")),
        Ok(Output::Absent) => Ok("absent".to_owned()),
        Err(error) => Err(format!("{}: {}", error.place, error.what)),
    }
}

/// *Scenario*: programs over the functions that are offered. *Guarantees*: jq's answers; a string as its characters, all else as JSON.
#[test]
fn programs_give_what_jq_gives() {
    for (program, expected) in [
        (".data.body.name", "Ann"),
        (".data.body.price * 2", "6.2"),
        (".data.body.price", "3.10"),
        (".data.body.long", "12345678901234567890"),
        (".data.body.none", "null"),
        ("empty", "absent"),
        ("{id, n: .data.body.items | map(.n)}", r#"{"id":"m1","n":[1,2]}"#),
        (".data.body.items | map(select(.n > 1).k) | join(\"-\")", "y"),
        (".data.body.tags | join(\",\")", "b,a,b"),
        (".data.body.tags | unique | length", "2"),
        (".data.body.tags | sort | reverse", r#"["b","b","a"]"#),
        (".data.body.items | group_by(.k) | length", "2"),
        ("[.data.body.items[] | .n] | add", "3"),
        (".data.body.items | to_entries | map(.key)", "[0,1]"),
        (".data.body | keys | first", "count"),
        (".data.body | with_entries(select(.key == \"name\"))", r#"{"name":"Ann"}"#),
        (".data.body.items | map(.n += 1) | map(.n)", "[2,3]"),
        (".data.body | del(.items, .tags, .text, .long) | tojson", r#"{"price":3.10,"count":2,"name":"Ann","gone":null}"#),
        ("\"\\(.id): \\(.data.body.count)\"", "m1: 2"),
        (".data.body.gone // \"none\"", "none"),
        ("if .data.body.count > 1 then \"many\" else \"one\" end", "many"),
        ("try error(\"x\") catch \"caught\"", "caught"),
        (".data.body.text | fromjson | .in[0]", "1"),
        ("\"12\" | tonumber + 1", "13"),
        (".data.body.name | ascii_upcase | split(\"N\")", r#"["A","",""]"#),
        (".data.body | has(\"name\"), has(\"x\") | tostring | select(. == \"false\")", "false"),
        (".data.body.tags | contains([\"a\"])", "true"),
        (".data.body.items | any(.n == 2)", "true"),
        ("reduce .data.body.items[] as $item (0; . + $item.n)", "3"),
        ("[limit(3; range(10))]", "[0,1,2]"),
        ("[1 | until(. > 50; . * 2)]", "[64]"),
        ("[1 | while(. < 5; . + 1)]", "[1,2,3,4]"),
        ("[..] | length", "24"),
        ("[[1, [2]], 3] | flatten", "[1,2,3]"),
        (".data.body.name | type", "string"),
        (".data.body.name[1:]", "nn"),
        (".data.body.name | startswith(\"A\")", "true"),
        (".data.userProperties | map_values(ascii_upcase)", r#"{"colour":"RED"}"#),
        (".data.body.name | @text", "Ann"),
        ("[paths] | length > 5", "true"),
    ] {
        assert_eq!(run(program).as_deref(), Ok(expected), "{program}");
    }
}

/// *Scenario*: malformed programs, unknown names, and what is left out. *Guarantees*: refused when compiled, with the place.
#[test]
fn other_programs_are_refused() {
    let nested = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    let minus = format!("{}1", "-".repeat(600));
    let long = format!("\"{}\"", "x".repeat(10_300));
    for (program, expected) in [
        (".a |", "malformed program"),
        (".a ]", "malformed program"),
        ("unknown_thing(1)", "the unknown function \"unknown_thing/1\""),
        ("$x", "the unknown variable \"$x\""),
        ("def f: f; f", "the word \"def\""),
        ("[(def f: 1; f)]", "the word \"def\""),
        ("\"\\(def f: f; f)\"", "the word \"def\""),
        ("import \"a\" as a; .", "the word \"import\""),
        ("halt", "the function \"halt\" of jq, which is left out here: "),
        ("input", "the function \"input\" of jq, which is left out here: "),
        ("env", "the function \"env\" of jq, which is left out here: "),
        ("now", "the function \"now\" of jq, which is left out here: "),
        ("halt(1)", "the function \"halt/1\" of jq, which is left out here: "),
        ("test(\"a\")", "the function \"test/1\" of jq, which is left out here: it needs a regular expression"),
        (&nested, "40 brackets inside each other"),
        (&minus, "words and symbols"),
        (&long, "characters"),
    ] {
        let error = run(program).expect_err(program);
        assert!(error.starts_with("Value: found ") && error.contains(expected), "{program}: {error}");
    }
}

/// *Scenario*: programs that would run for ever or fill the memory. *Guarantees*: stopped by the budget, soon.
#[test]
fn costly_programs_are_stopped() {
    let doubling = format!("\"ab\"{}", " | . + .".repeat(60));
    let squaring = format!("7{}", " | . * .".repeat(100));
    let lists = format!("[1,2,3,4]{}", " | [.[], .[]]".repeat(40));
    let nested = format!("[{} 1]", "range(100) as $x | ".repeat(20));
    for program in [
        "[range(1e12)]",
        "last(range(1e12))",
        "[repeat(1)]",
        "last(repeat(1))",
        "first(repeat(1) | select(. == 2))",
        "last(recurse(.))",
        "1 | until(false; .)",
        "last(1 | while(true; .))",
        "\"x\" * 1000000000",
        "1000000000 * \"x\"",
        "reduce range(100) as $x (\"ab\"; . + .)",
        "last(foreach range(1e12) as $x (0; . + 1))",
        "[limit(1e12; repeat(1))]",
        "[range(3000)] | [.[] as $a | .[] as $b | 1]",
        "[range(3000)] | map(. as $x | [range(1000)] | sort)",
        "[range(20000)] - [range(20000)]",
        &doubling,
        &lists,
        &nested,
    ] {
        let error = run(program).expect_err(program);
        assert_eq!(error, "the program: it costs more than 200000 steps", "{program}");
    }
    assert!(run(&squaring).is_ok());
}

/// *Scenario*: a flag that is set before a run, one that is set from another thread while heavy runs go on one after the other, and one that is not set.
/// *Guarantees*: no value and no error once it is set, soon; the same answer as ever if it is not; the next run on the thread is not stopped.
#[test]
fn a_run_is_stopped_from_another_thread() {
    let heavy = Transform::compile("EXPRESSION", Some("last(range(1e12))"), None).expect("well formed");
    let light = Transform::compile("EXPRESSION", Some(".id"), None).expect("well formed");
    let event = JsonEvent::new(EVENT);
    let stop = Stop::default();
    assert!(heavy.apply_unless(&event, &stop).is_err(), "it ends by its budget");
    let setter = std::thread::spawn({
        let stop = stop.clone();
        move || stop.set()
    });
    while heavy.apply_unless(&event, &stop) != Ok(None) {}
    setter.join().expect("it ends");
    assert_eq!((heavy.apply_unless(&event, &stop), light.apply_unless(&event, &stop)), (Ok(None), Ok(None)));
    assert_eq!(light.apply(&event), Ok(Output::Value(Bytes::from_static(b"m1"))));
}

/// *Scenario*: values that share their parts, so that they stand for far more than they take; values that nest ever deeper; comparisons of large
/// values over and over. *Guarantees*: stopped before they are written, compared or dropped, on the stack of any thread.
#[test]
fn values_are_bounded_in_size_and_depth() {
    let steps = "the program: it costs more than 200000 steps";
    let nesting = "the program: it nests values more than 512 deep";
    for (program, expected) in [
        ("reduce range(60) as $x ([1]; [., .])", steps),
        ("reduce range(60) as $x ({}; {a: ., b: .})", steps),
        ("reduce range(60) as $x (null; . as $y | {} | .a = $y | .b = $y)", steps),
        ("reduce range(60) as $x ([0]; map([., .]))", steps),
        ("reduce range(100000) as $x (null; [.])", nesting),
        ("reduce range(100000) as $x (null; {a: .})", nesting),
        ("reduce range(100000) as $x (null; . as $y | {} | .a = $y)", nesting),
        ("reduce range(100000) as $x ([0]; map([.]))", steps),
        ("reduce range(100000) as $x ([0]; .[0] |= [.])", steps),
        ("[range(5000)] as $a | reduce range(100000) as $x (0; if $a == $a then . + 1 else . end)", steps),
        ("[range(5000)] as $a | [range(100000) | $a < $a] | length", steps),
        ("(\"x\" * 100000) as $s | [range(2000) | $s] | sort | length", steps),
    ] {
        assert_eq!(run(program).expect_err(program), expected, "{program}");
    }
    let most = run("reduce range(511) as $x (null; [.])").expect("as deep as JSON may be");
    assert_eq!(most, format!("{}null{}", "[".repeat(511), "]".repeat(511)));
    assert_eq!(run("(\"x\" * 100000) as $s | [range(500) | $s]").expect_err("too long"), "the output: it is over 4194304 bytes");
}

/// *Scenario*: an event as deep as JSON may be, and programs that go through all of it, on a thread with a small stack. *Guarantees*: an answer or an
/// error.
#[test]
fn deep_events_cost_no_stack() {
    let event = format!("{{\"a\":{}1{}}}", "[".repeat(508), "]".repeat(508));
    let programs = [
        "[..] | length",
        "walk(.)",
        "tojson | fromjson",
        "tostring",
        "flatten",
        ". == .",
        "[., .] | sort",
        "del(..)",
        "[.. |= .]",
        "[path(..)] | length",
        ".a[][] |= 1",
        "add",
    ];
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for program in programs {
            if let Ok(transform) = Transform::compile("EXPRESSION", Some(program), None) {
                let _ = transform.apply(&JsonEvent::new(&event));
            }
        }
    });
    thread.expect("a thread").join().expect("nothing panics");
}

/// *Scenario*: numbers of a million digits, in the event and in text that is read as a number. *Guarantees*: refused at once, since reading one takes the
/// square of its length; in strings digits are only digits.
#[test]
fn long_numbers_are_refused() {
    let digits = "7".repeat(1_000_000);
    let apply = |program: &str, event: &str| {
        let transform = Transform::compile("EXPRESSION", Some(program), None).expect("well formed");
        transform.apply(&JsonEvent::new(event)).map_err(|error| format!("{}: {}", error.place, error.what))
    };
    let event = format!("{{\"n\":{digits}}}");
    assert_eq!(apply(".id", &event), Err(format!("the input: the event of {} bytes has a number of more than 1000 digits", event.len())));
    let event = format!("{{\"n\":\"\\\"{digits}\"}}");
    assert_eq!(apply(".n | length", &event), Ok(Output::Value(Bytes::from_static(b"1000001"))));
    let event = format!("{{\"n\":\"{digits}\"}}");
    for program in [".n | tonumber", ".n | fromjson"] {
        assert!(apply(program, &event).expect_err(program).starts_with("the program: cannot use a string as"), "{program}");
    }
}

/// *Scenario*: half a pair of surrogates somewhere in an event, in text that is read as JSON, and in the output. *Guarantees*: every program works on such
/// an event, and reads U+FFFD in its place.
#[test]
fn half_a_pair_of_surrogates_is_read_as_a_replacement() {
    let event = r#"{"id":"m1","data":{"body":{"a":"x\ud83dy","b":"\ud83d\ude00","c":"\\ud83d","d\ude00":1}}}"#;
    let apply = |program: &str| {
        let transform = Transform::compile("EXPRESSION", Some(program), None).expect("well formed");
        let output = transform.apply(&JsonEvent::new(event)).expect("applies");
        String::from_utf8(output.into_value().expect("a value").to_vec()).expect("text")
    };
    assert_eq!(apply(".id"), "m1");
    assert_eq!(apply(".data.body.a"), "x\u{fffd}y");
    assert_eq!(apply(".data.body.b"), "😀");
    assert_eq!(apply(".data.body.c"), "\\ud83d");
    assert_eq!(apply(".data.body | keys | last"), "d\u{fffd}");
    assert_eq!(apply(r#""\"\\ud83d\"" | fromjson"#), "\u{fffd}");
}

/// *Scenario*: programs that fail on a value. *Guarantees*: a rejected delivery that names the kinds of values, and no value.
#[test]
fn errors_tell_no_values() {
    for (program, expected) in [
        (".data.body.name + 1", "the program: cannot calculate a string + a number"),
        (".data.body.name | sort", "the program: cannot use a string as array"),
        (".data.body.name.x", "the program: cannot index a string with a string"),
        (".data.body.name[]", "the program: cannot use a string as an array or an object"),
        (".data.body.items[]", "the output: more than one value, where one is needed: put them in [ ]"),
        ("error(.data.body.name)", "the program: a string"),
        ("break_out", "Value: "),
    ] {
        let error = run(program).expect_err(program);
        assert!(error.starts_with(expected), "{program}: {error}");
    }
}

/// *Scenario*: a message, whose event has to be written first. *Guarantees*: the same view as the other forms have; errors name the program.
#[test]
fn a_message_is_a_source() {
    let body = Bytes::from_static(b"{\"a\":[1,2]}");
    let fixed = Fixed { attributes: &[("id", "m1")], fields: &[] };
    let message = Message { topic: "t", properties: Properties::new(b"KEYS\x01k\x02p\x01v\x02"), body: &body, envelope: &fixed };
    let program = "{key: .data.systemProperties.KEYS, p: .data.userProperties.p, last: .data.body.a[-1]}";
    let transform = Transform::compile("EXPRESSION", Some(program), None).expect("the program is well formed");
    let event = Event::new(message, &body);
    assert_eq!(transform.apply(&event), Ok(Output::Value(Bytes::from_static(br#"{"key":"k","p":"v","last":2}"#))));
    let transform = Transform::compile("EXPRESSION", Some(".id + 1"), None).expect("the program is well formed");
    assert_eq!(
        transform.apply(&event).expect_err("it fails").to_string(),
        "cannot apply .id + 1 at the program: cannot calculate a string + a number"
    );
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&transform);
}
