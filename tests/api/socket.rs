//! Real sockets, and an orderly end.

use crate::harness::{Api, KEY};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use vitrine::{
    http::{Listeners, Server},
    serving::{Config, Secret},
};

/// A server on sockets.
struct Running {
    api: Api,
    public: SocketAddr,
    admin: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn start(configure: impl FnOnce(&mut Config)) -> Self {
        let api = Api::start_with(|config| {
            config.http.listen = ([127, 0, 0, 1], 0).into();
            config.admin.listen = ([127, 0, 0, 1], 0).into();
            config.http.unready = Duration::ZERO;
            configure(config);
        })
        .await;
        let server =
            Server::bind(api.service.clone(), &api.config, Secret::new(KEY.into())).await.unwrap();
        let (public, admin) = server.addresses().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { api, public, admin, stop, ended }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }
}

fn recommend(body: &str) -> String {
    let head = "POST /v1/recommendations HTTP/1.1\r\nhost: t\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What the server sends until it closes the connection.
async fn until_closed(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // Or it is reset, when its end and our half met on the way.
    if let Err(error) = connection.read_to_end(&mut answer).await {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The code of a problem document with this status.
#[track_caller]
fn problem(answer: &str, status: u16) -> String {
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert!(
        head.contains(&format!("x-request-id: {}", problem["request_id"].as_str().unwrap())),
        "{answer}"
    );
    problem["code"].as_str().unwrap().to_owned()
}

async fn exchange(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = connection.read(&mut buffer).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        let length = text.to_ascii_lowercase().split("content-length: ").nth(1).and_then(|rest| {
            rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok())
        });
        let whole = text
            .find("\r\n\r\n")
            .zip(length)
            .is_some_and(|(head, length)| text.len() >= head + 4 + length);
        if whole || n == 0 {
            return text;
        }
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_holds_its_connection_for_a_while_only() {
    let server =
        Running::start(|config| config.http.head_timeout = Duration::from_millis(50)).await;
    let mut slow = connect(server.public).await;
    slow.write_all(b"POST /v1/recommendations HTTP/1.1\r\nhost: t\r\n").await.unwrap();
    assert_eq!(problem(&until_closed(&mut slow).await, 408), "request_timeout");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_in_the_end() {
    let server =
        Running::start(|config| config.http.idle_timeout = Duration::from_millis(50)).await;
    let (mut new, mut used) = (connect(server.public).await, connect(server.public).await);
    let answer = exchange(&mut used, "GET /livez HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        (until_closed(&mut new).await, until_closed(&mut used).await),
        (String::new(), String::new())
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_hold_no_permit() {
    let server = Running::start(|config| {
        config.limits.concurrent_requests = 1;
        config.http.body_timeout = Duration::from_secs(2);
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..30 {
        let mut connection = connect(server.public).await;
        connection.write_all(&recommend(r#"{"k": 3}"#).as_bytes()[..100]).await.unwrap();
        slow.push(connection);
    }
    for _ in 0..20 {
        let answer = exchange(&mut connect(server.public).await, &recommend(r#"{"k": 3}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    for mut connection in slow {
        assert_eq!(problem(&until_closed(&mut connection).await, 408), "request_timeout");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_share_a_memory_that_ordinary_requests_do_not_need() {
    let server = Running::start(|config| {
        config.http.body_limit = 100_000;
        config.limits.body_memory = 100_000;
    })
    .await;
    let large = recommend(&format!("{{\"k\": 3{}}}", " ".repeat(90_000)));
    // Which of two large bodies the server reads first is its affair: tried until the one that is
    // held up was it.
    let (refused, small) = loop {
        let mut holder = connect(server.public).await;
        holder.write_all(&large.as_bytes()[..large.len() - 1]).await.unwrap();
        let other = exchange(&mut connect(server.public).await, &large).await;
        let small = exchange(&mut connect(server.public).await, &recommend(r#"{"k": 3}"#)).await;
        let held = exchange(&mut holder, "}").await;
        if held.starts_with("HTTP/1.1 200") && !other.starts_with("HTTP/1.1 200") {
            break (other, small);
        }
    };
    assert_eq!(problem(&refused, 503), "overloaded");
    assert!(refused.contains("limits.body_memory_bytes"), "{refused}");
    assert!(small.starts_with("HTTP/1.1 200"), "{small}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_starve_nobody() {
    let server = Running::start(|config| config.limits.connections = 8).await;
    let mut idle = Vec::new();
    for n in 0..60 {
        let mut connection = connect(server.public).await;
        if n % 2 == 0 {
            connection.write_all(b"GET /livez HTTP/1.1\r\nho").await.unwrap();
        }
        idle.push(connection);
        if n % 10 == 0 {
            let answer = exchange(
                &mut connect(server.public).await,
                "GET /livez HTTP/1.1\r\nhost: t\r\n\r\n",
            )
            .await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    let request =
        format!("GET /admin/v1/status HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\n\r\n");
    let answer = exchange(&mut connect(server.admin).await, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_break_the_protocol_get_problem_documents_too() {
    let server = Running::start(|_| {}).await;
    let long = "x".repeat(70_000);
    for (request, status, code) in [
        ("nonsense\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("GET /livez HTTP/1.1\r\nbad header\r\n\r\n".to_owned(), 400, "invalid_request"),
        (
            "POST /v1/recommendations HTTP/1.1\r\ncontent-length: many\r\n\r\n".to_owned(),
            400,
            "invalid_request",
        ),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414, "uri_too_long"),
        (format!("GET /livez HTTP/1.1\r\na: {long}\r\nb: {long}\r\n"), 431, "headers_too_large"),
    ] {
        let mut connection = connect(server.public).await;
        connection.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(problem(&until_closed(&mut connection).await, status), code);
    }
    // The client still sends when the answer is there, and reads it all the same.
    let mut connection = connect(server.public).await;
    let length = server.api.config.http.body_limit + 4_000_000;
    let head = "POST /v1/recommendations HTTP/1.1\r\nhost: t\r\ncontent-type: application/json";
    connection
        .write_all(format!("{head}\r\ncontent-length: {length}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    connection.write_all(&vec![b' '; length]).await.unwrap();
    assert_eq!(problem(&until_closed(&mut connection).await, 413), "body_too_large");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_listeners_answer_and_stop_when_told() {
    let server = Running::start(|_| {}).await;
    let (public, admin) = (server.public, server.admin);
    let mut kept = connect(public).await;
    for _ in 0..2 {
        let answer =
            exchange(&mut kept, &recommend(r#"{"customer_id":"customer_id3","k":3}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""rank":3"#), "{answer}");
    }
    let request =
        format!("GET /admin/v1/status HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\n\r\n");
    let answer = exchange(&mut connect(admin).await, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""ready":true"#), "{answer}");

    server.stop().await;
    assert!(TcpStream::connect(public).await.is_err() && TcpStream::connect(admin).await.is_err());
    assert_eq!(kept.read(&mut [0; 1]).await.unwrap_or(0), 0, "an idle connection is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_half_there_at_the_stop_is_answered() {
    let server = Running::start(|_| {}).await;
    let request = recommend(r#"{"customer_id":"customer_id3","k":3}"#);
    let (mut kept, mut new) = (connect(server.public).await, connect(server.public).await);
    exchange(&mut kept, &request).await;
    let (first, second) = request.split_at(40);
    for connection in [&mut kept, &mut new] {
        connection.write_all(first.as_bytes()).await.unwrap();
    }
    let public = server.public;
    let stopped = tokio::spawn(server.stop());
    // The listener is gone before the rest comes.
    while TcpStream::connect(public).await.is_ok() {}
    for connection in [&mut kept, &mut new] {
        let answer = exchange(connection, second).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
            "{answer}"
        );
    }
    stopped.await.unwrap();
}

/// Asks until the server refuses connections; answers how many requests were sent, and counts those
/// without an answer.
async fn ask_until_refused(
    address: SocketAddr,
    keep: bool,
    unanswered: &AtomicUsize,
    asked: &AtomicUsize,
) {
    let close = if keep { "" } else { "connection: close\r\n" };
    let request = format!("GET /v1/popular?k=3 HTTP/1.1\r\nhost: t\r\n{close}\r\n");
    while let Ok(mut connection) = TcpStream::connect(address).await {
        loop {
            asked.fetch_add(1, Ordering::Relaxed);
            let answered = match connection.write_all(request.as_bytes()).await {
                Ok(()) => read_answer(&mut connection).await,
                Err(_) => None,
            };
            match answered {
                Some(answer) if answer.to_ascii_lowercase().contains("connection: close") => break,
                Some(_) => {}
                None => {
                    unanswered.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    }
}

/// `None` when the connection ends first.
async fn read_answer(connection: &mut TcpStream) -> Option<String> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
        if body.len() >= length {
            return Some(text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_leaves_no_request_unanswered() {
    let server = Running::start(|config| config.http.unready = Duration::from_secs(2)).await;
    let counters = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let clients: Vec<_> = (0..16)
        .map(|n| {
            let (counters, address) = (counters.clone(), server.public);
            tokio::spawn(async move {
                ask_until_refused(address, n % 2 == 0, &counters.0, &counters.1).await
            })
        })
        .collect();
    while counters.1.load(Ordering::Relaxed) < 500 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(
        counters.0.load(Ordering::Relaxed),
        0,
        "of {} requests",
        counters.1.load(Ordering::Relaxed)
    );
}

#[tokio::test]
async fn a_port_in_use_is_told_in_plain_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::default();
    config.http.listen = taken.local_addr().unwrap();
    let error = Listeners::bind(&config).err().unwrap().to_string();
    assert!(
        error.contains("`http.listen`") && error.contains("another program listens there already"),
        "{error}"
    );
}
