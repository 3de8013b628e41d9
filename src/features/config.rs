//! The features a training configuration asks for.

use serde::{Deserialize, Serialize};

/// The `[features]` part of a training configuration: `[[features.query]]` and `[[features.item]]`
/// entries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FeatureConfig {
    /// What the query tower sees of a customer and the moment.
    pub query: Vec<FeatureSpec>,
    /// What the item tower sees of an article.
    pub item: Vec<FeatureSpec>,
}

/// One feature as asked for. Encoded by name: `{ source = "age", encoding = "number" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(try_from = "Entry", into = "Entry")]
pub struct FeatureSpec {
    /// Unique within its tower; the source where the configuration gives none.
    pub name: String,
    /// A column of the data, or one of `customer_id`, `article_id`, `at`, `history`.
    pub source: String,
    pub encoding: EncodingSpec,
    /// `false` leaves the feature out, so that a sweep can switch it.
    pub enabled: bool,
}

/// An [`super::Encoding`] before the data is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EncodingSpec {
    /// `min_count`: values in fewer training purchases count as unknown.
    Embedding {
        dim: usize,
        dropout: f32,
        min_count: u32,
    },
    OneHot {
        min_count: u32,
        dropout: f32,
    },
    Bucket {
        min: f32,
        width: f32,
    },
    MultiHot {
        min_count: u32,
    },
    History {
        dim: usize,
        length: usize,
        decay: f32,
    },
    Sequence {
        dim: usize,
        length: usize,
    },
    /// `buckets`: classes of age.
    SequenceDays {
        dim: usize,
        length: usize,
        buckets: usize,
    },
    /// Left out of data without dates.
    SequenceGaps {
        dim: usize,
        length: usize,
    },
    Number,
    Vector,
    CyclicMonth,
}

/// The flat form in the file: serde can't deny unknown fields in a flattened enum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A column of the data, or `customer_id`, `article_id`, `at` (the moment of the request),
    /// `history` (what the customer bought), `text` (the vector of the article's texts).
    source: String,
    /// Unique within its tower; the source by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How the source becomes numbers.
    encoding: Kind,
    /// Length of the trained vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    dim: Option<usize>,
    /// Share of the training rows in which the value counts as unknown; 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropout: Option<f32>,
    /// Values in fewer training purchases count as unknown; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_count: Option<u32>,
    /// Latest purchases that are read, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// The weight of a purchase is this to the power of its position, the latest having position 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    decay: Option<f32>,
    /// Classes of age.
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<usize>,
    /// Lower end of the first bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f32>,
    /// Width of a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<f32>,
    /// `false` leaves the feature out, so that a sweep can switch it; `true` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A trained vector for each value. Takes `dim`, `dropout`, `min_count`.
    Embedding,
    /// A number for each value, 1 where it holds. Takes `min_count`, `dropout`.
    OneHot,
    /// Buckets of equal width of a number, each as a value of `one-hot`. Takes `min`, `width`.
    Bucket,
    /// As `one-hot`, for tags: several values may hold. Takes `min_count`.
    MultiHot,
    /// The weighted mean of trained vectors of the latest purchases. Takes `dim`, `length`,
    /// `decay`.
    History,
    /// The latest purchases in order, for sequence models. Takes `dim`, `length`.
    Sequence,
    /// The ages of the latest purchases in classes, for sequence models. Takes `dim`, `length`,
    /// `buckets`.
    SequenceDays,
    /// The times between the latest purchases in classes, for sequence models. Takes `dim`,
    /// `length`. Left out of data without dates.
    SequenceGaps,
    /// A number, scaled by the mean and deviation of the training purchases.
    Number,
    /// A vector that the data holds for each article, such as that of its texts.
    Vector,
    /// The month of a moment as a sine and a cosine.
    CyclicMonth,
}

impl Kind {
    /// The keys an entry of this encoding may have.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Embedding => &["dim", "dropout", "min_count"],
            Self::OneHot => &["min_count", "dropout"],
            Self::Bucket => &["min", "width"],
            Self::MultiHot => &["min_count"],
            Self::History => &["dim", "length", "decay"],
            Self::Sequence | Self::SequenceGaps => &["dim", "length"],
            Self::SequenceDays => &["dim", "length", "buckets"],
            Self::Number | Self::Vector | Self::CyclicMonth => &[],
        }
    }
}

impl TryFrom<Entry> for FeatureSpec {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let Entry { source, name, encoding: kind, dim, dropout, min_count, length, decay, .. } =
            entry;
        let Entry { buckets, min, width, enabled, .. } = entry;
        let given = [
            ("dim", dim.is_some()),
            ("dropout", dropout.is_some()),
            ("min_count", min_count.is_some()),
            ("length", length.is_some()),
            ("decay", decay.is_some()),
            ("buckets", buckets.is_some()),
            ("min", min.is_some()),
            ("width", width.is_some()),
        ];
        if let Some((key, _)) =
            given.iter().find(|(key, given)| *given && !kind.keys().contains(key))
        {
            return Err(format!("feature `{source}`: its encoding takes no `{key}`"));
        }
        let missing = |key: &str| format!("feature `{source}`: `{key}` is missing");
        let needs = |key: &str, value: Option<usize>| value.ok_or_else(|| missing(key));
        let (min_count, dropout) = (min_count.unwrap_or(1), dropout.unwrap_or(0.0));
        let encoding = match kind {
            Kind::Embedding => {
                EncodingSpec::Embedding { dim: needs("dim", dim)?, dropout, min_count }
            }
            Kind::OneHot => EncodingSpec::OneHot { min_count, dropout },
            Kind::Bucket => EncodingSpec::Bucket {
                min: min.ok_or_else(|| missing("min"))?,
                width: width.ok_or_else(|| missing("width"))?,
            },
            Kind::MultiHot => EncodingSpec::MultiHot { min_count },
            Kind::History => EncodingSpec::History {
                dim: needs("dim", dim)?,
                length: needs("length", length)?,
                decay: decay.unwrap_or(1.0),
            },
            Kind::Sequence => {
                EncodingSpec::Sequence { dim: needs("dim", dim)?, length: needs("length", length)? }
            }
            Kind::SequenceDays => EncodingSpec::SequenceDays {
                dim: needs("dim", dim)?,
                length: needs("length", length)?,
                buckets: needs("buckets", buckets)?,
            },
            Kind::SequenceGaps => EncodingSpec::SequenceGaps {
                dim: needs("dim", dim)?,
                length: needs("length", length)?,
            },
            Kind::Number => EncodingSpec::Number,
            Kind::Vector => EncodingSpec::Vector,
            Kind::CyclicMonth => EncodingSpec::CyclicMonth,
        };
        Ok(Self {
            name: name.unwrap_or_else(|| source.clone()),
            source,
            encoding,
            enabled: enabled.unwrap_or(true),
        })
    }
}

impl From<FeatureSpec> for Entry {
    fn from(FeatureSpec { name, source, encoding, enabled }: FeatureSpec) -> Self {
        let mut entry = Self {
            name: (name != source).then_some(name),
            source,
            encoding: Kind::Number,
            dim: None,
            dropout: None,
            min_count: None,
            length: None,
            decay: None,
            buckets: None,
            min: None,
            width: None,
            enabled: (!enabled).then_some(false),
        };
        match encoding {
            EncodingSpec::Embedding { dim, dropout, min_count } => {
                (entry.encoding, entry.dim, entry.dropout) =
                    (Kind::Embedding, Some(dim), Some(dropout));
                entry.min_count = Some(min_count);
            }
            EncodingSpec::OneHot { min_count, dropout } => {
                (entry.encoding, entry.min_count, entry.dropout) =
                    (Kind::OneHot, Some(min_count), Some(dropout));
            }
            EncodingSpec::Bucket { min, width } => {
                (entry.encoding, entry.min, entry.width) = (Kind::Bucket, Some(min), Some(width));
            }
            EncodingSpec::MultiHot { min_count } => {
                (entry.encoding, entry.min_count) = (Kind::MultiHot, Some(min_count));
            }
            EncodingSpec::History { dim, length, decay } => {
                (entry.encoding, entry.dim) = (Kind::History, Some(dim));
                (entry.length, entry.decay) = (Some(length), Some(decay));
            }
            EncodingSpec::Sequence { dim, length } => {
                (entry.encoding, entry.dim, entry.length) =
                    (Kind::Sequence, Some(dim), Some(length));
            }
            EncodingSpec::SequenceDays { dim, length, buckets } => {
                (entry.encoding, entry.dim) = (Kind::SequenceDays, Some(dim));
                (entry.length, entry.buckets) = (Some(length), Some(buckets));
            }
            EncodingSpec::SequenceGaps { dim, length } => {
                (entry.encoding, entry.dim, entry.length) =
                    (Kind::SequenceGaps, Some(dim), Some(length));
            }
            EncodingSpec::Number => {}
            EncodingSpec::Vector => entry.encoding = Kind::Vector,
            EncodingSpec::CyclicMonth => entry.encoding = Kind::CyclicMonth,
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FeatureConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn the_toml_form_is_read_and_survives_a_round_trip() {
        let config = parse(
            r#"
            query = [
                { source = "customer_id", encoding = "embedding", dim = 16, dropout = 0.1 },
                { source = "age", encoding = "number" },
                { source = "at", name = "month", encoding = "cyclic-month" },
                { source = "history", encoding = "history", dim = 8, length = 20, decay = 0.9 },
                { source = "history", name = "tokens", encoding = "sequence", dim = 8, length = 20 },
                { source = "history", name = "ages", encoding = "sequence-days", dim = 2, length = 20, buckets = 9 },
                { source = "age", name = "age_group", encoding = "bucket", min = 16, width = 10 },
            ]
            item = [
                { source = "garment_group_name", encoding = "one-hot", dropout = 0.1, enabled = false },
                { source = "class", encoding = "multi-hot", min_count = 3 },
                { source = "text", encoding = "vector" },
            ]"#,
        )
        .unwrap();
        assert_eq!(
            config.query[0].encoding,
            EncodingSpec::Embedding { dim: 16, dropout: 0.1, min_count: 1 }
        );
        assert_eq!(
            (config.query[0].name.as_str(), config.query[2].name.as_str()),
            ("customer_id", "month")
        );
        assert_eq!(config.query[6].encoding, EncodingSpec::Bucket { min: 16.0, width: 10.0 });
        assert_eq!((config.item[0].enabled, config.item[1].enabled), (false, true));
        assert_eq!(config.item[1].encoding, EncodingSpec::MultiHot { min_count: 3 });
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<FeatureConfig>(&text).unwrap(), config);
    }

    #[test]
    fn what_does_not_belong_is_refused_by_name() {
        for (entry, part) in [
            (r#"{ source = "a", encoding = "number", dim = 4 }"#, "takes no `dim`"),
            (r#"{ source = "a", encoding = "embedding" }"#, "`dim` is missing"),
            (r#"{ source = "a", encoding = "history", dim = 4 }"#, "`length` is missing"),
            (r#"{ source = "a", encoding = "number", breadth = 4 }"#, "unknown field `breadth`"),
            (r#"{ source = "a", encoding = "bucket", min = 0 }"#, "`width` is missing"),
            (r#"{ source = "a", encoding = "ordinal" }"#, "unknown variant `ordinal`"),
        ] {
            let error = parse(&format!("query = [{entry}]\nitem = []")).unwrap_err().to_string();
            assert!(error.contains(part), "{entry}: {error}");
        }
    }
}
