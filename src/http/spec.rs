//! What the API's document says beside the handlers: servers, keys, and which errors each operation
//! answers. Those follow from the shape of an operation, so no handler can forget them.

use super::{ErrorCode, Problem};
use serde_json::json;
use utoipa::{
    OpenApi,
    openapi::{
        self, ContentBuilder, PathItem, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
        header::HeaderBuilder,
        path::Operation,
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

/// The description around the paths, which come from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "Vitrine", description = "Recommendations for webshops. Every error is an RFC 9457 problem document."),
    components(schemas(Problem)),
    tags(
        (name = "recommendations", description = "What to show to whom"),
        (name = "events", description = "What happens in the shop"),
        (name = "articles", description = "The catalogue as it is served"),
        (name = "health", description = "For load balancers"),
        (name = "admin", description = "On the admin listener, with a key"),
    )
)]
pub(super) struct Description;

/// A class of errors that operations share.
struct Class {
    status: &'static str,
    /// Under which the document keeps it.
    name: &'static str,
    description: &'static str,
    codes: &'static [ErrorCode],
    retry_after: bool,
}

use ErrorCode as E;

const CLASSES: [Class; 13] = [
    Class {
        status: "400",
        name: "BadRequest",
        description: "The request is wrong; `detail` says what to mend",
        codes: &[E::InvalidJson, E::InvalidRequest, E::InvalidFilter, E::UnknownAttribute],
        retry_after: false,
    },
    Class {
        status: "401",
        name: "Unauthorized",
        description: "The key is missing or wrong",
        codes: &[E::Unauthorized],
        retry_after: false,
    },
    Class {
        status: "403",
        name: "Forbidden",
        description: "The key lacks the scope that this needs",
        codes: &[E::Forbidden],
        retry_after: false,
    },
    Class {
        status: "404",
        name: "NotFound",
        description: "There is no such article, model, placement, key or customer",
        codes: &[
            E::NotFound,
            E::UnknownArticle,
            E::UnknownModel,
            E::UnknownPlacement,
            E::UnknownKey,
            E::UnknownCustomer,
        ],
        retry_after: false,
    },
    Class {
        status: "409",
        name: "Conflict",
        description: "The state of the server does not allow it",
        codes: &[E::NoPreviousVersion, E::KeyExists, E::PlacementChanged, E::CustomerErased],
        retry_after: false,
    },
    Class {
        status: "408",
        name: "RequestTimeout",
        description: "The body did not arrive in time",
        codes: &[E::RequestTimeout],
        retry_after: false,
    },
    Class {
        status: "413",
        name: "TooLarge",
        description: "The body is too large",
        codes: &[E::BodyTooLarge],
        retry_after: false,
    },
    Class {
        status: "415",
        name: "UnsupportedMediaType",
        description: "The body is not JSON",
        codes: &[E::UnsupportedMediaType],
        retry_after: false,
    },
    Class {
        status: "422",
        name: "Refused",
        description: "What the request names is damaged or does not fit; nothing was changed",
        codes: &[E::BundleRefused, E::InvalidArticle, E::InvalidPlacement],
        retry_after: false,
    },
    Class {
        status: "429",
        name: "TooManyRequests",
        description: "The key or the address sends too many requests; wait as many seconds as `Retry-After` says",
        codes: &[E::RateLimited],
        retry_after: true,
    },
    Class {
        status: "500",
        name: "Internal",
        description: "A fault of the server; its log has more under the request id",
        codes: &[E::Internal],
        retry_after: false,
    },
    Class {
        status: "503",
        name: "Unavailable",
        description: "Try again after the seconds of `Retry-After`",
        codes: &[E::Overloaded, E::NotReady, E::DatabaseUnavailable, E::Timeout],
        retry_after: true,
    },
    Class {
        status: "504",
        name: "StillRunning",
        description: "The work takes longer than the server waits for it, and goes on",
        codes: &[E::StillRunning],
        retry_after: false,
    },
];

/// Never answers without a key.
const EVENTS: &str = "/v1/events";

/// Completes the document that the handlers make.
pub(super) fn complete(document: &mut openapi::OpenApi) {
    document.servers = Some(vec![server("/", "The public listener")]);
    let components = document.components.get_or_insert_default();
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key of the server"));
    components.add_security_scheme("key", SecurityScheme::Http(bearer.build()));
    for class in &CLASSES {
        components.responses.insert(class.name.into(), RefOr::T(class.response()));
    }
    for (path, item) in &mut document.paths.paths {
        if is_admin(path) {
            item.servers = Some(vec![server("http://127.0.0.1:8081", "The admin listener")]);
        }
        for operation in operations(item) {
            document_key(path, operation);
            document_errors(path, operation);
        }
    }
}

fn server(url: &str, description: &str) -> openapi::Server {
    ServerBuilder::new().url(url).description(Some(description)).build()
}

fn is_admin(path: &str) -> bool {
    path.starts_with("/admin/") || path == "/metrics"
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .flatten()
}

/// Public operations take a key but may be configured to answer without one.
fn document_key(path: &str, operation: &mut Operation) {
    if is_admin(path) || path == EVENTS {
        operation.security = Some(vec![key()]);
    } else if path.starts_with("/v1/") {
        operation.security = Some(vec![SecurityRequirement::default(), key()]);
    } else {
        operation.security = Some(Vec::new());
    }
}

fn key() -> SecurityRequirement {
    SecurityRequirement::new("key", [] as [&str; 0])
}

/// Adds the errors that follow from what the operation reads and where it is.
fn document_errors(path: &str, operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let named = |name: &str| parameters.iter().any(|p| matches!(p, RefOr::T(p) if p.name == name));
    let serves = path.starts_with("/v1/") || is_admin(path);
    let may_be_unknown = has_body && path.starts_with("/v1/") && path != EVENTS
        || named("id")
        || named("name")
        || named("model");
    let may_be_refused = path.starts_with("/admin/v1/models/")
        || path.starts_with("/admin/v1/attributes/")
        || path == "/admin/v1/articles"
        || path.starts_with("/admin/v1/placements/") && has_body;
    let may_conflict = path.starts_with("/admin/v1/customers") && has_body
        || path.ends_with("/rollback")
        || path.ends_with("/deactivate")
        || path == "/admin/v1/keys" && has_body
        || named("version");
    let answers = [
        ("400", has_body || !parameters.is_empty()),
        ("401", serves),
        ("403", serves),
        ("404", may_be_unknown),
        ("408", has_body),
        ("409", may_conflict),
        ("413", has_body),
        ("415", has_body),
        ("422", may_be_refused),
        ("429", serves),
        ("500", serves),
        ("503", serves || path == "/readyz"),
        ("504", is_admin(path)),
    ];
    let statuses = answers.into_iter().filter_map(|(status, answered)| answered.then_some(status));
    let responses = &mut operation.responses.responses;
    // The classes say more than a range does.
    responses.retain(|status, _| !status.ends_with("XX"));
    for class in statuses.filter_map(|status| CLASSES.iter().find(|class| class.status == status)) {
        responses.entry(class.status.into()).or_insert_with(|| class.reference());
    }
}

impl Class {
    fn reference(&self) -> RefOr<Response> {
        RefOr::Ref(Ref::new(format!("#/components/responses/{}", self.name)))
    }

    fn response(&self) -> Response {
        let codes: Vec<&str> = self.codes.iter().map(|code| code.parts().2).collect();
        let codes = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
        let problem = Ref::new("#/components/schemas/Problem");
        let content =
            ContentBuilder::new().schema(Some(problem)).example(Some(self.example())).build();
        let response = ResponseBuilder::new()
            .description(format!("{} (codes: {codes})", self.description))
            .content("application/problem+json", content);
        match self.retry_after {
            false => response.build(),
            true => response.header("Retry-After", retry_after()).build(),
        }
    }

    fn example(&self) -> serde_json::Value {
        let (status, title, name) = self.codes[0].parts();
        json!({
            "type": format!("urn:vitrine:error:{name}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.description,
            "code": name,
            "request_id": "0198c0de-0000-7000-8000-000000000000",
        })
    }
}

fn retry_after() -> openapi::header::Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
    HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait")).build()
}
