//! Writing events: one procedure over both databases, whose drivers only run its statements
//! ([`Ledger`]). It holds the revision `events` from its first step to the commit, so no two run at
//! once.

use super::{
    Counting, Erasure, EventItem, MOST_COUNTED_AN_HOUR, MOST_COUNTED_ANONYMOUSLY, Millis, NewEvent,
    Person, Retention, StoreError, Verdict,
    events::{short_hash, was_erased},
    records::unreadable,
};
use crate::domain::{CustomerId, VisitorId};
use async_trait::async_trait;
use hashbrown::{HashMap, HashSet};

pub(super) type Hash = [u8; 16];

/// Tables whose rows say that something was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenTable {
    Events,
    OrderLines,
}

/// Tables of those whom events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PersonTable {
    Customers,
    Visitors,
}

/// The key of a customer or visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PersonKey {
    pub key: i32,
    /// The customer who a visitor is.
    pub customer: Option<i32>,
}

/// Hashes as a database answers them.
pub(super) fn hashes(rows: Vec<Vec<u8>>) -> HashSet<Hash> {
    rows.into_iter().filter_map(|bytes| bytes.try_into().ok()).collect()
}

/// Keys of persons by id, as a database answers them.
pub(super) fn person_keys(rows: Vec<(String, i32, Option<i32>)>) -> HashMap<String, PersonKey> {
    rows.into_iter().map(|(id, key, customer)| (id, PersonKey { key, customer })).collect()
}

/// A line to be written.
pub(super) struct EventRow<'a> {
    pub event: &'a NewEvent,
    /// `None`: an event without articles.
    pub item: Option<&'a EventItem>,
    pub line: i16,
    pub customer: Option<i32>,
    pub visitor: Option<i32>,
    pub counts: f32,
}

impl EventRow<'_> {
    pub(super) fn retention(&self) -> i16 {
        self.event.retention.number()
    }

    pub(super) fn quantity(&self) -> f32 {
        self.item.map_or(1.0, |item| item.quantity)
    }
}

/// A transaction of a database. Lists have no element twice.
#[async_trait]
pub(super) trait Ledger: Send {
    /// Those that are tombstones.
    async fn erased(&mut self, hashes: &[Hash]) -> Result<HashSet<Hash>, StoreError>;
    /// Those that were not seen before; now they are.
    async fn see(
        &mut self,
        table: SeenTable,
        hashes: &[Hash],
        now: Millis,
    ) -> Result<HashSet<Hash>, StoreError>;
    /// The keys of those who are known.
    async fn persons(
        &mut self,
        table: PersonTable,
        ids: &[&str],
    ) -> Result<HashMap<String, PersonKey>, StoreError>;
    /// Adds those who are new; answers their keys, without those whom somebody else added meanwhile.
    async fn add(
        &mut self,
        table: PersonTable,
        ids: &[&str],
    ) -> Result<HashMap<String, PersonKey>, StoreError>;
    /// Gives a visitor's past and future to a customer.
    async fn join(&mut self, visitor: i32, customer: i32) -> Result<(), StoreError>;
    /// Adds to what was counted in this hour; answers the sums with it.
    async fn count(
        &mut self,
        hour: i32,
        added: &[(Hash, f32)],
    ) -> Result<HashMap<Hash, f32>, StoreError>;
    async fn insert(
        &mut self,
        rows: &[EventRow<'_>],
        revision: i64,
        now: Millis,
    ) -> Result<(), StoreError>;
    /// Keys and ids that a statement with one id selects.
    async fn with_id(
        &mut self,
        statement: &'static str,
        id: &str,
    ) -> Result<Vec<(i32, String)>, StoreError>;
    /// The same with a key.
    async fn with_key(
        &mut self,
        statement: &'static str,
        key: i32,
    ) -> Result<Vec<(i32, String)>, StoreError>;
    /// Runs a statement with one key; answers the number of rows.
    async fn run(&mut self, statement: &'static str, key: i32) -> Result<u64, StoreError>;
    /// Adds tombstones.
    async fn bury(&mut self, hashes: &[Hash]) -> Result<(), StoreError>;
}

/// The keys of all of them; who is missing is added.
async fn keys(
    ledger: &mut dyn Ledger,
    table: PersonTable,
    ids: &[&str],
) -> Result<HashMap<String, PersonKey>, StoreError> {
    let mut keys = ledger.persons(table, ids).await?;
    let new = unknown(ids, &keys);
    if !new.is_empty() {
        keys.extend(ledger.add(table, &new).await?);
        let added_by_others = unknown(&new, &keys);
        if !added_by_others.is_empty() {
            keys.extend(ledger.persons(table, &added_by_others).await?);
        }
    }
    Ok(keys)
}

fn unknown<'a>(ids: &[&'a str], keys: &HashMap<String, PersonKey>) -> Vec<&'a str> {
    ids.iter().copied().filter(|id| !keys.contains_key(*id)).collect()
}

/// The key of the customer, and keys and ids of the visitors: those who were joined to the
/// customer, or the one who is meant.
async fn find(
    ledger: &mut dyn Ledger,
    person: &Person,
) -> Result<(Option<i32>, Vec<(i32, String)>), StoreError> {
    const CUSTOMER: &str = "SELECT key, id FROM customers WHERE id = $1";
    const VISITOR: &str = "SELECT key, id FROM visitors WHERE id = $1";
    const VISITORS_OF: &str = "SELECT key, id FROM visitors WHERE customer = $1";
    match person {
        Person::Visitor(id) => Ok((None, ledger.with_id(VISITOR, id.as_str()).await?)),
        Person::Customer(id) => match ledger.with_id(CUSTOMER, id.as_str()).await?.first() {
            Some(&(key, _)) => Ok((Some(key), ledger.with_key(VISITORS_OF, key).await?)),
            None => Ok((None, Vec::new())),
        },
    }
}

/// Removes a person with all that is kept of them.
pub(super) async fn erase(
    ledger: &mut dyn Ledger,
    person: &Person,
    salt: &[u8],
) -> Result<Erasure, StoreError> {
    let (customer, visitors) = find(ledger, person).await?;
    let mut erasure =
        Erasure { known: customer.is_some() || !visitors.is_empty(), ..Erasure::default() };
    let mut tombstones = vec![person.tombstone(salt)];
    if let Some(key) = customer {
        erasure.purchases = ledger.run("DELETE FROM purchases WHERE customer = $1", key).await?;
        erasure.events = ledger.run("DELETE FROM events WHERE customer = $1", key).await?;
    }
    for (key, id) in visitors {
        erasure.events += ledger.run("DELETE FROM events WHERE visitor = $1", key).await?;
        ledger.run("DELETE FROM visitors WHERE key = $1", key).await?;
        let id = VisitorId::parse(&id).map_err(|error| unreadable("a visitor", &error))?;
        tombstones.push(Person::Visitor(id.clone()).tombstone(salt));
        if customer.is_some() {
            erasure.visitors.push(id);
        }
    }
    if let Some(key) = customer {
        ledger.run("DELETE FROM customers WHERE key = $1", key).await?;
    }
    tombstones.sort_unstable();
    tombstones.dedup();
    ledger.bury(&tombstones).await?;
    Ok(erasure)
}

/// Writes events and answers their verdicts.
pub(super) async fn write(
    ledger: &mut dyn Ledger,
    events: &[NewEvent],
    salt: &[u8],
    revision: i64,
    now: Millis,
) -> Result<Vec<Verdict>, StoreError> {
    let erased = erased(ledger, events, salt).await?;
    let mut verdicts: Vec<Verdict> = erased
        .iter()
        .map(|&erased| if erased { Verdict::Erased } else { Verdict::Accepted })
        .collect();
    drop_seen_events(ledger, events, &mut verdicts, now).await?;
    let lines = fresh_lines(ledger, events, &mut verdicts, now).await?;
    let persons = Persons::of(ledger, events, &verdicts).await?;
    let counts = counts(ledger, &lines, now).await?;
    let mut rows = Vec::with_capacity(lines.len());
    for (line, counts) in lines.iter().zip(counts) {
        let (customer, visitor) = persons.keys(line.event);
        rows.push(EventRow {
            event: line.event,
            item: line.item,
            line: line.nth,
            customer,
            visitor,
            counts,
        });
    }
    if !rows.is_empty() {
        ledger.insert(&rows, revision, now).await?;
    }
    Ok(verdicts)
}

/// Joins a visitor to a customer.
///
/// # Errors
/// [`StoreError::Erased`] when either was.
pub(super) async fn merge(
    ledger: &mut dyn Ledger,
    visitor: &VisitorId,
    customer: &CustomerId,
    salt: &[u8],
) -> Result<(), StoreError> {
    let persons = [Person::Customer(customer.clone()), Person::Visitor(visitor.clone())];
    let hashes: Vec<Hash> = persons.iter().map(|person| person.tombstone(salt)).collect();
    if !ledger.erased(&hashes).await?.is_empty() {
        return Err(was_erased());
    }
    let customers = keys(ledger, PersonTable::Customers, &[customer.as_str()]).await?;
    let visitors = keys(ledger, PersonTable::Visitors, &[visitor.as_str()]).await?;
    match (visitors.get(visitor.as_str()), customers.get(customer.as_str())) {
        (Some(visitor), Some(customer)) => ledger.join(visitor.key, customer.key).await,
        _ => {
            Err(StoreError::Fault("a customer or a visitor that was just added is missing".into()))
        }
    }
}

fn persons(event: &NewEvent) -> impl Iterator<Item = Person> {
    let customer = event.customer.clone().map(Person::Customer);
    customer.into_iter().chain(event.visitor.clone().map(Person::Visitor))
}

/// Which events are of somebody who was erased.
async fn erased(
    ledger: &mut dyn Ledger,
    events: &[NewEvent],
    salt: &[u8],
) -> Result<Vec<bool>, StoreError> {
    let hashes: Vec<Vec<Hash>> = events
        .iter()
        .map(|event| persons(event).map(|person| person.tombstone(salt)).collect())
        .collect();
    let asked: HashSet<Hash> = hashes.iter().flatten().copied().collect();
    if asked.is_empty() {
        return Ok(vec![false; events.len()]);
    }
    let found = ledger.erased(&asked.into_iter().collect::<Vec<_>>()).await?;
    Ok(hashes.iter().map(|hashes| hashes.iter().any(|hash| found.contains(hash))).collect())
}

async fn drop_seen_events(
    ledger: &mut dyn Ledger,
    events: &[NewEvent],
    verdicts: &mut [Verdict],
    now: Millis,
) -> Result<(), StoreError> {
    let mut first: HashMap<Hash, usize> = HashMap::new();
    for (at, event) in
        events.iter().enumerate().filter(|(at, _)| verdicts[*at] == Verdict::Accepted)
    {
        first.entry(short_hash(&[event.event_id.as_bytes()])).or_insert(at);
    }
    let hashes: Vec<Hash> = first.keys().copied().collect();
    let new = if hashes.is_empty() {
        HashSet::new()
    } else {
        ledger.see(SeenTable::Events, &hashes, now).await?
    };
    let fresh: HashSet<usize> =
        first.iter().filter(|(hash, _)| new.contains(*hash)).map(|(_, &at)| at).collect();
    for (at, verdict) in verdicts.iter_mut().enumerate() {
        if *verdict == Verdict::Accepted && !fresh.contains(&at) {
            *verdict = Verdict::Duplicate;
        }
    }
    Ok(())
}

struct Line<'a> {
    event: &'a NewEvent,
    item: Option<&'a EventItem>,
    nth: i16,
    /// Of a line of an order.
    order: Option<Hash>,
}

/// The lines of the accepted events, without those of orders that were told before. An event that
/// has none left is a duplicate.
async fn fresh_lines<'a>(
    ledger: &mut dyn Ledger,
    events: &'a [NewEvent],
    verdicts: &mut [Verdict],
    now: Millis,
) -> Result<Vec<Line<'a>>, StoreError> {
    let accepted = |at: &usize| verdicts[*at] == Verdict::Accepted;
    let lines: Vec<Vec<Line<'a>>> = (0..events.len())
        .map(|at| if accepted(&at) { lines_of(&events[at]) } else { Vec::new() })
        .collect();
    let orders: HashSet<Hash> = lines.iter().flatten().filter_map(|line| line.order).collect();
    let mut new = match orders.is_empty() {
        true => HashSet::new(),
        false => {
            ledger.see(SeenTable::OrderLines, &orders.into_iter().collect::<Vec<_>>(), now).await?
        }
    };
    let mut fresh = Vec::new();
    for (verdict, lines) in verdicts.iter_mut().zip(lines) {
        let told = lines.len();
        let before = fresh.len();
        // Taken out of the set: the second of two equal lines in one call is not new.
        fresh.extend(
            lines.into_iter().filter(|line| line.order.is_none_or(|hash| new.remove(&hash))),
        );
        if told > 0 && fresh.len() == before {
            *verdict = Verdict::Duplicate;
        }
    }
    Ok(fresh)
}

fn lines_of(event: &NewEvent) -> Vec<Line<'_>> {
    if event.items.is_empty() {
        return vec![Line { event, item: None, nth: 0, order: None }];
    }
    let mut occurrences: HashMap<&str, u32> = HashMap::new();
    let mut lines = Vec::with_capacity(event.items.len());
    for (item, nth) in event.items.iter().zip(0..) {
        let occurrence = occurrences.entry(item.article.as_str()).or_default();
        *occurrence += 1;
        let order = event.order_id.as_ref().filter(|_| event.retention == Retention::Facts);
        let order = order.map(|order| order_line(event, order, item, *occurrence));
        lines.push(Line { event, item: Some(item), nth, order });
    }
    lines
}

/// Identifies a line of an order: by the shop's own name of the line, else by the article and how
/// many lines of the order had it before.
fn order_line(event: &NewEvent, order: &str, item: &EventItem, occurrence: u32) -> Hash {
    let (kind, order) = (event.kind.as_bytes(), order.as_bytes());
    match &item.line {
        Some(line) => short_hash(&[kind, order, b"line", line.as_bytes()]),
        None => short_hash(&[
            kind,
            order,
            b"article",
            item.article.as_str().as_bytes(),
            &occurrence.to_le_bytes(),
        ]),
    }
}

/// The keys of those whom the accepted events name.
struct Persons {
    customers: HashMap<String, PersonKey>,
    visitors: HashMap<String, PersonKey>,
}

impl Persons {
    /// Adds those who are new; joins visitors to the customers that stand beside them.
    async fn of(
        ledger: &mut dyn Ledger,
        events: &[NewEvent],
        verdicts: &[Verdict],
    ) -> Result<Self, StoreError> {
        let accepted =
            || events.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Accepted);
        let customers: HashSet<&str> = accepted()
            .filter_map(|(event, _)| event.customer.as_ref().map(CustomerId::as_str))
            .collect();
        let visitors: HashSet<&str> = accepted()
            .filter_map(|(event, _)| event.visitor.as_ref().map(VisitorId::as_str))
            .collect();
        let mut persons = Self { customers: HashMap::new(), visitors: HashMap::new() };
        if !customers.is_empty() {
            persons.customers = keys(ledger, PersonTable::Customers, &sorted(customers)).await?;
        }
        if !visitors.is_empty() {
            persons.visitors = keys(ledger, PersonTable::Visitors, &sorted(visitors)).await?;
        }
        for (event, _) in accepted() {
            if let (Some(customer), Some(visitor)) = (&event.customer, &event.visitor)
                && let Some(&PersonKey { key: customer, .. }) =
                    persons.customers.get(customer.as_str())
                && let Some(visitor) = persons.visitors.get_mut(visitor.as_str())
                && visitor.customer != Some(customer)
            {
                ledger.join(visitor.key, customer).await?;
                visitor.customer = Some(customer);
            }
        }
        Ok(persons)
    }

    /// Customer and visitor of an event. What a joined visitor does is the customer's.
    fn keys(&self, event: &NewEvent) -> (Option<i32>, Option<i32>) {
        let visitor = event.visitor.as_ref().and_then(|id| self.visitors.get(id.as_str()));
        let customer = event.customer.as_ref().and_then(|id| self.customers.get(id.as_str()));
        (
            customer.map(|customer| customer.key).or(visitor.and_then(|visitor| visitor.customer)),
            visitor.map(|visitor| visitor.key),
        )
    }
}

/// In one order everywhere, so that writers never wait for each other in a circle.
fn sorted(ids: HashSet<&str>) -> Vec<&str> {
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_unstable();
    ids
}

/// What each line adds to the counts of the shop. A public key is a door for spam: nobody adds more
/// than so much to the count of one article within an hour.
async fn counts(
    ledger: &mut dyn Ledger,
    lines: &[Line<'_>],
    now: Millis,
) -> Result<Vec<f32>, StoreError> {
    let wanted: Vec<Option<(Hash, f32)>> = lines.iter().map(counter).collect();
    let mut added: HashMap<Hash, f32> = HashMap::new();
    for (counter, quantity) in wanted.iter().flatten() {
        *added.entry(*counter).or_default() += quantity;
    }
    if added.is_empty() {
        return Ok(vec![0.0; lines.len()]);
    }
    let sums = ledger
        .count(now.hour(), &added.iter().map(|(&hash, &sum)| (hash, sum)).collect::<Vec<_>>())
        .await?;
    let mut used: HashMap<Hash, f32> = added
        .iter()
        .map(|(hash, added)| (*hash, sums.get(hash).map_or(0.0, |sum| sum - added)))
        .collect();
    let counted = lines.iter().zip(&wanted).map(|(line, wanted)| {
        let Some((counter, quantity)) = wanted else { return 0.0 };
        let used = used.entry(*counter).or_default();
        let rest = (most_counted(line.event) - *used).clamp(0.0, *quantity);
        *used += quantity;
        if line.event.counting == Counting::Takes { -rest } else { rest }
    });
    Ok(counted.collect())
}

/// What a line is counted under, and its quantity.
fn counter(line: &Line<'_>) -> Option<(Hash, f32)> {
    let item = line.item.filter(|_| line.event.counting != Counting::Nothing)?;
    let subject: (&[u8], &[u8]) = match (&line.event.customer, &line.event.visitor) {
        (Some(customer), _) => (b"customer", customer.as_str().as_bytes()),
        (None, Some(visitor)) => (b"visitor", visitor.as_str().as_bytes()),
        (None, None) => (b"nobody", b""),
    };
    let way: &[u8] = if line.event.counting == Counting::Takes { b"takes" } else { b"adds" };
    Some((
        short_hash(&[subject.0, subject.1, way, item.article.as_str().as_bytes()]),
        item.quantity,
    ))
}

fn most_counted(event: &NewEvent) -> f32 {
    match event.customer.is_none() && event.visitor.is_none() {
        true => MOST_COUNTED_ANONYMOUSLY,
        false => MOST_COUNTED_AN_HOUR,
    }
}
