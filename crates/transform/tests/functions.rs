//! The functions of jq: each that docs/patterns.md and its Chinese edition list as present is run, each that they list as left out is tried.

use std::collections::BTreeSet;

use rocketbridge_pattern::JsonEvent;
use rocketbridge_transform::Transform;

const PAGES: [&str; 2] = [include_str!("../../../docs/patterns.md"), include_str!("../../../docs/patterns.zh-CN.md")];

/// A function with the number of its arguments, a program that calls it, and jq's answer.
const PRESENT: &[(&str, &str, &str)] = &[
    // Selecting, paths and updates.
    ("del/1", r#"{"a":1,"b":2} | del(.a)"#, r#"{"b":2}"#),
    ("delpaths/1", r#"[0,1,2,3] | delpaths([[1],[2]])"#, r#"[0,3]"#),
    ("empty", r#"[1, empty, 2]"#, r#"[1,2]"#),
    ("error", r#"try error catch "caught""#, r#"caught"#),
    ("error/1", r#"try error("x") catch ."#, r#"x"#),
    ("first", r#"[3,4] | first"#, r#"3"#),
    ("first/1", r#"first(3, 4)"#, r#"3"#),
    ("fromstream/1", r#"[1,[2]] | [fromstream(tostream)] == [.]"#, r#"true"#),
    ("getpath/1", r#"{"a":[5]} | getpath(["a",0])"#, r#"5"#),
    ("isempty/1", r#"isempty(empty)"#, r#"true"#),
    ("last", r#"[3,4] | last"#, r#"4"#),
    ("last/1", r#"last(3, 4)"#, r#"4"#),
    ("leaf_paths", r#"[{"a":[5]} | leaf_paths]"#, r#"[["a",0]]"#),
    ("limit/2", r#"[limit(2; 1, 2, 3)]"#, r#"[1,2]"#),
    ("map/1", r#"[1,2] | map(. + 1)"#, r#"[2,3]"#),
    ("map_values/1", r#"{"a":1} | map_values(. + 1)"#, r#"{"a":2}"#),
    ("not", r#"true | not"#, r#"false"#),
    ("nth/1", r#"[3,4] | nth(1)"#, r#"4"#),
    ("nth/2", r#"nth(1; 3, 4)"#, r#"4"#),
    ("path/1", r#"{"a":1} | path(.a)"#, r#"["a"]"#),
    ("paths", r#"[{"a":[5]} | paths]"#, r#"[["a"],["a",0]]"#),
    ("paths/1", r#"[{"a":[5]} | paths(type == "number")]"#, r#"[["a",0]]"#),
    ("pick/1", r#"{"a":1,"b":2} | pick(.a)"#, r#"{"a":1}"#),
    ("recurse", r#"[[1] | recurse]"#, r#"[[1],1]"#),
    ("recurse/1", r#"[1 | recurse(if . < 3 then . + 1 else empty end)]"#, r#"[1,2,3]"#),
    ("recurse/2", r#"[1 | recurse(. + 1; . < 4)]"#, r#"[1,2,3]"#),
    ("select/1", r#"[1,2] | map(select(. > 1))"#, r#"[2]"#),
    ("setpath/2", r#"null | setpath(["a","b"]; 1)"#, r#"{"a":{"b":1}}"#),
    ("skip/2", r#"[skip(1; 1, 2, 3)]"#, r#"[2,3]"#),
    ("tostream", r#"[[1] | tostream]"#, r#"[[[0],1],[[0]]]"#),
    ("truncate_stream/1", r#"[1 | truncate_stream([[0],1],[[1,0],2],[[1,0]],[[1]])]"#, r#"[[[0],2],[[0]]]"#),
    ("walk/1", r#"[1,[2]] | walk(if type == "number" then . + 1 else . end)"#, r#"[2,[3]]"#),
    ("with_entries/1", r#"{"a":1} | with_entries(.value += 1)"#, r#"{"a":2}"#),
    // Loops.
    ("range/1", r#"[range(3)]"#, r#"[0,1,2]"#),
    ("range/2", r#"[range(1; 3)]"#, r#"[1,2]"#),
    ("range/3", r#"[range(0; 6; 2)]"#, r#"[0,2,4]"#),
    ("repeat/1", r#"[limit(3; 1 | repeat(. * 2))]"#, r#"[1,2,4]"#),
    ("until/2", r#"1 | until(. > 50; . * 2)"#, r#"64"#),
    ("while/2", r#"[1 | while(. < 4; . + 1)]"#, r#"[1,2,3]"#),
    ("combinations", r#"[[[1,2],[3,4]] | combinations]"#, r#"[[1,3],[1,4],[2,3],[2,4]]"#),
    ("combinations/1", r#"[[0,1] | combinations(2)]"#, r#"[[0,0],[0,1],[1,0],[1,1]]"#),
    // Arrays and objects.
    ("add", r#"[1,2] | add"#, r#"3"#),
    ("add/1", r#"add(1, 2)"#, r#"3"#),
    ("all", r#"[true,false] | all"#, r#"false"#),
    ("all/1", r#"[1,2] | all(. > 0)"#, r#"true"#),
    ("all/2", r#"all(1, 2; . > 1)"#, r#"false"#),
    ("any", r#"[true,false] | any"#, r#"true"#),
    ("any/1", r#"[1,2] | any(. > 1)"#, r#"true"#),
    ("any/2", r#"any(1, 2; . > 2)"#, r#"false"#),
    ("bsearch/1", r#"[1,3,5] | [bsearch(3), bsearch(4)]"#, r#"[1,-3]"#),
    ("contains/1", r#"[1,[2,3]] | contains([[2]])"#, r#"true"#),
    ("flatten", r#"[1,[2,[3]]] | flatten"#, r#"[1,2,3]"#),
    ("flatten/1", r#"[1,[2,[3]]] | flatten(1)"#, r#"[1,2,[3]]"#),
    ("from_entries", r#"[{"key":"a","value":1}] | from_entries"#, r#"{"a":1}"#),
    ("group_by/1", r#"[1,2,3] | group_by(. % 2)"#, r#"[[2],[1,3]]"#),
    ("has/1", r#"{"a":1} | has("a")"#, r#"true"#),
    ("in/1", r#""a" | in({"a":1})"#, r#"true"#),
    ("index/1", r#""a,b,c" | index(",")"#, r#"1"#),
    ("indices/1", r#"[1,2,1,2] | indices([1,2])"#, r#"[0,2]"#),
    ("inside/1", r#""b" | inside("abc")"#, r#"true"#),
    ("keys", r#"{"b":1,"a":2} | keys"#, r#"["a","b"]"#),
    ("keys_unsorted", r#"{"b":1,"a":2} | keys_unsorted"#, r#"["b","a"]"#),
    ("length", r#""äb" | length"#, r#"2"#),
    ("max", r#"[1,3,2] | max"#, r#"3"#),
    ("max_by/1", r#"[{"a":1},{"a":2}] | max_by(.a)"#, r#"{"a":2}"#),
    ("min", r#"[3,1,2] | min"#, r#"1"#),
    ("min_by/1", r#"[{"a":1},{"a":2}] | min_by(.a)"#, r#"{"a":1}"#),
    ("reverse", r#"[1,2] | reverse"#, r#"[2,1]"#),
    ("rindex/1", r#""a,b,c" | rindex(",")"#, r#"3"#),
    ("sort", r#"[3,1,2] | sort"#, r#"[1,2,3]"#),
    ("sort_by/1", r#"[{"a":2},{"a":1}] | sort_by(.a)"#, r#"[{"a":1},{"a":2}]"#),
    ("to_entries", r#"{"a":1} | to_entries"#, r#"[{"key":"a","value":1}]"#),
    ("toarray", r#"[(1 | toarray), ([2] | toarray)]"#, r#"[[1],[2]]"#),
    ("transpose", r#"[[1,2],[3]] | transpose"#, r#"[[1,3],[2,null]]"#),
    ("unique", r#"[2,1,2] | unique"#, r#"[1,2]"#),
    ("unique_by/1", r#"[{"a":1,"b":1},{"a":1,"b":2}] | unique_by(.a)"#, r#"[{"a":1,"b":1}]"#),
    ("IN/1", r#"2 | IN(1, 2)"#, r#"true"#),
    ("IN/2", r#"IN(5, 2; 1, 2)"#, r#"true"#),
    ("INDEX/1", r#"[{"id":7}] | INDEX(.id)"#, r#"{"7":{"id":7}}"#),
    ("INDEX/2", r#"INDEX({"id":7}, {"id":8}; .id) | keys"#, r#"["7","8"]"#),
    // Types.
    ("arrays", r#"[[1],2 | arrays]"#, r#"[[1]]"#),
    ("booleans", r#"[true,2 | booleans]"#, r#"[true]"#),
    ("finites", r#"[1 | finites]"#, r#"[1]"#),
    ("infinite", r#"infinite > 1e308"#, r#"true"#),
    ("isinfinite", r#"infinite | isinfinite"#, r#"true"#),
    ("isnan", r#"nan | isnan"#, r#"true"#),
    ("isnormal", r#"1 | isnormal"#, r#"true"#),
    ("iterables", r#"[[1],2 | iterables]"#, r#"[[1]]"#),
    ("nan", r#"nan | isnan"#, r#"true"#),
    ("normals", r#"[0,1 | normals]"#, r#"[1]"#),
    ("nulls", r#"[null,2 | nulls]"#, r#"[null]"#),
    ("numbers", r#"[null,2 | numbers]"#, r#"[2]"#),
    ("objects", r#"[{},2 | objects]"#, r#"[{}]"#),
    ("scalars", r#"[{},2 | scalars]"#, r#"[2]"#),
    ("strings", r#"["a",2 | strings]"#, r#"["a"]"#),
    ("toboolean", r#""true" | toboolean"#, r#"true"#),
    ("tojson", r#"{"a":[1.50]} | tojson"#, r#"{"a":[1.50]}"#),
    ("fromjson", r#""[1]" | fromjson"#, r#"[1]"#),
    ("tonumber", r#""12" | tonumber"#, r#"12"#),
    ("tostring", r#"[1] | tostring"#, r#"[1]"#),
    ("type", r#"null | type"#, r#"null"#),
    ("values", r#"[null,2 | values]"#, r#"[2]"#),
    // Text.
    ("ascii", r#"65 | ascii"#, r#"A"#),
    ("ascii_downcase", r#""AÄ" | ascii_downcase"#, r#"aÄ"#),
    ("ascii_upcase", r#""ab" | ascii_upcase"#, r#"AB"#),
    ("endswith/1", r#""abc" | endswith("bc")"#, r#"true"#),
    ("explode", r#""ab" | explode"#, r#"[97,98]"#),
    ("format/1", r#"[1,"a"] | format("csv")"#, r#"1,"a""#),
    ("implode", r#"[97,98] | implode"#, r#"ab"#),
    ("join/1", r#"["a",1,null] | join("-")"#, r#"a-1-"#),
    ("ltrim", r#"" a " | ltrim"#, r#"a "#),
    ("ltrimstr/1", r#""abc" | ltrimstr("a")"#, r#"bc"#),
    ("rtrim", r#"" a " | rtrim"#, r#" a"#),
    ("rtrimstr/1", r#""abc" | rtrimstr("c")"#, r#"ab"#),
    ("split/1", r#""a,b" | split(",")"#, r#"["a","b"]"#),
    ("startswith/1", r#""abc" | startswith("ab")"#, r#"true"#),
    ("trim", r#"" a " | trim"#, r#"a"#),
    ("trimstr/1", r#""xax" | trimstr("x")"#, r#"a"#),
    ("utf8bytelength", r#""ä" | utf8bytelength"#, r#"2"#),
    ("@base32", r#""hello!" | @base32"#, r#"NBSWY3DPEE======"#),
    ("@base32d", r#""NBSWY3DPEE======" | @base32d"#, r#"hello!"#),
    ("@base64", r#""hällo" | @base64"#, r#"aMOkbGxv"#),
    ("@base64d", r#""aMOkbGxv" | @base64d"#, r#"hällo"#),
    ("@csv", r#"[1,"a\"b",null,true] | @csv"#, r#"1,"a""b",,true"#),
    ("@html", r#""<a&'\">" | @html"#, r#"&lt;a&amp;&#39;&quot;&gt;"#),
    ("@json", r#"{"a":1} | @json"#, r#"{"a":1}"#),
    ("@sh", r#""it's" | @sh"#, r#"'it'\''s'"#),
    ("@text", r#"[1] | @text"#, r#"[1]"#),
    ("@tsv", r#"["a\tb",1] | @tsv"#, "a\\tb\t1"),
    ("@uri", r#""a b/ü" | @uri"#, r#"a%20b%2F%C3%BC"#),
    ("@urid", r#""a%20b%2F%C3%BC" | @urid"#, r#"a b/ü"#),
    // Numbers.
    ("abs", r#"-5 | abs"#, r#"5"#),
    ("acos", r#"1 | acos"#, r#"0"#),
    ("acosh", r#"1 | acosh"#, r#"0"#),
    ("asin", r#"0 | asin"#, r#"0"#),
    ("asinh", r#"0 | asinh"#, r#"0"#),
    ("atan", r#"0 | atan"#, r#"0"#),
    ("atan2/2", r#"atan2(0; 1)"#, r#"0"#),
    ("atanh", r#"0 | atanh"#, r#"0"#),
    ("cbrt", r#"27 | cbrt"#, r#"3"#),
    ("ceil", r#"1.2 | ceil"#, r#"2"#),
    ("copysign/2", r#"copysign(3; -1)"#, r#"-3"#),
    ("cos", r#"0 | cos"#, r#"1"#),
    ("cosh", r#"0 | cosh"#, r#"1"#),
    ("exp", r#"0 | exp"#, r#"1"#),
    ("exp10", r#"3 | exp10 | round"#, r#"1000"#),
    ("exp2", r#"3 | exp2"#, r#"8"#),
    ("expm1", r#"0 | expm1"#, r#"0"#),
    ("fabs", r#"-1.5 | fabs"#, r#"1.5"#),
    ("fdim/2", r#"fdim(5; 3)"#, r#"2"#),
    ("floor", r#"1.8 | floor"#, r#"1"#),
    ("fma/3", r#"fma(2; 3; 4)"#, r#"10"#),
    ("fmax/2", r#"fmax(2; 3)"#, r#"3"#),
    ("fmin/2", r#"fmin(2; 3)"#, r#"2"#),
    ("fmod/2", r#"fmod(7; 4)"#, r#"3"#),
    ("frexp", r#"8 | frexp"#, r#"[0.5,4]"#),
    ("hypot/2", r#"hypot(3; 4)"#, r#"5"#),
    ("ldexp/2", r#"ldexp(1; 10)"#, r#"1024"#),
    ("log", r#"1 | log"#, r#"0"#),
    ("log10", r#"1000 | log10 | round"#, r#"3"#),
    ("log1p", r#"0 | log1p"#, r#"0"#),
    ("log2", r#"8 | log2"#, r#"3"#),
    ("logb", r#"8 | logb"#, r#"3"#),
    ("modf", r#"3.5 | modf"#, r#"[0.5,3]"#),
    ("nearbyint", r#"2.5 | nearbyint"#, r#"2"#),
    ("pow/2", r#"pow(2; 10)"#, r#"1024"#),
    ("pow10", r#"2 | pow10 | round"#, r#"100"#),
    ("rint", r#"3.5 | rint"#, r#"4"#),
    ("round", r#"2.5 | round"#, r#"3"#),
    ("scalb/2", r#"scalb(1; 3)"#, r#"8"#),
    ("scalbln/2", r#"scalbln(1; 3)"#, r#"8"#),
    ("significand", r#"10 | significand"#, r#"1.25"#),
    ("sin", r#"0 | sin"#, r#"0"#),
    ("sinh", r#"0 | sinh"#, r#"0"#),
    ("sqrt", r#"16 | sqrt"#, r#"4"#),
    ("tan", r#"0 | tan"#, r#"0"#),
    ("tanh", r#"0 | tanh"#, r#"0"#),
    ("trunc", r#"-1.8 | trunc"#, r#"-1"#),
    // Dates, all in UTC.
    ("date", r#"1721214600 | date"#, r#"2024-07-17T11:10:00Z"#),
    ("dateadd/2", r#"1 | dateadd("seconds"; 2)"#, r#"3"#),
    ("datesub/2", r#"3 | datesub("seconds"; 2)"#, r#"1"#),
    ("fromdate", r#""2024-07-17T11:10:00Z" | fromdate"#, r#"1721214600"#),
    ("fromdateiso8601", r#""2024-07-17T11:10:00Z" | fromdateiso8601"#, r#"1721214600"#),
    ("gmtime", r#"1721214600.5 | gmtime"#, r#"[2024,6,17,11,10,0.5,3,198]"#),
    ("mktime", r#"[2024,6,17,11,10,0,3,198] | mktime"#, r#"1721214600"#),
    ("strftime/1", r#"1721214600 | strftime("%d.%m.%Y %H:%M")"#, r#"17.07.2024 11:10"#),
    ("strptime/1", r#""17.07.2024 11:10:00" | strptime("%d.%m.%Y %H:%M:%S") | mktime"#, r#"1721214600"#),
    ("todate", r#"1721214600 | todate"#, r#"2024-07-17T11:10:00Z"#),
    ("todateiso8601", r#"1721214600.9 | todateiso8601"#, r#"2024-07-17T11:10:00Z"#),
];

fn run(program: &str) -> Result<String, String> {
    let transform = Transform::compile("EXPRESSION", Some(program), None).map_err(|error| error.to_string())?;
    let output = transform.apply(&JsonEvent::new("{}")).map_err(|error| error.to_string())?;
    output.into_value().map_or(Ok("absent".to_owned()), |bytes| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string()))
}

/// What stands in code style in the tables from one comment of a page to another.
fn listed(page: &str, from: &str, to: &str) -> BTreeSet<String> {
    let (_, rest) = page.split_once(from).expect("the page has the comment");
    let (part, _) = rest.split_once(to).expect("the page has the next comment");
    let cells = part.lines().filter(|line| line.starts_with('|'));
    let names = cells.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned);
    names.filter(|name| !matches!(name.as_str(), "regexp")).collect()
}

#[test]
fn every_function_that_is_listed_works() {
    let tried: BTreeSet<String> = PRESENT.iter().map(|(signature, ..)| (*signature).to_owned()).collect();
    for page in PAGES {
        let page = listed(page, "<!-- Functions that are there.", "<!-- What jq has and a program here may not call.");
        assert_eq!(page, tried, "the page and this test list the same functions");
    }
    let mut wrong = Vec::new();
    for (signature, program, expected) in PRESENT {
        let name = signature.split('/').next().unwrap_or_default();
        assert!(program.contains(name), "{signature} is not called in {program}");
        let found = run(program);
        if found.as_deref() != Ok(expected) {
            wrong.push(format!("{program}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// *Scenario*: programs that call what is listed as left out. *Guarantees*: each is refused when it is compiled, by its name and with a reason.
#[test]
fn every_function_that_is_left_out_is_refused_by_name() {
    let [page, chinese] =
        PAGES.map(|page| listed(page, "<!-- What jq has and a program here may not call.", "<!-- End of the functions. -->"));
    assert_eq!(page, chinese, "the two pages list the same functions");
    assert!(page.len() > 40, "{page:?}");
    for signature in page.into_iter().filter(|name| name != "error") {
        let (name, arity) = match signature.split_once('/') {
            Some((name, arity)) => (name, arity.parse().expect("a number of arguments")),
            None => (signature.as_str(), 0_usize),
        };
        let arguments = vec!["."; arity].join("; ");
        let program = if arity == 0 { name.to_owned() } else { format!("{name}({arguments})") };
        let error = run(&program).expect_err(&program);
        assert!(error.contains(&format!("{signature:?} of jq, which is left out here: ")), "{program}: {error}");
    }
}

/// *Scenario*: programs that make much of little through the functions that were given back. *Guarantees*: stopped by the budget, or an answer within it.
#[test]
fn functions_stay_within_the_budget() {
    let steps = "it costs more than 200000 steps";
    for program in [
        "[range(100)] | [combinations(4)] | length",
        "(\"x\" * 1000000) | [range(100) as $x | @html] | length",
        "(\"<\" * 200000) | [limit(100; repeat(.)) | @html | @uri | @base32] | length",
        "(\"ab\" * 100000) | [indices(\"ab\" * 1000)] | length",
        "[range(3000)] | indices([range(3000)] | .[1:])  | [., .] | [range(1000) as $x | .[0] == .[1]] | [range(100000)]",
        "[range(2000)] | [range(2000) as $x | transpose?, (. | tostring | @base64)] | length",
        "[range(20000)] | [limit(100; repeat(.)) | @csv] | length",
        "[range(5000) | [.]] | [limit(1000; repeat(.)) | transpose] | length",
        "[limit(1e9; 0 | repeat(.)) | todate] | length",
        "(\"%255d\" * 3000) as $format | [limit(1000; 0 | repeat(.)) | strftime($format) | length] | add",
        "last(1 | repeat(pow(.; 2)))",
        "[limit(100000; [range(100)] | repeat(.)) | bsearch(5)] | length",
        "reduce range(1000000) as $x (null; setpath([$x]; 1)) | length",
        "null | setpath([1000000000]; 1)",
    ] {
        let error = run(program).expect_err(program);
        assert!(error.contains(steps), "{program}: {error}");
    }
    assert_eq!(run("[range(400) | [.]] | [combinations] | length").as_deref(), Ok("1"));
}

/// *Scenario*: the edges of each group: what is empty, what is of another kind, what has no answer. *Guarantees*: jq's answers, and errors that tell kinds and
/// no values.
#[test]
fn edges_are_answered_as_jq_does() {
    for (program, expected) in [
        (r#"[] | transpose"#, "[]"),
        (r#"[] | first"#, "null"),
        (r#""abc" | index("z")"#, "null"),
        (r#"null | index("z")"#, "null"),
        (r#""äöü" | indices("ü")"#, "[2]"),
        (r#""aaa" | indices("aa")"#, "[0,1]"),
        (r#""a" | indices("")"#, "[]"),
        (r#"[1,2] | indices([])"#, "[]"),
        (r#"[1,2,1] | index(1)"#, "0"),
        (r#"[0,1,2,3,4] | del(.[1,3])"#, "[0,2,4]"),
        (r#"{"a":[1,2,3]} | del(.a[0], .a[1])"#, r#"{"a":[3]}"#),
        (r#"[1] | del(.)"#, "null"),
        (r#"null | setpath([2]; 1)"#, "[null,null,1]"),
        (r#"[0] | .[3] = 1"#, "[0,null,null,1]"),
        (r#"[[1,[2]] | paths(..)] | length"#, "4"),
        (r#"{"a":1} | path(..)"#, "{}"),
        (r#""aGk" | @base64d"#, "hi"),
        (r#""" | [@base64, @base64d, @base32, @base32d, @uri, @html]"#, r#"["","","","","",""]"#),
        (r#"@base64 "x\(1 + 1)""#, "xMg=="),
        (r#"-1 | todate"#, "1969-12-31T23:59:59Z"),
        (r#"-1.5 | gmtime"#, "[1969,11,31,23,59,58.5,3,364]"),
        (r#"1e20 | frexp"#, "[0.6776263578034403,67]"),
        (r#"5e-324 | frexp"#, "[0.5,-1073]"),
        (r#"0 | frexp"#, "[0,0]"),
        (r#"pow(2; 0.5)"#, "1.4142135623730951"),
        (r#"pow(10; 15)"#, "1000000000000000"),
    ] {
        let expected = if program.ends_with("path(..)") { None } else { Some(expected) };
        match (run(program), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{program}"),
            (Err(error), None) => assert!(error.contains("more than one value"), "{program}: {error}"),
            other => panic!("{program}: {other:?}"),
        }
    }
    for (program, expected) in [
        (r#""secret" | @csv"#, "cannot use a string as an array"),
        (r#"[["secret"]] | @csv"#, "cannot use an array as a part of a row"),
        (r#""sec!ret" | @base64d"#, "cannot use a string as base64"),
        (r#""%zz" | @urid"#, "cannot use a string as text of a URI"),
        (r#""secret" | fromdate"#, "cannot use a string as a date such as 2024-07-17T11:10:00Z"),
        (r#"1e30 | todate"#, "cannot use a number as seconds since 1970"),
        (r#"[1] | mktime"#, "cannot use an array as the parts of a date"),
        (r#"[2024, 12, 1, 0, 0, 0] | mktime"#, "cannot use an array as the parts of a date"),
        (r#""x" | strptime("%Y")"#, "cannot use a string as a date of this format"),
        (r#""secret" | sqrt"#, "cannot use a string as a number"),
        (r#"[] | format("xml")"#, "a string"),
        (r#"{} | indices("a")"#, "cannot index an object with a string"),
    ] {
        let error = run(program).expect_err(program);
        assert!(error.contains(expected) && !error.split(" at ").last().is_some_and(|what| what.contains("secret")), "{program}: {error}");
    }
}
