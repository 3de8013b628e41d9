//! What happens in the shop, told by its pages and its back office.
//!
//! Every event gets a verdict of its own: one that cannot be taken refuses only itself, and says
//! what to mend. The answer comes once all others are in the database. Nothing of the connection is
//! kept: no address, no headers.

mod check;

use super::{
    ApiError, App,
    access::{ClientAddress, Refusal},
    answer::json,
    extract::BeaconBody,
    schema::Id,
};
use crate::{
    serving::{Caller, RateSubject, Scope},
    store::{Millis, Verdict},
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use check::Check;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(tell_events))
}

/// Most events of a request.
const MAX_EVENTS: usize = 1_000;

/// Events of a shop, in any order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"events": [{
    "event_id": "0198c0de-0000-7000-8000-000000000000",
    "type": "purchase",
    "at": "2026-01-31T12:00:00.000Z",
    "customer_id": "c1",
    "items": [{"article_id": "0706016001", "quantity": 2, "price": 19.9}],
    "order_id": "o-1001",
    "currency": "EUR"
}]}))]
pub(super) struct EventBatch {
    /// One that cannot be taken refuses only itself.
    #[schema(value_type = Vec<Event>, max_items = 1_000)]
    events: Vec<Value>,
}

/// Something that a customer or visitor did.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    /// Chosen by the sender, such as a UUID: an event that is sent again with the same id is a
    /// duplicate and changes nothing.
    #[schema(min_length = 1, max_length = 128)]
    event_id: String,
    /// `view`, `click`, `cart_add`, `cart_remove`, `purchase`, `return`, `impression`, `dislike`,
    /// `wishlist`, `search`, or a type that the server's configuration registers.
    #[schema(example = "view")]
    r#type: String,
    /// When it happened (RFC 3339); now if not given. At most 10 minutes in the future, for clocks
    /// that are fast: that counts as now. One older than 30 days is kept, but does not change what
    /// is popular.
    #[serde(default)]
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Who did it. An unknown customer is added.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    customer_id: Option<String>,
    /// The browser it was done in, by a random id of the page's own. With both ids, all that is
    /// done in this browser is the customer's from then on.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    visitor_id: Option<String>,
    /// The articles. Only `search` and types of the shop's own may go without.
    #[serde(default)]
    #[schema(max_items = 500)]
    items: Vec<EventItem>,
    /// The order of a purchase or return. Each line of an order counts once, whoever tells it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    order_id: Option<String>,
    /// Of the prices: three capital letters (ISO 4217).
    #[serde(default)]
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Option<String>,
    #[serde(default)]
    consent: Consent,
}

/// An article of an event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventItem {
    /// It need not be in the catalogue yet.
    #[schema(value_type = Id)]
    article_id: String,
    /// 1 if not given.
    #[serde(default = "one")]
    #[schema(exclusive_minimum = 0, maximum = 100_000)]
    quantity: f64,
    /// Of one piece.
    #[serde(default)]
    #[schema(minimum = 0)]
    price: Option<f64>,
    /// What tells two lines of an order with the same article apart; without it, they are told
    /// apart by their order in the event.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    line: Option<String>,
    /// The `recommendation_id` of the answer that the customer found the article in.
    #[serde(default)]
    recommendation_id: Option<String>,
    /// The place in that answer, from 1. The `recommendation_id` knows it, too, and is right.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    position: Option<u16>,
}

/// What the person has agreed to.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Consent {
    /// Without it neither customer nor visitor is kept; true if not given.
    personalization: bool,
    /// Without it is not kept which recommendation led to the event; true if not given.
    analytics: bool,
}

impl Default for Consent {
    fn default() -> Self {
        Self { personalization: true, analytics: true }
    }
}

fn one() -> f64 {
    1.0
}

/// What became of the events.
#[derive(Serialize, ToSchema)]
struct EventsTaken {
    /// In the database now.
    accepted: usize,
    /// Sent before; nothing has changed.
    duplicate: usize,
    /// Nothing of these is kept; sending them again as they are does not help.
    rejected: Vec<EventRejected>,
    /// These are taken, but without the answer that they name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unattributed: Vec<EventUnattributed>,
}

/// Why an event does not count as the success of an answer.
#[derive(Debug, Serialize, ToSchema)]
struct EventUnattributed {
    /// Place in the request, from 0.
    index: usize,
    detail: String,
}

/// Why an event was not taken.
#[derive(Debug, Serialize, ToSchema)]
struct EventRejected {
    /// Place in the request, from 0.
    index: usize,
    code: EventProblem,
    /// What is wrong and what to do.
    detail: String,
}

/// What can be wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventProblem {
    /// It is not written as the document says.
    InvalidEvent,
    UnknownType,
    MissingSubject,
    MissingItems,
    BadId,
    BadTime,
    TooFarInTheFuture,
    BadItem,
    /// The customer or visitor was erased.
    Erased,
}

/// Tell what happens in the shop
///
/// Send a key with the scope `events`. A page that sends by `navigator.sendBeacon` may send
/// `text/plain` and name a key that has no other scope in the query string: `?key=…`.
#[utoipa::path(
    post, path = "/v1/events", tag = "events", request_body = EventBatch,
    params(("key" = Option<String>, Query, description = "A key with the scope `events` alone, where no header can be sent")),
    responses((status = 202, description = "The accepted events are in the database", body = EventsTaken))
)]
async fn tell_events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    BeaconBody(EventBatch { events }): BeaconBody<EventBatch>,
) -> Result<Response, ApiError> {
    super::ask::at_most("events", events.len(), MAX_EVENTS)?;
    if let Err(refusal) =
        take_from_limits(&app, &caller, address.map(RateSubject::address), events.len())
    {
        return Ok(refusal.into_response());
    }
    let service = app.service();
    let check =
        Check { now: Millis::now(), config: service.events_config(), signer: service.signer() };
    let (mut places, mut good, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    let mut unattributed = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        match check::checked(event, &check) {
            Ok((event, problem)) => {
                places.push(index);
                good.push(event);
                unattributed.extend(
                    problem.map(|problem| EventUnattributed { index, detail: problem.to_string() }),
                );
            }
            Err((code, detail)) => rejected.push(EventRejected { index, code, detail }),
        }
    }
    let verdicts = if good.is_empty() { Vec::new() } else { service.add_events(good).await? };
    for (&index, _) in
        places.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Erased)
    {
        let detail = "this customer or visitor was erased: nothing of them is kept; a person who comes back needs a new id";
        rejected.push(EventRejected {
            index,
            code: EventProblem::Erased,
            detail: detail.to_owned(),
        });
    }
    rejected.sort_by_key(|rejected| rejected.index);
    let count = |wanted| verdicts.iter().filter(|&&verdict| verdict == wanted).count();
    let (accepted, duplicate) = (count(Verdict::Accepted), count(Verdict::Duplicate));
    let taken = EventsTaken { accepted, duplicate, rejected, unattributed };
    service.metrics().count_events([taken.accepted, taken.duplicate, taken.rejected.len()]);
    Ok((StatusCode::ACCEPTED, json(&taken)?).into_response())
}

/// Counts the events of a request. A public key is everybody's, so what bounds one sender is the
/// address.
fn take_from_limits(
    app: &App,
    caller: &Caller,
    address: Option<RateSubject>,
    events: usize,
) -> Result<(), Refusal> {
    let (limits, config) = (app.event_limits(), app.service().events_config());
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    if let Some(address) = address.filter(|_| caller.may_only(Scope::Events)) {
        limits.take(address, config.per_second_per_address, events).map_err(Refusal::TooMany)?;
    }
    if let Some(name) = &caller.name {
        limits
            .take(RateSubject::Key(name.clone()), config.per_second_per_key, events)
            .map_err(Refusal::TooMany)?;
    }
    Ok(())
}
