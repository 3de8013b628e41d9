use std::fmt;

/// Which of the two towers a feature belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tower {
    Query,
    Item,
}

impl fmt::Display for Tower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query => "query",
            Self::Item => "item",
        })
    }
}

/// Why features can't be fitted or a schema can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// A configuration or schema that makes no sense, whatever the data.
    #[error("{tower} feature `{feature}`: {problem}")]
    Feature { tower: Tower, feature: String, problem: String },
    #[error("{tower} feature `{feature}`: the data has no column `{column}`; it has {available}")]
    NoColumn { tower: Tower, feature: String, column: String, available: String },
    #[error("the {0} tower has no features")]
    NoFeatures(Tower),
    #[error("the {tower} tower has {count} features, more than {limit}")]
    TooManyFeatures { tower: Tower, count: usize, limit: usize },
    /// A bundle's vocabulary that doesn't fit its schema.
    #[error("{tower} feature `{feature}`: vocabulary `{vocabulary}` {problem}")]
    Vocabulary { tower: Tower, feature: String, vocabulary: String, problem: String },
    #[error("there is no article: the vocabulary `article_id` is missing or empty")]
    NoArticles,
}
