//! Two listeners, and an orderly end.

use super::{App, admin, public};
use crate::serving::{Config, Secret, ServeError, Service};
use axum::{Router, serve::ListenerExt};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};

/// Bound listeners, not yet answering.
pub struct Server {
    app: App,
    public: (TcpListener, Router),
    admin: (TcpListener, Router),
    drain: Duration,
    unready: Duration,
}

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
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let (stopping, stopped) = watch::channel(false);
        let public = serve(self.public, stopped.clone());
        let admin = serve(self.admin, stopped);
        let listeners = async { tokio::try_join!(public, admin).map(|_| ()) };
        let mut listeners = std::pin::pin!(listeners);
        tokio::select! {
            result = &mut listeners => return result,
            () = stop => {}
        }
        self.app.drain();
        tracing::info!("stopping: waiting for running requests");
        tokio::select! {
            result = &mut listeners => return result,
            () = tokio::time::sleep(self.unready) => {}
        }
        stopping.send_replace(true);
        match tokio::time::timeout(self.drain, listeners).await {
            Ok(result) => result,
            Err(_) => {
                tracing::warn!("some requests did not finish within the drain time");
                Ok(())
            }
        }
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| ServeError::Internal(format!("cannot listen on {address} (`{key}`): {error}")))
}

async fn serve((listener, router): (TcpListener, Router), mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    // An answer is one small write: waiting to fill a packet only delays it.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let stop = async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
