//! The values of a Parquet column as cells.

use super::block::LIST_END;
use super::cells::CellColumn;
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical},
    column::reader::{ColumnReader as AnyReader, ColumnReaderImpl},
    data_type::{DataType, Int96},
    errors::Result,
    schema::types::{ColumnDescPtr, ColumnDescriptor},
};
use std::io::Write;

/// A column of a file.
pub(super) struct Column {
    descriptor: ColumnDescPtr,
    meaning: Meaning,
}

/// What the values of a column stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Plain,
    Unsigned,
    /// A whole number with a decimal point before its last digits.
    Decimal {
        scale: usize,
    },
    /// Days since 1970.
    Day,
    /// Fractions of a second since 1970.
    Moment {
        per_second: i64,
    },
    /// Fractions of a second since midnight.
    Clock {
        per_second: i64,
    },
    Uuid,
    HalfFloat,
}

impl Column {
    pub fn new(descriptor: ColumnDescPtr) -> Self {
        Self { meaning: meaning(&descriptor), descriptor }
    }

    pub fn is_list(&self) -> bool {
        self.descriptor.max_rep_level() > 0
    }

    /// Up to where a column of floating-point numbers holds every whole number.
    pub fn exact_up_to(&self) -> Option<f64> {
        match (self.descriptor.physical_type(), self.meaning) {
            (Physical::DOUBLE, _) => Some(9_007_199_254_740_992.0),
            (Physical::FLOAT, _) => Some(16_777_216.0),
            (_, Meaning::HalfFloat) => Some(2048.0),
            _ => None,
        }
    }
}

fn meaning(column: &ColumnDescriptor) -> Meaning {
    let per_second = |unit: TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    };
    let decimal = |scale: i32| Meaning::Decimal { scale: usize::try_from(scale).unwrap_or(0) };
    match column.logical_type_ref() {
        Some(LogicalType::Decimal(kind)) => return decimal(kind.scale),
        Some(LogicalType::Date) => return Meaning::Day,
        Some(LogicalType::Timestamp(kind)) => {
            return Meaning::Moment { per_second: per_second(kind.unit) };
        }
        Some(LogicalType::Time(kind)) => {
            return Meaning::Clock { per_second: per_second(kind.unit) };
        }
        Some(LogicalType::Integer(kind)) if !kind.is_signed => return Meaning::Unsigned,
        Some(LogicalType::Uuid) => return Meaning::Uuid,
        Some(LogicalType::Float16) => return Meaning::HalfFloat,
        _ => {}
    }
    match column.converted_type() {
        ConvertedType::DECIMAL => decimal(column.type_scale()),
        ConvertedType::DATE => Meaning::Day,
        ConvertedType::TIMESTAMP_MILLIS => Meaning::Moment { per_second: 1_000 },
        ConvertedType::TIMESTAMP_MICROS => Meaning::Moment { per_second: 1_000_000 },
        ConvertedType::TIME_MILLIS => Meaning::Clock { per_second: 1_000 },
        ConvertedType::TIME_MICROS => Meaning::Clock { per_second: 1_000_000 },
        ConvertedType::UINT_8
        | ConvertedType::UINT_16
        | ConvertedType::UINT_32
        | ConvertedType::UINT_64 => Meaning::Unsigned,
        _ => Meaning::Plain,
    }
}

/// Reads one column of one row group.
pub(super) struct ColumnReader {
    reader: AnyReader,
    meaning: Meaning,
    levels: Levels,
}

/// The levels that say where a value is there and where a row begins.
struct Levels {
    /// The definition level of a value that is there.
    present: i16,
    is_list: bool,
    /// Whether the elements of a list are no lists themselves, so that each has one place.
    is_flat: bool,
}

impl ColumnReader {
    pub fn new(reader: AnyReader, column: &Column) -> Self {
        let levels = Levels {
            present: column.descriptor.max_def_level(),
            is_list: column.is_list(),
            is_flat: column.descriptor.max_rep_level() == 1,
        };
        Self { reader, meaning: column.meaning, levels }
    }

    /// The cells of the next rows, fewer at the end.
    pub fn read(&mut self, rows: usize) -> Result<CellColumn> {
        let (meaning, levels) = (self.meaning, &self.levels);
        match &mut self.reader {
            AnyReader::BoolColumnReader(reader) => levels.read(reader, rows, |out, value| {
                out.extend_from_slice(if *value { b"true" } else { b"false" })
            }),
            AnyReader::Int32ColumnReader(reader) => {
                levels.read(reader, rows, |out, value| match meaning {
                    Meaning::Unsigned => push(out, *value as u32),
                    _ => write_whole(out, i64::from(*value), meaning),
                })
            }
            AnyReader::Int64ColumnReader(reader) => {
                levels.read(reader, rows, |out, value| match meaning {
                    Meaning::Unsigned => push(out, *value as u64),
                    _ => write_whole(out, *value, meaning),
                })
            }
            AnyReader::Int96ColumnReader(reader) => levels.read(reader, rows, write_int96),
            AnyReader::FloatColumnReader(reader) => {
                levels.read(reader, rows, |out, value| write_float(out, f64::from(*value), *value))
            }
            AnyReader::DoubleColumnReader(reader) => {
                levels.read(reader, rows, |out, value| write_float(out, *value, *value))
            }
            AnyReader::ByteArrayColumnReader(reader) => {
                levels.read(reader, rows, |out, value| write_bytes(out, value.data(), meaning))
            }
            AnyReader::FixedLenByteArrayColumnReader(reader) => {
                levels.read(reader, rows, |out, value| write_bytes(out, value.data(), meaning))
            }
        }
    }
}

impl Levels {
    fn read<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        write: impl Fn(&mut Vec<u8>, &T::T),
    ) -> Result<CellColumn> {
        let (mut present, mut repeated, mut values) =
            (Vec::new(), Vec::new(), Vec::with_capacity(rows));
        let defined = (self.present > 0).then_some(&mut present);
        let repetition = self.is_list.then_some(&mut repeated);
        reader.read_records(rows, defined, repetition, &mut values)?;
        let mut cells = CellColumn::with_capacity(rows);
        let mut values = values.iter();
        if self.present == 0 {
            for value in values {
                write(&mut cells.text, value);
                cells.end();
            }
        } else if !self.is_list {
            for level in present {
                if level == self.present
                    && let Some(value) = values.next()
                {
                    write(&mut cells.text, value);
                }
                cells.end();
            }
        } else {
            // Elements without a value keep their place before one that has a value, so that the
            // columns of one list of objects stay beside each other.
            let mut blanks = 0;
            for (i, (level, repeated)) in present.iter().zip(&repeated).enumerate() {
                // Level 0: a new row begins, so the one before is complete.
                if *repeated == 0 && i > 0 {
                    cells.end();
                    blanks = 0;
                }
                if *level == self.present
                    && let Some(value) = values.next()
                {
                    let places = if self.is_flat { blanks } else { 0 };
                    cells.text.resize(cells.text.len() + places, LIST_END);
                    write(&mut cells.text, value);
                    cells.text.push(LIST_END);
                    blanks = 0;
                } else {
                    blanks += 1;
                }
            }
            if !present.is_empty() {
                cells.end();
            }
        }
        Ok(cells)
    }
}

fn push(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_whole(out: &mut Vec<u8>, value: i64, meaning: Meaning) {
    match meaning {
        Meaning::Decimal { scale } => write_decimal(out, value.into(), scale),
        Meaning::Day => write_day(out, value),
        Meaning::Moment { per_second } => write_moment(out, value, per_second),
        Meaning::Clock { per_second } => write_clock(out, value, per_second),
        _ => push(out, value),
    }
}

/// A whole number with a decimal point before its last `scale` digits.
fn write_decimal(out: &mut Vec<u8>, value: i128, scale: usize) {
    if value < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value.unsigned_abs());
    let zeros = (scale + 1).saturating_sub(digits.len());
    let start = out.len();
    out.resize(start + zeros, b'0');
    out.extend_from_slice(digits.as_bytes());
    if scale > 0 {
        let point = out.len() - scale;
        out.insert(point, b'.');
    }
}

/// Whole numbers without a point: ids are often stored so. `shortest` writes the number with as few
/// digits as tell it from its neighbours.
fn write_float(out: &mut Vec<u8>, value: f64, shortest: impl std::fmt::Display) {
    let is_negative_zero = value == 0.0 && value.is_sign_negative();
    // Prices mostly have two decimals, and dividing by 100 finds their number again: that is faster
    // than a search for the shortest text.
    let cents = (value * 100.0).round();
    if is_negative_zero || cents.abs() > 1e15 || cents / 100.0 != value {
        // Writing to memory cannot fail.
        let _ = write!(out, "{shortest}");
        return;
    }
    let cents = cents as i64;
    match (cents % 100, cents % 10) {
        (0, _) => push(out, cents / 100),
        (_, 0) => write_decimal(out, (cents / 10).into(), 1),
        _ => write_decimal(out, cents.into(), 2),
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], meaning: Meaning) {
    match meaning {
        Meaning::Decimal { scale } if !bytes.is_empty() && bytes.len() <= 16 => {
            let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
            let value =
                bytes.iter().fold(sign, |value: i128, byte| (value << 8) | i128::from(*byte));
            write_decimal(out, value, scale);
        }
        Meaning::Uuid if bytes.len() == 16 => {
            for (i, byte) in bytes.iter().enumerate() {
                let _ =
                    write!(out, "{}{byte:02x}", if [4, 6, 8, 10].contains(&i) { "-" } else { "" });
            }
        }
        Meaning::HalfFloat if bytes.len() == 2 => {
            let value = half(u16::from_le_bytes([bytes[0], bytes[1]]));
            write_float(out, value, value);
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// A 16-bit floating-point number (IEEE 754).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

const SECONDS_A_DAY: i64 = 86_400;

/// `2020-09-22`; a day outside the calendar as a number that is no date.
fn write_day(out: &mut Vec<u8>, days: i64) {
    let date = i32::try_from(days).ok().and_then(|days| {
        time::Date::from_julian_day(
            days.checked_add(time::macros::date!(1970 - 01 - 01).to_julian_day())?,
        )
        .ok()
    });
    match date.filter(|date| (0..=9999).contains(&date.year())) {
        Some(date) => {
            write_digits(out, date.year() as u32, 4);
            out.push(b'-');
            write_digits(out, u8::from(date.month()).into(), 2);
            out.push(b'-');
            write_digits(out, date.day().into(), 2);
        }
        None => {
            let _ = write!(out, "{days} days since 1970");
        }
    }
}

/// `2020-09-22T10:00:00Z`, with as many decimals as there are.
fn write_moment(out: &mut Vec<u8>, units: i64, per_second: i64) {
    let a_day = SECONDS_A_DAY * per_second;
    write_day(out, units.div_euclid(a_day));
    out.push(b'T');
    write_clock(out, units.rem_euclid(a_day), per_second);
    out.push(b'Z');
}

/// `10:00:00`, with as many decimals as there are.
fn write_clock(out: &mut Vec<u8>, units: i64, per_second: i64) {
    let (seconds, fraction) = (units.div_euclid(per_second), units.rem_euclid(per_second));
    let seconds = seconds.rem_euclid(SECONDS_A_DAY) as u32;
    write_digits(out, seconds / 3600, 2);
    out.push(b':');
    write_digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    write_digits(out, seconds % 60, 2);
    if fraction > 0 {
        out.push(b'.');
        write_digits(out, fraction as u32, per_second.ilog10() as usize);
        let zeros = out.iter().rev().take_while(|digit| **digit == b'0').count();
        out.truncate(out.len() - zeros);
    }
}

/// A number with leading zeros.
fn write_digits(out: &mut Vec<u8>, number: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = number;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// A moment as Hive and old Spark store it: nanoseconds within a day and the Julian day.
fn write_int96(out: &mut Vec<u8>, value: &Int96) {
    const JULIAN_1970: i64 = 2_440_588;
    let [low, high, day] = value.data() else { return };
    let nanos = i64::from(*low) | i64::from(*high) << 32;
    write_day(out, i64::from(*day) - JULIAN_1970 + nanos.div_euclid(SECONDS_A_DAY * 1_000_000_000));
    out.push(b'T');
    write_clock(out, nanos.rem_euclid(SECONDS_A_DAY * 1_000_000_000), 1_000_000_000);
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floats_are_read_back_as_they_were(value in any::<f64>(), cents in -10_000_000i64..10_000_000) {
            for value in [value, cents as f64 / 100.0] {
                let text = text(|out| write_float(out, value, value));
                prop_assert!(value.is_nan() || text.parse::<f64>().unwrap() == value, "{value:?}: {text}");
            }
        }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (value, scale, expected) in [
            (100, 0, "100"),
            (999_999_999_999_999_999, 0, "999999999999999999"),
            (1250, 2, "12.50"),
            (-5, 2, "-0.05"),
            (0, 3, "0.000"),
        ] {
            assert_eq!(text(|out| write_decimal(out, value, scale)), expected);
        }
        let bytes =
            |bytes: &[u8]| text(|out| write_bytes(out, bytes, Meaning::Decimal { scale: 1 }));
        assert_eq!(
            (bytes(&[0x04, 0xd2]), bytes(&[0xff, 0x85])),
            ("123.4".to_owned(), "-12.3".to_owned())
        );
    }

    #[test]
    fn times_are_written_in_rfc_3339() {
        let moment = |units, per_second| text(|out| write_moment(out, units, per_second));
        assert_eq!(moment(1_600_768_800_000, 1_000), "2020-09-22T10:00:00Z");
        assert_eq!(moment(1_600_768_800_120, 1_000), "2020-09-22T10:00:00.12Z");
        assert_eq!(moment(-1, 1_000_000_000), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(text(|out| write_day(out, 18_527)), "2020-09-22");
        assert_eq!(text(|out| write_day(out, i64::MAX)), "9223372036854775807 days since 1970");
        assert_eq!(text(|out| write_clock(out, 36_061_000, 1_000)), "10:01:01");
        let mut spark = Int96::new();
        spark.set_data(0, 0, 2_440_589);
        assert_eq!(text(|out| write_int96(out, &spark)), "1970-01-02T00:00:00Z");
    }

    #[test]
    fn floats_are_shortest_and_whole_without_a_point() {
        let float = |value: f64| text(|out| write_float(out, value, value));
        assert_eq!(
            (float(706_016_001.0), float(0.1), float(f64::NAN)),
            ("706016001".into(), "0.1".into(), "NaN".into())
        );
        assert_eq!(
            (float(-3.5), float(9.99), float(-0.0), float(0.07)),
            ("-3.5".into(), "9.99".into(), "-0".into(), "0.07".into())
        );
        assert_eq!(
            (float(1e15), float(9_007_199_254_740_991.0), float(1e-7)),
            ("1000000000000000".into(), "9007199254740991".into(), "0.0000001".into())
        );
        assert_eq!(text(|out| write_float(out, f64::from(0.1f32), 0.1f32)), "0.1");
        assert_eq!((half(0x3c00), half(0xc000), half(0x0001)), (1.0, -2.0, 2f64.powi(-24)));
    }
}
