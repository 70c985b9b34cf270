//! The functions a program may call: jaq's own that are safe to run, and the rest defined here.
//!
//! Each pays from the [`budget`](super::budget) for what it looks through and what it makes. A function of jq that is missing here is in
//! [`absent`], with the reason; the page on patterns and transforms lists both, and a test holds the list against this module.
//!
//! - [`json`], [`text`], [`number`], [`date`]: functions by what they work on.

mod absent;
mod date;
mod json;
mod number;
mod text;

use jaq_core::Native;
use jaq_core::box_iter::box_once;
use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Error, Exn, RunPtr};

use super::Kind;
use super::value::{Value, paid};
pub(super) use absent::reason;

type Result<T> = std::result::Result<T, Error<Value>>;

/// jaq's definitions that could run for ever without an operation that is paid for, that answer otherwise than jq, or that need what is
/// left out here.
const REPLACED: [&str; 11] =
    ["repeat", "recurse", "while", "until", "join", "combinations", "paths", "setpath", "delpaths", "limit", "del"];

/// jaq's standard definitions that need nothing else than the functions here.
const STANDARD: [&str; 35] = [
    "null",
    "isboolean",
    "isnumber",
    "isstring",
    "isarray",
    "isobject",
    "nan",
    "infinite",
    "isnan",
    "isinfinite",
    "isfinite",
    "isnormal",
    "abs",
    "type",
    "values",
    "nulls",
    "booleans",
    "numbers",
    "finites",
    "normals",
    "strings",
    "arrays",
    "objects",
    "iterables",
    "scalars",
    "add",
    "min_by",
    "max_by",
    "min",
    "max",
    "unique_by",
    "unique",
    "keys",
    "flatten",
    "pick",
];

/// Loops take a step that is paid for each time round.
const OWN: &str = r#"
    def repeat(f): def again: ., (f | paid_step | again); again;
    def recurse(f): def again: ., (f | paid_step | again); again;
    def recurse: recurse(.[]?);
    def recurse(f; condition): recurse(f | select(condition));
    def while(condition; update): def again: if condition then ., (update | paid_step | again) else empty end; again;
    def until(condition; update): def again: if condition then . else update | paid_step | again end; again;
    def setpath($path; $value): getpath($path) = $value;
    def delpaths($paths): if any($paths[]; . == []) then [][0] else reduce ($paths | sort | reverse[]) as $path (.; getpath($path) |= empty) end;
    def del(f): delpaths([path(f)]);
"#;

/// What is written after the functions it uses.
const OWN_LATE: &str = r#"
    def split($separator): if (type == "string") and ($separator | type == "string") then . / $separator else error("split needs two strings") end;
    def join($separator): reduce .[] as $part (null; (if . == null then "" else . + $separator end) + (if $part == null then "" else $part | tostring end)) // "";
    def paths: path(..) | select(. != []);
    def paths(f): . as $whole | paths | select(. as $path | $whole | getpath($path) | f);
    def leaf_paths: paths(scalars);
    def in(whole): . as $key | whole | has($key);
    def inside(whole): . as $part | whole | contains($part);
    def index($part): indices($part) | .[0];
    def rindex($part): indices($part) | .[-1];
    def transpose: if . == [] then [] else . as $rows | ([.[] | length] | max) as $width
        | [range($width) as $column | [range($rows | length) as $row | $rows[$row][$column]]] end;
    def combinations: reduce .[] as $list ([]; . + ($list[] | [.]));
    def combinations($count): . as $list | [range($count) | $list] | combinations;
    def tostream: path(def again: (.[]? | paid_step | again), .; again) as $path | getpath($path)
        | reduce path(.[]?) as $below ([$path, .]; [$path + $below]);
    def fromstream(f): {"value": null, "ended": false} as $begin | foreach f as $part ($begin;
        if .ended then $begin else . end
        | if ($part | length) == 2
          then setpath(["ended"]; ($part[0] | length) == 0) | setpath(["value"] + $part[0]; $part[1])
          else setpath(["ended"]; ($part[0] | length) == 1) end;
        if .ended then .value else empty end);
    def truncate_stream(f): . as $depth | null | f | if (.[0] | length) > $depth then [.[0][$depth:]] + .[1:] else empty end;
    def IN(f): any(f == .; .);
    def IN(source; f): any(source == f; .);
    def INDEX(f; key): reduce f as $row ({}; . + {($row | key | tostring): $row});
    def INDEX(key): INDEX(.[]; key);
    def toarray: if type == "array" then . else [.] end;
    def toboolean: if type == "boolean" then . elif . == "true" then true elif . == "false" then false else error("neither true nor false") end;
    def trimstr($part): ltrimstr($part) | rtrimstr($part);
    def ascii: [.] | implode;
    def pow10: exp10;
    def scalb($x; $e): ldexp($x; $e);
    def scalbln($x; $e): ldexp($x; $e);
    def todate: todateiso8601;
    def fromdate: fromdateiso8601;
    def date: todate;
    def dateadd(unit; $count): . + $count;
    def datesub(unit; $count): . - $count;
    def @text: tostring;
    def @json: tojson;
    def @sh: [if type == "array" then .[] else . end | if type == "string" then "'" + escape_sh + "'" else tostring end] | join(" ");
    def @html: tostring | text_to_html;
    def @uri: tostring | text_to_uri;
    def @urid: tostring | text_from_uri;
    def @base32: tostring | text_to_base32;
    def @base32d: tostring | text_from_base32;
    def @base64: tostring | text_to_base64;
    def @base64d: tostring | text_from_base64;
    def @csv: text_to_csv;
    def @tsv: text_to_tsv;
    def format($name): if $name == "text" then @text elif $name == "json" then @json elif $name == "html" then @html elif $name == "uri" then @uri
        elif $name == "urid" then @urid elif $name == "csv" then @csv elif $name == "tsv" then @tsv elif $name == "sh" then @sh
        elif $name == "base64" then @base64 elif $name == "base64d" then @base64d elif $name == "base32" then @base32
        elif $name == "base32d" then @base32d else error("an unknown format") end;
"#;

pub(super) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let parse = |text: &'static str| jaq_core::load::parse(text, |parser| parser.defs()).unwrap_or_default();
    // The first that are needed by the others come first: a definition sees those before it.
    let core: Vec<_> = jaq_core::defs().collect();
    let place = core.iter().position(|definition| definition.name == "repeat").unwrap_or(core.len());
    let (early, late): (Vec<_>, Vec<_>) = core.into_iter().enumerate().partition(|(index, _)| *index < place);
    let kept = |list: Vec<(usize, Def<&'static str>)>| {
        list.into_iter().map(|(_, definition)| definition).filter(|definition| !REPLACED.contains(&definition.name))
    };
    let (loops, updates): (Vec<_>, Vec<_>) =
        parse(OWN).into_iter().partition(|definition| !matches!(definition.name, "setpath" | "delpaths" | "del"));
    let standard = jaq_std::defs().filter(|definition| STANDARD.contains(&definition.name));
    kept(early).chain(loops).chain(kept(late)).chain(updates).chain(standard).chain(parse(OWN_LATE))
}

pub(super) fn functions() -> impl Iterator<Item = Fun<Kind>> {
    // jaq ends a run by `halt`, which is not for a part of a service.
    let base = jaq_std::base_funs().filter(|(name, ..)| *name != "halt");
    let own = own().into_iter().chain(number::functions()).map(|function| run::<Kind>(function));
    jaq_core::funs().chain(base).chain(own).chain([paid_step()])
}

/// Passes its input on, for one step. It may stand in paths and updates.
fn paid_step() -> Fun<Kind> {
    let native = Native::<Kind>::new(|cv| bome(paid(1).map(|()| cv.1)))
        .with_paths(|cv| box_once(paid(1).map(|()| cv.1).map_err(Exn::from)))
        .with_update(|cv, change| match paid(1) {
            Ok(()) => change(cv.1),
            Err(fault) => box_once(Err(Exn::from(fault))),
        });
    ("paid_step", v(0), native)
}

fn own() -> [Filter<RunPtr<Kind>>; 23] {
    [
        ("length", v(0), |cv| bome(json::length(cv.1))),
        ("has", v(1), |cv| unary(cv, |value, key| json::has(&value, &key))),
        ("contains", v(1), |cv| unary(cv, |value, part| json::contains(value.inner(), part.inner()).map(Value::from))),
        ("indices", v(1), |cv| unary(cv, |value, part| json::indices(&value, &part))),
        ("bsearch", v(1), |cv| unary(cv, |value, wanted| json::search(&value, &wanted))),
        ("tojson", v(0), |cv| bome(json::to_json(&cv.1))),
        ("fromjson", v(0), |cv| bome(json::from_json(&cv.1))),
        ("tonumber", v(0), |cv| bome(json::to_number(cv.1))),
        ("text_to_html", v(0), |cv| bome(text::to_html(&cv.1))),
        ("text_to_uri", v(0), |cv| bome(text::to_uri(&cv.1))),
        ("text_from_uri", v(0), |cv| bome(text::from_uri(&cv.1))),
        ("text_to_base32", v(0), |cv| bome(text::to_base32(&cv.1))),
        ("text_from_base32", v(0), |cv| bome(text::from_base32(&cv.1))),
        ("text_to_base64", v(0), |cv| bome(text::to_base64(&cv.1))),
        ("text_from_base64", v(0), |cv| bome(text::from_base64(&cv.1))),
        ("text_to_csv", v(0), |cv| bome(text::to_csv(&cv.1))),
        ("text_to_tsv", v(0), |cv| bome(text::to_tsv(&cv.1))),
        ("fromdateiso8601", v(0), |cv| bome(date::from_iso8601(&cv.1))),
        ("todateiso8601", v(0), |cv| bome(date::to_iso8601(&cv.1))),
        ("gmtime", v(0), |cv| bome(date::broken_down(&cv.1))),
        ("mktime", v(0), |cv| bome(date::seconds(&cv.1))),
        ("strftime", v(1), |cv| unary(cv, |value, format| date::print(&value, &format))),
        ("strptime", v(1), |cv| unary(cv, |value, format| date::parse(&value, &format))),
    ]
}
