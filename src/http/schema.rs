//! Schemas of the API's document that no Rust type says by itself.

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt, marker::PhantomData};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// The id of an article or customer.
pub(super) struct Id;

/// A filter as it is written in JSON; see [`crate::recommend::Filter`].
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Filter(pub(super) BTreeMap<String, Value>);

/// A whole number of at least 0. `12.0` is one, too: so JSON Schema has it, and so do the clients
/// of languages that know only one kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u64);

/// A JSON object. Without this a list of the members' values would be taken for one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ObjectOf<T>(pub(super) T);

/// How many articles may share a value, by attribute.
pub(super) struct Quotas;

/// Attributes of an article under the shop's own names.
pub(super) struct Attributes;

/// A schema written as the document has it.
pub(super) fn written(schema: Value) -> RefOr<Schema> {
    RefOr::T(serde_json::from_value(schema).expect("the schemas below are schemas"))
}

pub(super) fn named(name: &str, schema: Value) -> (String, RefOr<Schema>) {
    (name.to_owned(), written(schema))
}

impl Whole {
    /// Reads one; `expected` says what is wanted where it is none.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        expected: impl fmt::Display,
    ) -> Result<Self, D::Error> {
        struct Number<T>(T);
        impl<T: fmt::Display> Visitor<'_> for Number<T> {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                const EXACT: f64 = (1u64 << 53) as f64;
                match number.fract() == 0.0 && (0.0..EXACT).contains(&number) {
                    true => Ok(Whole(number as u64)),
                    false => Err(E::invalid_value(Unexpected::Float(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(Number(expected))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer, "a whole number, 0 or above")
    }
}

/// The members of an object that the pipeline reads itself: `12.0` becomes the whole number that it
/// is in JSON Schema.
pub(super) fn whole_members(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key, whole(value))).collect()
}

fn whole(value: Value) -> Value {
    const EXACT: f64 = (1u64 << 53) as f64;
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
                Value::from(float as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(whole).collect(),
        Value::Object(members) => Value::Object(whole_members(members)),
        other => other,
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ObjectOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = ObjectOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, members: M) -> Result<ObjectOf<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(ObjectOf)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        written(json!({
            "type": "string",
            "description": "The shop's own id, without control characters.",
            "minLength": 1,
            "maxLength": 128,
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
            "example": "0706016001",
        }))
    }
}

impl ToSchema for Id {}

impl PartialSchema for Filter {
    fn schema() -> RefOr<Schema> {
        let groups = |description: &str| {
            let items = json!({"$ref": "#/components/schemas/Filter"});
            json!({"type": "array", "description": description, "items": items, "minItems": 1, "maxItems": 256})
        };
        written(json!({
            "type": "object",
            "description": "Conditions on attributes, all of which must hold. `all`, `any` and `not` combine whole \
                filters, at most 8 deep and with at most 256 conditions, and `article_ids` names articles; an \
                attribute of one of these names cannot be filtered on.",
            "properties": {
                "all": groups("Every filter of the list holds."),
                "any": groups("At least one filter of the list holds."),
                "article_ids": {
                    "type": "array",
                    "description": "The article is one of these.",
                    "items": {"$ref": "#/components/schemas/Id"},
                    "maxItems": 1000,
                },
                "not": {"$ref": "#/components/schemas/Filter"},
            },
            "additionalProperties": {"$ref": "#/components/schemas/FilterCondition"},
            "example": {
                "colour_group_name": ["Black", "White"],
                "price": {"min": 5},
                "not": {"index_group_name": "Divided"},
            },
        }))
    }
}

impl ToSchema for Filter {
    fn schemas(schemas: &mut Schemas) {
        let value = json!({"$ref": "#/components/schemas/FilterValue"});
        let range = |end: &str| json!({"type": "number", "description": end});
        let days = |end: &str| json!({"type": "integer", "minimum": 0, "maximum": 100_000, "description": end});
        let of_article = |key: &str, description: &str| {
            let properties = json!({key: {"type": "string", "enum": ["article"]}});
            json!({
                "type": "object",
                "description": description,
                "required": [key],
                "properties": properties,
                "additionalProperties": false,
            })
        };
        schemas.extend([
            named(
                "FilterCondition",
                json!({
                    "description": "What the value of one attribute must be.",
                    "oneOf": [
                        value,
                        {
                            "type": "array",
                            "title": "AnyOf",
                            "description": "Any of these values.",
                            "items": value,
                            "maxItems": 1000,
                        },
                        {"$ref": "#/components/schemas/FilterRange"},
                        {"$ref": "#/components/schemas/FilterNegation"},
                        {"$ref": "#/components/schemas/FilterExistence"},
                        {"$ref": "#/components/schemas/FilterDays"},
                        {"$ref": "#/components/schemas/FilterSameAs"},
                        {"$ref": "#/components/schemas/FilterDiffersFrom"},
                    ],
                }),
            ),
            named(
                "FilterValue",
                json!({
                    "description": "This value. An attribute that holds a list matches if one of its values does.",
                    "oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}],
                }),
            ),
            named(
                "FilterRange",
                json!({
                    "type": "object",
                    "description": "A number in a range, both ends included.",
                    "properties": {"min": range("The least number."), "max": range("The greatest number.")},
                    "minProperties": 1,
                    "additionalProperties": false,
                }),
            ),
            named(
                "FilterNegation",
                json!({
                    "type": "object",
                    "description": "Anything but this, no value at all included.",
                    "required": ["not"],
                    "properties": {"not": {"$ref": "#/components/schemas/FilterCondition"}},
                    "additionalProperties": false,
                }),
            ),
            named(
                "FilterExistence",
                json!({
                    "type": "object",
                    "description": "Whether the article has a value.",
                    "required": ["exists"],
                    "properties": {"exists": {"type": "boolean"}},
                    "additionalProperties": false,
                }),
            ),
            named(
                "FilterDays",
                json!({
                    "type": "object",
                    "description": "A date so many whole days before the request, both ends included, and not after \
                        it. Dates are texts (2026-01-31, or RFC 3339) or numbers of seconds since 1970.",
                    "properties": {
                        "min_days_ago": days("The least age in days; 0 if not given."),
                        "max_days_ago": days("The greatest age in days."),
                    },
                    "minProperties": 1,
                    "additionalProperties": false,
                }),
            ),
            named(
                "FilterSameAs",
                of_article(
                    "same_as",
                    "A value that the article asked about has, or else the \
                article looked at last in the visit. Without one the condition is left out, and a warning says so.",
                ),
            ),
            named(
                "FilterDiffersFrom",
                of_article(
                    "differs_from",
                    "No value that the article asked about has, or \
                else the article looked at last in the visit. Without one the condition is left out.",
                ),
            ),
        ]);
    }
}

impl PartialSchema for Quotas {
    fn schema() -> RefOr<Schema> {
        written(json!({
            "type": "object",
            "description": "How many articles may share a value of an attribute, by attribute.",
            "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 65535},
            "maxProperties": 8,
            "example": {"product_code": 1},
        }))
    }
}

impl ToSchema for Quotas {}

impl PartialSchema for Attributes {
    fn schema() -> RefOr<Schema> {
        written(json!({
            "type": "object",
            "description": "Values under the shop's own names; an article may lack any of them.",
            "additionalProperties": {"$ref": "#/components/schemas/AttributeValue"},
            "example": {"prod_name": "Jade HW Skinny", "colour_group_name": "Black", "tags": ["denim"]},
        }))
    }
}

impl ToSchema for Attributes {
    fn schemas(schemas: &mut Schemas) {
        schemas.push(named(
            "AttributeValue",
            json!({
                "description": "A number between -2^63 and 2^63, a text or a list of texts.",
                "oneOf": [{"type": "number"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            }),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let read = |json: &str| serde_json::from_str::<Whole>(json).map(|number| number.0);
        assert_eq!(
            [
                read("12").unwrap(),
                read("12.0").unwrap(),
                read("1.2e1").unwrap(),
                read("0").unwrap()
            ],
            [12, 12, 12, 0]
        );
        let members =
            serde_json::from_str(r#"{"a": 12.0, "b": [{"c": -3.0}], "d": 0.5, "e": "1.0"}"#)
                .unwrap();
        let whole = Value::Object(whole_members(members));
        assert_eq!(whole.to_string(), r#"{"a":12,"b":[{"c":-3}],"d":0.5,"e":"1.0"}"#);
        for bad in ["-1", "1.5", "1e300", "\"12\"", "null", "[]"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("a whole number, 0 or above"), "{bad}: {error}");
        }
    }
}
