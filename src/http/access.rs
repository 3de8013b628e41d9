//! Who may ask: keys and rate limits, before any handler runs.
//!
//! A key that is given must be right, wanted or not. [`Caller::may`] decides what it permits; which
//! scope an admin route needs is said here, in one place, so that a new route needs `admin` until
//! somebody decides otherwise.

use super::{ApiError, App, ErrorCode, connection::Connection};
use crate::serving::{Caller, Config, RateLimits, RateSubject, Scope, Secret};
use axum::{
    extract::{Query, Request},
    http::{HeaderName, HeaderValue, Method, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What one listener asks of those who come.
pub(super) struct Access {
    app: App,
    /// The key that the configuration gives; only on the admin listener.
    operator: Option<Secret>,
    require_key: bool,
    per_key: u32,
    per_address: u32,
    /// Proxies that stand before the server and name the client's address.
    proxies: usize,
    limits: RateLimits,
    /// The scope that a request needs.
    needs: fn(&Method, &str) -> Scope,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Access {
    pub(super) fn public(app: &App, config: &Config) -> Self {
        Self::of(app, config, None, config.http.require_key, public_scope)
    }

    pub(super) fn admin(app: &App, config: &Config, key: Secret) -> Self {
        Self::of(app, config, Some(key), true, admin_scope)
    }

    fn of(
        app: &App,
        config: &Config,
        operator: Option<Secret>,
        require_key: bool,
        needs: fn(&Method, &str) -> Scope,
    ) -> Self {
        Self {
            app: app.clone(),
            operator,
            require_key,
            per_key: config.limits.requests_per_second_per_key,
            per_address: config.limits.requests_per_second_per_address,
            proxies: config.http.proxies,
            limits: RateLimits::default(),
            needs,
        }
    }

    /// Puts the [`Caller`] and the [`ClientAddress`] among the request's extensions.
    ///
    /// # Errors
    /// Why the request must not go on.
    pub(super) fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        let address = self.client_address(request);
        let caller = self.admit(request, address)?;
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(ClientAddress(address));
        Ok(())
    }

    fn admit(&self, request: &Request, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        if let Some(address) = address {
            self.limits
                .take(RateSubject::address(address), self.per_address, 1)
                .map_err(Refusal::TooMany)?;
        }
        let needed = (self.needs)(request.method(), request.uri().path());
        let caller = self.caller(request, needed)?;
        if let Some(name) = &caller.name {
            let rate = caller.requests_per_second.unwrap_or(self.per_key);
            self.limits.take(RateSubject::Key(name.clone()), rate, 1).map_err(Refusal::TooMany)?;
        }
        if caller.may(needed) { Ok(caller) } else { Err(Refusal::Scope(needed)) }
    }

    fn caller(&self, request: &Request, needed: Scope) -> Result<Caller, Refusal> {
        let Some(given) = request.headers().get(header::AUTHORIZATION) else {
            if needed == Scope::Events {
                return self.caller_of_beacon(request.uri());
            }
            return if self.require_key { Err(Refusal::NoKey) } else { Ok(Caller::anonymous()) };
        };
        let secret = bearer(given).ok_or(Refusal::NoKey)?;
        if self.operator.as_ref().is_some_and(|key| key.matches(secret)) {
            return Ok(Caller::operator());
        }
        self.of_secret(secret)
    }

    /// Whose key it is. A server that has not read the keys yet cannot say that one is wrong: a
    /// client would give up.
    fn of_secret(&self, secret: &[u8]) -> Result<Caller, Refusal> {
        let service = self.app.service();
        let unknown = || if service.knows_keys() { Refusal::WrongKey } else { Refusal::KeysUnread };
        service.caller(secret).ok_or_else(unknown)
    }

    /// Who sends events by `navigator.sendBeacon`, which sends no headers. Addresses stand in logs
    /// and histories, so a key may stand in one only if it is worth nothing else.
    fn caller_of_beacon(&self, uri: &Uri) -> Result<Caller, Refusal> {
        let Ok(Query(BeaconKey { key: Some(key) })) = Query::try_from_uri(uri) else {
            return Err(Refusal::NoKey);
        };
        let caller = self.of_secret(key.as_bytes())?;
        if caller.may_only(Scope::Events) { Ok(caller) } else { Err(Refusal::KeyInAddress) }
    }

    /// The address that the outermost trusted proxy saw, or that of the connection.
    fn client_address(&self, request: &Request) -> Option<IpAddr> {
        let peer =
            request.extensions().get::<Arc<Connection>>().map(|connection| connection.peer());
        if self.proxies == 0 {
            return peer;
        }
        let lists =
            request.headers().get_all(FORWARDED_FOR).iter().filter_map(|list| list.to_str().ok());
        let named: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
        // Each proxy appends whom it saw; what stands further left is the client's own claim.
        let at = named.len().checked_sub(self.proxies)?;
        named[at].parse().ok().or(peer)
    }
}

/// Where a request comes from, as far as the server can tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) Option<IpAddr>);

/// The part of a query string that names a key.
#[derive(Deserialize)]
struct BeaconKey {
    key: Option<String>,
}

/// Why a request does not get to its handler.
pub(super) enum Refusal {
    NoKey,
    WrongKey,
    KeysUnread,
    KeyInAddress,
    Scope(Scope),
    TooMany(Duration),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoKey => {
                let detail =
                    "send `authorization: Bearer <key>`; `vitrine-server keys create` makes keys";
                ApiError::new(ErrorCode::Unauthorized, detail).into_response()
            }
            Self::WrongKey => {
                ApiError::new(ErrorCode::Unauthorized, "this key is unknown or withdrawn")
                    .into_response()
            }
            Self::KeysUnread => {
                let detail = "the server has not read its keys yet; try again";
                ApiError::new(ErrorCode::NotReady, detail).into_response()
            }
            Self::KeyInAddress => {
                let detail = "only a key with the scope `events` alone may stand in an address; send this one as \
                    `authorization: Bearer <key>`";
                ApiError::new(ErrorCode::Forbidden, detail).into_response()
            }
            Self::Scope(needed) => {
                let detail = format!("this needs a key with the scope `{needed}`");
                ApiError::new(ErrorCode::Forbidden, detail).into_response()
            }
            Self::TooMany(wait) => {
                // Whole seconds, never 0.
                let seconds = wait.as_secs() + 1;
                let detail = format!("too many requests; send the next one in {seconds} s");
                let mut response = ApiError::new(ErrorCode::RateLimited, detail).into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}

/// The key of `authorization: Bearer <key>`; the scheme's name is the same in any case (RFC 9110).
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, key) = header.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

/// The scope that a route of the public listener needs.
fn public_scope(_: &Method, path: &str) -> Scope {
    if path == "/v1/events" { Scope::Events } else { Scope::Recommend }
}

/// The scope that an admin route needs.
fn admin_scope(method: &Method, path: &str) -> Scope {
    match (method, path) {
        (&Method::GET, "/metrics" | "/admin/v1/status" | "/admin/v1/models") => Scope::Monitor,
        (&Method::GET, "/admin/v1/metrics/recommendations") => Scope::Monitor,
        (_, path) if path.starts_with("/admin/v1/articles") => Scope::Write,
        (_, path)
            if path.starts_with("/admin/v1/customers")
                || path.starts_with("/admin/v1/visitors") =>
        {
            Scope::Customers
        }
        (_, path) if path.starts_with("/admin/v1/placements") => Scope::Placements,
        _ => Scope::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case_and_the_key_as_it_is() {
        let read = |text: &'static str| bearer(&HeaderValue::from_static(text)).map(<[u8]>::to_vec);
        assert_eq!(read("Bearer Key"), Some(b"Key".to_vec()));
        assert_eq!(read("bearer Key"), Some(b"Key".to_vec()));
        assert_eq!(read("BEARER Key "), Some(b"Key ".to_vec()));
        for bad in ["Key", "Basic Key", "Bearer", "BearerKey"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_route_needs_admin_unless_said_otherwise() {
        let get = |path| admin_scope(&Method::GET, path);
        assert_eq!(
            [get("/metrics"), get("/admin/v1/status"), get("/admin/v1/models")],
            [Scope::Monitor; 3]
        );
        assert_eq!(admin_scope(&Method::POST, "/admin/v1/articles/availability"), Scope::Write);
        assert_eq!(admin_scope(&Method::DELETE, "/admin/v1/articles/a"), Scope::Write);
        assert_eq!(admin_scope(&Method::PUT, "/admin/v1/placements/home"), Scope::Placements);
        assert_eq!(get("/admin/v1/placements"), Scope::Placements);
        assert_eq!(admin_scope(&Method::DELETE, "/admin/v1/customers/c"), Scope::Customers);
        for path in ["/admin/v1/keys", "/admin/v1/audit", "/nothing", "/admin/v1/models/m/activate"]
        {
            assert_eq!(admin_scope(&Method::POST, path), Scope::Admin);
            assert_eq!(get(path), Scope::Admin);
        }
    }
}
