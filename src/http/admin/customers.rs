//! Customers: what the back office tells of them, whose visits are whose, and the end of what is
//! kept.
//!
//! The record of changes names nobody: whoever was erased must not go on standing there.

use super::audited;
use crate::{
    domain::{ArticleId, CustomerId, Timestamp, VisitorId},
    http::{
        ApiError, App, ErrorCode,
        answer::json,
        ask::at_most,
        extract::{JsonBody, NoInput, PathVariable},
        schema::{Attributes as AttributesBody, Id, ObjectOf},
    },
    serving::{BundleMention, Caller},
    store::{self, AttributeValue, Change, CustomerExport, CustomerUpsert, Erasure, Person},
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put_customers))
        .routes(routes!(merge_visitor))
        .routes(routes!(erase_customer))
        .routes(routes!(export_customer))
        .routes(routes!(erase_visitor))
}

const MAX_CUSTOMERS: usize = 1_000;
const MAX_ATTRIBUTES: usize = 200;
const MAX_ATTRIBUTE_BYTES: usize = 65_536;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CustomerBatch {
    #[schema(value_type = Vec<CustomerBody>, max_items = 1_000)]
    customers: Vec<ObjectOf<CustomerBody>>,
}

/// A customer to insert or replace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"customer_id": "c1", "attributes": {"age": 34, "club_member_status": "ACTIVE"}}))]
#[schema(as = CustomerInput)]
struct CustomerBody {
    #[schema(value_type = Id)]
    customer_id: CustomerId,
    /// Numbers, texts or lists of texts under the shop's own names. They replace those that are
    /// there.
    #[serde(default)]
    #[schema(value_type = AttributesBody)]
    attributes: store::Attributes,
}

#[derive(Serialize, ToSchema)]
struct CustomersWritten {
    written: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VisitorMerge {
    /// The visitor who turned out to be the customer.
    #[schema(value_type = Id)]
    visitor_id: VisitorId,
}

/// What an erasure removed.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
struct ErasureBody {
    /// Whether anything was kept of the person. Whether or not, events and imports that name them
    /// later are refused.
    known: bool,
    purchases: u64,
    events: u64,
    /// Browsers that were the customer's; they are erased, too.
    visitors: usize,
    /// Bundles that were trained before and still hold the id in a vocabulary. It goes with the
    /// bundle: train again, activate the new version and delete these.
    bundles: Vec<BundleMention>,
}

/// Everything that is kept of a customer.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerExport)]
struct ExportBody {
    #[schema(value_type = Id)]
    customer_id: CustomerId,
    #[schema(value_type = AttributesBody)]
    attributes: store::Attributes,
    #[schema(value_type = Vec<Id>)]
    visitor_ids: Vec<VisitorId>,
    /// Imported ones.
    purchases: Vec<ExportedPurchase>,
    /// Told ones, oldest first, with the columns that they have.
    #[schema(value_type = Vec<Object>)]
    events: Vec<BTreeMap<String, Value>>,
}

#[derive(Serialize, ToSchema)]
struct ExportedPurchase {
    #[schema(value_type = Id)]
    article_id: ArticleId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(required = true)]
    price: Option<f64>,
}

/// Insert customers or replace their attributes, all or none
#[utoipa::path(put, path = "/admin/v1/customers", tag = "admin", request_body = CustomerBatch,
    responses((status = 200, description = "All of them are written", body = CustomersWritten))
)]
async fn put_customers(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(CustomerBatch { customers }): JsonBody<CustomerBatch>,
) -> Result<Response, ApiError> {
    at_most("customers", customers.len(), MAX_CUSTOMERS)?;
    let customers: Vec<CustomerUpsert> = customers
        .into_iter()
        .map(|ObjectOf(customer)| customer.checked())
        .collect::<Result<_, _>>()?;
    let subject = format!("{} customers", customers.len());
    let change = Change { actor: "", action: "customers.put", subject: &subject, before: None };
    let work = async {
        app.service().put_customers(&customers).await?;
        Ok(((), None))
    };
    audited(&app, &caller, change, work).await?;
    json(&CustomersWritten { written: customers.len() })
}

/// Make a visitor's past and future a customer's
#[utoipa::path(post, path = "/admin/v1/customers/{id}/merge", tag = "admin",
    params(("id" = Id, Path, description = "The customer's id")), request_body = VisitorMerge,
    responses((status = 204, description = "What the visitor did and will do is the customer's"))
)]
async fn merge_visitor(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(id): PathVariable<CustomerId>,
    JsonBody(VisitorMerge { visitor_id }): JsonBody<VisitorMerge>,
) -> Result<Response, ApiError> {
    let subject = store::pseudonym(id.as_str());
    let change = Change { actor: "", action: "customers.merge", subject: &subject, before: None };
    let work = async {
        app.service().merge_visitor(&visitor_id, &id).await?;
        Ok(((), None))
    };
    audited(&app, &caller, change, work).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Erase a customer
///
/// Attributes, purchases, events and the visitors that were joined go at once, from the database
/// and the memory of every server. A salted hash stays, so that no late event and no import brings
/// them back.
#[utoipa::path(delete, path = "/admin/v1/customers/{id}", tag = "admin",
    params(("id" = Id, Path, description = "The customer's id")),
    responses((status = 200, description = "Nothing of the customer is kept", body = ErasureBody))
)]
async fn erase_customer(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(id): PathVariable<CustomerId>,
    _: NoInput,
) -> Result<Response, ApiError> {
    let subject = store::pseudonym(id.as_str());
    erase(&app, &caller, &Person::Customer(id), "customers.erase", &subject).await
}

/// Erase a visitor
#[utoipa::path(delete, path = "/admin/v1/visitors/{id}", tag = "admin",
    params(("id" = Id, Path, description = "The visitor's id")),
    responses((status = 200, description = "Nothing of the visitor is kept", body = ErasureBody))
)]
async fn erase_visitor(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(id): PathVariable<VisitorId>,
    _: NoInput,
) -> Result<Response, ApiError> {
    erase(&app, &caller, &Person::Visitor(id), "visitors.erase", "a visitor").await
}

async fn erase(
    app: &App,
    caller: &Caller,
    person: &Person,
    action: &str,
    subject: &str,
) -> Result<Response, ApiError> {
    let change = Change { actor: "", action, subject, before: None };
    let work = async {
        let erasure = app.service().erase(person).await?;
        let told = serde_json::json!({"purchases": erasure.purchases, "events": erasure.events});
        Ok((erasure, Some(told)))
    };
    let Erasure { known, purchases, events, visitors } = audited(app, caller, change, work).await?;
    let bundles = match person {
        Person::Customer(id) => app.service().bundles_with(id).await?,
        Person::Visitor(_) => Vec::new(),
    };
    json(&ErasureBody { known, purchases, events, visitors: visitors.len(), bundles })
}

/// Everything that is kept of a customer
#[utoipa::path(get, path = "/admin/v1/customers/{id}/export", tag = "admin",
    params(("id" = Id, Path, description = "The customer's id")),
    responses((status = 200, description = "Attributes, visitors, purchases and events", body = ExportBody))
)]
async fn export_customer(
    State(app): State<App>,
    PathVariable(id): PathVariable<CustomerId>,
) -> Result<Response, ApiError> {
    let Some(export) = app.service().store().export_customer(&id).await? else {
        return Err(ApiError::new(
            ErrorCode::UnknownCustomer,
            "nothing is kept of a customer with this id",
        ));
    };
    let CustomerExport { id: customer_id, attributes, visitors: visitor_ids, purchases, events } =
        export;
    let purchases = purchases.into_iter().map(|(article_id, at, price)| ExportedPurchase {
        article_id,
        at,
        price,
    });
    json(&ExportBody {
        customer_id,
        attributes,
        visitor_ids,
        purchases: purchases.collect(),
        events,
    })
}

impl CustomerBody {
    fn checked(self) -> Result<CustomerUpsert, ApiError> {
        let Self { customer_id: id, attributes } = self;
        at_most("attributes", attributes.len(), MAX_ATTRIBUTES)?;
        let mut bytes = 0;
        for (name, value) in &attributes {
            for text in std::iter::once(name).chain(texts(value)) {
                if text.contains('\0') {
                    return Err(ApiError::invalid(
                        "`attributes`: a text must not hold the character U+0000",
                    ));
                }
                bytes += text.len();
            }
        }
        if bytes > MAX_ATTRIBUTE_BYTES {
            let detail = format!(
                "the attributes of a customer hold at most {MAX_ATTRIBUTE_BYTES} bytes, not {bytes}"
            );
            return Err(ApiError::invalid(detail));
        }
        Ok(CustomerUpsert { id, attributes })
    }
}

fn texts(value: &AttributeValue) -> &[String] {
    match value {
        AttributeValue::Number(_) => &[],
        AttributeValue::Text(text) => std::slice::from_ref(text),
        AttributeValue::Tags(texts) => texts,
    }
}
