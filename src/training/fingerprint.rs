//! A fingerprint of a dataset's content.

use crate::dataset::{Dataset, Entities, Values};
use sha2::{Digest, Sha256};

/// sha256 in hexadecimal over ids, attributes and purchases: equal exactly when training would see the same data.
pub fn fingerprint(dataset: &Dataset) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", dataset.time_unit));
    entities(&mut hash, &dataset.articles);
    entities(&mut hash, &dataset.customers);
    let purchases = &dataset.purchases;
    hash.update((purchases.len() as u64).to_le_bytes());
    numbers(&mut hash, purchases.customer.iter().copied());
    numbers(&mut hash, purchases.article.iter().copied());
    numbers(&mut hash, purchases.time.iter().map(|time| time.0));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entities(hash: &mut Sha256, entities: &Entities) {
    hash.update((entities.len() as u64).to_le_bytes());
    texts(hash, entities.ids.iter());
    for column in &entities.columns {
        texts(hash, [column.name.as_str()].into_iter());
        match &column.values {
            Values::Category { codes, dictionary } => {
                numbers(hash, codes.iter().copied());
                texts(hash, dictionary.iter());
            }
            Values::Number(values) => numbers(hash, values.iter().map(|value| value.to_bits())),
            Values::Tags { offsets, codes, dictionary } => {
                numbers(hash, offsets.iter().copied());
                numbers(hash, codes.iter().copied());
                texts(hash, dictionary.iter());
            }
        }
    }
}

fn texts<'a>(hash: &mut Sha256, texts: impl Iterator<Item = &'a str>) {
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
}

/// In blocks: hashing four bytes at a time costs several times as much.
fn numbers(hash: &mut Sha256, mut numbers: impl Iterator<Item = u32>) {
    let mut block = Vec::with_capacity(1 << 16);
    loop {
        block.clear();
        for number in numbers.by_ref().take(1 << 14) {
            block.extend_from_slice(&number.to_le_bytes());
        }
        if block.is_empty() {
            return;
        }
        hash.update(&block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, features::testing::shop};

    #[test]
    fn any_change_shows() {
        let base = || shop(1, 20, 10, 50, TimeUnit::Day);
        let print = fingerprint(&base());
        assert_eq!(print, fingerprint(&base()));
        let mut changed = base();
        changed.purchases.time[7].0 += 1;
        assert_ne!(print, fingerprint(&changed));
        let mut changed = base();
        changed.articles.columns[0].name.push('x');
        assert_ne!(print, fingerprint(&changed));
        let mut changed = base();
        changed.time_unit = TimeUnit::Second;
        assert_ne!(print, fingerprint(&changed));
    }
}
