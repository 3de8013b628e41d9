//! The encoder's output for all customers and articles of a dataset, for training and evaluation.

use super::encoder::{Filled, Plan};
use super::{Encoder, EntityRow};
use crate::{
    dataset::{Case, Dataset, Entities, Histories},
    domain::Timestamp,
};
use rayon::prelude::*;

/// A customer at a moment of the dataset: what a query row is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Row of the dataset's customers.
    pub customer: u32,
    pub at: Timestamp,
    /// How many of the customer's purchases, oldest first, are known.
    pub known: u32,
}

impl From<&Case> for Moment {
    fn from(case: &Case) -> Self {
        Self { customer: case.customer, at: case.at, known: case.known }
    }
}

/// Query rows of a dataset's customers at any moment; the same numbers as [`Encoder::encode_query`]
/// gives.
pub struct EncodedCustomers<'a> {
    encoder: &'a Encoder,
    dataset: &'a Dataset,
    histories: &'a Histories,
    lasting: Columns,
    /// Item of every article of the dataset; `u32::MAX` for articles that the encoder doesn't know.
    items: Vec<u32>,
}

impl<'a> EncodedCustomers<'a> {
    pub fn new(encoder: &'a Encoder, dataset: &'a Dataset, histories: &'a Histories) -> Self {
        let lasting = Columns::encode(encoder.query_plan(), &dataset.customers);
        let items = dataset
            .articles
            .ids
            .iter()
            .map(|id| encoder.item_row(id).unwrap_or(u32::MAX))
            .collect();
        Self { encoder, dataset, histories, lasting, items }
    }

    /// Fills one row of query tower inputs ([`Encoder::query_widths`] long).
    ///
    /// # Panics
    /// When the customer or so many known purchases don't exist, or the slices have other lengths.
    pub fn fill(&self, moment: &Moment, indices: &mut [i64], numbers: &mut [f32]) {
        self.lasting.fill(moment.customer as usize, indices, numbers);
        // A model knows what the baselines beside it know. Ties are drawn by a hash, so purchases
        // of the very moment give no hint of the next one's id.
        let known = &self.histories.of_customer(moment.customer)[..moment.known as usize];
        let purchases = &self.dataset.purchases;
        let bought = |&row: &u32| {
            (self.items[purchases.article[row as usize] as usize], purchases.time[row as usize])
        };
        let history = known.iter().rev().map(bought).filter(|&(item, _)| item != u32::MAX);
        self.encoder.query_plan().encode_moment(moment.at, history, indices, numbers);
    }
}

/// Item rows of a dataset's articles; the same numbers as [`Encoder::encode_item`] gives.
pub struct EncodedItems(Columns);

impl EncodedItems {
    pub fn new(encoder: &Encoder, dataset: &Dataset) -> Self {
        Self(Columns::encode(encoder.item_plan(), &dataset.articles))
    }

    /// Fills one row of item tower inputs ([`Encoder::item_widths`] long) for a row of the
    /// dataset's articles.
    ///
    /// # Panics
    /// When the article doesn't exist or the slices have other lengths.
    pub fn fill(&self, article: u32, indices: &mut [i64], numbers: &mut [f32]) {
        self.0.fill(article as usize, indices, numbers);
    }
}

/// Rows of inputs stored by column: 4 bytes a value, and tags only where they are set.
struct Columns {
    widths: (usize, usize),
    columns: Vec<Column>,
}

enum Column {
    Index {
        at: usize,
        rows: Vec<u32>,
    },
    Number {
        at: usize,
        values: Vec<f32>,
    },
    /// Row `r` adds 1 at each of `codes[offsets[r]..offsets[r + 1]]`.
    Tags {
        at: usize,
        offsets: Vec<usize>,
        codes: Vec<u32>,
    },
    /// `width` numbers a row.
    Vector {
        at: usize,
        width: usize,
        values: Vec<f32>,
    },
}

/// Rows encoded by one task; bounds the memory of wide rows.
const CHUNK: usize = 4_096;

impl Columns {
    fn encode(plan: &Plan, entities: &Entities) -> Self {
        let chunks: Vec<Vec<Column>> = (0..entities.len().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                Self::encode_rows(
                    plan,
                    entities,
                    chunk * CHUNK..entities.len().min((chunk + 1) * CHUNK),
                )
            })
            .collect();
        let mut columns = empty(plan);
        for chunk in chunks {
            columns.iter_mut().zip(chunk).for_each(|(column, more)| column.append(more));
        }
        Self { widths: plan.widths(), columns }
    }

    fn encode_rows(plan: &Plan, entities: &Entities, range: std::ops::Range<usize>) -> Vec<Column> {
        let mut columns = empty(plan);
        let mut indices = vec![0; plan.widths().0];
        let mut numbers = vec![0.0; plan.widths().1];
        for row in range {
            let attributes = EntityRow { entities, row };
            plan.encode_lasting(
                Some(entities.ids.get(row as u32)),
                &attributes,
                &mut indices,
                &mut numbers,
            );
            for (column, filled) in columns.iter_mut().zip(plan.lasting()) {
                column.push(&filled, &indices, &numbers);
            }
        }
        columns
    }

    fn fill(&self, row: usize, indices: &mut [i64], numbers: &mut [f32]) {
        assert_eq!((indices.len(), numbers.len()), self.widths, "row widths");
        numbers.fill(0.0);
        for column in &self.columns {
            match column {
                Column::Index { at, rows } => indices[*at] = i64::from(rows[row]),
                Column::Number { at, values } => numbers[*at] = values[row],
                Column::Vector { at, width, values } => {
                    numbers[*at..at + width]
                        .copy_from_slice(&values[row * width..(row + 1) * width]);
                }
                Column::Tags { at, offsets, codes } => {
                    for &code in &codes[offsets[row]..offsets[row + 1]] {
                        numbers[at + code as usize] += 1.0;
                    }
                }
            }
        }
    }
}

fn empty(plan: &Plan) -> Vec<Column> {
    plan.lasting()
        .map(|filled| match filled {
            Filled::Index { at } => Column::Index { at, rows: Vec::new() },
            Filled::Number { at } => Column::Number { at, values: Vec::new() },
            Filled::Tags { at, .. } => Column::Tags { at, offsets: vec![0], codes: Vec::new() },
            Filled::Vector { at, width } => Column::Vector { at, width, values: Vec::new() },
        })
        .collect()
}

impl Column {
    fn push(&mut self, filled: &Filled, indices: &[i64], numbers: &[f32]) {
        match (self, filled) {
            (Self::Index { rows, .. }, &Filled::Index { at }) => rows.push(indices[at] as u32),
            (Self::Number { values, .. }, &Filled::Number { at }) => values.push(numbers[at]),
            (Self::Vector { values, .. }, &Filled::Vector { at, width }) => {
                values.extend(&numbers[at..at + width])
            }
            (Self::Tags { offsets, codes, .. }, &Filled::Tags { at, width }) => {
                for (code, &count) in numbers[at..at + width].iter().enumerate() {
                    codes.extend(std::iter::repeat_n(code as u32, count as usize));
                }
                offsets.push(codes.len());
            }
            _ => unreachable!("columns are made from the same plan"),
        }
    }

    fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Index { rows, .. }, Self::Index { rows: more, .. }) => rows.extend(more),
            (Self::Number { values, .. }, Self::Number { values: more, .. })
            | (Self::Vector { values, .. }, Self::Vector { values: more, .. }) => {
                values.extend(more)
            }
            (Self::Tags { offsets, codes, .. }, Self::Tags { offsets: ends, codes: more, .. }) => {
                let start = codes.len();
                offsets.extend(ends[1..].iter().map(|end| start + end));
                codes.extend(more);
            }
            _ => unreachable!("columns are made from the same plan"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::TimeUnit,
        features::{ArticleView, CustomerView, testing},
    };
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_stored_columns_give_exactly_what_the_encoder_gives(seed: u64, n in 1usize..200) {
            let dataset = testing::shop(seed, n.div_ceil(2), n, n * 4, TimeUnit::Second);
            let histories = Histories::of(&dataset);
            let (schema, vocabularies) = testing::fitted(&dataset);
            let encoder = Encoder::new(schema, vocabularies).unwrap();

            let customers = EncodedCustomers::new(&encoder, &dataset, &histories);
            let widths = encoder.query_widths();
            // Different garbage in both, so that a position left unwritten shows.
            let (mut stored, mut direct) = ((vec![-7; widths.0], vec![7.0; widths.1]), (vec![-8; widths.0], vec![8.0; widths.1]));
            for customer in 0..n as u32 {
                let rows = histories.of_customer(customer);
                for known in [0, rows.len() / 2, rows.len()] {
                    let at = Timestamp(seed as u32);
                    customers.fill(&Moment { customer, at, known: known as u32 }, &mut stored.0, &mut stored.1);
                    let article = |row: &u32| dataset.articles.ids.get(dataset.purchases.article[*row as usize]);
                    let history: Vec<u32> = rows[..known].iter().rev().filter_map(|row| encoder.item_row(article(row))).collect();
                    let times: Vec<_> = rows[..known].iter().rev().map(|&row| dataset.purchases.time[row as usize]).collect();
                    let view = CustomerView {
                        id: Some(dataset.customers.ids.get(customer)),
                        attributes: &EntityRow { entities: &dataset.customers, row: customer as usize },
                        at,
                        history: &history,
                        times: &times,
                    };
                    encoder.encode_query(&view, &mut direct.0, &mut direct.1);
                    prop_assert_eq!(&stored, &direct);
                }
            }

            let items = EncodedItems::new(&encoder, &dataset);
            let widths = encoder.item_widths();
            let (mut stored, mut direct) = ((vec![-7; widths.0], vec![7.0; widths.1]), (vec![-8; widths.0], vec![8.0; widths.1]));
            for article in 0..dataset.articles.len() {
                items.fill(article as u32, &mut stored.0, &mut stored.1);
                let attributes = &EntityRow { entities: &dataset.articles, row: article };
                encoder.encode_item(&ArticleView { id: Some(dataset.articles.ids.get(article as u32)), attributes }, &mut direct.0, &mut direct.1);
                prop_assert_eq!(&stored, &direct);
            }
        }
    }

    #[test]
    fn computed_vectors_are_given_as_they_are() {
        use crate::{dataset::Vectors, features::fit};
        let mut dataset = testing::shop(1, 5, 3, 9, TimeUnit::Day);
        let config = r#"query = [{ source = "customer_id", encoding = "embedding", dim = 2 }]
            item = [{ source = "article_id", encoding = "one-hot" }, { source = "text", encoding = "vector" }]"#;
        let config = toml::from_str(config).unwrap();
        let error = fit(&dataset, &[0, 1], &config).unwrap_err().to_string();
        assert_eq!(
            error,
            "item feature `text`: there are no vectors `text`; a section [text] makes `text`"
        );

        let numbers = (0..10).map(|n| n as f32).collect();
        dataset.articles.vectors.push(Vectors { name: "text".to_owned(), dim: 2, numbers });
        let (schema, vocabularies) = fit(&dataset, &[0, 1], &config).unwrap();
        let encoder = Encoder::new(schema, vocabularies).unwrap();
        assert_eq!((encoder.item_widths(), encoder.schema().item.input_width()), ((1, 2), 8));
        let items = EncodedItems::new(&encoder, &dataset);
        let (mut indices, mut numbers) = ([9], [9.0; 2]);
        items.fill(3, &mut indices, &mut numbers);
        assert_eq!((indices, numbers), ([3], [6.0, 7.0]));
        // A server has no vectors: zeros.
        let unknown = ArticleView { id: None, attributes: &crate::features::NoAttributes };
        encoder.encode_item(&unknown, &mut indices, &mut numbers);
        assert_eq!((indices, numbers), ([5], [0.0, 0.0]));
    }

    #[test]
    fn many_rows_are_joined_in_order() {
        let dataset = testing::shop(3, 2 * CHUNK + 5, 3, 60, TimeUnit::Day);
        let (schema, vocabularies) = testing::fitted(&dataset);
        let encoder = Encoder::new(schema, vocabularies).unwrap();
        let items = EncodedItems::new(&encoder, &dataset);
        let (mut indices, mut numbers) =
            (vec![0; encoder.item_widths().0], vec![0.0; encoder.item_widths().1]);
        for article in [0, CHUNK - 1, CHUNK, 2 * CHUNK + 4] {
            items.fill(article as u32, &mut indices, &mut numbers);
            assert_eq!(indices[0], article as i64, "article_id is the first index");
            let tags = dataset.articles.column("tags").unwrap().values.tags(article).count();
            let (schema, width) =
                (encoder.schema(), encoder.vocabularies().get("tags").unwrap().len());
            assert_eq!(schema.item.features[0].name, "tags");
            assert_eq!(numbers[..width].iter().sum::<f32>(), tags as f32);
        }
    }

    #[test]
    fn articles_unknown_to_the_encoder_leave_no_gap_in_the_history() {
        let known = testing::shop(1, 2, 2, 30, TimeUnit::Second);
        let (schema, vocabularies) = testing::fitted(&known);
        let encoder = Encoder::new(schema, vocabularies).unwrap();
        let mut other = testing::shop(1, 3, 1, 3, TimeUnit::Second);
        other.purchases.article = vec![1, 2, 0];
        let histories = Histories::of(&other);
        let customers = EncodedCustomers::new(&encoder, &other, &histories);
        let (mut indices, mut numbers) =
            (vec![0; encoder.query_widths().0], vec![0.0; encoder.query_widths().1]);
        customers.fill(
            &Moment { customer: 0, at: Timestamp(0), known: 3 },
            &mut indices,
            &mut numbers,
        );
        assert_eq!(indices[1..6], [0, 1, 2, 2, 2], "newest first, a2 unknown, then padding");
    }
}
