//! The functions a program may call: jaq's own that are safe to run, and the rest defined here.

use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Error, RunPtr, ValT};
use jaq_json::Val;
use jaq_std::ValT as _;

use super::Kind;
use super::value::{Value, paid};

/// jaq's definitions that could run for ever without an operation that is paid for, or that need what is left out here.
const REPLACED: [&str; 10] = ["repeat", "recurse", "while", "until", "join", "combinations", "paths", "setpath", "delpaths", "limit"];

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
"#;

/// What is written after the functions it uses.
const OWN_LATE: &str = r#"
    def split($separator): if (type == "string") and ($separator | type == "string") then . / $separator else error("split needs two strings") end;
    def join($separator): reduce .[] as $part (null; (if . == null then "" else . + $separator end) + (if $part == null then "" else $part | tostring end)) // "";
    def @text: tostring;
    def @json: tojson;
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
    let standard = jaq_std::defs().filter(|definition| STANDARD.contains(&definition.name));
    kept(early).chain(parse(OWN)).chain(kept(late)).chain(standard).chain(parse(OWN_LATE))
}

pub(super) fn functions() -> impl Iterator<Item = Fun<Kind>> {
    jaq_core::funs().chain(jaq_std::base_funs()).chain(own().into_iter().map(|function| run::<Kind>(function)))
}

fn own() -> [Filter<RunPtr<Kind>>; 7] {
    [
        ("paid_step", v(0), |cv| bome(paid(1).map(|()| cv.1))),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("has", v(1), |cv| unary(cv, |value, key| has(&value, &key))),
        ("contains", v(1), |cv| unary(cv, |value, part| contains(value.inner(), part.inner()).map(Value::from))),
        ("tojson", v(0), |cv| bome(to_json(&cv.1))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
    ]
}

type Result<T> = std::result::Result<T, Error<Value>>;

fn length(value: Value) -> Result<Value> {
    paid(value.size())?;
    Ok(match value.inner() {
        Val::Null => Value::from(0_usize),
        Val::TStr(bytes) | Val::BStr(bytes) => Value::from(String::from_utf8_lossy(bytes).chars().count()),
        Val::Arr(elements) => Value::from(elements.len()),
        Val::Obj(members) => Value::from(members.len()),
        Val::Num(_) => {
            return if value < Value::from(0_usize) { -value } else { Ok(value) };
        }
        Val::Bool(_) => return Err(Error::typ(value, "something with a length")),
    })
}

fn has(value: &Value, key: &Value) -> Result<Value> {
    paid(1)?;
    match (value.inner(), key.inner()) {
        (Val::Obj(members), key) => Ok(members.contains_key(key).into()),
        (Val::Arr(elements), Val::Num(_)) => {
            Ok(key.as_isize().and_then(|place| usize::try_from(place).ok()).is_some_and(|place| place < elements.len()).into())
        }
        _ => Err(Error::index(value.clone(), key.clone())),
    }
}

/// As jq: a string contains its parts, an array one that contains each element, an object one with each member.
fn contains(value: &Val, part: &Val) -> Result<bool> {
    paid(1)?;
    Ok(match (value, part) {
        (Val::TStr(value) | Val::BStr(value), Val::TStr(part) | Val::BStr(part)) => {
            paid(value.len().saturating_mul(part.len().max(1)) / 64)?;
            part.is_empty() || value.windows(part.len()).any(|window| *window == ***part)
        }
        (Val::Arr(values), Val::Arr(parts)) => every(parts.iter().map(|part| {
            for value in values.iter() {
                if contains(value, part)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }))?,
        (Val::Obj(values), Val::Obj(parts)) => {
            every(parts.iter().map(|(key, part)| values.get(key).map_or(Ok(false), |value| contains(value, part))))?
        }
        _ => value == part,
    })
}

fn every(mut found: impl Iterator<Item = Result<bool>>) -> Result<bool> {
    found.try_fold(true, |all, one| one.map(|one| all && one))
}

fn to_json(value: &Value) -> Result<Value> {
    paid(value.whole_size())?;
    Ok(value.inner().to_string().into())
}

fn from_json(value: &Value) -> Result<Value> {
    paid(value.size().saturating_mul(4))?;
    let fault = || Error::typ(value.clone(), "JSON text");
    let text = value.as_utf8_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(fault)?;
    // The reader bounds the nesting, which jaq's does not.
    if !rocketbridge_pattern::json::is_json(text) || super::has_long_number(text.as_bytes()) {
        return Err(fault());
    }
    jaq_json::read::parse_single(text.as_bytes()).map(Value::new).map_err(|_| fault())
}

fn to_number(value: Value) -> Result<Value> {
    paid(1)?;
    let fault = || Error::typ(value.clone(), "a number's text");
    match value.inner() {
        Val::Num(_) => Ok(value),
        Val::TStr(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| fault())?.trim();
            let mut reader = rocketbridge_pattern::json::Reader::new(text);
            reader.number().and_then(|_| reader.end()).map_err(|_| fault())?;
            if super::has_long_number(text.as_bytes()) {
                return Err(fault());
            }
            Value::from_num(text)
        }
        _ => Err(fault()),
    }
}
