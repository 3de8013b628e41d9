//! Two listeners, and an orderly end.

use super::{
    App,
    access::{Peer, WithPeer},
    admin, public,
};
use crate::serving::{Config, Secret, ServeError, Service};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

/// Bound listeners, not yet answering.
pub struct Server {
    app: App,
    public: (TcpListener, Router),
    admin: (TcpListener, Router),
    limits: ConnectionLimits,
    drain: Duration,
    unready: Duration,
}

/// What one listener grants its clients.
#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    /// Open at once; more wait to be accepted.
    connections: usize,
    /// Longest from the first moment a request could come until its head is there; then the connection is closed.
    head: Duration,
}

/// How long to wait when the system has no file descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Server {
    /// Binds both addresses; port 0 picks a free one.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn bind(service: Arc<Service>, config: &Config, admin_key: Secret) -> Result<Self, ServeError> {
        let app = App::new(service);
        Ok(Self {
            public: (listen("http.listen", config.http.listen).await?, public(&app, config)?),
            admin: (listen("admin.listen", config.admin.listen).await?, admin(&app, config, admin_key)),
            limits: ConnectionLimits { connections: config.limits.connections, head: config.http.idle_timeout },
            drain: config.http.drain,
            unready: config.http.unready,
            app,
        })
    }

    /// Adds routes of its own to the public listener.
    pub fn with_pages(mut self, pages: Router) -> Self {
        self.public.1 = self.public.1.merge(pages);
        self
    }

    /// The addresses of the public and the admin listener.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.0.local_addr()?, self.admin.0.local_addr()?))
    }

    /// Answers until `stop` resolves; then `/readyz` fails, no connection is taken any more, and running requests may
    /// finish until the drain time is over.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let public = serve(self.public, self.limits, stopped.clone());
        let admin = serve(self.admin, self.limits, stopped);
        let listeners = async { tokio::join!(public, admin) };
        let mut listeners = std::pin::pin!(listeners);
        tokio::select! {
            _ = &mut listeners => return,
            () = stop => {}
        }
        self.app.drain();
        tracing::info!("stopping: waiting for running requests");
        tokio::select! {
            _ = &mut listeners => return,
            () = tokio::time::sleep(self.unready) => {}
        }
        stopping.send_replace(true);
        if tokio::time::timeout(self.drain, listeners).await.is_err() {
            tracing::warn!("some requests did not finish within the drain time");
        }
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| ServeError::Internal(format!("cannot listen on {address} (`{key}`): {error}")))
}

/// Accepts until it is told to stop, then waits for the connections it has.
async fn serve(
    (listener, router): (TcpListener, Router),
    limits: ConnectionLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let accept = async {
        // The semaphore is never closed.
        while let Ok(permit) = permits.clone().acquire_owned().await {
            let connection = match listener.accept().await {
                Ok((stream, peer)) => handle(stream, Peer(peer.ip()), router.clone(), limits),
                Err(error) => {
                    // A client that left before it was accepted, or no file descriptors: neither ends the listener.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // Whoever breaks the protocol or leaves has broken only their own connection.
                let _ = connection.await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        // An error means that the sender is gone, which is a stop too.
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    graceful.shutdown().await;
}

type Connection = http1::Connection<TokioIo<TcpStream>, WithPeer>;

fn handle(stream: TcpStream, peer: Peer, router: Router, limits: ConnectionLimits) -> Connection {
    // An answer is one small write: waiting to fill a packet only delays it.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), WithPeer { router: TowerToHyperService::new(router), peer })
}
