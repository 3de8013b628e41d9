//! MLflow's REST API over HTTP: requests, who asks, and what went wrong.

use super::MlflowError;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use ureq::{
    Agent, Body, RequestBuilder,
    http::{Response, Uri, header::LOCATION, uri::Scheme},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

/// A tracking server and what it wants to know.
#[derive(Debug, Clone)]
pub struct Server {
    /// Up to where `/api` follows.
    pub url: String,
    pub access: Access,
    /// The certificates to trust instead of the public ones, as PEM.
    pub certificates: Option<PathBuf>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Access {
    Open,
    Basic { username: String, password: String },
    Token(String),
}

/// Connections to a server.
pub struct Client {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// An answer in bytes that nobody expects.
const LARGEST: u64 = 256 << 20;

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// An address or certificates that cannot be used.
    pub fn new(server: &Server) -> Result<Self, MlflowError> {
        let url = server.url.trim_end_matches('/').to_owned();
        check(&url)?;
        let mut tls = TlsConfig::builder();
        if let Some(path) = &server.certificates {
            let wrong = |reason: String| MlflowError::Certificates { path: path.clone(), reason };
            let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let mut roots = Vec::new();
            for item in parse_pem(&bytes) {
                if let PemItem::Certificate(root) =
                    item.map_err(|error| wrong(error.to_string()))?
                {
                    roots.push(root);
                }
            }
            if roots.is_empty() {
                return Err(wrong("there is none in PEM in it".to_owned()));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&roots));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirected POST would become a GET.
            .max_redirects(0)
            // Servers close idle connections after a few seconds, and what was just sent there
            // would be lost.
            .max_idle_age(Duration::from_secs(1))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .timeout_per_write(Some(Duration::from_secs(60)))
            .tls_config(tls.build());
        let authorization = match &server.access {
            Access::Open => None,
            Access::Basic { username, password } => {
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
            }
            Access::Token(token) => Some(format!("Bearer {token}")),
        };
        Ok(Self { agent: config.build().new_agent(), url, authorization })
    }

    /// The server's address, without a `/` at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's version where it tells.
    pub(super) fn version(&self) -> Result<Option<String>, MlflowError> {
        let url = format!("{}/version", self.url);
        let (status, text) = read(&url, self.authorized(self.agent.get(&url)).call())?;
        let plain = |text: &String| {
            text.starts_with(|first: char| first.is_ascii_digit()) && text.len() < 64
        };
        Ok(Some(text).filter(|text| status == 200 && plain(text)))
    }

    pub(super) fn get(&self, path: &str, query: (&str, &str)) -> Result<Value, MlflowError> {
        let url = self.api(path);
        json(&url, self.authorized(self.agent.get(&url)).query(query.0, query.1).call())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, MlflowError> {
        let url = self.api(path);
        let request = self.authorized(self.agent.post(&url)).content_type("application/json");
        json(&url, request.send(body.to_string()))
    }

    /// Writes an artefact: `path` is that of an `mlflow-artifacts:` URI and the file's name.
    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> Result<(), MlflowError> {
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}", self.url);
        let request =
            self.authorized(self.agent.put(&url)).content_type("application/octet-stream");
        match read(&url, request.send(bytes))? {
            // Some servers answer `{}`, others nothing.
            (200..=299, text) if text.is_empty() => Ok(()),
            (status, text) => object(&url, status, &text).map(|_| ()),
        }
    }

    fn api(&self, path: &str) -> String {
        format!("{}/api/2.0/mlflow/{path}", self.url)
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }
}

fn check(url: &str) -> Result<(), MlflowError> {
    let wrong = |url: &str, reason: &str| {
        Err(MlflowError::Url { url: url.to_owned(), reason: reason.to_owned() })
    };
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => return wrong(url, &format!("{error}")),
    };
    match uri.authority() {
        // Whatever follows may be a password.
        Some(authority) if authority.as_str().contains('@') => wrong(
            "…@…",
            "name and password belong into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, not into the address",
        ),
        Some(_) if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme()) => {
            wrong(url, "it is neither http:// nor https://")
        }
        Some(_) if uri.query().is_some() || url.contains('#') => {
            wrong(url, "nothing may follow the path")
        }
        Some(_) => Ok(()),
        None => wrong(url, "it is neither http:// nor https://"),
    }
}

/// Status and text of an answer that is neither a refusal of access nor a redirection.
fn read(
    url: &str,
    answer: Result<Response<Body>, ureq::Error>,
) -> Result<(u16, String), MlflowError> {
    let url = url.to_owned();
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(MlflowError::Unreachable { url, reason: error.to_string() }),
    };
    let status = answer.status().as_u16();
    let text =
        match answer.body_mut().with_config().limit(LARGEST).lossy_utf8(true).read_to_string() {
            Ok(text) => text,
            Err(error) => return Err(MlflowError::Unreachable { url, reason: error.to_string() }),
        };
    match status {
        300..=399 => {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            Err(MlflowError::Moved { url, status, to: to.unwrap_or("another place").to_owned() })
        }
        401 | 403 => Err(MlflowError::Denied { url, status, answer: excerpt(&text) }),
        _ => Ok((status, text)),
    }
}

/// The JSON object of an answer of success.
fn json(url: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, MlflowError> {
    let (status, text) = read(url, answer)?;
    object(url, status, &text)
}

fn object(url: &str, status: u16, text: &str) -> Result<Value, MlflowError> {
    let url = url.to_owned();
    let object: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
    let code = object
        .as_ref()
        .and_then(|object| object.get("error_code")?.as_str())
        .unwrap_or_default()
        .to_owned();
    match object {
        Some(object) if status == 200 => Ok(object),
        Some(object) if !code.is_empty() => {
            let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
            Err(MlflowError::Refused {
                url,
                status,
                answer: format!("{code}: {}", excerpt(message)),
                code,
            })
        }
        _ if status >= 400 && ![404, 405].contains(&status) => {
            Err(MlflowError::Refused { url, status, code, answer: excerpt(text) })
        }
        _ => Err(MlflowError::NotMlflow { url, status, answer: excerpt(text) }),
    }
}

/// The beginning of a text in one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "an empty answer".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_none_are_told() {
        let client = |url: &str| {
            Client::new(&Server { url: url.to_owned(), access: Access::Open, certificates: None })
                .map(|client| client.url)
        };
        assert_eq!(client("https://host:5000/mlflow/").unwrap(), "https://host:5000/mlflow");
        for (url, part) in [
            ("", "no address"),
            ("localhost", "neither http:// nor https://"),
            ("sqlite:///mlflow.db", "sqlite"),
            ("ftp://host", "neither http:// nor https://"),
            ("http://host name", "no address"),
            ("http://host/?a=b", "nothing may follow"),
            ("http://host/#/experiments", "nothing may follow"),
            ("http://me:secret@host", "MLFLOW_TRACKING_PASSWORD"),
        ] {
            let error = client(url).unwrap_err();
            assert!(error.is_bad_input() && error.to_string().contains(part), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn certificates_that_are_none_are_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), std::path::Path::new("/nowhere.pem")] {
            let certificates = Some(path.to_owned());
            let server =
                Server { url: "https://host".to_owned(), access: Access::Open, certificates };
            let error = Client::new(&server).err().unwrap();
            assert!(
                error.is_bad_input() && error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
}
