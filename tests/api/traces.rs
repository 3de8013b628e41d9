//! Traces, as a collector gets them.

use crate::harness::{Api, send};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, header},
    routing::post,
};
use prost::Message;
use tokio::sync::mpsc;

/// The parts of opentelemetry-proto that are looked at, written from its definition.
#[derive(Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, Message)]
struct AnyValue {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(int64, tag = "3")]
    number: i64,
}

/// A collector on a port of its own: its address and what it gets.
async fn collector() -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = move |headers: HeaderMap, body: Bytes| {
        let sender = sender.clone();
        async move { sender.send((headers, body)).unwrap() }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/v1/traces"), receiver)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_the_request_and_its_stages() {
    let (endpoint, mut received) = collector().await;
    let api = Api::start_with(|config| {
        config.telemetry.endpoint = Some(endpoint);
        config.telemetry.sample = 0.0;
    })
    .await;
    api.get("/v1/popular").await;
    let request = Request::post("/v1/recommendations")
        .header(header::CONTENT_TYPE, "application/json")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(Body::from(r#"{"customer_id": "customer_id3"}"#));
    let reply = send(&api.public, request.unwrap()).await;
    assert_eq!(reply.status, 200);

    let (headers, body) = received.recv().await.unwrap();
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    let export = Export::decode(body).unwrap();
    let resource = export.resource_spans[0].resource.as_ref().unwrap();
    let service =
        resource.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    assert_eq!(service.value.as_ref().unwrap().text, "vitrine");
    let spans: Vec<Span> =
        export.resource_spans[0].scope_spans.iter().flat_map(|scope| scope.spans.clone()).collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        ["POST /v1/recommendations", "body", "customer", "embed", "rank"],
        "the other was not sampled"
    );
    let root = &spans[0];
    assert_eq!((root.kind, root.trace_id[0], root.parent_span_id.last()), (2, 0x0a, Some(&0x31)));
    for span in &spans {
        assert_eq!(
            (span.trace_id.len(), span.span_id.len(), &span.trace_id),
            (16, 8, &root.trace_id)
        );
        assert!(
            span.start_time_unix_nano <= span.end_time_unix_nano
                && root.start_time_unix_nano > 1 << 60
        );
    }
    assert!(spans[1..].iter().all(|span| span.kind == 1 && span.parent_span_id == root.span_id));
    let attribute = |key: &str| {
        let attribute = root.attributes.iter().find(|attribute| attribute.key == key).unwrap();
        attribute.value.clone().unwrap()
    };
    assert_eq!(attribute("http.response.status_code").number, 200);
    assert_eq!(attribute("http.route").text, "/v1/recommendations");
    assert_eq!(
        attribute("vitrine.request_id").text,
        reply.headers["x-request-id"].to_str().unwrap()
    );
    assert!(!format!("{spans:?}").contains("customer_id3"), "no customer is named");
}
