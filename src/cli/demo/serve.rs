//! The server of the demo, its page, and one request to it.

use super::{page, prepare::Demo, state::Chosen};
use crate::{
    cli::server::serve,
    http::Server,
    progress::human,
    serving::{Config, Scope, Secret, Service, hash_secret, new_secret},
    store::{KeyRecord, NewKey},
};
use anyhow::Context;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Where and how long to serve.
pub(super) struct Serving {
    pub listen: SocketAddr,
    /// Print the answer and end.
    pub once: bool,
    pub started: Instant,
}

impl Serving {
    pub(super) async fn run(&self, demo: &Demo, chosen: &Chosen) -> anyhow::Result<()> {
        let config = self.config(demo, chosen).await;
        let service = serve::start(&config).await?;
        let key = serve::admin_key(&config.admin)?;
        let page = page::router(&chosen.shop, &page_key(&service).await?);
        let server = Server::bind(service.clone(), &config, key).await?.with_pages(page);
        let (public, admin) = server.addresses()?;
        tokio::spawn(service.clone().run());

        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        wait_until_ready(&service).await;
        let body = chosen.shop.example_request();
        let answer = post(public, "/v1/recommendations", &body)
            .await
            .context("the server did not answer")?;
        println!(
            "\nA real answer, {} after the start:\n\n{answer}\n",
            human(self.started.elapsed())
        );
        println!(
            "Ask it yourself:\n  curl -s http://{public}/v1/recommendations -H 'content-type: application/json' -d '{}'\n",
            body.replace('\'', "'\\''")
        );
        println!("Shop page   http://{public}/\nREST API    http://{public}/docs");
        println!(
            "Admin API   http://{admin}/admin/v1/status   (key in {})",
            config.admin.key_file.display()
        );
        if !self.once {
            println!("\nServing until Ctrl-C.");
            tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")?;
        }
        let _ = stop.send(());
        running.await.context("the server ended badly")?;
        Ok(())
    }

    async fn config(&self, demo: &Demo, chosen: &Chosen) -> Config {
        let mut config = Config::default();
        config.models.directory = demo.models();
        config.models.default = Some(chosen.name.clone());
        config.database.url = Secret::new(demo.database());
        config.admin.key_file = demo.home.join("admin.key");
        config.admin.listen = SocketAddr::new(self.listen.ip(), 0);
        config.http.listen = self.listen;
        if TcpStream::connect(self.listen).await.is_ok() {
            config.http.listen.set_port(0);
        }
        config
    }
}

/// Waits until answers are whole: a ranker needs the first count of the purchases.
async fn wait_until_ready(service: &Service) {
    const LONGEST: Duration = Duration::from_secs(60);
    let began = Instant::now();
    while !service.is_ready(&service.state()) && began.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A new key by which the page may tell events and nothing else. That of an earlier start is void.
async fn page_key(service: &Service) -> anyhow::Result<String> {
    const NAME: &str = "demo-page";
    let store = service.store();
    let is_old = |key: &KeyRecord| key.name == NAME && key.withdrawn_at.is_none();
    if store.keys().await?.iter().any(is_old) {
        store.withdraw_key(NAME).await?;
    }
    let secret = new_secret().context("no randomness")?;
    let (hash, scopes) = (hash_secret(secret.as_bytes()), [Scope::Events.name().to_owned()]);
    store.add_key(&NewKey { name: NAME, hash, scopes: &scopes, requests_per_second: None }).await?;
    Ok(secret)
}

/// One request over a connection of its own; the answer's JSON, indented.
async fn post(address: SocketAddr, path: &str, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let value: serde_json::Value = serde_json::from_str(body).context("the answer is no JSON")?;
    Ok(serde_json::to_string_pretty(&value)?)
}
