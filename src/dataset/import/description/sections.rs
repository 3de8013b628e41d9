//! The sections of `dataset.toml` as they are written.

use super::super::columns::ColumnType;
use super::super::files::Format;
use super::super::plan::{Duplicates, Returns};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// What every section that names files may say of them and of their rows.
#[derive(Debug, Default)]
pub(super) struct TableKeys {
    pub files: Option<Vec<PathBuf>>,
    pub format: Option<Format>,
    pub delimiter: Option<String>,
    pub quoted: Option<QuotedKey>,
    pub encoding: Option<String>,
    pub header: Option<bool>,
    pub columns: Option<Vec<String>>,
    pub skip_lines: Option<usize>,
    pub sheet: Option<OneOrMore<String>>,
    pub member: Option<OneOrMore<String>>,
    pub missing: Vec<String>,
    pub decimal: Option<String>,
    pub filter: BTreeMap<String, toml::Value>,
    pub fill_down: Option<FillDownKey>,
    pub split: Option<SplitKey>,
    pub join: Option<Box<JoinSection>>,
}

/// `quoted = true`, `false`, or the character that stands for `"`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "true, false or a quote such as \"'\"")]
pub(super) enum QuotedKey {
    Usual(bool),
    By(String),
}

/// A section with the keys of a table and some of its own. A macro, because serde refuses unknown
/// keys only in structs without flattened parts.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            files: Option<Vec<PathBuf>>,
            format: Option<Format>,
            delimiter: Option<String>,
            quoted: Option<QuotedKey>,
            encoding: Option<String>,
            header: Option<bool>,
            columns: Option<Vec<String>>,
            skip_lines: Option<usize>,
            sheet: Option<OneOrMore<String>>,
            member: Option<OneOrMore<String>>,
            #[serde(default)]
            missing: Vec<String>,
            decimal: Option<String>,
            #[serde(default, rename = "where")]
            filter: BTreeMap<String, toml::Value>,
            fill_down: Option<FillDownKey>,
            split: Option<SplitKey>,
            join: Option<Box<JoinSection>>,
        }

        impl $name {
            /// The keys of the table.
            pub fn take_table(&mut self) -> TableKeys {
                TableKeys {
                    files: self.files.take(),
                    format: self.format.take(),
                    delimiter: self.delimiter.take(),
                    quoted: self.quoted.take(),
                    encoding: self.encoding.take(),
                    header: self.header.take(),
                    columns: self.columns.take(),
                    skip_lines: self.skip_lines.take(),
                    sheet: self.sheet.take(),
                    member: self.member.take(),
                    missing: std::mem::take(&mut self.missing),
                    decimal: self.decimal.take(),
                    filter: std::mem::take(&mut self.filter),
                    fill_down: self.fill_down.take(),
                    split: self.split.take(),
                    join: self.join.take(),
                }
            }
        }
    };
}

section! {
    /// `[articles]` or `[customers]`.
    EntitySection {
        id: Option<String>,
        keep: Option<Vec<String>>,
        #[serde(default)]
        types: BTreeMap<String, TypeName>,
        price: Option<String>,
        available: Option<String>,
        image: Option<String>,
        duplicates: Option<Duplicates>,
        unknown: Option<Unknown>,
    }
}

section! {
    /// `[purchases]`.
    PurchaseSection {
        article: String,
        customer: String,
        time: Option<OneOrMore<String>>,
        time_format: Option<OneOrMore<String>>,
        time_zone: Option<String>,
        allow_future: Option<bool>,
        price: Option<String>,
        channel: Option<String>,
        event: Option<String>,
        #[serde(default)]
        events: BTreeMap<String, f32>,
        quantity: Option<String>,
        returns: Option<Returns>,
        weight: Option<String>,
        rating: Option<String>,
        min_rating: Option<f32>,
    }
}

section! {
    /// `[purchases.join]` and the like.
    JoinSection {
        on: OnKey,
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub(super) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value],
            Self::More(values) => values,
        }
    }
}

/// `["Email", "Created at"]`, or `{ columns = […], within = "Name" }`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a list of columns, or { columns = [\"…\"], within = \"…\" }")]
pub(super) enum FillDownKey {
    Columns(Vec<String>),
    Within { columns: Vec<String>, within: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SplitKey {
    pub column: String,
    pub separator: String,
    pub quantity: Option<String>,
    #[serde(default)]
    pub quantity_first: bool,
}

/// `"order_id"`, or `{ left = "order", right = "id" }`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "the name of a column, or { left = \"…\", right = \"…\" }")]
pub(super) enum OnKey {
    Same(String),
    Different { left: String, right: String },
}

/// What a purchase of something that has no row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unknown {
    /// It is rejected.
    Reject,
    /// It adds an article or customer without attributes.
    Add,
}

/// `"category"`, `"number"` or `{ tags = "separator" }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TypeName {
    Category,
    Number,
    Tags(String),
}

impl TypeName {
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Category => ColumnType::Category,
            Self::Number => ColumnType::Number,
            Self::Tags(separator) => ColumnType::Tags { separator: separator.clone() },
        }
    }
}
