//! Checks of a schema, be it freshly fitted or read from a bundle of unknown origin.

use super::{
    Encoding, Feature, FeatureError, FeatureSchema, GapClasses, Tower, TowerSchema, Vocabularies,
    source,
};
use crate::domain::Timestamp;
use std::collections::HashSet;

/// Bounds far above any use, so that a hostile schema can't overflow a width or exhaust memory.
const MAX_FEATURES: usize = 256;
const MAX_DIM: usize = 4_096;
const MAX_LENGTH: usize = 1_024;
const MAX_CLASSES: usize = 100_000;
const MAX_GROUPS: usize = 4_096;

/// # Errors
/// [`FeatureError`] naming the first feature that is wrong in itself or doesn't fit its vocabulary.
pub(super) fn schema(
    schema: &FeatureSchema,
    vocabularies: &Vocabularies,
) -> Result<(), FeatureError> {
    if vocabularies.get(source::ARTICLE_ID).is_none_or(|articles| articles.is_empty()) {
        return Err(FeatureError::NoArticles);
    }
    if schema.query.features.is_empty() && schema.item.features.is_empty() {
        // A model without towers: it reads articles by their ids alone.
        return Ok(());
    }
    tower(Tower::Query, &schema.query, vocabularies)?;
    tower(Tower::Item, &schema.item, vocabularies)
}

fn tower(
    tower: Tower,
    schema: &TowerSchema,
    vocabularies: &Vocabularies,
) -> Result<(), FeatureError> {
    let count = schema.features.len();
    if count == 0 {
        return Err(FeatureError::NoFeatures(tower));
    }
    if count > MAX_FEATURES {
        return Err(FeatureError::TooManyFeatures { tower, count, limit: MAX_FEATURES });
    }
    let mut names = HashSet::new();
    for feature in &schema.features {
        let wrong = |problem: String| FeatureError::Feature {
            tower,
            feature: feature.name.clone(),
            problem,
        };
        if !names.insert(&feature.name) {
            return Err(wrong("the name is given twice in its tower".into()));
        }
        encoding_fits_source(tower, feature).map_err(wrong)?;
        parameters(&feature.encoding).map_err(wrong)?;
        let values = rows(&feature.encoding, vocabularies)
            .and_then(|()| dates(tower, feature, vocabularies));
        values.map_err(|(vocabulary, problem)| FeatureError::Vocabulary {
            tower,
            feature: feature.name.clone(),
            vocabulary: vocabulary.to_owned(),
            problem,
        })?;
    }
    Ok(())
}

fn encoding_fits_source(tower: Tower, feature: &Feature) -> Result<(), String> {
    use Encoding as E;
    let source = feature.source.as_str();
    let takes = |encodings: &str| Err(format!("source `{source}` takes encoding {encodings} only"));
    match (tower, source, &feature.encoding) {
        (Tower::Query, source::CUSTOMER_ID, E::Embedding { .. } | E::OneHot { .. }) => Ok(()),
        (Tower::Query, source::CUSTOMER_ID, _) => takes("`embedding` or `one-hot`"),
        (Tower::Query, source::AT, E::CyclicMonth | E::Embedding { .. }) => Ok(()),
        (Tower::Query, source::AT, _) => takes("`cyclic-month` or `embedding`"),
        (Tower::Query, source::HISTORY, E::History { vocabulary, .. })
            if vocabulary == source::ARTICLE_ID =>
        {
            Ok(())
        }
        (Tower::Query, source::HISTORY, E::Sequence { vocabulary, .. })
            if vocabulary == source::ARTICLE_ID =>
        {
            Ok(())
        }
        (Tower::Query, source::HISTORY, E::SequenceDays { .. } | E::SequenceGaps { .. }) => Ok(()),
        (Tower::Query, source::HISTORY, E::History { .. } | E::Sequence { .. }) => {
            Err("a history needs the vocabulary `article_id`".into())
        }
        (Tower::Query, source::HISTORY, _) => {
            takes("`history`, `sequence`, `sequence-days` or `sequence-gaps`")
        }
        (
            Tower::Item,
            source::ARTICLE_ID,
            E::Embedding { vocabulary, .. } | E::OneHot { vocabulary, .. },
        ) => {
            if vocabulary == source::ARTICLE_ID {
                Ok(())
            } else {
                Err("the article's id needs the vocabulary `article_id`".into())
            }
        }
        (Tower::Item, source::ARTICLE_ID, _) => takes("`embedding` or `one-hot`"),
        (_, _, E::CyclicMonth) => {
            Err("encoding `cyclic-month` takes the source `at` of the query tower only".into())
        }
        (
            _,
            _,
            E::History { .. }
            | E::Sequence { .. }
            | E::SequenceDays { .. }
            | E::SequenceGaps { .. },
        ) => Err("a history takes the source `history` of the query tower only".into()),
        _ => Ok(()),
    }
}

fn parameters(encoding: &Encoding) -> Result<(), String> {
    let in_range = |name: &str, value: usize, max: usize| {
        if (1..=max).contains(&value) {
            Ok(())
        } else {
            Err(format!("`{name}` is {value}, not 1 to {max}"))
        }
    };
    match *encoding {
        Encoding::Embedding { dim, dropout, .. } => {
            in_range("dim", dim, MAX_DIM)?;
            dropout_in_range(dropout)?;
        }
        Encoding::History { dim, length, decay, .. } => {
            in_range("dim", dim, MAX_DIM)?;
            in_range("length", length, MAX_LENGTH)?;
            if !(decay > 0.0 && decay <= 1.0) {
                return Err(format!("`decay` is {decay}, not above 0 and at most 1"));
            }
        }
        Encoding::Sequence { dim, length, .. } => {
            in_range("dim", dim, MAX_DIM)?;
            in_range("length", length, MAX_LENGTH)?;
        }
        Encoding::SequenceDays { ages, rows, dim, length } => {
            in_range("dim", dim, MAX_DIM)?;
            in_range("length", length, MAX_LENGTH)?;
            in_range("buckets", ages.classes as usize, MAX_CLASSES)?;
            rows_of_classes(ages.classes, rows)?;
        }
        Encoding::SequenceGaps { gaps, rows, dim, length } => {
            in_range("dim", dim, MAX_DIM)?;
            in_range("length", length, MAX_LENGTH)?;
            in_range("unit", gaps.unit as usize, Timestamp::DAY as usize)?;
            in_range("classes", gaps.classes as usize, GapClasses::MOST as usize)?;
            rows_of_classes(gaps.classes, rows)?;
        }
        Encoding::Number { mean, std, range } => {
            // `clamp` panics on an empty range and on NaN.
            if let Some((least, most)) =
                range.filter(|(least, most)| least.is_nan() || most.is_nan() || least > most)
            {
                return Err(format!("`range` from {least} to {most} is empty"));
            }
            if !(mean.is_finite() && std.is_finite() && std > 0.0) {
                return Err(format!(
                    "mean {mean} and standard deviation {std} must be finite, the latter above 0"
                ));
            }
        }
        Encoding::Vector { dim } => in_range("dim", dim, MAX_DIM)?,
        Encoding::OneHot { dropout, .. } => dropout_in_range(dropout)?,
        Encoding::Bucket { min, width, rows, missing } => {
            if !(min.is_finite() && width > 0.0 && width.is_finite()) {
                return Err(format!(
                    "`min` {min} and `width` {width} must be finite, the latter above 0"
                ));
            }
            if rows > MAX_GROUPS || missing >= rows {
                return Err(format!(
                    "a width of {width} makes {rows} groups, more than {MAX_GROUPS}"
                ));
            }
        }
        Encoding::MultiHot { .. } | Encoding::CyclicMonth => {}
    }
    Ok(())
}

/// One row for each class, and one for an empty position.
fn rows_of_classes(classes: u32, rows: usize) -> Result<(), String> {
    let expected = classes as usize + 1;
    match rows == expected {
        true => Ok(()),
        false => Err(format!("{classes} classes make {expected} rows, not {rows}")),
    }
}

fn dropout_in_range(dropout: f32) -> Result<(), String> {
    if (0.0..1.0).contains(&dropout) {
        Ok(())
    } else {
        Err(format!("`dropout` is {dropout}, not at least 0 and below 1"))
    }
}

/// The embedding of a moment knows days.
fn dates<'a>(
    tower: Tower,
    feature: &'a Feature,
    vocabularies: &Vocabularies,
) -> Result<(), (&'a str, String)> {
    let Encoding::Embedding { vocabulary, .. } = &feature.encoding else { return Ok(()) };
    if tower != Tower::Query || feature.source != source::AT {
        return Ok(());
    }
    let mut values = vocabularies.get(vocabulary).into_iter().flat_map(|table| table.iter());
    match values.find(|text| text.len() != 10 || Timestamp::parse(text).is_err()) {
        Some(text) => Err((
            vocabulary,
            format!("holds `{}`, which is no date", text.chars().take(64).collect::<String>()),
        )),
        None => Ok(()),
    }
}

/// Tables must have as many rows as their vocabulary needs, counting the unknown row.
fn rows<'a>(encoding: &'a Encoding, vocabularies: &Vocabularies) -> Result<(), (&'a str, String)> {
    let (vocabulary, rows, unknown) = match encoding {
        Encoding::Embedding { vocabulary, rows, .. }
        | Encoding::OneHot { vocabulary, rows, .. }
        | Encoding::History { vocabulary, rows, .. }
        | Encoding::Sequence { vocabulary, rows, .. } => (vocabulary, *rows, 1),
        Encoding::MultiHot { vocabulary, rows } => (vocabulary, *rows, 0),
        Encoding::SequenceDays { .. }
        | Encoding::SequenceGaps { .. }
        | Encoding::Number { .. }
        | Encoding::Vector { .. }
        | Encoding::Bucket { .. }
        | Encoding::CyclicMonth => {
            return Ok(());
        }
    };
    let Some(table) = vocabularies.get(vocabulary) else {
        return Err((vocabulary, "is missing".into()));
    };
    if rows == table.len() + unknown {
        Ok(())
    } else {
        Err((
            vocabulary,
            format!(
                "has {} values, which makes {} rows; the schema says {rows}",
                table.len(),
                table.len() + unknown
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, features::Encoder, features::testing};

    /// What is wrong with the schema of a random shop once `change` has been at it.
    fn error(change: impl FnOnce(&mut FeatureSchema)) -> String {
        let (mut schema, vocabularies) =
            testing::fitted(&testing::shop(5, 20, 20, 90, TimeUnit::Day));
        change(&mut schema);
        Encoder::new(schema, vocabularies).unwrap_err().to_string()
    }

    #[test]
    fn hostile_schemas_are_refused() {
        let set = |index: usize, encoding: Encoding| {
            move |s: &mut FeatureSchema| s.query.features[index].encoding = encoding
        };
        let embedding = |vocabulary: &str, rows, dim, dropout| Encoding::Embedding {
            vocabulary: vocabulary.into(),
            rows,
            dim,
            dropout,
        };
        let history = |vocabulary: &str, rows, length, decay| Encoding::History {
            vocabulary: vocabulary.into(),
            rows,
            dim: 4,
            length,
            decay,
        };
        let gaps = |unit, classes, rows, length| Encoding::SequenceGaps {
            gaps: GapClasses { unit, classes },
            rows,
            dim: 4,
            length,
        };
        type Change = Box<dyn FnOnce(&mut FeatureSchema)>;
        let cases: Vec<(Change, &str)> = vec![
            (Box::new(|s| s.item.features.clear()), "the item tower has no features"),
            (Box::new(|s| s.query.features[1].name = "customer_id".into()), "given twice"),
            (
                Box::new(|s| s.query.features = vec![s.query.features[1].clone(); 257]),
                "more than 256",
            ),
            (Box::new(set(0, embedding("nowhere", 21, 4, 0.0))), "vocabulary `nowhere` is missing"),
            (Box::new(set(0, embedding("customer_id", usize::MAX, 4, 0.0))), "the schema says"),
            (Box::new(set(0, embedding("customer_id", 21, usize::MAX, 0.0))), "`dim` is"),
            (Box::new(set(0, embedding("customer_id", 21, 4, 1.0))), "`dropout` is 1"),
            (
                Box::new(set(0, Encoding::CyclicMonth)),
                "takes encoding `embedding` or `one-hot` only",
            ),
            (Box::new(set(1, Encoding::Number { mean: 0.0, std: 0.0, range: None })), "above 0"),
            (
                Box::new(set(1, Encoding::Number { mean: 0.0, std: 1.0, range: Some((2.0, 1.0)) })),
                "empty",
            ),
            (
                Box::new(set(1, Encoding::Number { mean: f32::NAN, std: 1.0, range: None })),
                "finite",
            ),
            (Box::new(set(1, Encoding::CyclicMonth)), "takes the source `at`"),
            (Box::new(set(1, history("article_id", 21, 5, 0.5))), "takes the source `history`"),
            (Box::new(set(4, embedding("city", 4, 4, 0.0))), "which is no date"),
            (
                Box::new(set(1, Encoding::Bucket { min: 0.0, width: 0.0, rows: 2, missing: 0 })),
                "above 0",
            ),
            (
                Box::new(set(
                    1,
                    Encoding::Bucket { min: 0.0, width: 1.0, rows: usize::MAX, missing: 0 },
                )),
                "groups",
            ),
            (
                Box::new(set(1, Encoding::Bucket { min: 0.0, width: 1.0, rows: 2, missing: 2 })),
                "groups",
            ),
            (
                Box::new(set(2, history("customer_id", 21, 5, 0.5))),
                "needs the vocabulary `article_id`",
            ),
            (Box::new(set(2, history("article_id", 21, usize::MAX, 0.5))), "`length` is"),
            (Box::new(set(2, history("article_id", 21, 5, f32::NAN))), "`decay` is NaN"),
            (Box::new(set(2, history("article_id", 0, 5, 0.5))), "which makes 21 rows"),
            (Box::new(set(1, gaps(1, 4, 5, 5))), "takes the source `history`"),
            (Box::new(set(2, gaps(0, 4, 5, 5))), "`unit` is 0"),
            (Box::new(set(2, gaps(1, u32::MAX, 5, 5))), "`classes` is"),
            (Box::new(set(2, gaps(1, 4, 4, 5))), "4 classes make 5 rows, not 4"),
            (Box::new(set(2, gaps(1, 4, 5, usize::MAX))), "`length` is"),
            (
                Box::new(|s| {
                    s.item.features[1].encoding =
                        Encoding::Number { mean: 0.0, std: 1.0, range: None }
                }),
                "`one-hot` only",
            ),
            (
                Box::new(|s| {
                    s.item.features[0].encoding =
                        Encoding::MultiHot { vocabulary: "tags".into(), rows: 99 }
                }),
                "says 99",
            ),
        ];
        for (change, part) in cases {
            let message = error(change);
            assert!(message.contains(part), "`{message}` should say `{part}`");
        }
        let (schema, _) = testing::fitted(&testing::shop(5, 20, 20, 90, TimeUnit::Day));
        assert_eq!(
            Encoder::new(schema, Vocabularies::new()).unwrap_err(),
            FeatureError::NoArticles
        );
    }
}
