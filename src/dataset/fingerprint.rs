//! A name for the content of a dataset.

use super::{Column, Dataset, Entities, MISSING, Values};
use sha2::{Digest, Sha256};
use std::io::{self, BufWriter, Write};

impl Dataset {
    /// SHA-256 of ids, columns and purchases in hexadecimal: equal for equal content, whatever
    /// files it came from, however its dictionaries are numbered, and on any machine. The order of
    /// entities and purchases counts, that of columns does not.
    pub fn fingerprint(&self) -> String {
        let mut hash = BufWriter::with_capacity(1 << 16, Hash(Sha256::new()));
        // A hash takes every byte.
        let written = self.write_content(&mut hash).and_then(|()| hash.flush());
        debug_assert!(written.is_ok());
        hash.get_ref().0.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn write_content(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "vitrine dataset 1 {:?}", self.time_unit)?;
        write_entities(out, &self.articles)?;
        write_entities(out, &self.customers)?;
        let purchases = &self.purchases;
        write_numbers(out, purchases.customer.iter().copied())?;
        write_numbers(out, purchases.article.iter().copied())?;
        write_numbers(out, purchases.time.iter().map(|time| time.0))?;
        write_numbers(out, purchases.price.iter().map(|&price| bits(price)))?;
        write_numbers(out, purchases.channel.iter().map(|&channel| u32::from(channel)))?;
        if !purchases.weight.is_empty() {
            out.write_all(b"w")?;
            write_numbers(out, purchases.weight.iter().map(|&weight| bits(weight)))?;
        }
        if !purchases.millis.is_empty() {
            out.write_all(b"m")?;
            write_numbers(out, purchases.millis.iter().map(|&millis| u32::from(millis)))?;
        }
        Ok(())
    }
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_entities(out: &mut impl Write, entities: &Entities) -> io::Result<()> {
    write_length(out, entities.len())?;
    entities.ids.iter().try_for_each(|id| write_text(out, id))?;
    let mut columns: Vec<&Column> = entities.columns.iter().collect();
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    write_length(out, columns.len())?;
    columns.into_iter().try_for_each(|column| write_column(out, column))?;
    entities.vectors.iter().try_for_each(|vectors| {
        write_text(out, &vectors.name)?;
        write_length(out, vectors.dim)?;
        write_numbers(out, vectors.numbers.iter().map(|&number| bits(number)))
    })
}

fn write_column(out: &mut impl Write, column: &Column) -> io::Result<()> {
    write_text(out, &column.name)?;
    match &column.values {
        Values::Number(values) => {
            out.write_all(b"n")?;
            write_numbers(out, values.iter().map(|&value| bits(value)))
        }
        Values::Integer(values) => {
            out.write_all(b"i")?;
            write_length(out, values.len())?;
            values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
        }
        Values::Category { codes, dictionary } => {
            out.write_all(b"c")?;
            write_codes(out, codes, |code| dictionary.get(code))
        }
        Values::Tags { offsets, codes, dictionary } => {
            out.write_all(b"t")?;
            write_numbers(out, offsets.iter().copied())?;
            write_codes(out, codes, |code| dictionary.get(code))
        }
    }
}

/// Codes, numbered by their first appearance, each text once where its code first stands.
fn write_codes<'a>(
    out: &mut impl Write,
    codes: &[u32],
    text: impl Fn(u32) -> &'a str,
) -> io::Result<()> {
    write_length(out, codes.len())?;
    let mut numbers: Vec<u32> = Vec::new();
    let mut next = 0;
    for &code in codes {
        if code == MISSING {
            out.write_all(&MISSING.to_le_bytes())?;
            continue;
        }
        let index = code as usize;
        if index >= numbers.len() {
            numbers.resize(index + 1, MISSING);
        }
        let is_new = numbers[index] == MISSING;
        if is_new {
            numbers[index] = next;
            next += 1;
        }
        out.write_all(&numbers[index].to_le_bytes())?;
        if is_new {
            write_text(out, text(code))?;
        }
    }
    Ok(())
}

/// The bits of a number, one pattern for all that is not a number and one for both zeros.
fn bits(number: f32) -> u32 {
    if number.is_nan() { f32::NAN.to_bits() } else { (number + 0.0).to_bits() }
}

fn write_numbers(
    out: &mut impl Write,
    numbers: impl ExactSizeIterator<Item = u32>,
) -> io::Result<()> {
    write_length(out, numbers.len())?;
    for number in numbers {
        out.write_all(&number.to_le_bytes())?;
    }
    Ok(())
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    write_length(out, text.len())?;
    out.write_all(text.as_bytes())
}

fn write_length(out: &mut impl Write, length: usize) -> io::Result<()> {
    out.write_all(&(length as u64).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::{Purchases, TimeUnit},
        domain::{IdTable, Timestamp},
    };

    /// A dataset whose dictionary is numbered in this order.
    fn dataset(dictionary: [&str; 2], price: f32) -> Dataset {
        let dictionary: IdTable = dictionary.into_iter().collect();
        let codes = ["red", "blue", "red"].map(|colour| dictionary.find(colour).unwrap()).to_vec();
        let colour =
            Column { name: "colour".into(), values: Values::Category { codes, dictionary } };
        let weight =
            Column { name: "weight".into(), values: Values::Number(vec![1.0, f32::NAN, -0.0]) };
        Dataset {
            articles: Entities {
                ids: ["a", "b", "c"].into_iter().collect(),
                columns: vec![colour, weight],
                vectors: vec![],
            },
            customers: Entities {
                ids: ["x"].into_iter().collect(),
                columns: vec![],
                vectors: vec![],
            },
            purchases: Purchases {
                customer: vec![0],
                article: vec![2],
                time: vec![Timestamp(86_400)],
                price: vec![price],
                ..Purchases::default()
            },
            time_unit: TimeUnit::Day,
        }
    }

    #[test]
    fn content_alone_counts() {
        let expected = dataset(["red", "blue"], 0.5).fingerprint();
        assert_eq!(expected, "250af6b006cbc05a0e3a54b6138c22ee2de0c71e5cff446e2d6c987e6b893e5a");
        assert_eq!(dataset(["blue", "red"], 0.5).fingerprint(), expected);
        let mut reordered = dataset(["red", "blue"], 0.5);
        reordered.articles.columns.reverse();
        assert_eq!(reordered.fingerprint(), expected);
        assert_ne!(dataset(["red", "blue"], 0.25).fingerprint(), expected);
        let mut renamed = dataset(["red", "blue"], 0.5);
        renamed.articles.columns[0].name = "color".into();
        assert_ne!(renamed.fingerprint(), expected);
        let mut other_unit = dataset(["red", "blue"], 0.5);
        other_unit.time_unit = TimeUnit::Second;
        assert_ne!(other_unit.fingerprint(), expected);
    }
}
