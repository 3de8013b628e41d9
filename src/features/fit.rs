//! Learns vocabularies and normalisation from training purchases.

use super::attributes::Attributes;
use super::vocabularies::is_value;
use super::{
    AgeClasses, Encoder, Encoding, EncodingSpec, EntityRow, Feature, FeatureConfig, FeatureError,
    FeatureSchema, FeatureSpec, GapClasses, Tower, TowerSchema, Vocabularies, source,
};
use crate::{
    dataset::{Column, Dataset, Entities, MISSING, TimeUnit, Values},
    domain::{IdTable, Timestamp},
};
use std::collections::BTreeMap;

/// Makes the schema that `config` asks for, with what the training purchases (rows of
/// `dataset.purchases`) teach:
///
/// * `customer_id` knows the customers with a training purchase; `article_id` knows the whole
///   catalogue, in the order of `dataset.articles`, because an item of the index is a row of it.
/// * A column's vocabulary holds the values seen in at least `min_count` training purchases.
/// * The days of `at` are those with a training purchase.
/// * A bucket's groups reach to the largest number of a training purchase, `max`, and to that of
///   missing ones, which count as `max + min / 2`.
/// * Gaps are counted in seconds, or in days where only days are known.
/// * A number's mean and (population) standard deviation are taken over training purchases that
///   have it.
///
/// # Errors
/// [`FeatureError`] when a column is missing or of the wrong kind, or the configuration makes no
/// sense.
pub fn fit(
    dataset: &Dataset,
    train_rows: &[u32],
    config: &FeatureConfig,
) -> Result<(FeatureSchema, Vocabularies), FeatureError> {
    let mut vocabularies = Vocabularies::new();
    vocabularies.insert(source::ARTICLE_ID, dataset.articles.ids.iter().collect());
    let purchases = &dataset.purchases;
    let times = || train_rows.iter().map(|&row| purchases.time[row as usize]);
    let span = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    let mut query =
        Fit::new(Tower::Query, &dataset.customers, &purchases.customer, train_rows, span);
    for time in times() {
        *query.days.entry(time.day()).or_default() += 1;
    }
    if config.query.iter().any(reads_gaps) {
        query.gaps = gap_classes(dataset, train_rows);
    }
    let query = query.tower(&config.query, &mut vocabularies)?;
    let item = Fit::new(Tower::Item, &dataset.articles, &purchases.article, train_rows, span)
        .tower(&config.item, &mut vocabularies)?;
    // Building an encoder checks the rest: names, ranges, encodings that their source can't have.
    let encoder = Encoder::new(FeatureSchema { query, item }, vocabularies)?;
    Ok(encoder.into_parts())
}

/// One tower's side of the data.
struct Fit<'a> {
    tower: Tower,
    entities: &'a Entities,
    /// Training purchases of every entity.
    purchases: Vec<u32>,
    /// Moments of the first and the last training purchase.
    span: (Timestamp, Timestamp),
    /// Training purchases of every day that has one; of the query tower.
    days: BTreeMap<u32, u32>,
    /// Of the query tower, where purchases are dated.
    gaps: Option<GapClasses>,
}

fn reads_gaps(spec: &FeatureSpec) -> bool {
    matches!(spec.encoding, EncodingSpec::SequenceGaps { .. })
}

/// Classes of the times between a customer's purchases; `None` where they have no dates. The last
/// class starts at the longest gaps that a thousandth of all gaps reach: rarer ones would be learnt
/// from too few purchases.
fn gap_classes(dataset: &Dataset, train_rows: &[u32]) -> Option<GapClasses> {
    let unit = match dataset.time_unit {
        TimeUnit::Second => 1,
        TimeUnit::Day => Timestamp::DAY,
        TimeUnit::Position => return None,
    };
    let all = GapClasses { unit, classes: GapClasses::MOST };
    let purchases = &dataset.purchases;
    let mut latest: Vec<Option<Timestamp>> = vec![None; dataset.customers.len()];
    let mut counts = [0usize; GapClasses::MOST as usize];
    for &row in train_rows {
        let time = purchases.time[row as usize];
        let latest = &mut latest[purchases.customer[row as usize] as usize];
        if let Some(before) = latest.replace(time) {
            counts[all.class(before, time) as usize] += 1;
        }
    }
    let total: usize = counts.iter().sum();
    let mut classes = GapClasses::MOST as usize;
    let mut longest = 0;
    while classes > 1 && (longest + counts[classes - 1]) * 1_000 < total.max(1) {
        classes -= 1;
        longest += counts[classes];
    }
    Some(GapClasses { unit, classes: classes as u32 })
}

impl<'a> Fit<'a> {
    fn new(
        tower: Tower,
        entities: &'a Entities,
        of_purchase: &[u32],
        train_rows: &[u32],
        span: (Timestamp, Timestamp),
    ) -> Self {
        let mut purchases = vec![0; entities.len()];
        for &row in train_rows {
            purchases[of_purchase[row as usize] as usize] += 1;
        }
        Self { tower, entities, purchases, span, days: BTreeMap::new(), gaps: None }
    }

    fn tower(
        &self,
        specs: &[FeatureSpec],
        vocabularies: &mut Vocabularies,
    ) -> Result<TowerSchema, FeatureError> {
        let features = specs
            .iter()
            .filter(|spec| spec.enabled && !self.lacks_dates_for(spec))
            .map(|spec| {
                let encoding = self.encoding(spec, vocabularies)?;
                Ok(Feature { name: spec.name.clone(), source: spec.source.clone(), encoding })
            })
            .collect::<Result<_, FeatureError>>()?;
        Ok(TowerSchema { features })
    }

    fn lacks_dates_for(&self, spec: &FeatureSpec) -> bool {
        reads_gaps(spec) && self.gaps.is_none()
    }

    fn encoding(
        &self,
        spec: &FeatureSpec,
        vocabularies: &mut Vocabularies,
    ) -> Result<Encoding, FeatureError> {
        Ok(match spec.encoding {
            EncodingSpec::Embedding { dim, dropout, min_count } => {
                let (vocabulary, len) = self.vocabulary(spec, min_count, vocabularies)?;
                Encoding::Embedding { vocabulary, rows: len + 1, dim, dropout }
            }
            EncodingSpec::OneHot { min_count, dropout } => {
                let (vocabulary, len) = self.vocabulary(spec, min_count, vocabularies)?;
                Encoding::OneHot { vocabulary, rows: len + 1, dropout }
            }
            EncodingSpec::Bucket { min, width } => self.bucket(spec, min, width)?,
            EncodingSpec::MultiHot { min_count } => {
                let (vocabulary, len) = self.vocabulary(spec, min_count, vocabularies)?;
                Encoding::MultiHot { vocabulary, rows: len }
            }
            EncodingSpec::History { dim, length, decay } => {
                let rows =
                    vocabularies.get(source::ARTICLE_ID).map_or(0, |articles| articles.len()) + 1;
                Encoding::History {
                    vocabulary: source::ARTICLE_ID.to_owned(),
                    rows,
                    dim,
                    length,
                    decay,
                }
            }
            EncodingSpec::Sequence { dim, length } => {
                let rows =
                    vocabularies.get(source::ARTICLE_ID).map_or(0, |articles| articles.len()) + 1;
                Encoding::Sequence { vocabulary: source::ARTICLE_ID.to_owned(), rows, dim, length }
            }
            EncodingSpec::SequenceDays { dim, length, buckets } => {
                let (first, end) = self.span;
                let days = end.day() - first.day() + 1;
                let classes = u32::try_from(buckets).unwrap_or(u32::MAX);
                let rows = buckets.saturating_add(1);
                Encoding::SequenceDays {
                    ages: AgeClasses { end, days, classes },
                    rows,
                    dim,
                    length,
                }
            }
            EncodingSpec::SequenceGaps { dim, length } => {
                let gaps = self.gaps.unwrap_or(GapClasses { unit: 1, classes: 1 });
                Encoding::SequenceGaps { gaps, rows: gaps.classes as usize + 1, dim, length }
            }
            EncodingSpec::Number => self.number(spec)?,
            EncodingSpec::Vector => match self.entities.vectors(&spec.source) {
                Some(vectors) => Encoding::Vector { dim: vectors.dim },
                None => {
                    let problem = format!(
                        "there are no vectors `{}`; a section [text] makes `text`",
                        spec.source
                    );
                    return Err(self.wrong(spec, problem));
                }
            },
            EncodingSpec::CyclicMonth => Encoding::CyclicMonth,
        })
    }

    /// Adds the vocabulary of a feature; gives its name and length.
    fn vocabulary(
        &self,
        spec: &FeatureSpec,
        min_count: u32,
        vocabularies: &mut Vocabularies,
    ) -> Result<(String, usize), FeatureError> {
        let table: IdTable = match (self.tower, spec.source.as_str()) {
            (Tower::Item, source::ARTICLE_ID) => {
                return Ok((source::ARTICLE_ID.to_owned(), self.entities.len()));
            }
            (Tower::Query, source::CUSTOMER_ID) => {
                let ids = self.entities.ids.iter().zip(&self.purchases);
                ids.filter(|&(_, &count)| count > 0 && count >= min_count)
                    .map(|(id, _)| id)
                    .collect()
            }
            (Tower::Query, source::AT) => {
                let days = self.days.iter().filter(|&(_, &count)| count >= min_count);
                let days: Vec<String> =
                    days.map(|(&day, _)| Timestamp(day * Timestamp::DAY).date_string()).collect();
                days.iter().map(String::as_str).collect()
            }
            _ => self.values(spec, min_count)?,
        };
        let len = table.len();
        let name = free_name(&spec.name, vocabularies);
        vocabularies.insert(&name, table);
        Ok((name, len))
    }

    /// The values of a column seen in enough training purchases, in the order of the column's
    /// dictionary.
    fn values(&self, spec: &FeatureSpec, min_count: u32) -> Result<IdTable, FeatureError> {
        let wrong = |holds: &str, encodings: &str| {
            self.wrong(
                spec,
                format!("the column `{}` holds {holds}: use encoding {encodings}", spec.source),
            )
        };
        let multi_hot = matches!(spec.encoding, EncodingSpec::MultiHot { .. });
        let mut counts = vec![0u64; 0];
        let dictionary = match &self.column(spec)?.values {
            Values::Number(_) | Values::Integer(_) => return Err(wrong("numbers", "`number`")),
            Values::Tags { .. } if !multi_hot => {
                return Err(wrong("sets of values", "`multi-hot`"));
            }
            Values::Tags { offsets, codes, dictionary } => {
                counts.resize(dictionary.len(), 0);
                for (range, &count) in offsets.windows(2).zip(&self.purchases) {
                    for &code in &codes[range[0] as usize..range[1] as usize] {
                        counts[code as usize] += u64::from(count);
                    }
                }
                dictionary
            }
            Values::Category { codes, dictionary } => {
                counts.resize(dictionary.len(), 0);
                for (&code, &count) in codes.iter().zip(&self.purchases) {
                    if code != MISSING {
                        counts[code as usize] += u64::from(count);
                    }
                }
                dictionary
            }
        };
        let seen = |count: u64| count > 0 && count >= u64::from(min_count);
        let values = dictionary.iter().zip(counts);
        Ok(values
            .filter(|&(value, count)| seen(count) && is_value(value))
            .map(|(value, _)| value)
            .collect())
    }

    /// Every number of a column with a training purchase, and how many of those.
    fn numbers<'s>(
        &'s self,
        spec: &'s FeatureSpec,
    ) -> Result<impl Iterator<Item = (f32, u32)> + 's, FeatureError> {
        self.column(spec)?;
        let number = move |row| EntityRow { entities: self.entities, row }.number(&spec.source);
        let rows = self.purchases.iter().enumerate().filter(|&(_, &count)| count > 0);
        let mut numbers = rows
            .filter_map(move |(row, &count)| {
                Some((number(row).filter(|value| value.is_finite())?, count))
            })
            .peekable();
        if numbers.peek().is_none() {
            let problem =
                format!("no training purchase has a number in the column `{}`", spec.source);
            return Err(self.wrong(spec, problem));
        }
        Ok(numbers)
    }

    fn bucket(&self, spec: &FeatureSpec, min: f32, width: f32) -> Result<Encoding, FeatureError> {
        let max = self.numbers(spec)?.fold(f32::NEG_INFINITY, |max, (value, _)| max.max(value));
        let group = |value: f32| Encoding::bucket(value, min, width, usize::MAX);
        let missing = group(max + min / 2.0);
        Ok(Encoding::Bucket {
            min,
            width,
            rows: group(max).max(missing).saturating_add(1),
            missing,
        })
    }

    fn number(&self, spec: &FeatureSpec) -> Result<Encoding, FeatureError> {
        let (mut weight, mut mean, mut squares) = (0.0, 0.0, 0.0);
        let (mut smallest, mut largest) = (f32::INFINITY, f32::NEG_INFINITY);
        for (value, count) in self.numbers(spec)? {
            (smallest, largest) = (smallest.min(value), largest.max(value));
            // Welford's update with a weight: stable where the mean is large beside the deviation.
            weight += f64::from(count);
            let step = f64::from(value) - mean;
            mean += step * f64::from(count) / weight;
            squares += f64::from(count) * step * (f64::from(value) - mean);
        }
        let std = (squares / weight).sqrt() as f32;
        // A column of one value says nothing; it must still divide.
        let std = if std > 0.0 { std } else { 1.0 };
        Ok(Encoding::Number { mean: mean as f32, std, range: Some((smallest, largest)) })
    }

    fn column(&self, spec: &FeatureSpec) -> Result<&'a Column, FeatureError> {
        self.entities.column(&spec.source).ok_or_else(|| {
            let names: Vec<&str> =
                self.entities.columns.iter().map(|column| column.name.as_str()).collect();
            FeatureError::NoColumn {
                tower: self.tower,
                feature: spec.name.clone(),
                column: spec.source.clone(),
                available: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
            }
        })
    }

    fn wrong(&self, spec: &FeatureSpec, problem: String) -> FeatureError {
        FeatureError::Feature { tower: self.tower, feature: spec.name.clone(), problem }
    }
}

/// A file stem for the vocabulary of a feature that no other vocabulary has, whatever the letters
/// of its name.
fn free_name(feature: &str, vocabularies: &Vocabularies) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let stem: String = feature.chars().take(64).map(safe).collect();
    let taken = |name: &String| vocabularies.get(name).is_some();
    std::iter::once(stem.clone())
        .chain((2..).map(|n| format!("{stem}-{n}")))
        .find(|name| !taken(name))
        .expect("there is no end of numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, features::testing};

    fn config(query: &str, item: &str) -> FeatureConfig {
        toml::from_str(&format!("query = [{query}]\nitem = [{item}]")).unwrap()
    }

    const ID: &str = r#"{ source = "article_id", encoding = "embedding", dim = 2 }"#;
    const CUSTOMER: &str = r#"{ source = "customer_id", encoding = "embedding", dim = 2 }"#;

    #[test]
    fn vocabularies_come_from_training_and_articles_from_the_catalogue() {
        let mut dataset = testing::shop(1, 6, 4, 4, TimeUnit::Day);
        dataset.purchases.customer = vec![3, 1, 3, 0];
        dataset.purchases.article = vec![0, 1, 0, 5];
        let (schema, vocabularies) = fit(&dataset, &[0, 1, 2], &config(CUSTOMER, ID)).unwrap();
        let values = |name: &str| {
            vocabularies.get(name).unwrap().iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(values("customer_id"), ["c1", "c3"]);
        assert_eq!(values("article_id"), ["a0", "a1", "a2", "a3", "a4", "a5"]);
        let rows = |feature: &Feature| match feature.encoding {
            Encoding::Embedding { rows, .. } => rows,
            _ => 0,
        };
        assert_eq!((rows(&schema.query.features[0]), rows(&schema.item.features[0])), (3, 7));
        let twice =
            config(r#"{ source = "customer_id", encoding = "one-hot", min_count = 2 }"#, ID);
        assert_eq!(
            fit(&dataset, &[0, 1, 2], &twice).unwrap().1.get("customer_id").unwrap().len(),
            1
        );
    }

    #[test]
    fn gaps_reach_as_far_as_those_of_training() {
        let gaps = r#"{ source = "history", encoding = "sequence-gaps", dim = 2, length = 3 }"#;
        let fitted = |unit, days: &[u32]| {
            let mut dataset = testing::shop(1, 6, 4, 0, unit);
            for &day in days {
                dataset.purchases.customer.push(day % 2);
                dataset.purchases.article.push(0);
                dataset.purchases.time.push(Timestamp(day * Timestamp::DAY));
            }
            let rows: Vec<u32> = (0..days.len() as u32).collect();
            let config = config(&format!("{CUSTOMER}, {gaps}"), ID);
            let (schema, _) = fit(&dataset, &rows, &config).unwrap();
            schema.query.features.into_iter().find_map(|feature| match feature.encoding {
                Encoding::SequenceGaps { gaps, rows, .. } => {
                    Some((gaps.unit, gaps.classes, rows as u32 - gaps.classes))
                }
                _ => None,
            })
        };
        // Two customers with gaps of 4 days: classes of 0, 1, 2 to 3 and 4 to 7 days.
        let days = [10, 11, 14, 15, 18, 19];
        assert_eq!(fitted(TimeUnit::Day, &days), Some((Timestamp::DAY, 4, 1)));
        assert_eq!(fitted(TimeUnit::Second, &days), Some((1, 20, 1)));
        assert_eq!(fitted(TimeUnit::Position, &days), None);
        assert_eq!(fitted(TimeUnit::Day, &[10]), Some((Timestamp::DAY, 1, 1)));
        // One gap of a year among 1,100 of two days is none to learn from.
        let mut many: Vec<u32> = (0..1_100).map(|n| 2 * n).collect();
        many.push(2_800);
        assert_eq!(fitted(TimeUnit::Day, &many), Some((Timestamp::DAY, 3, 1)));
    }

    #[test]
    fn columns_keep_values_seen_often_enough() {
        let mut dataset = testing::shop(1, 4, 1, 6, TimeUnit::Day);
        let dictionary: IdTable = ["hat", "shoe", "", "a\nb"].into_iter().collect();
        dataset.articles.columns[0].values =
            Values::Category { codes: vec![1, 0, 2, 3], dictionary };
        dataset.purchases.article = vec![0, 0, 1, 2, 3, 3];
        let group = |more: &str| {
            config(
                CUSTOMER,
                &format!(r#"{{ source = "group", name = "grupp/å", encoding = "one-hot"{more} }}"#),
            )
        };
        let values = |more: &str| {
            let (schema, vocabularies) = fit(&dataset, &[0, 1, 2, 3, 4, 5], &group(more)).unwrap();
            let Encoding::OneHot { vocabulary, .. } = &schema.item.features[0].encoding else {
                unreachable!()
            };
            assert_eq!(vocabulary, "grupp__");
            vocabularies.get(vocabulary).unwrap().iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            values(""),
            ["hat", "shoe"],
            "texts that can't stand on a line are missing values"
        );
        assert_eq!(values(", min_count = 2"), ["shoe"]);
    }

    #[test]
    fn numbers_are_normalised_over_purchases() {
        let mut dataset = testing::shop(1, 1, 3, 4, TimeUnit::Day);
        dataset.customers.columns[0].values = Values::Number(vec![20.0, f32::NAN, 50.0]);
        dataset.purchases.customer = vec![0, 0, 2, 1];
        let age = r#"{ source = "age", encoding = "number" }"#;
        let number = |rows: &[u32]| match fit(&dataset, rows, &config(age, ID))
            .map(|(s, _)| s.query.features[0].encoding.clone())
        {
            Ok(Encoding::Number { mean, std, range }) => Ok((mean, std, range)),
            Ok(_) => unreachable!(),
            Err(error) => Err(error.to_string()),
        };
        let (mean, std, range) = number(&[0, 1, 2, 3]).unwrap();
        assert_eq!(range, Some((20.0, 50.0)));
        assert_eq!((mean, (std * std).round()), (30.0, 200.0), "variance of 20, 20, 50");
        assert_eq!(number(&[0, 1]), Ok((20.0, 1.0, Some((20.0, 20.0)))));
        assert!(number(&[3]).unwrap_err().contains("no training purchase has a number"));
    }

    #[test]
    fn groups_of_age_and_days_of_purchases() {
        let mut dataset = testing::shop(1, 1, 4, 4, TimeUnit::Second);
        dataset.customers.columns[0].values = Values::Number(vec![16.0, 26.0, 26.5, f32::NAN]);
        dataset.purchases.customer = vec![0, 1, 2, 3];
        dataset.purchases.time =
            [3, 3, 4, 9].map(|day| Timestamp(day * Timestamp::DAY + 7)).to_vec();
        let age = r#"{ source = "age", encoding = "bucket", min = 16, width = 10 }"#;
        let day = r#"{ source = "at", name = "day", encoding = "embedding", dim = 2 }"#;
        let off = r#"{ source = "no such column", encoding = "one-hot", enabled = false }"#;
        let (schema, vocabularies) =
            fit(&dataset, &[0, 1, 2], &config(&format!("{age}, {off}, {day}"), ID)).unwrap();
        assert_eq!(schema.query.features.len(), 2);
        // 26.5 is the largest, so a missing age counts as 34.5; both are of group 2.
        let bucket = Encoding::Bucket { min: 16.0, width: 10.0, rows: 3, missing: 2 };
        assert_eq!(schema.query.features[0].encoding, bucket);
        let days: Vec<&str> = vocabularies.get("day").unwrap().iter().collect();
        assert_eq!(days, ["1970-01-04", "1970-01-05"]);
        let tiny = age.replace("width = 10", "width = 1e-9");
        assert!(
            fit(&dataset, &[0, 1, 2], &config(&tiny, ID))
                .unwrap_err()
                .to_string()
                .contains("groups")
        );
    }

    #[test]
    fn what_does_not_fit_the_data_is_named() {
        let dataset = testing::shop(1, 6, 4, 9, TimeUnit::Day);
        let item = |entry: &str| {
            fit(&dataset, &[0, 1, 2, 3, 4, 5], &config(CUSTOMER, entry)).unwrap_err().to_string()
        };
        let missing = item(r#"{ source = "colour", encoding = "one-hot" }"#);
        assert_eq!(
            missing,
            "item feature `colour`: the data has no column `colour`; it has group, tags, price"
        );
        assert!(
            item(r#"{ source = "tags", encoding = "one-hot" }"#)
                .contains("use encoding `multi-hot`")
        );
        assert!(
            item(r#"{ source = "price", encoding = "one-hot" }"#).contains("use encoding `number`")
        );
        assert!(
            item(r#"{ source = "group", encoding = "history", dim = 2, length = 3 }"#)
                .contains("`history`")
        );
        assert!(item(&format!("{ID}, {ID}")).contains("given twice"));
    }
}
