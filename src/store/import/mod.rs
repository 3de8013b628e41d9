//! Bulk import of a shop's data: resumable, idempotent, never half visible.
//!
//! 1. Articles are inserted or updated in one transaction, so a server sees the old catalogue or
//!    the new one. What the files do not tell stays: an availability, a price or an image they do
//!    not give. Articles that are no longer in the files become unavailable ([`MissingArticles`]
//!    says otherwise). The columns of the files decide the kinds of the attributes.
//! 2. Customers are inserted or updated in batches.
//! 3. Purchases go into a table of their own, `purchases_incoming`, in batches; the last step
//!    builds its index and puts it in the place of `purchases`, whose rows all go. Servers count
//!    anew what sells when they see it ([`Revisions::purchases`](super::Revisions)).
//!
//! Purchases that were told as events stay. One that the files hold as well (the same customer and
//! article on the same day or within two hours) is marked, so that it counts once. Customers who
//! were erased are left out.
//!
//! Every batch advances `import_progress` in its own transaction, so an import that was killed goes
//! on after the last batch, keyed by the data's fingerprint; one that is complete does nothing. Two
//! imports at once: the first to find that the other has advanced stops.

mod rows;

use super::{
    Address, ArticleRecord, StoreError, StoreOptions, events::Tombstones, postgres, sqlite,
};
use crate::{
    dataset::{Dataset, Histories},
    domain::{AttributeKind, IdTable},
    progress::Progress,
};
use async_trait::async_trait;
use std::time::{Duration, Instant};

/// What to import.
pub struct Import<'a> {
    pub dataset: &'a Dataset,
    /// Identifies the data: equal data has equal fingerprints.
    pub fingerprint: &'a str,
    /// Purchases a transaction (customers: a tenth); a customer's purchases are never split.
    pub batch: usize,
    /// What becomes of articles that the data does not have.
    pub missing: MissingArticles,
}

/// What an import does with articles of the catalogue that its files do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum MissingArticles {
    /// They are not recommended any more, until an import has them again or somebody makes them
    /// available.
    #[default]
    Unavailable,
    /// They are deleted; purchases keep their ids.
    Delete,
    /// They stay as they are.
    Keep,
}

impl<'a> Import<'a> {
    /// With the usual size of batches: large enough that commits cost nothing, small enough to be
    /// redone.
    pub fn new(dataset: &'a Dataset, fingerprint: &'a str) -> Self {
        Self { dataset, fingerprint, batch: 500_000, missing: MissingArticles::default() }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This data was imported before; nothing was done.
    AlreadyComplete,
    Complete(Report),
}

/// Rows written by this run (without those an earlier, interrupted run wrote) and the time they
/// took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows an interrupted run had committed before.
    pub resumed: usize,
    pub articles: usize,
    /// Articles that the data does not have, made unavailable or deleted.
    pub missing: usize,
    pub customers: usize,
    pub purchases: usize,
    /// Time of the purchases, the index included.
    pub purchases_took: Duration,
}

/// Rows committed of the import under way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub articles: usize,
    pub customers: usize,
    pub purchases: usize,
    pub finished: bool,
}

/// One step of the progress row: the counts before and after a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub from: usize,
    pub to: usize,
}

/// An article of the files.
#[derive(Debug, Clone)]
pub(super) struct ImportedArticle {
    pub record: ArticleRecord,
    /// Whether the files say that it is available or not; else the database keeps what it has.
    pub tells_availability: bool,
}

/// All articles of the files.
pub(super) struct ArticleImport<'a> {
    /// In the order in which new ones get their keys.
    pub pages: &'a mut (dyn Iterator<Item = Result<Vec<ImportedArticle>, StoreError>> + Send),
    /// What the columns hold.
    pub kinds: &'a [(String, AttributeKind)],
    pub missing: MissingFrom<'a>,
}

/// What to do with articles that are not among those of the files.
pub(super) struct MissingFrom<'a> {
    pub ids: &'a IdTable,
    pub how: MissingArticles,
}

impl MissingFrom<'_> {
    pub(super) fn lacks(&self, id: &str) -> bool {
        self.how != MissingArticles::Keep && self.ids.find(id).is_none()
    }
}

pub(super) struct CustomerRow<'a> {
    pub id: &'a str,
    /// One JSON object.
    pub attributes: String,
}

/// A purchase in the keys of the database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PurchaseRow {
    pub customer: i32,
    pub article: i32,
    /// Seconds since 1970.
    pub at: u32,
    /// Milliseconds after `at`, below 1,000.
    pub millis: u16,
    pub price: Option<f32>,
    pub channel: Option<u8>,
    /// How much the purchase counts; `None`: 1.
    pub weight: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Articles,
    Customers,
}

/// Takes an id and its key.
pub(super) type KeyVisitor<'a> = &'a mut (dyn for<'id> FnMut(&'id str, i32) + Send);

/// A database as the target of an import: one connection. Each `put` is one transaction.
#[async_trait]
pub(super) trait Target: Send {
    /// The progress of the import with this fingerprint; a new one if the database knows another or
    /// none.
    async fn begin(&mut self, fingerprint: &str) -> Result<Done, StoreError>;
    /// Inserts or updates all articles; answers how many the catalogue has that the files do not
    /// have.
    async fn put_articles(
        &mut self,
        import: ArticleImport<'_>,
        step: Step,
    ) -> Result<usize, StoreError>;
    async fn put_customers(
        &mut self,
        rows: &[CustomerRow<'_>],
        step: Step,
    ) -> Result<(), StoreError>;
    /// Who was erased.
    async fn tombstones(&mut self) -> Result<Tombstones, StoreError>;
    /// Visits every id of a table with its key.
    async fn keys(&mut self, table: Table, visit: KeyVisitor<'_>) -> Result<(), StoreError>;
    /// Appends to the incoming purchases. Rows are ordered by customer, time and article, and a
    /// customer's come in one call.
    async fn put_purchases(&mut self, rows: &[PurchaseRow], step: Step) -> Result<(), StoreError>;
    /// Puts the incoming purchases in the place of the old.
    async fn finish(&mut self) -> Result<(), StoreError>;
}

/// Imports a dataset into a migrated database; see the module's text for what becomes visible when.
///
/// # Errors
/// As [`super::connect`]; [`StoreError::Refused`] for values a database cannot hold, or when
/// another import runs.
pub async fn import(
    url: &str,
    options: &StoreOptions,
    import: &Import<'_>,
) -> Result<Outcome, StoreError> {
    let mut target: Box<dyn Target> = match Address::parse(url)? {
        Address::Postgres(address) => Box::new(postgres::Loader::open(address, options).await?),
        Address::Sqlite(address) => Box::new(sqlite::Loader::open(address, options).await?),
    };
    let done = target.begin(import.fingerprint).await?;
    if done.finished {
        return Ok(Outcome::AlreadyComplete);
    }
    run(&mut *target, import, done).await.map(Outcome::Complete)
}

async fn run(
    target: &mut dyn Target,
    import: &Import<'_>,
    done: Done,
) -> Result<Report, StoreError> {
    let dataset = import.dataset;
    let mut report =
        Report { resumed: done.articles + done.customers + done.purchases, ..Report::default() };

    if done.articles < dataset.articles.len() {
        report.articles = dataset.articles.len();
        let progress = Progress::new("articles", report.articles as u64, "rows");
        let mut pages = rows::article_pages(dataset).inspect(|page| {
            progress.add(page.as_ref().map_or(0, Vec::len) as u64);
        });
        let kinds = rows::kinds(dataset);
        let missing = MissingFrom { ids: &dataset.articles.ids, how: import.missing };
        let articles = ArticleImport { pages: &mut pages, kinds: &kinds, missing };
        report.missing = target
            .put_articles(articles, Step { from: done.articles, to: report.articles })
            .await?;
        drop(pages);
        progress.finish(&format!("{} rows", report.articles));
    }

    let tombstones = target.tombstones().await?;
    if done.customers < dataset.customers.len() {
        report.customers = dataset.customers.len() - done.customers;
        let progress = Progress::new("customers", dataset.customers.len() as u64, "rows");
        progress.add(done.customers as u64);
        let mut from = done.customers;
        while from < dataset.customers.len() {
            let to = dataset.customers.len().min(from + (import.batch / 10).clamp(1, 20_000));
            let mut batch = rows::customers(dataset, from..to)?;
            batch.retain(|customer| !tombstones.hold(customer.id));
            target.put_customers(&batch, Step { from, to }).await?;
            progress.add((to - from) as u64);
            from = to;
        }
        progress.finish(&format!("{} rows", report.customers));
    }

    let started = Instant::now();
    report.purchases = dataset.purchases.len() - done.purchases;
    purchases(target, import, &tombstones, done.purchases).await?;
    let progress = Progress::new("index of purchases", 0, "");
    target.finish().await?;
    progress.finish("done");
    report.purchases_took = started.elapsed();
    Ok(report)
}

async fn purchases(
    target: &mut dyn Target,
    import: &Import<'_>,
    tombstones: &Tombstones,
    done: usize,
) -> Result<(), StoreError> {
    let dataset = import.dataset;
    let articles = rows::keys(target, Table::Articles, &dataset.articles.ids, |_| false).await?;
    let articles: Vec<i32> = articles.into_iter().flatten().collect();
    let customers =
        rows::keys(target, Table::Customers, &dataset.customers.ids, |id| tombstones.hold(id))
            .await?;
    // In the order of keys: the same on every run, and rows go to the end of what is stored.
    let mut order: Vec<u32> = (0..customers.len() as u32).collect();
    order.sort_unstable_by_key(|&customer| customers[customer as usize]);

    let histories = Histories::of(dataset);
    let progress = Progress::new("purchases", dataset.purchases.len() as u64, "rows");
    progress.add(done as u64);
    let (mut from, mut passed) = (done, 0);
    let mut batch = Vec::with_capacity(import.batch.min(dataset.purchases.len()));
    for customer in order {
        let history = histories.of_customer(customer);
        passed += history.len();
        // A batch ends between two customers, so those committed end there too.
        if passed <= done {
            continue;
        }
        let Some(customer) = customers[customer as usize] else { continue };
        let first = batch.len();
        batch.extend(
            history.iter().map(|&row| rows::purchase(dataset, row as usize, customer, &articles)),
        );
        // The history's order within a moment is drawn; the database wants equal keys beside each
        // other.
        batch[first..].sort_by_key(|purchase| (purchase.at, purchase.article));
        if batch.len() >= import.batch {
            target.put_purchases(&batch, Step { from, to: passed }).await?;
            progress.add(batch.len() as u64);
            from = passed;
            batch.clear();
        }
    }
    if !batch.is_empty() {
        target.put_purchases(&batch, Step { from, to: passed }).await?;
        progress.add(batch.len() as u64);
    }
    progress.finish(&format!("{} rows", dataset.purchases.len() - done));
    Ok(())
}

/// The error of a batch that found the progress row changed under it.
pub(super) fn another_import() -> StoreError {
    StoreError::Refused(
        "another import into this database is running; wait for it, then try again".into(),
    )
}
