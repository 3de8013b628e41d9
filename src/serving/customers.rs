//! Customers and visitors as requests see them: remembered for a while, read when needed, never an
//! error.
//!
//! Whoever an event tells something about is read again by the next request. What was remembered of
//! them stays as a stand-in while the database is away; [`Customers::clear`] leaves nothing.

use super::{
    CustomersConfig, EventWeights,
    database::Database,
    known::Known,
    reader::{Read, Reader},
};
use crate::{
    domain::{CustomerId, VisitorId},
    store::{NewEvent, Person},
};
use moka::sync::Cache;
use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

/// How current a [`Lookup`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Currency {
    Current,
    /// The database is away; this is what it said earlier.
    Stale,
    /// Nothing is remembered, and the database is away or cannot say.
    Unavailable,
}

/// What is known of a customer; `known` is `None` when the shop has no record (or none could be
/// read).
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) known: Option<Arc<Known>>,
    pub(super) currency: Currency,
    pub(super) cached: bool,
    /// The most purchases that were read.
    limit: usize,
}

/// Actions that are read of a visitor.
const VISITOR_ACTIONS: usize = 500;

impl Lookup {
    const UNAVAILABLE: Self =
        Self { known: None, currency: Currency::Unavailable, cached: false, limit: usize::MAX };

    /// Whether older purchases than these may exist.
    pub(super) fn is_cut(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.purchases.len() >= self.limit)
    }

    /// What is known of a customer, with what the visitor did who asks.
    pub(super) fn with_visitor(self, visitor: Self) -> Self {
        let known = match (self.known, visitor.known) {
            (Some(customer), Some(visitor)) if !visitor.is_empty() => {
                Some(Arc::new(customer.with_visitor(&visitor)))
            }
            (customer, visitor) => customer.or(visitor),
        };
        Self { known, ..self }
    }
}

#[derive(Clone)]
struct Entry {
    /// `Err`: the customer's rows are broken.
    known: Result<Option<Arc<Known>>, ()>,
    limit: usize,
    read: Instant,
    /// Whether something has happened since.
    outdated: Arc<AtomicBool>,
}

impl Entry {
    fn new(known: Result<Option<Arc<Known>>, ()>, limit: usize) -> Self {
        Self { known, limit, read: Instant::now(), outdated: Arc::default() }
    }

    fn is_fresh(&self, config: &CustomersConfig) -> bool {
        self.read.elapsed() < config.fresh && !self.outdated.load(Ordering::Acquire)
    }

    /// Whether it tells the latest `purchases`.
    fn covers(&self, purchases: usize) -> bool {
        let cut = matches!(&self.known, Ok(Some(known)) if known.purchases.len() >= self.limit);
        !cut || self.limit >= purchases
    }

    fn lookup(self, currency: Currency, cached: bool) -> Lookup {
        match self.known {
            Ok(known) => Lookup { known, currency, cached, limit: self.limit },
            Err(()) => Lookup { cached, ..Lookup::UNAVAILABLE },
        }
    }

    /// Bytes of memory, about.
    fn weight(&self, id: &str) -> u32 {
        /// What the cache itself keeps for an entry.
        const OVERHEAD: usize = 200;
        let known = self.known.iter().flatten().map(|known| known.weight()).sum::<usize>();
        u32::try_from(OVERHEAD + id.len() + known).unwrap_or(u32::MAX)
    }
}

pub(super) struct Customers {
    customers: Remembered<CustomerId>,
    visitors: Remembered<VisitorId>,
    config: CustomersConfig,
    weights: Arc<EventWeights>,
    database: Arc<Database>,
    reader: Arc<Reader>,
}

/// What was read, for a while.
struct Remembered<K> {
    entries: Cache<K, Entry>,
    /// How often anybody was forgotten, or everybody left nothing behind.
    forgotten: AtomicU64,
    cleared: AtomicU64,
}

/// A moment before a reading.
#[derive(Debug, Clone, Copy)]
struct Moment {
    forgotten: u64,
    cleared: u64,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Remembered<K> {
    fn new(config: &CustomersConfig, bytes: u64, text: fn(&K) -> &str) -> Self {
        let weigher = move |id: &K, entry: &Entry| entry.weight(text(id));
        let entries = Cache::builder()
            .weigher(weigher)
            .max_capacity(bytes)
            .time_to_live(config.stale)
            .build();
        Self { entries, forgotten: AtomicU64::new(0), cleared: AtomicU64::new(0) }
    }

    /// For [`Self::keep`], to be taken before the reading begins.
    fn now(&self) -> Moment {
        let [forgotten, cleared] =
            [&self.forgotten, &self.cleared].map(|count| count.load(Ordering::SeqCst));
        Moment { forgotten, cleared }
    }

    /// Keeps what was read since `began`. If somebody was forgotten meanwhile, it may be what was
    /// read: then it only stands in while the database is away.
    fn keep(&self, id: &K, entry: Entry, began: Moment) {
        self.entries.insert(id.clone(), entry.clone());
        // After the insertion: whoever forgets later finds it.
        let now = self.now();
        if now.cleared != began.cleared {
            self.entries.invalidate(id);
        } else if now.forgotten != began.forgotten {
            entry.outdated.store(true, Ordering::Release);
        }
    }

    /// What was read, else what was remembered before.
    fn answer(
        &self,
        id: &K,
        read: Option<Entry>,
        remembered: Option<Entry>,
        began: Moment,
    ) -> Lookup {
        match (read, remembered) {
            (Some(entry), _) => {
                self.keep(id, entry.clone(), began);
                entry.lookup(Currency::Current, false)
            }
            (None, Some(entry)) => entry.lookup(Currency::Stale, true),
            (None, None) => Lookup::UNAVAILABLE,
        }
    }

    fn forget(&self, id: &K) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        if let Some(entry) = self.entries.get(id) {
            entry.outdated.store(true, Ordering::Release);
        }
    }

    fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.entries.iter().for_each(|(_, entry)| entry.outdated.store(true, Ordering::Release));
    }

    fn clear(&self) {
        self.cleared.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}

impl Customers {
    /// Reads over so many connections at once.
    pub(super) fn new(
        config: CustomersConfig,
        weights: Arc<EventWeights>,
        database: Arc<Database>,
        connections: usize,
        unreadable: metrics::Counter,
    ) -> Self {
        let reader = Reader::new(database.clone(), connections, unreadable, weights.clone());
        Self {
            customers: Remembered::new(
                &config,
                config.cache - config.cache / 4,
                CustomerId::as_str,
            ),
            visitors: Remembered::new(&config, config.cache / 4, VisitorId::as_str),
            config,
            weights,
            database,
            reader,
        }
    }

    /// The most purchases that are read of a customer.
    pub(super) fn purchases(&self) -> usize {
        self.config.purchases
    }

    /// What is known of the customer, with the latest `purchases` at least; never an error, because
    /// an answer without it is better than none.
    pub(super) async fn look_up(&self, id: &CustomerId, purchases: usize) -> Lookup {
        let purchases = purchases.min(self.config.purchases);
        let remembered = self.customers.entries.get(id);
        if let Some(entry) = &remembered
            && entry.is_fresh(&self.config)
            && entry.covers(purchases)
        {
            return entry.clone().lookup(Currency::Current, true);
        }
        let began = self.customers.now();
        let mut read = self.read(id, purchases).await;
        if read.as_ref().is_some_and(|entry| !entry.covers(purchases)) {
            // Whoever asked for the customer just before asked for fewer purchases.
            read = self.read(id, purchases).await;
        }
        self.customers.answer(id, read, remembered, began)
    }

    /// `None` when the database did not answer.
    async fn read(&self, id: &CustomerId, purchases: usize) -> Option<Entry> {
        let (known, limit) = match self.reader.read(id, purchases).await {
            Read::Known(known, limit) => (Ok(Some(known)), limit),
            Read::Unknown => (Ok(None), purchases),
            Read::Unreadable => (Err(()), purchases),
            Read::Failed => return None,
        };
        Some(Entry::new(known, limit))
    }

    /// What a visitor did, unless it is known whose visits these are: then it stands with the
    /// customer.
    pub(super) async fn look_up_visitor(&self, id: &VisitorId) -> Lookup {
        let remembered = self.visitors.entries.get(id);
        if let Some(entry) = remembered.as_ref().filter(|entry| entry.is_fresh(&self.config)) {
            return entry.clone().lookup(Currency::Current, true);
        }
        let began = self.visitors.now();
        let actions = self.database.visitor(id, VISITOR_ACTIONS).await;
        let read = actions.map(|actions| Known::of_visitor(actions, &self.weights));
        let read = read.ok().map(|known| Entry::new(Ok(Some(Arc::new(known))), usize::MAX));
        self.visitors.answer(id, read, remembered, began)
    }

    /// Has the people of these events read again.
    pub(super) fn forget_told(&self, events: &[NewEvent]) {
        let customers =
            events.iter().filter_map(|event| event.customer.clone().map(Person::Customer));
        let visitors = events.iter().filter_map(|event| event.visitor.clone().map(Person::Visitor));
        self.forget(customers.chain(visitors));
    }

    /// Has people read again by whoever asks from now on.
    pub(super) fn forget(&self, people: impl Iterator<Item = Person>) {
        for person in people {
            match person {
                Person::Customer(id) => {
                    self.customers.forget(&id);
                    self.reader.forget(&id);
                }
                Person::Visitor(id) => self.visitors.forget(&id),
            }
        }
    }

    /// Has everybody read again by whoever asks from now on.
    pub(super) fn forget_all(&self) {
        self.reader.forget_all();
        self.customers.forget_all();
        self.visitors.forget_all();
    }

    /// Forgets everybody, so that nothing of anybody is left.
    pub(super) fn clear(&self) {
        self.reader.forget_all();
        self.customers.clear();
        self.visitors.clear();
    }
}
