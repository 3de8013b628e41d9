//! The attribute schema: what kind of value each attribute holds, and how much an article may
//! carry. Checked before an article is written, so that whatever the database holds can be loaded.

use super::{ArticleRecord, AttributeValue, Attributes, StoreError};
use crate::domain::{AttributeKind, Number};
use std::collections::BTreeMap;

/// Attributes under these names are the typed columns of an article.
const FIELDS: [(&str, AttributeKind); 2] =
    [("price", AttributeKind::Number), ("image_url", AttributeKind::Text)];

/// The kind of a field of an article, if the name is that of one.
pub(super) fn field(name: &str) -> Option<AttributeKind> {
    FIELDS.into_iter().find(|(field, _)| *field == name).map(|(_, kind)| kind)
}

/// How much the catalogue takes from a change of articles. Imports are not limited: their files are
/// the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueLimits {
    /// Distinct attributes of all articles together.
    pub attributes: usize,
    pub attributes_per_article: usize,
    pub name_bytes: usize,
    /// Names and values of all attributes of an article.
    pub article_bytes: usize,
    /// Texts of one list.
    pub list_texts: usize,
}

impl Default for CatalogueLimits {
    fn default() -> Self {
        Self {
            attributes: 500,
            attributes_per_article: 200,
            name_bytes: 128,
            article_bytes: 64 << 10,
            list_texts: 256,
        }
    }
}

/// An attribute of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRecord {
    pub name: String,
    pub kind: AttributeKind,
    /// Whether an operator declared the kind; else it was learnt from an import or from the first
    /// article that had the attribute.
    pub declared: bool,
}

/// The kinds of a shop's attributes by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    attributes: BTreeMap<String, (AttributeKind, bool)>,
}

impl Default for Schema {
    /// A shop without attributes; the fields of an article have their kinds.
    fn default() -> Self {
        let fields = FIELDS.into_iter().map(|(name, kind)| (name.to_owned(), (kind, true)));
        Self { attributes: fields.collect() }
    }
}

impl Schema {
    /// The schema as the database holds it. An attribute of a kind that this program does not know
    /// counts as not there.
    pub(super) fn new(rows: impl IntoIterator<Item = (String, String, bool)>) -> Self {
        let mut schema = Self::default();
        for (name, kind, declared) in rows {
            if let Some(kind) = AttributeKind::of_name(&kind) {
                schema.attributes.entry(name).or_insert((kind, declared));
            }
        }
        schema
    }

    pub fn kind(&self, name: &str) -> Option<AttributeKind> {
        self.attributes.get(name).map(|&(kind, _)| kind)
    }

    pub fn kinds(&self) -> BTreeMap<String, AttributeKind> {
        self.attributes.iter().map(|(name, &(kind, _))| (name.clone(), kind)).collect()
    }

    /// All attributes by name.
    pub fn attributes(&self) -> impl Iterator<Item = AttributeRecord> + '_ {
        self.attributes.iter().map(|(name, &(kind, declared))| AttributeRecord {
            name: name.clone(),
            kind,
            declared,
        })
    }

    /// Checks articles against the schema; answers the attributes that they add to it.
    ///
    /// # Errors
    /// [`StoreError::BadArticle`] naming article, attribute and both kinds, or the limit.
    pub(super) fn admit(
        &self,
        articles: &[&ArticleRecord],
        limits: &CatalogueLimits,
    ) -> Result<Vec<(String, AttributeKind)>, StoreError> {
        let mut added: BTreeMap<&str, AttributeKind> = BTreeMap::new();
        for article in articles {
            for (name, value) in &article.attributes {
                let found = value.kind();
                let expected = self.kind(name).or_else(|| added.get(name.as_str()).copied());
                match expected {
                    Some(expected) if expected == found => {}
                    Some(expected) => {
                        let what = format!(
                            "attribute `{name}` is {found}, but it is {expected} in this shop"
                        );
                        return Err(bad(article, &what));
                    }
                    None if self.attributes.len() + added.len()
                        >= limits.attributes + FIELDS.len() =>
                    {
                        let (name, most) = (shortened(name), limits.attributes);
                        return Err(bad(
                            article,
                            &format!("attribute `{name}` is new, and the shop has {most} already"),
                        ));
                    }
                    None => {
                        added.insert(name, found);
                    }
                }
            }
        }
        Ok(added.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect())
    }

    /// Checks that an operator may declare an attribute.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the reason.
    pub(super) fn admit_declaration(
        &self,
        name: &str,
        kind: AttributeKind,
        limits: &CatalogueLimits,
    ) -> Result<(), StoreError> {
        let refuse = |what: String| {
            Err(StoreError::Refused(format!("attribute `{}`: {what}", shortened(name))))
        };
        if name.is_empty() || name.len() > limits.name_bytes || name.contains('\0') {
            return refuse(format!("a name has 1 to {} bytes and no U+0000", limits.name_bytes));
        }
        match field(name) {
            Some(expected) if expected != kind => {
                refuse(format!("it is a field of every article: {expected}"))
            }
            None if self.kind(name).is_none()
                && self.attributes.len() >= limits.attributes + FIELDS.len() =>
            {
                refuse(format!("it is new, and the shop has {} already", limits.attributes))
            }
            _ => Ok(()),
        }
    }

    /// Checks the columns of an import, which may change what was learnt; answers those whose kind
    /// is new.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a column of another kind than an operator declared.
    pub(super) fn admit_columns(
        &self,
        columns: &[(String, AttributeKind)],
    ) -> Result<Vec<(String, AttributeKind)>, StoreError> {
        let mut changed = Vec::new();
        for (name, found) in columns {
            match self.attributes.get(name) {
                Some((expected, _)) if expected == found => {}
                Some((expected, true)) => {
                    return Err(StoreError::Refused(format!(
                        "the column `{name}` holds {found} in each row, but the attribute was declared as {expected}; \
                         declare the column's type in the data description, or import it under another name"
                    )));
                }
                Some((_, false)) | None => changed.push((name.clone(), *found)),
            }
        }
        Ok(changed)
    }
}

impl AttributeValue {
    pub fn kind(&self) -> AttributeKind {
        match self {
            Self::Number(_) => AttributeKind::Number,
            Self::Text(_) => AttributeKind::Text,
            Self::Tags(_) => AttributeKind::Texts,
        }
    }
}

/// Checks what a database could not hold or give back, so that both refuse the same things.
pub(super) fn check_article(article: &ArticleRecord) -> Result<(), StoreError> {
    if article.price.is_some_and(|price| price < 0.0 || Number::new(price).is_none()) {
        return Err(bad(article, "the price must be a number from 0 to below 2^63"));
    }
    if article.image_url.as_deref().is_some_and(|url| url.contains('\0')) {
        return Err(bad(article, "the image URL must not contain the character U+0000"));
    }
    check_attributes(&article.attributes).map_err(|what| bad(article, &what))
}

/// Checks what a change of one article may carry.
pub(super) fn check_size(
    article: &ArticleRecord,
    limits: &CatalogueLimits,
) -> Result<(), StoreError> {
    let attributes = &article.attributes;
    if attributes.len() > limits.attributes_per_article {
        let (found, most) = (attributes.len(), limits.attributes_per_article);
        return Err(bad(
            article,
            &format!("it has {found} attributes; an article may have {most}"),
        ));
    }
    let mut bytes = article.image_url.as_ref().map_or(0, String::len);
    for (name, value) in attributes {
        if name.is_empty() || name.len() > limits.name_bytes {
            let (name, most) = (shortened(name), limits.name_bytes);
            return Err(bad(
                article,
                &format!("the name of attribute `{name}` must have 1 to {most} bytes"),
            ));
        }
        bytes += name.len();
        bytes += match value {
            AttributeValue::Number(_) => 8,
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Tags(tags) if tags.len() > limits.list_texts => {
                let (found, most) = (tags.len(), limits.list_texts);
                return Err(bad(
                    article,
                    &format!("attribute `{name}` lists {found} texts; a list may have {most}"),
                ));
            }
            AttributeValue::Tags(tags) => tags.iter().map(|tag| tag.len() + 4).sum(),
        };
    }
    if bytes > limits.article_bytes {
        let most = limits.article_bytes;
        return Err(bad(article, &format!("it has {bytes} bytes; an article may have {most}")));
    }
    Ok(())
}

pub(super) fn check_attributes(attributes: &Attributes) -> Result<(), String> {
    for (name, value) in attributes {
        let nul = match value {
            AttributeValue::Number(_) => false,
            AttributeValue::Text(text) => text.contains('\0'),
            AttributeValue::Tags(tags) => tags.iter().any(|tag| tag.contains('\0')),
        };
        if nul || name.contains('\0') {
            // Postgres cannot hold it.
            return Err(format!(
                "attribute `{}` must not contain the character U+0000",
                name.replace('\0', "")
            ));
        }
    }
    Ok(())
}

fn bad(article: &ArticleRecord, what: &str) -> StoreError {
    StoreError::BadArticle(format!("article `{}`: {what}; nothing was written", article.id))
}

/// A name that may be of any length, for a message.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ArticleId;

    fn article(id: &str, attributes: &[(&str, AttributeValue)]) -> ArticleRecord {
        let attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let id = ArticleId::parse(id).unwrap();
        ArticleRecord { id, available: true, price: None, image_url: None, attributes }
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::Text(text.into())
    }

    fn number(number: i64) -> AttributeValue {
        AttributeValue::Number(Number::Integer(number))
    }

    fn message<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
        match result {
            Err(StoreError::BadArticle(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_contradiction_names_article_attribute_and_both_kinds() {
        let schema = Schema::new([("size".to_owned(), "text".to_owned(), false)]);
        let limits = CatalogueLimits::default();
        for (attribute, value, told) in [
            (
                "price",
                text("on request"),
                "article `a`: attribute `price` is a text, but it is a number in this shop",
            ),
            (
                "size",
                AttributeValue::Tags(vec![]),
                "attribute `size` is a list of texts, but it is a text",
            ),
            ("size", number(38), "attribute `size` is a number, but it is a text"),
        ] {
            let bad = article("a", &[(attribute, value)]);
            let message = message(schema.admit(&[&article("b", &[]), &bad], &limits));
            assert!(message.contains(told) && message.contains("nothing was written"), "{message}");
        }
        // The first article with a new attribute decides, within one request too.
        let (first, second) =
            (article("a", &[("new", number(1))]), article("b", &[("new", text("x"))]));
        let added = schema.admit(&[&first], &limits).unwrap();
        assert_eq!(added, [("new".to_owned(), AttributeKind::Number)]);
        assert!(message(schema.admit(&[&first, &second], &limits)).contains("article `b`"));
    }

    #[test]
    fn limits_are_named() {
        let limits = CatalogueLimits {
            attributes: 2,
            attributes_per_article: 3,
            name_bytes: 8,
            article_bytes: 64,
            list_texts: 2,
        };
        let many: Vec<_> = ["a", "b", "c", "d"].map(|name| (name, number(1))).to_vec();
        let tags = |n: usize| AttributeValue::Tags(vec!["x".to_owned(); n]);
        for (attributes, told) in [
            (many.clone(), "it has 4 attributes; an article may have 3"),
            (vec![("a name too long", number(1))], "1 to 8 bytes"),
            (vec![("", number(1))], "1 to 8 bytes"),
            (vec![("a", text(&"x".repeat(64)))], "65 bytes; an article may have 64"),
            (vec![("a", tags(3))], "lists 3 texts; a list may have 2"),
        ] {
            let message = message(check_size(&article("x", &attributes), &limits));
            assert!(message.contains(told) && message.contains("article `x`"), "{message}");
        }
        check_size(&article("x", &many[..3]), &limits).unwrap();
        let message = message(Schema::default().admit(&[&article("x", &many)], &limits));
        assert!(message.contains("attribute `c` is new, and the shop has 2 already"), "{message}");
    }

    #[test]
    fn an_import_may_change_what_was_learnt_but_not_what_was_declared() {
        let rows =
            [("learnt", "text", false), ("declared", "number", true), ("odd", "matrix", true)];
        let schema = Schema::new(
            rows.map(|(name, kind, declared)| (name.to_owned(), kind.to_owned(), declared)),
        );
        assert_eq!(schema.kind("odd"), None);
        let column = |name: &str, kind| [(name.to_owned(), kind)];
        assert_eq!(schema.admit_columns(&column("learnt", AttributeKind::Text)).unwrap(), []);
        let changed = column("learnt", AttributeKind::Texts);
        assert_eq!(schema.admit_columns(&changed).unwrap(), changed);
        let error =
            schema.admit_columns(&column("declared", AttributeKind::Text)).unwrap_err().to_string();
        assert!(
            error.contains("`declared` holds a text") && error.contains("declared as a number"),
            "{error}"
        );
    }

    #[test]
    fn what_a_database_cannot_hold_is_refused() {
        let mut bad =
            [article("a1", &[]), article("a1", &[]), article("a1", &[("c", text("a\0"))])];
        bad[0].price = Some(-1.0);
        bad[1].price = Some(f64::INFINITY);
        for bad in bad
            .into_iter()
            .chain([article("a1", &[("c", AttributeValue::Tags(vec!["\0".into()]))])])
        {
            assert!(message(check_article(&bad)).contains("a1"));
        }
        check_article(&ArticleRecord { price: Some(0.0), ..article("a", &[("c", text("red"))]) })
            .unwrap();
    }
}
