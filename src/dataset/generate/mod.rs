//! A believable shop made of random numbers, in the H&M schema: `articles.csv`, `customers.csv`,
//! `transactions.csv`.
//!
//! Calibrated on the published shape of the real data: skewed and drifting popularity, seasons,
//! colour variants, mark-downs, baskets, second pieces, re-buying, ages, missing values. Customers
//! have a hidden taste (style, garment and index group, colour) and their next piece depends on the
//! last ones, so that a model has something to learn that popularity lacks.
//!
//! The same [`ShopSize`] gives the same bytes, whatever the number of threads: every product and
//! every customer has its own stream of random numbers. The shop ends on 2020-09-22 and starts
//! `days` earlier.

mod catalogue;
mod customers;
mod demand;
mod random;
mod shopping;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;
mod write;

use crate::progress::Progress;
use catalogue::Catalogue;
use customers::Crowd;
use demand::Demand;
use shopping::Shop;
use std::path::{Path, PathBuf};

/// How large a shop to make, and which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopSize {
    pub articles: usize,
    pub customers: usize,
    /// Rows of `transactions.csv`.
    pub transactions: u64,
    pub days: u32,
    pub seed: u64,
}

impl Default for ShopSize {
    /// The demo's shop: a year of a small webshop.
    fn default() -> Self {
        Self { articles: 10_000, customers: 20_000, transactions: 400_000, days: 365, seed: 42 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("{what} must be between {least} and {most}, not {given}")]
    OutOfRange { what: &'static str, least: u64, most: u64, given: u64 },
    #[error("{0} exists already; choose another folder, or give --force to overwrite it")]
    Exists(PathBuf),
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// Makes a shop of a checked size.
#[derive(Debug, Clone, Copy)]
pub struct Generator {
    size: ShopSize,
}

impl Generator {
    /// # Errors
    /// [`GenerateError::OutOfRange`] for a size that makes no shop, or none that fits a machine.
    pub fn new(size: ShopSize) -> Result<Self, GenerateError> {
        let check = |what, given: u64, least: u64, most: u64| {
            if (least..=most).contains(&given) {
                Ok(())
            } else {
                Err(GenerateError::OutOfRange { what, least, most, given })
            }
        };
        check("the number of articles", size.articles as u64, 1, 500_000)?;
        check("the number of customers", size.customers as u64, 1, 10_000_000)?;
        let most = (size.customers as u64 * 2_000).min(200_000_000);
        check("the number of transactions", size.transactions, 1, most)?;
        check("the number of days", size.days.into(), 7, 3_650)?;
        Ok(Self { size })
    }

    /// Writes the shop's three files into `folder`, which is made if missing.
    ///
    /// The files get their names when all are whole; on an error none is left behind.
    ///
    /// # Errors
    /// [`GenerateError::Exists`] when one of the files is there and `overwrite` is false;
    /// [`GenerateError::Write`] when the disk refuses.
    pub fn write(&self, folder: &Path, overwrite: bool) -> Result<(), GenerateError> {
        let staging = write::Staging::new(folder, overwrite)?;
        let shop = self.shop();
        write::articles(&staging, &shop, self.size.seed)?;
        write::customers(&staging, &shop)?;
        let progress = Progress::new("shopping", self.size.transactions, "rows");
        let rows = shop.purchases(|done| progress.add(done));
        progress.finish(&format!("{} rows", rows.len()));
        let progress = Progress::new("writing", self.size.transactions, "rows");
        write::transactions(&staging, &shop, &rows, |done| progress.add(done))?;
        staging.commit()?;
        progress.finish(&format!("{} rows", rows.len()));
        Ok(())
    }

    fn shop(&self) -> Shop {
        let ShopSize { articles, customers, transactions, days, seed } = self.size;
        let catalogue = Catalogue::new(seed, articles, days as f32 / 7.0);
        let demand = Demand::new(seed, days, &catalogue);
        let crowd = Crowd::new(seed, customers, transactions, &catalogue);
        Shop { catalogue, demand, crowd }
    }
}
