//! Arithmetic on JSON values: jaq's, paid for by the size of what it makes.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::ops::Math;
use jaq_core::{Error, ValR};
use jaq_json::{Num, Val};
use jaq_std::ValT as _;

use super::{Value, paid};

impl Value {
    /// Pays for an operation on two values and does it. Whole numbers beyond the machine's become doubles, lest they grow.
    fn operate(self, other: Self, units: usize, math: Math, operation: impl FnOnce(Val, Val) -> Result<Val, Error<Val>>) -> ValR<Self> {
        paid(units)?;
        let fault = Error::math(self.kind(), math, other.kind());
        match operation(self.0, other.0) {
            Ok(value @ Val::Num(Num::BigInt(_))) => Ok(Self(Val::from(value.as_f64().unwrap_or(f64::NAN)))),
            Ok(value) => Ok(Self(value)),
            Err(_) => Err(fault),
        }
    }
}

impl Add for Value {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        let units = self.copy_size() + other.copy_size();
        self.operate(other, units, Math::Add, |one, other| one + other)
    }
}

impl Sub for Value {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        let units = self.size().saturating_mul(other.size());
        self.operate(other, units, Math::Sub, |one, other| one - other)
    }
}

impl Mul for Value {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        let units = match (&self.0, &other.0) {
            // A string is repeated, as often as the number says.
            (Val::TStr(_) | Val::BStr(_), Val::Num(_)) => self.size().saturating_mul(times(&other.0)),
            (Val::Num(_), Val::TStr(_) | Val::BStr(_)) => other.size().saturating_mul(times(&self.0)),
            _ => self.whole_size().saturating_add(other.whole_size()),
        };
        self.operate(other, units, Math::Mul, |one, other| one * other)
    }
}

/// A number as a count, at least 1.
fn times(number: &Val) -> usize {
    number.as_isize().map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(1).max(1))
}

impl Div for Value {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        let bytes = self.0.as_bytes().map_or(1, <[u8]>::len);
        self.operate(other, bytes, Math::Div, |one, other| one / other)
    }
}

impl Rem for Value {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        self.operate(other, 1, Math::Rem, |one, other| one % other)
    }
}

impl Neg for Value {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        paid(1)?;
        let fault = self.fault("a number");
        (-self.0).map(Self).map_err(|_| fault)
    }
}
