//! HTTP as a shop's pages and back office speak it.

use super::SimulationError;
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use ureq::Agent;

/// Connections to one listener.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    base: String,
    authorization: String,
}

/// Longest part of a server's answer that an error tells.
const TOLD: usize = 600;

impl Client {
    pub(super) fn new(address: SocketAddr, key: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .max_idle_age(Duration::from_secs(5));
        Self {
            agent: config.build().new_agent(),
            base: format!("http://{address}"),
            authorization: format!("Bearer {key}"),
        }
    }

    /// # Errors
    /// An answer that is no success tells its reason.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, SimulationError> {
        let url = format!("{}{path}", self.base);
        let broken = |reason: String| SimulationError::Http { url: url.clone(), reason };
        let request = self.agent.post(&url).header("authorization", &self.authorization);
        let sent = request.content_type("application/json").send(body.to_string());
        let mut answer = sent.map_err(|error| broken(error.to_string()))?;
        let text = answer.body_mut().read_to_string().map_err(|error| broken(error.to_string()))?;
        match answer.status().as_u16() {
            200..=299 => serde_json::from_str(&text).map_err(|error| broken(error.to_string())),
            status => {
                let answer = text.chars().take(TOLD).collect();
                Err(SimulationError::Refused { url, status, answer })
            }
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        let answer = self.agent.get(format!("{}/readyz", self.base)).call();
        answer.is_ok_and(|answer| answer.status().as_u16() == 200)
    }
}
