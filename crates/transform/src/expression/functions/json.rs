//! JSON values: how large they are, what they contain, and to and from text.

use jaq_core::{Error, ValT as _};
use jaq_json::Val;
use jaq_std::ValT as _;
use rocketbridge_pattern::json::{Reader, is_json, mend_surrogates};

use super::Result;
use crate::expression::has_long_number;
use crate::expression::value::{Value, paid};

pub(super) fn length(value: Value) -> Result<Value> {
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

pub(super) fn has(value: &Value, key: &Value) -> Result<Value> {
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
pub(super) fn contains(value: &Val, part: &Val) -> Result<bool> {
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

pub(super) fn every(mut found: impl Iterator<Item = Result<bool>>) -> Result<bool> {
    found.try_fold(true, |all, one| one.map(|one| all && one))
}

pub(super) fn to_json(value: &Value) -> Result<Value> {
    paid(value.whole_size())?;
    Ok(value.inner().to_string().into())
}

pub(super) fn from_json(value: &Value) -> Result<Value> {
    paid(value.size().saturating_mul(4))?;
    let fault = || Error::typ(value.clone(), "JSON text");
    let text = value.as_utf8_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(fault)?;
    // The reader bounds the nesting, which jaq's does not.
    if !is_json(text) || has_long_number(text.as_bytes()) {
        return Err(fault());
    }
    jaq_json::read::parse_single(&mend_surrogates(text.as_bytes())).map(Value::new).map_err(|_| fault())
}

pub(super) fn to_number(value: Value) -> Result<Value> {
    paid(1)?;
    let fault = || Error::typ(value.clone(), "a number's text");
    match value.inner() {
        Val::Num(_) => Ok(value),
        Val::TStr(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| fault())?.trim();
            let mut reader = Reader::new(text);
            reader.number().and_then(|_| reader.end()).map_err(|_| fault())?;
            if has_long_number(text.as_bytes()) {
                return Err(fault());
            }
            Value::from_num(text)
        }
        _ => Err(fault()),
    }
}

/// The places at which a part begins: characters of a string, elements of an array, of a part that is an array a run of them.
pub(super) fn indices(value: &Value, part: &Value) -> Result<Value> {
    paid(value.size())?;
    let places: Vec<usize> = match (value.inner(), part.inner()) {
        (Val::Null, _) => return Ok(Value::new(Val::Null)),
        (Val::TStr(text) | Val::BStr(text), Val::TStr(part) | Val::BStr(part)) => {
            paid(text.len().saturating_mul(part.len().max(1)) / 64)?;
            let mut places = Vec::new();
            let mut characters = 0;
            for at in 0..text.len() {
                if !part.is_empty() && text[at..].starts_with(part) {
                    places.push(characters);
                }
                // A byte that goes on with a character is no place of its own.
                characters += usize::from(text.get(at + 1).is_none_or(|next| next & 0xc0 != 0x80));
            }
            places
        }
        (Val::Arr(elements), Val::Arr(part)) => {
            let most = elements.len().saturating_sub(part.len().saturating_sub(1));
            let mut places = Vec::new();
            for at in 0..if part.is_empty() { 0 } else { most } {
                if is_run(&elements[at..], part)? {
                    places.push(at);
                }
            }
            places
        }
        (Val::Arr(elements), part) => {
            let mut places = Vec::new();
            for (at, element) in elements.iter().enumerate() {
                if is_same(element, part)? {
                    places.push(at);
                }
            }
            places
        }
        _ => return Err(Error::index(value.clone(), part.clone())),
    };
    Ok(places.into_iter().map(Value::from).collect())
}

fn is_run(elements: &[Val], part: &[Val]) -> Result<bool> {
    for (element, wanted) in elements.iter().zip(part) {
        if !is_same(element, wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_same(one: &Val, other: &Val) -> Result<bool> {
    // Comparing pays for itself, but its answer may be that the budget is spent.
    let same = Value::new(one.clone()) == Value::new(other.clone());
    paid(1).map(|()| same)
}

/// Where a value stands in a sorted array, or `-1 - place` where it would.
pub(super) fn search(value: &Value, wanted: &Value) -> Result<Value> {
    let Val::Arr(elements) = value.inner() else { return Err(Error::typ(value.clone(), "an array")) };
    let looks = usize::try_from(elements.len().max(1).ilog2()).unwrap_or(0) + 1;
    paid(wanted.whole_size().saturating_mul(looks))?;
    let place = elements.binary_search(wanted.inner());
    let signed = |place: usize| isize::try_from(place).unwrap_or(isize::MAX);
    Ok(Value::from(place.map_or_else(|place| -1 - signed(place), signed)))
}
