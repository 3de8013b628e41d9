//! Schemas of the API's document that no Rust type says by itself.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// The id of an article or customer.
pub(super) struct Id;

/// A filter as it is written in JSON; see [`crate::recommend::Filter`].
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Filter(pub(super) BTreeMap<String, Value>);

/// How many articles may share a value, by attribute.
pub(super) struct Quotas;

/// Attributes of an article under the shop's own names.
pub(super) struct Attributes;

/// A schema written as the document has it.
fn written(schema: Value) -> RefOr<Schema> {
    RefOr::T(serde_json::from_value(schema).expect("the schemas below are schemas"))
}

fn named(name: &str, schema: Value) -> (String, RefOr<Schema>) {
    (name.to_owned(), written(schema))
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
                filters, at most 8 deep and with at most 256 conditions; an attribute of one of these names cannot be \
                filtered on.",
            "properties": {
                "all": groups("Every filter of the list holds."),
                "any": groups("At least one filter of the list holds."),
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
                "description": "A number, a text or a list of texts.",
                "oneOf": [{"type": "number"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            }),
        ));
    }
}
