//! Middleware: shared state that gets each request and the route it goes to.
//!
//! axum's own form boxes the route and its answer once more and clones everything within twice, at
//! every level.

use axum::{extract::Request, response::Response, routing::Route};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// What happens before and after a route answers.
pub(super) trait Middleware: Send + Sync + 'static {
    fn handle(
        self: Arc<Self>,
        request: Request,
        route: Route,
    ) -> impl Future<Output = Response> + Send + 'static;
}

/// The layer that puts a middleware around every route of a router.
pub(super) struct Around<M>(Arc<M>);

/// A route with a middleware around it.
pub(super) struct Surrounded<M> {
    middleware: Arc<M>,
    route: Route,
}

impl<M> Around<M> {
    pub(super) fn new(middleware: M) -> Self {
        Self(Arc::new(middleware))
    }
}

impl<M> Clone for Around<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Clone for Surrounded<M> {
    fn clone(&self) -> Self {
        Self { middleware: self.middleware.clone(), route: self.route.clone() }
    }
}

impl<M> Layer<Route> for Around<M> {
    type Service = Surrounded<M>;

    fn layer(&self, route: Route) -> Surrounded<M> {
        Surrounded { middleware: self.0.clone(), route }
    }
}

impl<M: Middleware> Service<Request> for Surrounded<M> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As a route is, always.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.middleware.clone().handle(request, self.route.clone());
        Box::pin(async { Ok(answer.await) })
    }
}

/// The answer of a route.
pub(super) async fn answer_of(mut route: Route, request: Request) -> Response {
    let Ok(response) = route.call(request).await;
    response
}
