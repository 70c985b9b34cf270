//! Numbers: the mathematics of doubles. Each takes the time of one operation, whatever its arguments are.

use jaq_core::native::{Filter, bome, v};
use jaq_core::{Error, RunPtr};
use jaq_std::ValT as _;

use super::Result;
use crate::expression::Kind;
use crate::expression::value::{Value, paid};

macro_rules! of_one {
    ($($name:literal: $function:expr),* $(,)?) => {
        [$(($name, v(0), |cv| bome(number(&cv.1).map(|x| from_double($function(x)))))),*]
    };
}

macro_rules! of_two {
    ($($name:literal: $function:expr),* $(,)?) => {
        [$(($name, v(2), |mut cv| {
            let (y, x) = (cv.0.pop_var(), cv.0.pop_var());
            bome(number(&x).and_then(|x| Ok(from_double($function(x, number(&y)?)))))
        })),*]
    };
}

pub(super) fn functions() -> impl Iterator<Item = Filter<RunPtr<Kind>>> {
    let of_one: [Filter<RunPtr<Kind>>; 28] = of_one![
        "acos": f64::acos, "acosh": f64::acosh, "asin": f64::asin, "asinh": f64::asinh, "atan": f64::atan, "atanh": f64::atanh,
        "cbrt": f64::cbrt, "cos": f64::cos, "cosh": f64::cosh, "exp": f64::exp, "exp10": |x| f64::powf(10.0, x), "exp2": f64::exp2,
        "expm1": f64::exp_m1, "fabs": f64::abs, "log": f64::ln, "log10": f64::log10, "log1p": f64::ln_1p, "log2": f64::log2,
        "logb": exponent, "nearbyint": f64::round_ties_even, "rint": f64::round_ties_even, "significand": significand, "sin": f64::sin,
        "sinh": f64::sinh, "sqrt": f64::sqrt, "tan": f64::tan, "tanh": f64::tanh, "trunc": f64::trunc,
    ];
    let of_two: [Filter<RunPtr<Kind>>; 9] = of_two![
        "atan2": f64::atan2, "copysign": f64::copysign, "fdim": |x: f64, y: f64| if x > y { x - y } else { 0.0 }, "fmax": f64::max,
        "fmin": f64::min, "fmod": |x: f64, y: f64| x % y, "hypot": f64::hypot, "ldexp": scale, "pow": f64::powf,
    ];
    let of_three: Filter<RunPtr<Kind>> = ("fma", v(3), |mut cv| {
        let (z, y, x) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
        bome((|| Ok(from_double(number(&x)?.mul_add(number(&y)?, number(&z)?))))())
    });
    let parts: [Filter<RunPtr<Kind>>; 2] = [
        ("frexp", v(0), |cv| {
            bome(number(&cv.1).map(|x| {
                let (fraction, exponent) = fraction(x);
                [from_double(fraction), from_double(f64::from(exponent))].into_iter().collect()
            }))
        }),
        ("modf", v(0), |cv| {
            bome(number(&cv.1).map(|x| {
                let fraction = if x.is_infinite() { 0.0_f64.copysign(x) } else { x.fract() };
                [from_double(fraction), from_double(x.trunc())].into_iter().collect()
            }))
        }),
    ];
    of_one.into_iter().chain(of_two).chain([of_three]).chain(parts)
}

fn number(value: &Value) -> Result<f64> {
    paid(1)?;
    value.as_f64().ok_or_else(|| Error::typ(value.clone(), "a number"))
}

/// A double as a value: whole ones as whole numbers, which is how jq writes them.
fn from_double(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        // It is whole and in range, so that nothing is cut off.
        #[allow(clippy::cast_possible_truncation, reason = "checked above")]
        return Value::from(number as isize);
    }
    Value::from(number)
}

/// The fraction from 0.5 to 1 and the power of two that make the number.
fn fraction(number: f64) -> (f64, i32) {
    const BIAS: i32 = 1022;
    const SUBNORMAL: f64 = 18_014_398_509_481_984.0;
    if number == 0.0 || !number.is_finite() {
        return (number, 0);
    }
    let exponent = |number: f64| i32::try_from(number.to_bits() >> 52 & 0x7ff).unwrap_or(0);
    let (number, scaled) = if exponent(number) == 0 { (number * SUBNORMAL, 54) } else { (number, 0) };
    let fraction = f64::from_bits(number.to_bits() & !(0x7ff << 52) | 0x3fe << 52);
    (fraction, exponent(number) - BIAS - scaled)
}

fn exponent(number: f64) -> f64 {
    match number {
        0.0 => f64::NEG_INFINITY,
        _ if number.is_infinite() => f64::INFINITY,
        _ if number.is_nan() => number,
        _ => f64::from(fraction(number).1 - 1),
    }
}

fn significand(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() { number } else { fraction(number).0 * 2.0 }
}

/// A number times a power of two, in two steps, lest the power alone be out of range.
fn scale(number: f64, power: f64) -> f64 {
    let power = power.trunc().clamp(-2_200.0, 2_200.0);
    let half = (power / 2.0).trunc();
    number * half.exp2() * (power - half).exp2()
}
