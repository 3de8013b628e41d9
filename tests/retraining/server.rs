//! A stand-in for a server: it answers as one that serves the newest version of the folder, well or
//! badly.

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};
use vitrine::bundle;

/// What happens once a second version is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Good,
    /// Answers are empty, or fail, behind the first [`BEFORE`] of them.
    EmptyWithTheSecond,
    FailsWithTheSecond,
    RefusesTheSecond,
    StaysWithTheFirst,
}

/// Answers that are asked for before an activation.
pub const BEFORE: usize = 20;

pub struct FakeServer {
    port: u16,
}

impl FakeServer {
    /// Serves until the test's process ends.
    pub fn start(models: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let models = models.to_owned();
        std::thread::spawn(move || {
            let mut answers = 0;
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that goes away is none to answer.
                let _ = answer(stream, &models, manner, &mut answers);
            }
        });
        Self { port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn answer(
    stream: TcpStream,
    models: &Path,
    manner: Manner,
    answers: &mut usize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let versions: Vec<String> =
        bundle::list(models).unwrap().into_iter().map(|bundle| bundle.version).collect();
    let (status, text) = match path {
        "/metrics" => (
            200,
            "vitrine_requests_total{route=\"/v1/recommendations\",class=\"2xx\"} 5\n".to_owned(),
        ),
        "/admin/v1/status" => (200, state(&versions, manner).to_string()),
        _ => {
            *answers += 1;
            recommendations(*answers > BEFORE, manner)
        }
    };
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn state(versions: &[String], manner: Manner) -> Value {
    let is_second = versions.len() > 1;
    let served = match manner {
        Manner::StaysWithTheFirst | Manner::RefusesTheSecond => versions.last(),
        _ => versions.first(),
    };
    let refused = is_second && manner == Manner::RefusesTheSecond;
    let refusals =
        refused.then(|| json!({"model": "night", "version": versions[0], "reason": "no memory"}));
    json!({
        "models": [{"name": "night", "version": served}],
        "refusals": refusals.into_iter().collect::<Vec<_>>(),
    })
}

fn recommendations(is_second: bool, manner: Manner) -> (u16, String) {
    match (manner, is_second) {
        (Manner::FailsWithTheSecond, true) => (500, "{}".to_owned()),
        (Manner::EmptyWithTheSecond, true) => (200, json!({"items": []}).to_string()),
        _ => (200, json!({"items": [{"article_id": "1"}]}).to_string()),
    }
}
