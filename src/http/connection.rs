//! The open connections of one listener: what each of them waits for, how long it may, and which
//! one makes room.
//!
//! * A connection that works on a request is never closed; every other one can be.
//! * Nobody holds a place by waiting: when all are taken, the connection that has waited longest is
//!   closed.

use metrics::Gauge;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The last request is answered.
    Idle,
    /// Nothing came yet.
    Fresh,
    /// A part of a request's head is there.
    Head,
    /// The head is there, and the body is being read.
    Body,
    /// The request is being answered.
    Working,
}

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing.
    Stay = 0,
    /// Finish what was begun, then close.
    Finish = 1,
    /// Close unless a request is being worked on.
    Leave = 2,
}

/// One client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    peer: IpAddr,
    /// The phase in the upper byte, the millisecond in which it began below: one word, so that both
    /// are of one moment.
    state: AtomicU64,
    order: AtomicU8,
    ordered: Notify,
    /// The next read asks the system even where the runtime has heard of no data.
    probe: AtomicBool,
}

const PHASE_SHIFT: u32 = 56;

/// Milliseconds since the first call.
fn clock() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}

impl Connection {
    fn new(peer: IpAddr) -> Self {
        let connection = Self {
            peer,
            state: AtomicU64::new(0),
            order: AtomicU8::new(Order::Stay as u8),
            ordered: Notify::new(),
            probe: AtomicBool::new(false),
        };
        connection.enter(Phase::Fresh);
        connection
    }

    /// The address of the client's end.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// A phase begins.
    pub(super) fn enter(&self, phase: Phase) {
        self.state.store((phase as u64) << PHASE_SHIFT | clock(), Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().0
    }

    /// The phase and the millisecond in which it began.
    fn state(&self) -> (Phase, u64) {
        let state = self.state.load(Relaxed);
        let phases = [Phase::Idle, Phase::Fresh, Phase::Head, Phase::Body, Phase::Working];
        (phases[(state >> PHASE_SHIFT) as usize], state & ((1 << PHASE_SHIFT) - 1))
    }

    /// Bytes came from the client.
    pub(super) fn received(&self) {
        if matches!(self.phase(), Phase::Idle | Phase::Fresh) {
            self.enter(Phase::Head);
        }
    }

    fn tell(&self, order: Order) {
        self.order.store(order as u8, Relaxed);
        self.ordered.notify_one();
    }

    /// Waits for an order.
    pub(super) async fn ordered(&self) -> Order {
        self.ordered.notified().await;
        match self.order.swap(Order::Stay as u8, Relaxed) {
            1 => Order::Finish,
            2 => Order::Leave,
            _ => Order::Stay,
        }
    }

    /// Makes the next read ask the system.
    pub(super) fn set_probe(&self) {
        self.probe.store(true, Relaxed);
    }

    pub(super) fn take_probe(&self) -> bool {
        self.probe.load(Relaxed) && self.probe.swap(false, Relaxed)
    }
}

/// What one listener grants its clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// Open at once.
    pub(super) connections: usize,
    /// Open at once from one address.
    pub(super) per_address: Option<usize>,
    /// From the first byte of a request to the end of its head.
    pub(super) head: Duration,
    /// From an answer, or from the connection, to the next request; and a client that does not take
    /// its answer.
    pub(super) idle: Duration,
}

/// How long a connection may stay without a request once the server stops: its request may be on
/// the way.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// The open connections of a listener.
pub(super) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    gauge: Gauge,
    /// A connection ended.
    freed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    by_number: HashMap<u64, Arc<Connection>>,
}

/// A place among the open connections; given back when dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().by_number.remove(&self.number);
        self.connections.gauge.decrement(1.0);
        self.connections.freed.notify_one();
    }
}

impl Connections {
    /// `gauge` shows how many are open.
    pub(super) fn new(limits: ConnectionLimits, gauge: Gauge) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), gauge, freed: Notify::new() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; somebody who only waits makes room for it. `None` where its
    /// address has as many as it may, all of them at work.
    pub(super) async fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        if let Some(most) = self.limits.per_address
            && self.open().by_number.values().filter(|connection| connection.peer == peer).count()
                >= most
        {
            self.longest_waiting(Some(peer))?.tell(Order::Leave);
        }
        loop {
            if let Some(place) = self.try_place(peer) {
                return Some(place);
            }
            self.make_room();
            // Where all work, one of them will be done; where one was told to leave, it may have
            // got a request.
            let _ = tokio::time::timeout(Duration::from_millis(20), self.freed.notified()).await;
        }
    }

    fn try_place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut open = self.open();
        if open.by_number.len() >= self.limits.connections {
            return None;
        }
        let (number, connection) = (open.next, Arc::new(Connection::new(peer)));
        open.next += 1;
        open.by_number.insert(number, connection.clone());
        self.gauge.increment(1.0);
        Some(Place { connections: self.clone(), number, connection })
    }

    /// Closes the connection that has waited longest; answers whether there is one.
    pub(super) fn make_room(&self) -> bool {
        let longest = self.longest_waiting(None);
        longest.inspect(|connection| connection.tell(Order::Leave)).is_some()
    }

    fn longest_waiting(&self, peer: Option<IpAddr>) -> Option<Arc<Connection>> {
        let open = self.open();
        let wanted =
            open.by_number.values().filter(|other| peer.is_none_or(|peer| other.peer == peer));
        let waiting = wanted.filter(|connection| connection.phase() != Phase::Working);
        waiting.min_by_key(|connection| connection.state().1).cloned()
    }

    /// Tells every connection that has waited too long to leave.
    pub(super) fn sweep(&self) {
        let now = clock();
        for connection in self.open().by_number.values() {
            let (phase, since) = connection.state();
            let longest = match phase {
                Phase::Idle | Phase::Fresh => self.limits.idle,
                Phase::Head => self.limits.head,
                Phase::Body | Phase::Working => continue,
            };
            if now.saturating_sub(since) >= longest.as_millis() as u64 {
                connection.tell(Order::Leave);
            }
        }
    }

    /// How often [`Connections::sweep`] is worth its while.
    pub(super) fn sweep_every(&self) -> Duration {
        let shortest = self.limits.head.min(self.limits.idle);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }

    /// Ends when all connections have; those that wait for nothing are told to.
    pub(super) async fn finish(&self) {
        loop {
            let now = clock();
            let open: Vec<_> = self.open().by_number.values().cloned().collect();
            if open.is_empty() {
                return;
            }
            for connection in open {
                let (phase, since) = connection.state();
                let late = now.saturating_sub(since) >= FIRST_REQUEST.as_millis() as u64;
                if phase == Phase::Idle || phase == Phase::Fresh && late {
                    connection.tell(Order::Finish);
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(10), self.freed.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(connections: usize, per_address: Option<usize>) -> Arc<Connections> {
        let (head, idle) = (Duration::from_secs(1), Duration::from_secs(9));
        Connections::new(ConnectionLimits { connections, per_address, head, idle }, Gauge::noop())
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn who_waits_makes_room_and_who_works_does_not() {
        let all = connections(3, None);
        let mut places = Vec::new();
        for (phase, since) in [(Phase::Working, 0), (Phase::Head, 2), (Phase::Idle, 1)] {
            let place = all.place(HERE).await.unwrap();
            place.connection.state.store((phase as u64) << PHASE_SHIFT | since, Relaxed);
            places.push(place);
        }
        let told = |place: &Place| place.connection.order.load(Relaxed);
        for expected in [2, 1] {
            assert!(all.make_room());
            assert_eq!(told(&places[expected]), Order::Leave as u8);
            drop(places.remove(expected));
        }
        assert!(!all.make_room());
        assert_eq!((told(&places[0]), all.open().by_number.len()), (Order::Stay as u8, 1));
    }

    #[tokio::test]
    async fn a_new_connection_gets_the_place_of_one_that_leaves() {
        let all = connections(1, None);
        let first = all.place(HERE).await.unwrap();
        let leaves = async {
            assert_eq!(first.connection.ordered().await, Order::Leave);
            drop(first);
        };
        let (second, ()) = tokio::join!(all.place(HERE), leaves);
        assert!(second.is_some());
    }

    #[tokio::test]
    async fn an_address_has_no_more_than_its_share() {
        let all = connections(9, Some(1));
        let place = all.place(HERE).await.unwrap();
        place.connection.enter(Phase::Working);
        assert!(all.place(HERE).await.is_none());
        let elsewhere = IpAddr::from([192, 0, 2, 1]);
        assert!(all.place(elsewhere).await.is_some());
    }
}
