//! Writes the shop as the three CSV files of the H&M schema: each under a temporary name first,
//! renamed when all are whole.

use super::{
    GenerateError,
    demand::first_day,
    shopping::{Row, Shop},
    vocabulary::{APPEARANCES, COLOURS, GARMENTS, INDEXES, PRODUCT_TYPES, SECTIONS},
    words,
};
use crate::domain::Timestamp;
use rayon::prelude::*;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// The files of a data set, in the order they appear in the folder: transactions last, so that a
/// reader who sees them sees the whole.
pub(super) const FILES: [&str; 3] = ["articles.csv", "customers.csv", "transactions.csv"];

const ARTICLE_COLUMNS: [&str; 25] = [
    "article_id",
    "product_code",
    "prod_name",
    "product_type_no",
    "product_type_name",
    "product_group_name",
    "graphical_appearance_no",
    "graphical_appearance_name",
    "colour_group_code",
    "colour_group_name",
    "perceived_colour_value_id",
    "perceived_colour_value_name",
    "perceived_colour_master_id",
    "perceived_colour_master_name",
    "department_no",
    "department_name",
    "index_code",
    "index_name",
    "index_group_no",
    "index_group_name",
    "section_no",
    "section_name",
    "garment_group_no",
    "garment_group_name",
    "detail_desc",
];
const CUSTOMER_COLUMNS: [&str; 7] = [
    "customer_id",
    "FN",
    "Active",
    "club_member_status",
    "fashion_news_frequency",
    "age",
    "postal_code",
];
const TRANSACTION_COLUMNS: [&str; 5] =
    ["t_dat", "customer_id", "article_id", "price", "sales_channel_id"];

/// Rows formatted by one task.
const CHUNK: usize = 16_384;
/// Tasks whose text is held at a time.
const WINDOW: usize = 32;
/// The shop's prices are published divided by this.
const PRICE_SCALE: f64 = 590.0;

/// Files under temporary names; what was not committed is removed again.
pub(super) struct Staging {
    folder: PathBuf,
    committed: bool,
}

impl Staging {
    /// # Errors
    /// When the folder cannot be made, or holds one of the files and `overwrite` is not given.
    pub(super) fn new(folder: &Path, overwrite: bool) -> Result<Self, GenerateError> {
        if !overwrite
            && let Some(file) =
                FILES.iter().map(|file| folder.join(file)).find(|path| path.exists())
        {
            return Err(GenerateError::Exists(file));
        }
        fs::create_dir_all(folder)
            .map_err(|source| GenerateError::Write { path: folder.into(), source })?;
        Ok(Self { folder: folder.into(), committed: false })
    }

    fn temporary(&self, file: &str) -> PathBuf {
        self.folder.join(format!(".{file}.partial"))
    }

    /// Writes a file of `rows` rows in chunks: `format` appends the text of a range of rows and may
    /// run on any thread.
    pub(super) fn file(
        &self,
        file: &'static str,
        header: &[&str],
        rows: usize,
        format: impl Fn(std::ops::Range<usize>, &mut Vec<u8>) + Sync,
        done: impl Fn(u64),
    ) -> Result<(), GenerateError> {
        let path = self.temporary(file);
        let fail = |source| GenerateError::Write { path: path.clone(), source };
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(fail)?);
        writeln!(out, "{}", header.join(",")).map_err(fail)?;
        let chunks = rows.div_ceil(CHUNK);
        for window in (0..chunks).step_by(WINDOW) {
            let texts: Vec<Vec<u8>> = (window..(window + WINDOW).min(chunks))
                .into_par_iter()
                .map(|chunk| {
                    let mut text = Vec::new();
                    format(chunk * CHUNK..((chunk + 1) * CHUNK).min(rows), &mut text);
                    text
                })
                .collect();
            for text in &texts {
                out.write_all(text).map_err(fail)?;
            }
            done((((window + WINDOW) * CHUNK).min(rows) - window * CHUNK) as u64);
        }
        let file = out.into_inner().map_err(|error| fail(error.into_error()))?;
        file.sync_all().map_err(fail)
    }

    /// Gives all files their names.
    pub(super) fn commit(mut self) -> Result<(), GenerateError> {
        for file in FILES {
            let path = self.folder.join(file);
            fs::rename(self.temporary(file), &path)
                .map_err(|source| GenerateError::Write { path, source })?;
        }
        self.committed = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.committed {
            for file in FILES {
                // Best effort: the error that led here is the one to report.
                let _ = fs::remove_file(self.temporary(file));
            }
        }
    }
}

pub(super) fn articles(staging: &Staging, shop: &Shop, seed: u64) -> Result<(), GenerateError> {
    let rows = shop.catalogue.articles.len();
    let format = |range: std::ops::Range<usize>, text: &mut Vec<u8>| {
        let mut csv = csv::Writer::from_writer(text);
        for row in range {
            // Writing to memory cannot fail.
            let _ = csv.write_record(article(shop, seed, row as u32));
        }
        let _ = csv.flush();
    };
    staging.file(FILES[0], &ARTICLE_COLUMNS, rows, format, |_| {})
}

fn article(shop: &Shop, seed: u64, row: u32) -> [String; 25] {
    let article = &shop.catalogue.articles[row as usize];
    let product = shop.catalogue.product(row);
    let bucket = &shop.catalogue.buckets[product.bucket];
    let (garment_no, garment, role, ..) = GARMENTS[bucket.garment];
    let (index_code, index, group_no, group) = INDEXES[bucket.index];
    let (_, section_no, section, ..) = SECTIONS[product.section];
    let (_, type_no, type_name, type_group, _) = PRODUCT_TYPES[product.product_type];
    let (appearance_no, appearance, _) = APPEARANCES[article.appearance];
    let (colour_code, colour, value_id, value, master_id, master, ..) = COLOURS[article.colour];
    // A department sells one garment group in one section.
    let department_no = 1_000 + product.section * GARMENTS.len() + bucket.garment;
    let mut name = words::name(seed, article.product, product);
    if row > product.first && row.is_multiple_of(29) {
        name.push_str(" (1)");
    }
    [
        shop.catalogue.article_id(row),
        product.code.to_string(),
        name,
        type_no.to_string(),
        type_name.into(),
        type_group.into(),
        appearance_no.to_string(),
        appearance.into(),
        colour_code.to_string(),
        colour.into(),
        value_id.to_string(),
        value.into(),
        master_id.to_string(),
        master.into(),
        department_no.to_string(),
        format!("{section} {garment}"),
        index_code.to_string(),
        index.into(),
        group_no.to_string(),
        group.into(),
        section_no.to_string(),
        section.into(),
        garment_no.to_string(),
        garment.into(),
        words::description(seed, article.product, product, role),
    ]
}

/// Writes the customers and returns their ids, 64 bytes each.
pub(super) fn customers(staging: &Staging, shop: &Shop) -> Result<(), GenerateError> {
    let rows = shop.crowd.rows.len();
    let flag = |set: bool| if set { "1.0" } else { "" };
    let format = |range: std::ops::Range<usize>, text: &mut Vec<u8>| {
        for row in range {
            let profile = shop.crowd.profile(row);
            let age = profile.age.map_or_else(String::new, |age| format!("{age}.0"));
            let (news, active) = (flag(profile.reads_news), flag(profile.active));
            let _ = writeln!(
                text,
                "{},{news},{active},{},{},{age},{}",
                profile.id, profile.club, profile.news, profile.postal_code
            );
        }
    };
    staging.file(FILES[1], &CUSTOMER_COLUMNS, rows, format, |_| {})
}

pub(super) fn transactions(
    staging: &Staging,
    shop: &Shop,
    rows: &[Row],
    done: impl Fn(u64),
) -> Result<(), GenerateError> {
    let days = shop.demand.days;
    let dates: Vec<String> = (0..days)
        .map(|day| Timestamp((first_day(days) + day) * Timestamp::DAY).date_string())
        .collect();
    let articles: Vec<String> = (0..shop.catalogue.articles.len() as u32)
        .map(|row| shop.catalogue.article_id(row))
        .collect();
    let customers: Vec<u8> = (0..shop.crowd.rows.len())
        .into_par_iter()
        .flat_map_iter(|row| shop.crowd.profile(row).id.into_bytes())
        .collect();
    let highest = shop.catalogue.products.iter().map(|product| product.price).max().unwrap_or(0);
    let prices: Vec<String> = (0..=highest).map(price).collect();
    let format = |range: std::ops::Range<usize>, text: &mut Vec<u8>| {
        text.reserve(range.len() * 112);
        for row in &rows[range] {
            let full = shop.catalogue.product(row.article).price;
            let cents =
                shop.catalogue.articles[row.article as usize].price(full, f32::from(row.day / 7));
            let customer = row.customer as usize * 64;
            text.extend_from_slice(dates[usize::from(row.day)].as_bytes());
            text.push(b',');
            text.extend_from_slice(&customers[customer..customer + 64]);
            text.push(b',');
            text.extend_from_slice(articles[row.article as usize].as_bytes());
            text.push(b',');
            text.extend_from_slice(prices[cents as usize].as_bytes());
            text.extend_from_slice(if row.online { b",2\n" } else { b",1\n" });
        }
    };
    staging.file(FILES[2], &TRANSACTION_COLUMNS, rows.len(), format, done)
}

/// A price in hundredths as the data give it: divided by 590, at most 16 decimals.
fn price(cents: u32) -> String {
    let text = format!("{:.16}", f64::from(cents) / 100.0 / PRICE_SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
