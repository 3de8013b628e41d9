//! Turns a customer at a moment, or an article, into a row of tower inputs.

use super::{
    AgeClasses, Attributes, Encoding, Feature, FeatureError, FeatureSchema, GapClasses,
    TowerSchema, Vocabularies, source, validate,
};
use crate::domain::{IdTable, Timestamp};
use std::{f32::consts::TAU, sync::Arc};

/// No number is further from the mean of training, in standard deviations: none of a million values
/// of training can be.
const MOST_DEVIATIONS: f32 = 1_000.0;

/// A customer at the moment of a query.
#[derive(Clone, Copy)]
pub struct CustomerView<'a> {
    /// `None` for a guest.
    pub id: Option<&'a str>,
    pub attributes: &'a dyn Attributes,
    pub at: Timestamp,
    /// The articles bought so far as item rows ([`Encoder::item_row`]), newest first; unknown
    /// articles left out.
    pub history: &'a [u32],
    /// When each of them was bought; those without an entry at the moment of the query.
    pub times: &'a [Timestamp],
}

/// An article; `id` is `None` for one that has none yet.
#[derive(Clone, Copy)]
pub struct ArticleView<'a> {
    pub id: Option<&'a str>,
    pub attributes: &'a dyn Attributes,
}

/// Computes tower inputs by a schema. Immutable, shared by all threads; encoding allocates nothing.
#[derive(Debug)]
pub struct Encoder {
    schema: FeatureSchema,
    vocabularies: Vocabularies,
    query: Plan,
    item: Plan,
    items: Arc<IdTable>,
}

impl Encoder {
    /// # Errors
    /// [`FeatureError`] when the schema is wrong in itself or doesn't fit the vocabularies. Any
    /// schema is survived.
    pub fn new(schema: FeatureSchema, vocabularies: Vocabularies) -> Result<Self, FeatureError> {
        validate::schema(&schema, &vocabularies)?;
        let items = vocabularies.get(source::ARTICLE_ID).ok_or(FeatureError::NoArticles)?.clone();
        let query = Plan::of(&schema.query, source::CUSTOMER_ID, &vocabularies);
        let item = Plan::of(&schema.item, source::ARTICLE_ID, &vocabularies);
        Ok(Self { schema, vocabularies, query, item, items })
    }

    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    pub fn vocabularies(&self) -> &Vocabularies {
        &self.vocabularies
    }

    /// `(indices, numbers)` of a query row.
    pub fn query_widths(&self) -> (usize, usize) {
        self.query.widths
    }

    /// `(indices, numbers)` of an item row.
    pub fn item_widths(&self) -> (usize, usize) {
        self.item.widths
    }

    /// How many items there are: the articles of the vocabulary `article_id`.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// The item of an article, if it was in the catalogue at training.
    pub fn item_row(&self, article_id: &str) -> Option<u32> {
        self.items.find(article_id)
    }

    /// The article of an item.
    ///
    /// # Panics
    /// When `item >= items()`.
    pub fn article_id(&self, item: u32) -> &str {
        self.items.get(item)
    }

    /// Fills one row of query tower inputs.
    ///
    /// # Panics
    /// When the slices haven't the lengths of [`Self::query_widths`].
    pub fn encode_query(
        &self,
        customer: &CustomerView<'_>,
        indices: &mut [i64],
        numbers: &mut [f32],
    ) {
        self.query.encode_lasting(customer.id, customer.attributes, indices, numbers);
        let times = customer.times.iter().copied().chain(std::iter::repeat(customer.at));
        self.query.encode_moment(
            customer.at,
            customer.history.iter().copied().zip(times),
            indices,
            numbers,
        );
    }

    /// Fills one row of item tower inputs.
    ///
    /// # Panics
    /// When the slices haven't the lengths of [`Self::item_widths`].
    pub fn encode_item(&self, article: &ArticleView<'_>, indices: &mut [i64], numbers: &mut [f32]) {
        self.item.encode_lasting(article.id, article.attributes, indices, numbers);
    }

    pub(super) fn into_parts(self) -> (FeatureSchema, Vocabularies) {
        (self.schema, self.vocabularies)
    }

    pub(super) fn query_plan(&self) -> &Plan {
        &self.query
    }

    pub(super) fn item_plan(&self) -> &Plan {
        &self.item
    }
}

/// A tower's schema with positions and vocabularies looked up.
#[derive(Debug)]
pub(super) struct Plan {
    /// What depends on the customer or article alone.
    lasting: Vec<Step>,
    /// What depends on the moment of the query.
    moment: Vec<MomentStep>,
    widths: (usize, usize),
}

/// `at` is the first position in `indices` of `Id`, `Category` and `Bucket`, else in `numbers`.
#[derive(Debug)]
enum Step {
    /// The row of the id, or the unknown row.
    Id {
        at: usize,
        table: Arc<IdTable>,
    },
    /// The row of a column's text, or the unknown row.
    Category {
        at: usize,
        table: Arc<IdTable>,
        column: String,
    },
    Tags {
        at: usize,
        table: Arc<IdTable>,
        column: String,
    },
    Number {
        at: usize,
        mean: f32,
        std: f32,
        range: Option<(f32, f32)>,
        column: String,
    },
    Vector {
        at: usize,
        dim: usize,
        column: String,
    },
    Bucket {
        at: usize,
        min: f32,
        width: f32,
        rows: usize,
        missing: usize,
        column: String,
    },
}

#[derive(Debug)]
enum MomentStep {
    Month {
        at: usize,
    },
    /// Known days, ascending, with their rows.
    Day {
        at: usize,
        days: Vec<(u32, u32)>,
    },
    History {
        at: usize,
        length: usize,
        padding: u32,
    },
    Ages {
        at: usize,
        length: usize,
        ages: AgeClasses,
        unknown: u32,
    },
    Gaps {
        at: usize,
        length: usize,
        gaps: GapClasses,
        unknown: u32,
    },
}

/// The days of a validated vocabulary, ascending, with their rows.
fn days(table: &IdTable) -> Vec<(u32, u32)> {
    let day = |text| Timestamp::parse(text).expect("validated: every value is a date").day();
    let mut days: Vec<(u32, u32)> =
        (0..).zip(table.iter()).map(|(row, text)| (day(text), row)).collect();
    days.sort_unstable();
    days
}

/// The positions a step fills.
pub(super) enum Filled {
    Index { at: usize },
    Number { at: usize },
    Tags { at: usize, width: usize },
    Vector { at: usize, width: usize },
}

impl Plan {
    /// The schema must have passed validation; `id` is the source that means the tower's own id.
    fn of(schema: &TowerSchema, id: &str, vocabularies: &Vocabularies) -> Self {
        let (mut lasting, mut moment) = (Vec::new(), Vec::new());
        let (mut index, mut number) = (0, 0);
        // The row of articles that the vocabulary lacks.
        let unknown =
            || vocabularies.get(source::ARTICLE_ID).map_or(0, |articles| articles.len() as u32);
        for Feature { source, encoding, .. } in &schema.features {
            let column = source.clone();
            let table = |name: &str| {
                vocabularies.get(name).expect("validated: the vocabulary is there").clone()
            };
            match encoding {
                Encoding::Embedding { vocabulary, .. }
                    if id == source::CUSTOMER_ID && source == source::AT =>
                {
                    moment.push(MomentStep::Day { at: index, days: days(&table(vocabulary)) });
                    index += 1;
                }
                Encoding::Embedding { vocabulary, .. } | Encoding::OneHot { vocabulary, .. } => {
                    let (at, table) = (index, table(vocabulary));
                    lasting.push(if source == id {
                        Step::Id { at, table }
                    } else {
                        Step::Category { at, table, column }
                    });
                    index += 1;
                }
                Encoding::MultiHot { vocabulary, rows } => {
                    lasting.push(Step::Tags { at: number, table: table(vocabulary), column });
                    number += rows;
                }
                &Encoding::Bucket { min, width, rows, missing } => {
                    lasting.push(Step::Bucket { at: index, min, width, rows, missing, column });
                    index += 1;
                }
                &Encoding::Number { mean, std, range } => {
                    lasting.push(Step::Number { at: number, mean, std, range, column });
                    number += 1;
                }
                &Encoding::Vector { dim } => {
                    lasting.push(Step::Vector { at: number, dim, column });
                    number += dim;
                }
                Encoding::CyclicMonth => {
                    moment.push(MomentStep::Month { at: number });
                    number += 2;
                }
                &Encoding::History { rows, length, .. }
                | &Encoding::Sequence { rows, length, .. } => {
                    moment.push(MomentStep::History {
                        at: index,
                        length,
                        padding: (rows - 1) as u32,
                    });
                    index += length;
                }
                &Encoding::SequenceDays { ages, length, .. } => {
                    moment.push(MomentStep::Ages { at: index, length, ages, unknown: unknown() });
                    index += length;
                }
                &Encoding::SequenceGaps { gaps, length, .. } => {
                    moment.push(MomentStep::Gaps { at: index, length, gaps, unknown: unknown() });
                    index += length;
                }
            }
        }
        debug_assert_eq!((index, number), schema.row_widths());
        Self { lasting, moment, widths: (index, number) }
    }

    /// Fills what does not depend on the moment; sets every other number to 0.
    pub(super) fn encode_lasting(
        &self,
        id: Option<&str>,
        attributes: &dyn Attributes,
        indices: &mut [i64],
        numbers: &mut [f32],
    ) {
        assert_eq!((indices.len(), numbers.len()), self.widths, "row widths");
        numbers.fill(0.0);
        let row = |table: &IdTable, text: Option<&str>| {
            text.and_then(|text| table.find(text)).map_or(table.len() as i64, i64::from)
        };
        for step in &self.lasting {
            match step {
                Step::Id { at, table } => indices[*at] = row(table, id),
                Step::Category { at, table, column } => {
                    indices[*at] = row(table, attributes.text(column))
                }
                Step::Tags { at, table, column } => attributes.for_each_tag(column, &mut |tag| {
                    if let Some(row) = table.find(tag) {
                        numbers[at + row as usize] += 1.0;
                    }
                }),
                Step::Number { at, mean, std, range, column } => {
                    let value = attributes.number(column).filter(|value| value.is_finite());
                    let value = value
                        .map(|value| range.map_or(value, |(least, most)| value.clamp(least, most)));
                    // A bundle of before ranges were kept must not meet numbers that no tower can
                    // take.
                    let scaled = value.map_or(0.0, |value| (value - mean) / std);
                    numbers[*at] = scaled.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
                }
                Step::Vector { at, dim, column } => {
                    if let Some(vector) =
                        attributes.vector(column).filter(|vector| vector.len() == *dim)
                    {
                        numbers[*at..at + dim].copy_from_slice(vector);
                    }
                }
                &Step::Bucket { at, min, width, rows, missing, ref column } => {
                    let value = attributes.number(column).filter(|value| value.is_finite());
                    indices[at] = value
                        .map_or(missing, |value| Encoding::bucket(value, min, width, rows))
                        as i64;
                }
            }
        }
    }

    /// Fills what depends on the moment of the query; `history` yields item rows and when they were
    /// bought, newest first.
    pub(super) fn encode_moment(
        &self,
        at: Timestamp,
        history: impl Iterator<Item = (u32, Timestamp)> + Clone,
        indices: &mut [i64],
        numbers: &mut [f32],
    ) {
        for step in &self.moment {
            match *step {
                MomentStep::Day { at: position, ref days } => {
                    let known = days.binary_search_by_key(&at.day(), |&(day, _)| day);
                    indices[position] = known.map_or(days.len() as i64, |i| i64::from(days[i].1));
                }
                MomentStep::Month { at: position } => {
                    let angle = TAU * f32::from(at.month() - 1) / 12.0;
                    (numbers[position], numbers[position + 1]) = angle.sin_cos();
                }
                MomentStep::History { at, length, padding } => {
                    let items =
                        history.clone().map(|(item, _)| item).filter(|&item| item < padding);
                    let items = items.chain(std::iter::repeat(padding));
                    for (slot, item) in indices[at..at + length].iter_mut().zip(items) {
                        *slot = i64::from(item);
                    }
                }
                MomentStep::Ages { at, length, ages, unknown } => {
                    let classes = history
                        .clone()
                        .filter(|&(item, _)| item < unknown)
                        .map(|(_, at)| ages.class(at));
                    let classes = classes.chain(std::iter::repeat(ages.classes));
                    for (slot, class) in indices[at..at + length].iter_mut().zip(classes) {
                        *slot = i64::from(class);
                    }
                }
                MomentStep::Gaps { at: position, length, gaps, unknown } => {
                    let bought = history.clone().filter(|&(item, _)| item < unknown);
                    let mut next = at;
                    let classes = bought.map(|(_, at)| {
                        let class = gaps.class(at, next);
                        next = at;
                        class
                    });
                    let classes = classes.chain(std::iter::repeat(gaps.classes));
                    let slots = &mut indices[position..position + length];
                    for (slot, class) in slots.iter_mut().zip(classes) {
                        *slot = i64::from(class);
                    }
                }
            }
        }
    }

    pub(super) fn widths(&self) -> (usize, usize) {
        self.widths
    }

    /// The positions that [`Self::encode_lasting`] fills.
    pub(super) fn lasting(&self) -> impl Iterator<Item = Filled> {
        self.lasting.iter().map(|step| match step {
            Step::Id { at, .. } | Step::Category { at, .. } | Step::Bucket { at, .. } => {
                Filled::Index { at: *at }
            }
            Step::Number { at, .. } => Filled::Number { at: *at },
            Step::Tags { at, table, .. } => Filled::Tags { at: *at, width: table.len() },
            Step::Vector { at, dim, .. } => Filled::Vector { at: *at, width: *dim },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::TimeUnit,
        features::{NoAttributes, Slot, testing},
    };
    use proptest::prelude::*;

    /// A server's record: any attribute as text.
    struct Record(Vec<(&'static str, &'static str)>);

    impl Attributes for Record {
        fn text(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        }
        fn number(&self, name: &str) -> Option<f32> {
            self.text(name)?.trim().parse().ok()
        }
        fn for_each_tag(&self, name: &str, tag: &mut dyn FnMut(&str)) {
            self.0.iter().filter(|(key, _)| *key == name).for_each(|(_, value)| tag(value));
        }
    }

    /// Embedding of the id (3 known), age, month, history of 3 over 2 articles, city one-hot.
    fn encoder() -> Encoder {
        let mut vocabularies = Vocabularies::new();
        vocabularies.insert("customer_id", ["x", "y", "z"].into_iter().collect());
        vocabularies.insert("article_id", ["a", "b"].into_iter().collect());
        vocabularies.insert("city", ["Lund"].into_iter().collect());
        vocabularies.insert("tags", ["red", "wool"].into_iter().collect());
        let feature = |source: &str, encoding| Feature {
            name: source.to_owned(),
            source: source.to_owned(),
            encoding,
        };
        let embedding = |vocabulary: &str, rows| Encoding::Embedding {
            vocabulary: vocabulary.into(),
            rows,
            dim: 2,
            dropout: 0.5,
        };
        let query = vec![
            feature("age", Encoding::Number { mean: 30.0, std: 10.0, range: Some((16.0, 60.0)) }),
            feature("customer_id", embedding("customer_id", 4)),
            feature("at", Encoding::CyclicMonth),
            feature(
                "history",
                Encoding::History {
                    vocabulary: "article_id".into(),
                    rows: 3,
                    dim: 2,
                    length: 3,
                    decay: 1.0,
                },
            ),
            feature("city", Encoding::OneHot { vocabulary: "city".into(), rows: 2, dropout: 0.0 }),
        ];
        let item = vec![
            feature("tags", Encoding::MultiHot { vocabulary: "tags".into(), rows: 2 }),
            feature("article_id", embedding("article_id", 3)),
        ];
        let schema = FeatureSchema {
            query: TowerSchema { features: query },
            item: TowerSchema { features: item },
        };
        Encoder::new(schema, vocabularies).unwrap()
    }

    fn query(view: &CustomerView<'_>) -> (Vec<i64>, Vec<f32>) {
        let encoder = encoder();
        let (mut indices, mut numbers) =
            (vec![99; encoder.query_widths().0], vec![99.0; encoder.query_widths().1]);
        encoder.encode_query(view, &mut indices, &mut numbers);
        (indices, numbers)
    }

    #[test]
    fn a_known_customer() {
        let attributes = &Record(vec![("age", " 45 "), ("city", "Lund")]);
        let at = Timestamp::parse("2020-04-15").unwrap();
        let (indices, numbers) = query(&CustomerView {
            id: Some("z"),
            attributes,
            at,
            history: &[1, 1, 0, 0],
            times: &[],
        });
        assert_eq!(indices, [2, 1, 1, 0, 0]);
        assert_eq!(numbers[0], 1.5);
        assert!(
            (numbers[1] - 1.0).abs() < 1e-6 && numbers[2].abs() < 1e-6,
            "April is a quarter of the year"
        );
    }

    #[test]
    fn gaps_are_those_between_known_articles_and_to_now() {
        let (mut schema, vocabularies) = encoder().into_parts();
        let gaps = GapClasses { unit: 1, classes: 9 };
        let encoding = Encoding::SequenceGaps { gaps, rows: 10, dim: 2, length: 4 };
        let gaps = Feature { name: "gaps".into(), source: source::HISTORY.into(), encoding };
        schema.query.features = vec![gaps];
        let encoder = Encoder::new(schema, vocabularies).unwrap();
        let gaps = |times: &[Timestamp]| {
            let mut indices = [99; 4];
            // Articles 0 and 1 are known, 7 is not.
            let (at, history) = (Timestamp(1_000), &[0, 7, 1][..]);
            let view = CustomerView { id: None, attributes: &NoAttributes, at, history, times };
            encoder.encode_query(&view, &mut indices, &mut []);
            indices
        };
        // 5 s to now, then 40 s over the unknown article; the other slots are empty.
        assert_eq!(gaps(&[995, 990, 955].map(Timestamp)), [3, 6, 9, 9]);
        assert_eq!(gaps(&[]), [0, 0, 9, 9], "articles of a visit are of this moment");
    }

    #[test]
    fn numbers_beyond_those_of_training_are_cut_to_them() {
        let age = |text| {
            let attributes = &Record(vec![("age", text)]);
            let at = Timestamp::parse("2020-01-01").unwrap();
            query(&CustomerView { id: None, attributes, at, history: &[], times: &[] }).1[0]
        };
        assert_eq!(["16", "60"].map(age), [-1.4, 3.0]);
        assert_eq!(["-7", "45000", "3e38"].map(age), [-1.4, 3.0, 3.0]);
    }

    #[test]
    fn nothing_known_gives_unknown_rows_and_zeros() {
        let at = Timestamp::parse("2020-01-01").unwrap();
        let (indices, numbers) = query(&CustomerView {
            id: None,
            attributes: &NoAttributes,
            at,
            history: &[],
            times: &[],
        });
        assert_eq!((indices, numbers), (vec![3, 2, 2, 2, 1], vec![0.0, 0.0, 1.0]));
        let odd = &Record(vec![("age", "NaN"), ("city", "Paris")]);
        let (indices, numbers) = query(&CustomerView {
            id: Some("w"),
            attributes: odd,
            at,
            history: &[7, 0],
            times: &[],
        });
        assert_eq!((indices, numbers), (vec![3, 0, 2, 2, 1], vec![0.0, 0.0, 1.0]));
    }

    #[test]
    fn days_and_groups_are_found_and_what_lies_outside_is_not() {
        let mut vocabularies = Vocabularies::new();
        vocabularies.insert("article_id", ["a"].into_iter().collect());
        vocabularies.insert("day", ["2019-01-08", "2019-01-07"].into_iter().collect());
        let feature = |source: &str, encoding| Feature {
            name: source.to_owned(),
            source: source.to_owned(),
            encoding,
        };
        let day =
            |rows| Encoding::Embedding { vocabulary: "day".into(), rows, dim: 2, dropout: 0.1 };
        let age = Encoding::Bucket { min: 16.0, width: 10.0, rows: 12, missing: 10 };
        let query = TowerSchema { features: vec![feature("at", day(3)), feature("age", age)] };
        let id = Encoding::OneHot { vocabulary: "article_id".into(), rows: 2, dropout: 0.0 };
        let item = TowerSchema { features: vec![feature("article_id", id)] };
        let encoder = Encoder::new(FeatureSchema { query, item }, vocabularies).unwrap();
        for (at, age, expected) in [
            ("2019-01-08T23:00:00Z", "16", [0, 0]),
            ("2019-01-07", "17", [1, 1]),
            ("2019-01-09", "26", [2, 1]),
            ("1970-01-01", "26.5", [2, 2]),
            ("2019-01-07", "-3", [1, 0]),
            ("2019-01-07", "1e30", [1, 11]),
            ("2019-01-07", "NaN", [1, 10]),
        ] {
            let attributes = &Record(vec![("age", age)]);
            let at = Timestamp::parse(at).unwrap();
            let view = CustomerView { id: None, attributes, at, history: &[], times: &[] };
            let mut indices = [9, 9];
            encoder.encode_query(&view, &mut indices, &mut []);
            assert_eq!(indices, expected, "{at} {age}");
        }
    }

    #[test]
    fn tags_are_summed_and_unknown_ones_dropped() {
        let encoder = encoder();
        let attributes = &Record(vec![("tags", "wool"), ("tags", "silk"), ("tags", "wool")]);
        let (mut indices, mut numbers) = ([9], [9.0, 9.0]);
        encoder.encode_item(&ArticleView { id: Some("b"), attributes }, &mut indices, &mut numbers);
        assert_eq!((indices, numbers), ([1], [0.0, 2.0]));
        assert_eq!(
            (encoder.item_row("b"), encoder.item_row("c"), encoder.article_id(0)),
            (Some(1), None, "a")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn indices_stay_inside_their_tables(seed: u64, history in prop::collection::vec(any::<u32>(), 0..12)) {
            let dataset = testing::shop(seed, 20, 20, 90, TimeUnit::Day);
            let (schema, vocabularies) = testing::fitted(&dataset);
            let encoder = Encoder::new(schema, vocabularies).unwrap();
            let (mut indices, mut numbers) = (vec![-1; encoder.query_widths().0], vec![f32::NAN; encoder.query_widths().1]);
            let view = CustomerView { id: Some("c3"), attributes: &NoAttributes, at: Timestamp(seed as u32), history: &history, times: &[] };
            encoder.encode_query(&view, &mut indices, &mut numbers);
            prop_assert!(numbers.iter().all(|n| n.is_finite()));
            for slot in encoder.schema().query.slots() {
                let (range, rows) = match slot {
                    Slot::Embedding { rows, at, .. } | Slot::OneHot { rows, at } => (at..at + 1, rows),
                    Slot::History { rows, at, length, .. } | Slot::Sequence { rows, at, length, .. } => {
                        (at..at + length, rows)
                    }
                    Slot::Numbers { .. } => continue,
                };
                prop_assert!(indices[range].iter().all(|&index| (0..rows as i64).contains(&index)));
            }
        }
    }
}
