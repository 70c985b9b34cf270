//! Dates: seconds since 1970, their text, and their parts. All in UTC: a stream's answers do not depend on where it runs.

use jaq_core::Error;
use jaq_json::Val;
use jaq_std::ValT as _;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};

use super::Result;
use crate::expression::value::{Value, paid};

/// Units for each unit of a format: a conversion with a width may make many characters.
const FORMAT: usize = 64;

fn text(value: &Value) -> Result<&str> {
    let bytes = value.as_utf8_bytes().ok_or_else(|| Error::typ(value.clone(), "a string"))?;
    std::str::from_utf8(bytes).map_err(|_| Error::typ(value.clone(), "text"))
}

pub(super) fn from_iso8601(value: &Value) -> Result<Value> {
    paid(value.size())?;
    let time: Timestamp = text(value)?.parse().map_err(|_| Error::typ(value.clone(), "a date such as 2024-07-17T11:10:00Z"))?;
    Ok(number(time))
}

/// To the second, as jq has it.
pub(super) fn to_iso8601(value: &Value) -> Result<Value> {
    paid(1)?;
    let time = timestamp(value)?;
    let whole = Timestamp::from_second(time.as_second() - i64::from(time.subsec_nanosecond() < 0));
    Ok(whole.map_err(|_| fault(value))?.to_string().into())
}

/// Year, month from 0, day, hour, minute, second with its fraction, day of the week from Sunday, day of the year from 0.
pub(super) fn broken_down(value: &Value) -> Result<Value> {
    paid(8)?;
    Ok(parts(timestamp(value)?.to_zoned(TimeZone::UTC).datetime()))
}

pub(super) fn seconds(value: &Value) -> Result<Value> {
    paid(8)?;
    Ok(number(of_parts(value)?))
}

pub(super) fn print(value: &Value, format: &Value) -> Result<Value> {
    paid(format.size().saturating_mul(FORMAT))?;
    let time = if matches!(value.inner(), Val::Arr(_)) { of_parts(value)? } else { timestamp(value)? };
    let printed = strtime::format(text(format)?, &time.to_zoned(TimeZone::UTC));
    printed.map(Value::from).map_err(|_| Error::typ(format.clone(), "a format of dates"))
}

pub(super) fn parse(value: &Value, format: &Value) -> Result<Value> {
    paid(value.size().saturating_add(format.size().saturating_mul(FORMAT)))?;
    let mut time = BrokenDownTime::parse(text(format)?, text(value)?).map_err(|_| Error::typ(value.clone(), "a date of this format"))?;
    if time.offset().is_none() {
        time.set_offset(Some(Offset::UTC));
    }
    let time = time.to_timestamp().map_err(|_| Error::typ(value.clone(), "a whole date"))?;
    Ok(parts(time.to_zoned(TimeZone::UTC).datetime()))
}

fn fault(value: &Value) -> Error<Value> {
    Error::typ(value.clone(), "seconds since 1970")
}

fn timestamp(value: &Value) -> Result<Timestamp> {
    let time = match value.as_isize() {
        Some(seconds) => Timestamp::from_second(i64::try_from(seconds).map_err(|_| fault(value))?),
        // A double has no more than microseconds of a time in our age; beyond the range of a date it saturates, and is refused.
        #[allow(clippy::cast_possible_truncation, reason = "see above")]
        None => Timestamp::from_microsecond((value.as_f64().ok_or_else(|| fault(value))? * 1e6).round() as i64),
    };
    time.map_err(|_| fault(value))
}

#[allow(clippy::cast_precision_loss, reason = "a time in our age has no more than 52 bits of microseconds")]
fn number(time: Timestamp) -> Value {
    if time.subsec_nanosecond() == 0 {
        Value::from(isize::try_from(time.as_second()).unwrap_or(isize::MAX))
    } else {
        Value::from(time.as_microsecond() as f64 / 1e6)
    }
}

fn parts(time: DateTime) -> Value {
    let whole = |number: i16| Value::from(isize::from(number));
    let second = match time.subsec_nanosecond() {
        0 => whole(time.second().into()),
        nanoseconds => Value::from(f64::from(time.second()) + f64::from(nanoseconds) / 1e9),
    };
    let day = i16::from(time.weekday().to_sunday_zero_offset());
    let date = [whole(time.year()), whole(i16::from(time.month()) - 1), whole(time.day().into())];
    let rest = [whole(time.hour().into()), whole(time.minute().into()), second, whole(day), whole(time.day_of_year() - 1)];
    date.into_iter().chain(rest).collect()
}

fn of_parts(value: &Value) -> Result<Timestamp> {
    let fault = || Error::typ(value.clone(), "the parts of a date");
    let Val::Arr(elements) = value.inner() else { return Err(fault()) };
    let [year, month, day, hour, minute, second, ..] = elements.as_slice() else { return Err(fault()) };
    let whole = |value: &Val| value.as_isize().and_then(|number| i16::try_from(number).ok()).ok_or_else(fault);
    let small = |value: &Val| i8::try_from(whole(value)?).map_err(|_| fault());
    let seconds = second.as_f64().filter(|seconds| (0.0..61.0).contains(seconds)).ok_or_else(fault)?;
    // Both are in the range that was checked.
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    let (second, nanosecond) = (seconds.trunc() as i8, (seconds.fract() * 1e9) as i32);
    let month = small(month)?.checked_add(1).ok_or_else(fault)?;
    let time = DateTime::new(whole(year)?, month, small(day)?, small(hour)?, small(minute)?, second, nanosecond);
    let zoned = time.and_then(|time| time.to_zoned(TimeZone::UTC)).map_err(|_| fault())?;
    Ok(zoned.timestamp())
}
