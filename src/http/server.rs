//! Two listeners, and an orderly end.
//!
//! A stop loses no request: `/readyz` fails first, and for the unready time connections are still
//! taken, while every answer asks its client to leave. Then each listener empties its queue and
//! closes, and a connection ends once it has nothing in flight.

use super::{
    App, admin,
    connection::{ConnectionLimits, Connections, Order, Phase, Place},
    listener::{Listeners, ignore_newcomers},
    public,
    transport::{Transport, late},
};
use crate::serving::{Config, Secret, ServeError, Service, Tracer};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::TokioIo;
use metrics::Gauge;
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::Service as _;

/// Listening, not yet answering.
pub struct Server {
    app: App,
    public: Listener,
    admin: Listener,
    drain: Duration,
    unready: Duration,
}

/// One address and what answers there.
struct Listener {
    socket: TcpListener,
    clients: Clients,
}

/// What a listener's clients get.
struct Clients {
    router: Router,
    connections: Arc<Connections>,
    app: App,
}

/// How long to wait when the system has no file left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How long handshakes that had begun may take to end when a listener closes.
const LAST_HANDSHAKES: Duration = Duration::from_millis(200);

/// How long, and how much, a client may go on sending what nobody reads: closed any earlier, the
/// connection would be reset, and the client would not see the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 << 20;

/// Largest request head.
const HEAD_BYTES: usize = 128 << 10;

/// Open files that are not connections of clients: standard streams, the runtime, bundles being
/// read.
const OTHER_FILES: usize = 64;

/// Files of a connection to the database: SQLite has three.
const DATABASE_FILES: usize = 4;

/// A server takes this many connections, however few files it may have.
const FEWEST_CONNECTIONS: usize = 16;

impl Server {
    /// Takes both addresses and listens on them; port 0 picks a free one.
    ///
    /// # Errors
    /// As [`Listeners::bind`].
    pub async fn bind(
        service: Arc<Service>,
        config: &Config,
        admin_key: Secret,
    ) -> Result<Self, ServeError> {
        Self::listen(Listeners::bind(config)?, service, config, admin_key)
    }

    /// Listens on addresses that were taken before.
    ///
    /// # Errors
    /// [`ServeError::Address`] when another process got one of them first.
    pub fn listen(
        listeners: Listeners,
        service: Arc<Service>,
        config: &Config,
        admin_key: Secret,
    ) -> Result<Self, ServeError> {
        let app = App::new(service);
        let limits = |connections| ConnectionLimits {
            connections,
            per_address: None,
            head: config.http.head_timeout,
            idle: config.http.idle_timeout,
        };
        let public_limits = ConnectionLimits {
            per_address: config.limits.connections_per_address,
            ..limits(affordable(config, listeners.open_files))
        };
        let metrics = app.service().metrics();
        let clients = |router, limits, gauge: &Gauge| {
            let connections = Connections::new(limits, gauge.clone());
            Clients { router, connections, app: app.clone() }
        };
        Ok(Self {
            public: Listener {
                socket: listeners.public.listen()?,
                clients: clients(
                    public(&app, config)?,
                    public_limits,
                    metrics.public_connections(),
                ),
            },
            admin: Listener {
                socket: listeners.admin.listen()?,
                clients: clients(
                    admin(&app, config, admin_key),
                    limits(config.admin.connections),
                    metrics.admin_connections(),
                ),
            },
            drain: config.http.drain,
            unready: config.http.unready,
            app: app.clone(),
        })
    }

    /// Adds routes of its own to the public listener.
    pub fn with_pages(mut self, pages: Router) -> Self {
        self.public.clients.router = self.public.clients.router.merge(pages);
        self
    }

    /// The addresses of the public and the admin listener.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.socket.local_addr()?, self.admin.socket.local_addr()?))
    }

    /// Answers until `stop` resolves; then until the unready time is over and all requests are
    /// answered, or the drain time is over too.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { app, public, admin, drain, unready } = self;
        let (closing, closed) = watch::channel(false);
        let listeners =
            async { tokio::join!(public.run(closed.clone()), admin.run(closed.clone())) };
        let mut listeners = pin!(listeners);
        tokio::select! {
            _ = &mut listeners => return,
            () = stop => {}
        }
        app.drain();
        tracing::info!("stopping: waiting for running requests");
        tokio::select! {
            _ = &mut listeners => return,
            () = tokio::time::sleep(unready) => {}
        }
        closing.send_replace(true);
        if tokio::time::timeout(drain, listeners).await.is_err() {
            tracing::warn!("some requests did not finish within the drain time");
        }
        // The last traces; a collector that is away is waited for a moment only.
        let _ =
            tokio::task::spawn_blocking(move || app.service().tracer().map(Tracer::flush)).await;
    }
}

/// Public connections that leave files for everything else.
fn affordable(config: &Config, open_files: usize) -> usize {
    let database = config.database.connections as usize * DATABASE_FILES;
    let others = OTHER_FILES + config.admin.connections + database;
    let most = open_files.saturating_sub(others).max(FEWEST_CONNECTIONS);
    let wanted = config.limits.connections;
    if wanted > most {
        tracing::warn!(
            open_files,
            connections = most,
            "`limits.connections` is {wanted}, but the system lets this process open only {open_files} files; \
             raise the limit (ulimit -n, LimitNOFILE)"
        );
    }
    wanted.min(most)
}

impl Listener {
    /// Answers until it is told to close; then until all connections have ended.
    async fn run(self, mut closing: watch::Receiver<bool>) {
        let Self { socket, clients } = self;
        let connections = clients.connections.clone();
        let sweep = async {
            loop {
                tokio::time::sleep(connections.sweep_every()).await;
                connections.sweep();
            }
        };
        let answer = async {
            // An error means that the sender is gone, which is a stop too.
            let closing = async { drop(closing.wait_for(|closing| *closing).await) };
            clients.accept_until(&socket, closing).await;
            ignore_newcomers(&socket);
            clients.accept_until(&socket, tokio::time::sleep(LAST_HANDSHAKES)).await;
            drop(socket);
            connections.finish().await;
        };
        tokio::select! {
            () = answer => {}
            () = sweep => {}
        }
    }
}

impl Clients {
    /// Takes connections until `end` resolves. Only the wait for one is ever cut short: a
    /// connection that was taken is served.
    async fn accept_until(&self, socket: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut end => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = self.connections.place(peer.ip()).await else {
                        tracing::debug!("an address has as many connections as it may");
                        continue;
                    };
                    tokio::spawn(serve(stream, place, self.router.clone(), self.app.clone()));
                }
                Err(error) => {
                    // A client that left before it was accepted, or no files: neither ends the
                    // listener.
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.connections.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Answers the requests of one connection until it ends.
async fn serve(stream: TcpStream, place: Place, router: Router, app: App) {
    // An answer is one small write: waiting to fill a packet only delays it.
    let _ = stream.set_nodelay(true);
    let connection = &place.connection;
    let sends_bodies = AtomicBool::new(false);
    let requests = service_fn(|mut request: Request<Incoming>| {
        connection.enter(Phase::Working);
        if !request.body().is_end_stream() {
            sends_bodies.store(true, Relaxed);
        }
        request.extensions_mut().insert(connection.clone());
        let answer = router.clone().call(request);
        let app = &app;
        Box::pin(async move {
            let answer = answer.await;
            connection.enter(Phase::Idle);
            answer.map(|mut response| {
                if app.is_draining() {
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            })
        })
    });
    let transport = TokioIo::new(Transport::new(stream, connection.clone()));
    let mut http =
        http1::Builder::new().max_buf_size(HEAD_BYTES).serve_connection(transport, requests);
    let ended_by = drive(&mut http, &place).await;
    let head_is_late = ended_by == Some(Phase::Head);
    // Whoever breaks the protocol or leaves has broken only their own connection.
    let mut stream = http.into_parts().io.into_inner().into_stream();
    if head_is_late {
        let _ = stream.try_write(&late());
    }
    if head_is_late
        || ended_by.is_none() && (sends_bodies.into_inner() || connection.phase() == Phase::Head)
    {
        linger(&mut stream).await;
    }
}

/// Runs a connection to its end; answers in which phase it was told to leave, `None` if it ended by
/// itself.
async fn drive<S>(
    http: &mut http1::Connection<TokioIo<Transport>, S>,
    place: &Place,
) -> Option<Phase>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Unpin> + Unpin,
{
    let connection = &place.connection;
    loop {
        let order = tokio::select! {
            biased;
            _ = poll_fn(|cx| http.poll_without_shutdown(cx)) => return None,
            order = connection.ordered() => order,
        };
        // A request that has just come counts.
        connection.set_probe();
        if poll_fn(|cx| Poll::Ready(http.poll_without_shutdown(cx).is_ready())).await {
            return None;
        }
        match (order, connection.phase()) {
            (Order::Leave, phase) if phase != Phase::Working => return Some(phase),
            (Order::Finish, Phase::Idle | Phase::Fresh) => Pin::new(&mut *http).graceful_shutdown(),
            _ => {}
        }
    }
}

/// Reads what still comes, so that the client gets to read the answer.
async fn linger(stream: &mut TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
