//! Real sockets, and an orderly end.

use crate::harness::{Api, KEY};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use vitrine::{http::Server, serving::Secret};

async fn exchange(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = connection.read(&mut buffer).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        let length = text
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok()));
        let whole = text.find("\r\n\r\n").zip(length).is_some_and(|(head, length)| text.len() >= head + 4 + length);
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
    let api = Api::start_with(|config| {
        config.http.listen = ([127, 0, 0, 1], 0).into();
        config.admin.listen = ([127, 0, 0, 1], 0).into();
        config.http.idle_timeout = Duration::from_millis(50);
    })
    .await;
    let server = Server::bind(api.service.clone(), &api.config, Secret::new(KEY.into())).await.unwrap();
    let (public, _) = server.addresses().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let mut slow = connect(public).await;
    slow.write_all(b"POST /v1/recommendations HTTP/1.1\r\nhost: t\r\n").await.unwrap();
    // Ends only when the server closes the connection.
    let mut answer = Vec::new();
    // Or resets it, when its end and our half met on the way.
    if let Err(error) = slow.read_to_end(&mut answer).await {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_listeners_answer_and_stop_when_told() {
    let api = Api::start_with(|config| {
        config.http.listen = ([127, 0, 0, 1], 0).into();
        config.admin.listen = ([127, 0, 0, 1], 0).into();
    })
    .await;
    let server = Server::bind(api.service.clone(), &api.config, Secret::new(KEY.into())).await.unwrap();
    let (public, admin) = server.addresses().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));

    let mut kept = connect(public).await;
    let body = r#"{"customer_id":"customer_id3","k":3}"#;
    let request = format!(
        "POST /v1/recommendations HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..2 {
        let answer = exchange(&mut kept, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""rank":3"#), "{answer}");
    }
    let request = format!("GET /admin/v1/status HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\n\r\n");
    let answer = exchange(&mut connect(admin).await, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""ready":true"#), "{answer}");

    stop.send(()).unwrap();
    running.await.unwrap();
    assert!(TcpStream::connect(public).await.is_err() && TcpStream::connect(admin).await.is_err());
    assert_eq!(kept.read(&mut [0; 1]).await.unwrap_or(0), 0, "an idle connection is closed");
}
