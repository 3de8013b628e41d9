//! A real MLflow tracking server for the tests of this process, and what stands between it and a
//! client.

use crate::python;
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

pub struct Server {
    pub http: u16,
    pub https: u16,
    pub directory: PathBuf,
    /// It ends when its standard input does, however this process ends.
    _process: Child,
}

/// The server shared by all tests, started on first use.
pub fn shared() -> &'static Server {
    static SHARED: LazyLock<Server> = LazyLock::new(Server::start);
    &SHARED
}

impl Server {
    fn start() -> Self {
        let name = format!("experiments-mlflow-{}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let log = directory.join("log");
        let mut process = Command::new(python::interpreter("experiments"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/experiments/server.py"))
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("no server: {}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        let port = |scheme: &str| u16::try_from(ports[scheme].as_u64().unwrap()).unwrap();
        Self { http: port("http"), https: port("https"), directory, _process: process }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let request = ureq::get(format!("{}/api/2.0/mlflow/{path}", self.url()));
        let mut answer = request.query_pairs(query.iter().copied()).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}/api/2.0/mlflow/{path}", self.url()));
        let mut answer = request.content_type("application/json").send(body.to_string()).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The bytes of a run's file.
    pub fn artefact(&self, run: &Value, name: &str) -> Vec<u8> {
        let path = run["info"]["artifact_uri"]
            .as_str()
            .unwrap()
            .strip_prefix("mlflow-artifacts:/")
            .unwrap();
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}/{name}", self.url());
        ureq::get(url).call().unwrap().body_mut().read_to_vec().unwrap()
    }

    /// All runs of an experiment that are not deleted, by name.
    pub fn runs(&self, experiment: &str) -> Vec<Value> {
        let found = self.get("experiments/get-by-name", &[("experiment_name", experiment)]);
        let id = &found["experiment"]["experiment_id"];
        let search = serde_json::json!({"experiment_ids": [id], "max_results": 1000, "order_by": ["attributes.run_name"]});
        self.post("runs/search", &search)["runs"].as_array().cloned().unwrap_or_default()
    }

    /// `(step, value)` of a metric of a run, by step.
    pub fn history(&self, run: &Value, metric: &str) -> Vec<(i64, f64)> {
        let id = run["info"]["run_id"].as_str().unwrap();
        let query = [("run_id", id), ("metric_key", metric), ("max_results", "25000")];
        let found = self.get("metrics/get-history", &query);
        let point =
            |point: &Value| (point["step"].as_i64().unwrap(), point["value"].as_f64().unwrap());
        let mut points: Vec<_> =
            found["metrics"].as_array().into_iter().flatten().map(point).collect();
        points.sort_by_key(|(step, _)| *step);
        points
    }
}

/// The address of a server that answers every request with these bytes, and what it was asked last.
pub fn answering(answer: String) -> (String, Arc<std::sync::Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(std::sync::Mutex::new(String::new()));
    let last = asked.clone();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(connection.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n")
                && lines.read_line(&mut head).is_ok_and(|read| read > 0)
            {}
            *last.lock().unwrap() = head;
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    (url, asked)
}

/// An HTTP answer that ends its connection.
pub fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The address of a way to the server that breaks for good after so many bytes in both directions
/// together, and the count of those that went through.
pub fn cut_after(bytes: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let passed = Arc::new(AtomicUsize::new(0));
    let count = passed.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) =
                (client.unwrap(), TcpStream::connect(("127.0.0.1", shared().http)).unwrap());
            for (from, to) in [(&client, &server), (&server, &client)] {
                // Small pieces must not wait for the answer to the one before.
                to.set_nodelay(true).unwrap();
                let (from, to, count) =
                    (from.try_clone().unwrap(), to.try_clone().unwrap(), count.clone());
                thread::spawn(move || forward(from, to, &count, bytes));
            }
        }
    });
    (url, passed)
}

fn forward(mut from: TcpStream, mut to: TcpStream, count: &AtomicUsize, most: usize) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let before = count.fetch_add(read, Ordering::SeqCst);
        let through = read.min(most.saturating_sub(before));
        if to.write_all(&buffer[..through]).is_err() {
            break;
        }
        if through < read {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
