//! Numbers as the shop writes them: whole numbers are exact to 64 bits.

use std::cmp::Ordering;

/// A finite number. Whole numbers within 64 bits are always [`Number::Integer`], however they were
/// written, so equal numbers are equal values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Integer(i64),
    Decimal(f64),
}

/// 2⁶³: the first number that 64 bits cannot hold.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

impl Number {
    /// `None` unless the number is finite and its magnitude is below 2⁶³.
    pub fn new(number: f64) -> Option<Self> {
        if number.is_nan() || number.abs() >= BEYOND {
            return None;
        }
        Some(if number.fract() == 0.0 {
            Self::Integer(number as i64)
        } else {
            Self::Decimal(number)
        })
    }

    /// Reads decimal digits, with or without a fraction and an exponent.
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(integer) => Some(Self::Integer(integer)),
            Err(_) => text.parse().ok().and_then(Self::new),
        }
    }

    pub fn to_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Decimal(decimal) => decimal,
        }
    }

    /// For arithmetic of models.
    pub fn to_f32(self) -> f32 {
        self.to_f64() as f32
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (*self, *other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (Self::Decimal(a), Self::Decimal(b)) => a.partial_cmp(&b),
            // A decimal below 2⁶³ has a whole part that 64 bits hold, and a fraction that is not 0.
            (Self::Integer(a), Self::Decimal(b)) => {
                Some(a.cmp(&(b.floor() as i64)).then(Ordering::Less))
            }
            (Self::Decimal(_), Self::Integer(_)) => other.partial_cmp(self).map(Ordering::reverse),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Decimal(decimal) => decimal.fmt(f),
        }
    }
}

impl serde::Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Decimal(decimal) => serializer.serialize_f64(*decimal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn whole_numbers_are_exact_to_64_bits() {
        assert_eq!(number("16777217"), Number::Integer(16_777_217));
        assert_eq!(number("9223372036854775807"), Number::Integer(i64::MAX));
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
        assert_eq!(number("20.0"), Number::Integer(20));
        assert_eq!(number("2e1"), Number::Integer(20));
        assert_eq!(serde_json::to_string(&[number("4.0"), number("0.1")]).unwrap(), "[4,0.1]");
    }

    #[test]
    fn what_64_bits_cannot_hold_is_no_number() {
        for text in ["9223372036854775808", "1e300", "-1e19", "inf", "NaN", "", "ten", "0x10"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn integers_and_decimals_are_ordered_together() {
        let rising = [
            "-9223372036854775808",
            "-2.5",
            "-2",
            "-1.5",
            "0",
            "0.5",
            "1",
            "1e15",
            "9007199254740993",
        ];
        for pair in rising.windows(2) {
            assert!(
                number(pair[0]) < number(pair[1]) && number(pair[1]) > number(pair[0]),
                "{pair:?}"
            );
        }
        assert!(number("2251799813685249.5") < number("2251799813685250"));
    }
}
