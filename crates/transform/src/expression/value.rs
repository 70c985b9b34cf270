//! jaq's JSON values, with every operation paid for.
//!
//! Errors say what kinds of values an operation met, never the values.

mod arithmetic;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValT, ValX};
use jaq_json::Val;
use jaq_std::ValT as StdValT;

use super::budget::{BYTES, MOST_NESTED, pay, stop_nesting};
use crate::output::Writer;

/// A JSON value.
#[derive(Debug, Clone, Eq)]
pub(super) struct Value(Val);

type Fault = Error<Value>;

impl Value {
    pub(super) fn new(value: Val) -> Self {
        Self(value)
    }

    pub(super) fn inner(&self) -> &Val {
        &self.0
    }

    /// The value as a target gets it: a string as its characters, anything else as JSON. It ends early over the writer's limit: parts
    /// that the value shares are written as often as they stand in it.
    pub(super) fn write(&self, out: &mut Writer) {
        match &self.0 {
            Val::TStr(bytes) | Val::BStr(bytes) => out.push(bytes),
            other => drop(fmt::Write::write_fmt(out, format_args!("{other}"))),
        }
    }

    pub(super) fn shape(&self) -> &'static str {
        match &self.0 {
            Val::Null => "null",
            Val::Bool(_) => "a boolean",
            Val::Num(_) => "a number",
            Val::BStr(_) | Val::TStr(_) => "a string",
            Val::Arr(_) => "an array",
            Val::Obj(_) => "an object",
        }
    }

    /// Units for going through the value once, not into its members.
    pub(super) fn size(&self) -> usize {
        match &self.0 {
            Val::BStr(bytes) | Val::TStr(bytes) => 1 + bytes.len() / BYTES,
            Val::Arr(elements) => 1 + elements.len(),
            Val::Obj(members) => 1 + members.len(),
            Val::Null | Val::Bool(_) | Val::Num(_) => 1,
        }
    }

    /// Units for copying the value: its members are shared.
    fn copy_size(&self) -> usize {
        match &self.0 {
            Val::Arr(elements) => 1 + elements.len() / 16,
            Val::Obj(members) => 1 + members.len() / 4,
            _ => self.size(),
        }
    }

    /// An empty value of the same kind, for errors: holding on to the value would make changing it a copy.
    fn kind(&self) -> Self {
        Self(match &self.0 {
            Val::BStr(_) | Val::TStr(_) => Val::utf8_str(""),
            Val::Arr(_) => Val::Arr(Arc::default()),
            Val::Obj(_) => Val::obj(jaq_json::Map::default()),
            scalar => scalar.clone(),
        })
    }

    /// Units for going through all of it.
    pub(super) fn whole_size(&self) -> usize {
        whole_size(&self.0)
    }

    /// Whether it may be put into another value. Its parts are counted, and paid for, as often as they stand in it: what shares its
    /// parts can stand for far more than it takes.
    fn may_be_held(&self) -> bool {
        may_be_held(&self.0, 1)
    }

    fn fault(&self, needed: &'static str) -> Fault {
        Error::typ(self.kind(), needed)
    }
}

fn whole_size(value: &Val) -> usize {
    match value {
        Val::BStr(bytes) | Val::TStr(bytes) => 1 + bytes.len() / BYTES,
        Val::Arr(elements) => elements.iter().map(whole_size).fold(1, usize::saturating_add),
        Val::Obj(members) => {
            members.iter().map(|(key, value)| whole_size(key).saturating_add(whole_size(value))).fold(1, usize::saturating_add)
        }
        Val::Null | Val::Bool(_) | Val::Num(_) => 1,
    }
}

fn may_be_held(value: &Val, depth: usize) -> bool {
    let length = match value {
        Val::Arr(elements) => elements.len(),
        Val::Obj(members) => members.len(),
        _ => return true,
    };
    if depth >= MOST_NESTED {
        stop_nesting();
        return false;
    }
    pay(1 + length / 8)
        && match value {
            Val::Arr(elements) => elements.iter().all(|element| may_be_held(element, depth + 1)),
            Val::Obj(members) => members.values().all(|value| may_be_held(value, depth + 1)),
            _ => true,
        }
}

/// Pays for comparing two values: no more of either is looked at than the smaller has.
fn pay_for_comparing(one: &Val, other: &Val) -> bool {
    let length = |value: &Val| match value {
        Val::BStr(bytes) | Val::TStr(bytes) => bytes.len() / BYTES,
        Val::Arr(elements) => elements.len(),
        Val::Obj(members) => members.len(),
        Val::Null | Val::Bool(_) | Val::Num(_) => 0,
    };
    pay(whole_size(if length(one) <= length(other) { one } else { other }))
}

/// False once the budget is spent: the next operation fails.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        pay_for_comparing(&self.0, &other.0) && self.0 == other.0
    }
}

/// None once the budget is spent: the next operation fails.
#[allow(
    clippy::non_canonical_partial_ord_impl,
    reason = "sorting needs an order that does not change half way, so only this one is paid for"
)]
impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        pay_for_comparing(&self.0, &other.0).then(|| self.0.cmp(&other.0))
    }
}

/// What sorts pays before: see [`StdValT::into_seq`].
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

/// Pays, or stops the program; whoever runs it asks the budget for the reason.
pub(super) fn paid(units: usize) -> Result<(), Fault> {
    if pay(units) { Ok(()) } else { Err(Error::new(Value(Val::Null))) }
}

/// A value that is put into another.
fn held<'a>(value: Value) -> Result<Val, Exn<'a, Value>> {
    if value.may_be_held() { Ok(value.0) } else { Err(Exn::from(Error::new(Value(Val::Null)))) }
}

impl ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        Val::from_num(text).map(Self).map_err(|_| Error::typ(Self(Val::Null), "number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let mut map = jaq_json::Map::default();
        for (key, value) in members {
            paid(1)?;
            if !value.may_be_held() {
                return Err(Error::new(Self(Val::Null)));
            }
            map.insert(key.0, value.0);
        }
        Ok(Self(Val::obj(map)))
    }

    fn key_values(self) -> Box<dyn Iterator<Item = ValR<(Self, Self), Self>>> {
        let fault = self.fault("an array or an object");
        if !matches!(self.0, Val::Arr(_) | Val::Obj(_)) || !pay(self.size()) {
            return Box::new(std::iter::once(Err(fault)));
        }
        Box::new(self.0.key_values().map(move |item| {
            paid(1)?;
            item.map(|(key, value)| (Self(key), Self(value))).map_err(|_| fault.clone())
        }))
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        let fault = self.fault("an array or an object");
        if !matches!(self.0, Val::Arr(_) | Val::Obj(_)) || !pay(self.size()) {
            return Box::new(std::iter::once(Err(fault)));
        }
        Box::new(self.0.values().map(move |item| {
            paid(1)?;
            item.map(Self).map_err(|_| fault.clone())
        }))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        // An array as an index is searched for, which may take the product of the lengths.
        let units = if matches!(index.0, Val::Arr(_)) { self.size().saturating_mul(index.size()) } else { 1 };
        paid(units)?;
        let fault = Error::index(self.kind(), index.kind());
        self.0.index(&index.0).map(Self).map_err(|_| fault)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        paid(self.size())?;
        let fault = self.fault("an array or a string");
        self.0.range(range.start.map(Self::inner)..range.end.map(Self::inner)).map(Self).map_err(|_| fault)
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, change: impl Fn(Self) -> I) -> ValX<'a, Self> {
        paid(self.size())?;
        match self.0 {
            Val::Arr(elements) => {
                let changed = elements.iter().cloned().flat_map(|element| change(Self(element)));
                changed.map(|value| value.and_then(held)).collect::<Result<Vec<_>, _>>().map(|elements| Self(Val::Arr(Arc::new(elements))))
            }
            Val::Obj(members) => {
                let changed = members.iter().filter_map(|(key, value)| {
                    change(Self(value.clone())).next().map(|value| value.and_then(held).map(|value| (key.clone(), value)))
                });
                changed.collect::<Result<_, _>>().map(|members| Self(Val::obj(members)))
            }
            other => opt.fail(Self(other), |value| Exn::from(value.fault("an array or an object to update"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(self, index: &Self, opt: Opt, change: impl Fn(Self) -> I) -> ValX<'a, Self> {
        paid(self.size())?;
        match (self.0, &index.0) {
            (Val::Obj(mut members), key @ (Val::TStr(_) | Val::BStr(_))) => {
                let old = members.get(key).cloned();
                let new = change(Self(old.unwrap_or(Val::Null))).next().transpose()?.map(held).transpose()?;
                let members_mut = Arc::make_mut(&mut members);
                match new {
                    Some(value) => members_mut.insert(key.clone(), value),
                    None => members_mut.shift_remove(key),
                };
                Ok(Self(Val::Obj(members)))
            }
            (Val::Arr(mut elements), Val::Num(_)) => {
                let length = isize::try_from(elements.len()).unwrap_or(isize::MAX);
                let place = index.0.as_isize().map(|place| if place < 0 { place + length } else { place });
                let Some(place) = place.and_then(|place| usize::try_from(place).ok()) else {
                    return opt.fail(Self(Val::Arr(elements)), |value| Exn::from(Error::index(value, index.clone())));
                };
                let old = elements.get(place).cloned().unwrap_or(Val::Null);
                let new = change(Self(old)).next().transpose()?.map(held).transpose()?;
                match new {
                    Some(value) => {
                        // What is missing before the place is null.
                        paid(place.saturating_sub(elements.len()))?;
                        let elements_mut = Arc::make_mut(&mut elements);
                        if place >= elements_mut.len() {
                            elements_mut.resize(place + 1, Val::Null);
                        }
                        elements_mut[place] = value;
                    }
                    None if place < elements.len() => drop(Arc::make_mut(&mut elements).remove(place)),
                    None => {}
                }
                Ok(Self(Val::Arr(elements)))
            }
            (Val::Null, Val::Num(_)) => Self(Val::Arr(Arc::default())).map_index(index, opt, change),
            (Val::Null, Val::TStr(_)) => Self(Val::obj(jaq_json::Map::default())).map_index(index, opt, change),
            (other, _) => opt.fail(Self(other), |value| Exn::from(value.fault("an array or an object to update"))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(self, _: Range<&Self>, opt: Opt, _: impl Fn(Self) -> I) -> ValX<'a, Self> {
        opt.fail(self, |value| Exn::from(value.fault("something whose slices can be updated")))
    }

    fn as_bool(&self) -> bool {
        self.0.as_bool()
    }

    fn into_string(self) -> Self {
        // It cannot fail: the next operation does, if this one was too dear.
        if pay(self.whole_size()) { Self(self.0.into_string()) } else { Self(Val::Null) }
    }
}

impl StdValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.0 {
            Val::Arr(elements) if pay(elements.len()) && pay(elements.iter().map(whole_size).fold(1, usize::saturating_add)) => {
                Ok(elements.iter().cloned().map(Self).collect())
            }
            other => Err(Self(other)),
        }
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        if pay(self.size()) { self.0.as_bytes() } else { None }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self(self.0.as_sub_str(part))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self(Val::from_utf8_bytes(bytes))
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        // It cannot fail: it ends early, and the next operation fails.
        let elements: Vec<Val> = values.into_iter().take_while(|value| pay(1) && value.may_be_held()).map(|value| value.0).collect();
        Self(Val::Arr(Arc::new(elements)))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(value.into())
    }
}

impl From<isize> for Value {
    fn from(value: isize) -> Self {
        Self(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl From<Range<Self>> for Value {
    fn from(range: Range<Self>) -> Self {
        Self((range.start.map(|value| value.0)..range.end.map(|value| value.0)).into())
    }
}

/// The value's shape: this is what jaq writes into errors.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape())
    }
}
