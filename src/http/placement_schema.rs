//! The schema of a placement's definition. The pipeline reads definitions itself, from JSON and
//! TOML alike, so that no type of this surface says what they are.

use super::schema::{Filter, Id, Quotas, Schemas, named, written};
use crate::recommend::{
    rules::{MAX_RULES, REGISTRY as RULES},
    sources::{MAX_SOURCES, REGISTRY},
};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// A definition as it is written in JSON; see [`crate::recommend::Placement`].
pub(super) struct PlacementDefinition;

/// A source of candidates; see [`crate::recommend::sources`].
pub(super) struct CandidateSource;

impl PartialSchema for PlacementDefinition {
    fn schema() -> RefOr<Schema> {
        written(json!({
            "type": "object",
            "description": "How the articles of a place in the shop are found. Everything may be left out.",
            "properties": {
                "k": {
                    "type": "integer", "minimum": 1, "maximum": 500,
                    "description": "Articles of an answer where the request does not say; 12 if not given.",
                },
                "model": {
                    "type": ["string", "null"],
                    "description": "The model to ask; the default model if not given.",
                },
                "sources": sources(),
                "filter": {"$ref": "#/components/schemas/Filter"},
                "exclude": {"$ref": "#/components/schemas/PlacementExclude"},
                "max_per": {"$ref": "#/components/schemas/Quotas"},
                "rules": {
                    "type": "array", "items": {"$ref": "#/components/schemas/PlacementRule"}, "maxItems": MAX_RULES,
                    "description": "What the answers must hold to, whatever the model says.",
                },
                "diversity": {
                    "type": "number", "minimum": 0, "maximum": 1,
                    "description": "How unlike each other the articles shall be: 0, not at all, to 1, above all; 0 if not given.",
                },
                "fallback": {
                    "type": "array", "items": {"$ref": "#/components/schemas/CandidateSource"}, "maxItems": MAX_SOURCES,
                    "description": "Sources that are asked, one after the other, while an answer is too short.",
                },
                "fields": {
                    "type": "array", "items": {"type": "string"}, "maxItems": 64,
                    "description": "Attributes to return with every article.",
                },
            },
            "additionalProperties": false,
            "example": {
                "k": 8,
                "sources": [{"source": "model"}, {"source": "popular", "limit": 20, "weight": 0.5}],
                "filter": {"index_group_name": "Ladieswear"},
                "exclude": {"purchased_within_days": 30},
                "max_per": {"product_code": 1},
                "fields": ["prod_name", "price"],
            },
        }))
    }
}

impl ToSchema for PlacementDefinition {
    fn schemas(schemas: &mut Schemas) {
        schemas.extend([
            named(
                "PlacementExclude",
                json!({
                    "type": "object",
                    "description": "What the placement never answers.",
                    "properties": {
                        "article_ids": {
                            "type": "array", "items": {"$ref": "#/components/schemas/Id"}, "maxItems": 10_000,
                        },
                        "purchased": {"type": "boolean", "description": "The customer's purchases."},
                        "purchased_within_days": {
                            "type": ["integer", "null"], "minimum": 1, "maximum": 36_500,
                            "description": "The customer's purchases of so many last days.",
                        },
                        "seen_times_today": {
                            "type": ["integer", "null"], "minimum": 1, "maximum": 1_000,
                            "description": "What the customer was shown so many times in the last 24 hours.",
                        },
                        "disliked": {
                            "type": "boolean",
                            "description": "What the customer dislikes; true if not given.",
                        },
                    },
                    "additionalProperties": false,
                }),
            ),
            named("PlacementRule", rule()),
            ("Filter".to_owned(), Filter::schema()),
            ("Quotas".to_owned(), Quotas::schema()),
            ("Id".to_owned(), Id::schema()),
            ("CandidateSource".to_owned(), CandidateSource::schema()),
        ]);
        Filter::schemas(schemas);
    }
}

fn rule() -> Value {
    let names: Vec<&str> = RULES.iter().map(|kind| kind.name).collect();
    let kinds: Vec<String> =
        RULES.iter().map(|kind| format!("* `{}`: {}", kind.name, kind.about)).collect();
    let moment = |what: &str| json!({"type": "string", "description": format!("{what}; a date or RFC 3339.")});
    json!({
        "type": "object",
        "description": format!("A rule. Its kind wants parameters of its own.\n{}", kinds.join("\n")),
        "required": ["rule", "name"],
        "properties": {
            "rule": {"type": "string", "enum": names},
            "name": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Explanations show it."},
            "from": moment("The first moment at which it holds"),
            "until": moment("The first moment at which it holds no more"),
        },
        "additionalProperties": true,
        "example": {"rule": "boost", "name": "summer first", "filter": {"season": "summer"}, "factor": 1.3},
    })
}

/// The list of sources, in requests and placements alike.
pub(super) fn sources() -> Value {
    json!({
        "type": "array",
        "description": "Where candidates come from; the model alone if none is given.",
        "items": {"$ref": "#/components/schemas/CandidateSource"},
        "maxItems": MAX_SOURCES,
    })
}

impl PartialSchema for CandidateSource {
    fn schema() -> RefOr<Schema> {
        let names: Vec<&str> = REGISTRY.iter().map(|kind| kind.name).collect();
        let kinds: Vec<String> =
            REGISTRY.iter().map(|kind| format!("* `{}`: {}", kind.name, kind.about)).collect();
        written(json!({
            "type": "object",
            "description": format!("A source of candidates. Its kind may want parameters of its own.\n{}", kinds.join("\n")),
            "required": ["source"],
            "properties": {
                "source": {"type": "string", "enum": names},
                "limit": {
                    "type": "integer", "minimum": 1, "maximum": 1_000,
                    "description": "Candidates that it may give; as many as the answer needs if not given.",
                },
                "weight": {
                    "type": "number", "exclusiveMinimum": 0, "maximum": 1_000,
                    "description": "How much its ranks count beside those of others; 1 if not given.",
                },
            },
            "additionalProperties": true,
            "example": {"source": "popular", "limit": 20, "weight": 0.5},
        }))
    }
}

impl ToSchema for CandidateSource {}
