//! Customers as requests see them: remembered for a while, read when needed, never an error.

use super::{
    CustomersConfig,
    database::Database,
    known::Known,
    reader::{Read, Reader},
};
use crate::domain::CustomerId;
use moka::sync::Cache;
use std::{sync::Arc, time::Instant};

/// How current a [`Lookup`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Currency {
    Current,
    /// The database is away; this is what it said earlier.
    Stale,
    /// Nothing is remembered, and the database is away or cannot say.
    Unavailable,
}

/// What is known of a customer; `known` is `None` when the shop has no record (or none could be read).
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) known: Option<Arc<Known>>,
    pub(super) currency: Currency,
    pub(super) cached: bool,
    /// The most purchases that were read.
    limit: usize,
}

impl Lookup {
    const UNAVAILABLE: Self = Self { known: None, currency: Currency::Unavailable, cached: false, limit: usize::MAX };

    /// Whether older purchases than these may exist.
    pub(super) fn is_cut(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.purchases.len() >= self.limit)
    }
}

#[derive(Clone)]
struct Entry {
    /// `Err`: the customer's rows are broken.
    known: Result<Option<Arc<Known>>, ()>,
    limit: usize,
    read: Instant,
}

impl Entry {
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
    fn weight(&self, id: &CustomerId) -> u32 {
        /// What the cache itself keeps for an entry.
        const OVERHEAD: usize = 200;
        let known = self.known.iter().flatten().map(|known| known.weight()).sum::<usize>();
        u32::try_from(OVERHEAD + id.as_str().len() + known).unwrap_or(u32::MAX)
    }
}

pub(super) struct Customers {
    cache: Cache<CustomerId, Entry>,
    config: CustomersConfig,
    reader: Arc<Reader>,
}

impl Customers {
    /// Reads over so many connections at once.
    pub(super) fn new(
        config: CustomersConfig,
        database: Arc<Database>,
        connections: usize,
        unreadable: metrics::Counter,
    ) -> Self {
        let weigher = |id: &CustomerId, entry: &Entry| entry.weight(id);
        let cache = Cache::builder().weigher(weigher).max_capacity(config.cache).time_to_live(config.stale).build();
        Self { cache, config, reader: Reader::new(database, connections, unreadable) }
    }

    /// The most purchases that are read of a customer.
    pub(super) fn purchases(&self) -> usize {
        self.config.purchases
    }

    /// What is known of the customer, with the latest `purchases` at least; never an error, because an answer without
    /// it is better than none.
    pub(super) async fn look_up(&self, id: &CustomerId, purchases: usize) -> Lookup {
        let purchases = purchases.min(self.config.purchases);
        let remembered = self.cache.get(id);
        if let Some(entry) = &remembered
            && entry.read.elapsed() < self.config.fresh
            && entry.covers(purchases)
        {
            return entry.clone().lookup(Currency::Current, true);
        }
        let mut read = self.read(id, purchases).await;
        if read.as_ref().is_some_and(|entry| !entry.covers(purchases)) {
            // Whoever asked for the customer just before asked for fewer purchases.
            read = self.read(id, purchases).await;
        }
        match read {
            Some(entry) => {
                self.cache.insert(id.clone(), entry.clone());
                entry.lookup(Currency::Current, false)
            }
            None => match remembered {
                Some(entry) => entry.lookup(Currency::Stale, true),
                None => Lookup::UNAVAILABLE,
            },
        }
    }

    /// `None` when the database did not answer.
    async fn read(&self, id: &CustomerId, purchases: usize) -> Option<Entry> {
        let (known, limit) = match self.reader.read(id, purchases).await {
            Read::Known(known, limit) => (Ok(Some(known)), limit),
            Read::Unknown => (Ok(None), purchases),
            Read::Unreadable => (Err(()), purchases),
            Read::Failed => return None,
        };
        Some(Entry { known, limit, read: Instant::now() })
    }
}
