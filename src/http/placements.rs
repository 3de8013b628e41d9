//! Articles for a place in the shop, found as a merchandiser has written it.

use super::{
    ApiError, App,
    answer::{RecommendationResponse, render},
    ask::{MAX_CART, MAX_SESSION, Session, at_most, checked_offset, top_k},
    edge::Context,
    extract::{JsonBody, Params, PathVariable},
    schema::{Id, ObjectOf, Whole},
};
use crate::{
    domain::{ArticleId, CustomerId, TopK, VisitorId},
    recommend::{Request, Subject},
    serving::{Caller, PlacementAsk, next_second},
};
use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(recommend_in_placement, recommend_in_placement_by_query))
}

/// Who asks, and what about. Everything else is the placement's.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer_id": "00000dbacae5abe5e23885899a1fa44253a17956c6d1c3d25f88aa139fdfc657",
    "cart": ["0706016001"],
    "k": 6
}))]
pub(super) struct PlacementRequest {
    /// An unknown customer is no error: the answer is then the one for new customers.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    customer_id: Option<CustomerId>,
    /// The browser of whoever asks, as `POST /v1/events` names it: what was done there counts,
    /// beside what the customer did or instead of it.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    visitor_id: Option<VisitorId>,
    /// The article that is looked at: articles like it are sought. It is not answered back.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    article_id: Option<ArticleId>,
    #[serde(default)]
    #[schema(value_type = Session)]
    session: ObjectOf<Session>,
    /// Articles in the customer's cart, the latest first. They are not answered back.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 200)]
    cart: Vec<ArticleId>,
    /// How many articles; as many as the placement says if not given.
    #[serde(default)]
    #[schema(value_type = Option<usize>, minimum = 1, maximum = 500)]
    k: Option<Whole>,
    /// Leave out the first so many articles. Send `offset` with every page, 0 with the first.
    #[serde(default)]
    #[schema(value_type = Option<usize>, minimum = 0, maximum = 500)]
    offset: Option<Whole>,
    /// Return reasons with every article. Reasons that tell the customer's purchases need a key
    /// with the scope `read-purchases`.
    #[serde(default)]
    explain: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PlacementParams {
    /// The customer.
    #[param(value_type = Option<Id>)]
    customer_id: Option<CustomerId>,
    /// The browser of whoever asks, as `POST /v1/events` names it.
    #[param(value_type = Option<Id>)]
    visitor_id: Option<VisitorId>,
    /// The article that is looked at.
    #[param(value_type = Option<Id>)]
    article_id: Option<ArticleId>,
    /// Articles looked at in this visit, newest first, separated by commas. Ids that hold commas
    /// need the body of `POST`.
    #[param(
        example = "0706016001,0568601006",
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f,]{0,128}(,[^\\u0000-\\u001f\\u007f-\\u009f,]{0,128}){0,199}$"
    )]
    session: Option<String>,
    /// Articles in the cart, the latest first, separated by commas.
    #[param(
        example = "0706016001",
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f,]{0,128}(,[^\\u0000-\\u001f\\u007f-\\u009f,]{0,128}){0,199}$"
    )]
    cart: Option<String>,
    /// How many articles; as many as the placement says if not given.
    #[param(minimum = 1, maximum = 500)]
    k: Option<u64>,
    /// Leave out the first so many articles. Send `offset` with every page, 0 with the first.
    #[param(minimum = 0, maximum = 500)]
    offset: Option<u64>,
    /// Return reasons with every article.
    explain: Option<bool>,
}

/// Recommend articles for a place in the shop
#[utoipa::path(
    post, path = "/v1/placements/{name}/recommendations", tag = "recommendations",
    params(("name" = String, Path, description = "The placement")), request_body = PlacementRequest,
    responses((status = 200, description = "Ranked articles", body = RecommendationResponse))
)]
async fn recommend_in_placement(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    JsonBody(body): JsonBody<PlacementRequest>,
) -> Result<Response, ApiError> {
    answer(&app, &context, &caller, &name, body.into_ask()?).await
}

/// Recommend articles for a place in the shop
#[utoipa::path(
    get, path = "/v1/placements/{name}/recommendations", tag = "recommendations",
    params(("name" = String, Path, description = "The placement"), PlacementParams),
    responses((status = 200, description = "Ranked articles", body = RecommendationResponse))
)]
async fn recommend_in_placement_by_query(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    Params(params): Params<PlacementParams>,
) -> Result<Response, ApiError> {
    answer(&app, &context, &caller, &name, params.into_request()?.into_ask()?).await
}

async fn answer(
    app: &App,
    context: &Context,
    caller: &Caller,
    name: &str,
    mut ask: PlacementAsk,
) -> Result<Response, ApiError> {
    ask.request.tell_purchases = app.service().may_tell_purchases(caller);
    let answered = app.service().recommend_in(name, ask).await?;
    let fields = answered.placement.as_ref().map_or(&[][..], |(placement, _)| &placement.fields);
    render(&answered, fields, context)
}

impl PlacementRequest {
    pub(super) fn into_ask(self) -> Result<PlacementAsk, ApiError> {
        at_most("session.article_ids", self.session.0.article_ids.len(), MAX_SESSION)?;
        at_most("cart", self.cart.len(), MAX_CART)?;
        let k: Option<TopK> = self.k.map(|k| top_k(k.0)).transpose()?;
        let request = Request {
            subject: self.article_id.map_or(Subject::Customer, Subject::Article),
            visitor: self.visitor_id,
            session: self.session.0.article_ids,
            cart: self.cart,
            offset: checked_offset(self.offset.map(|offset| offset.0))?,
            explain: self.explain,
            // Its recipe and `k` are the placement's; see `PlacementAsk`.
            ..Request::new(self.customer_id, k.unwrap_or_default(), next_second())
        };
        Ok(PlacementAsk { request, k })
    }
}

impl PlacementParams {
    fn into_request(self) -> Result<PlacementRequest, ApiError> {
        Ok(PlacementRequest {
            customer_id: self.customer_id,
            visitor_id: self.visitor_id,
            article_id: self.article_id,
            session: ObjectOf(Session { article_ids: listed("session", self.session.as_deref())? }),
            cart: listed("cart", self.cart.as_deref())?,
            k: self.k.map(Whole),
            offset: self.offset.map(Whole),
            explain: self.explain.unwrap_or(false),
        })
    }
}

/// Ids separated by commas.
fn listed(key: &str, text: Option<&str>) -> Result<Vec<ArticleId>, ApiError> {
    let ids = text.unwrap_or_default().split(',').filter(|id| !id.is_empty()).map(ArticleId::parse);
    let ids: Result<_, _> = ids.collect();
    ids.map_err(|error| ApiError::invalid(format!("query string: `{key}`: {error}")))
}
