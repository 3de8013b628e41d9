//! `vitrine-server batch`: lists for many customers into a file, for e-mail campaigns.

use super::{block_on_all, own_program, serve};
use crate::{
    cli::OrBadInput,
    domain::{CustomerId, TopK},
    recommend::{Exclude, Filter, Recipe, Request},
    serving::{Answered, Config, Service, now},
    store::Store,
};
use anyhow::{Context, anyhow, bail};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

mod output;

use output::{Output, Row};

/// Writes one list for each of many customers to a Parquet or CSV file.
///
/// Reads the database and the active model as a server would; no server need run. The file is
/// written a thousand customers at a time, so memory stays bounded, and appears when it is whole.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-server batch --customers all --k 12 --out campaign.parquet\n  \
    vitrine-server batch --customers vip.txt --k 6 --exclude-purchased --out vip.csv"
)]
pub(super) struct Arguments {
    /// A file with a customer's id on each line, or `all` for every customer of the database
    #[arg(long, value_name = "FILE|all")]
    customers: String,
    /// Articles for each customer
    #[arg(long, default_value_t = 12)]
    k: usize,
    /// The file to write: `.parquet` or `.csv`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A filter as JSON, as in requests
    #[arg(long, value_name = "JSON", default_value = "{}")]
    filter: String,
    /// Leave out what the customer bought
    #[arg(long)]
    exclude_purchased: bool,
    /// The model to ask; the default one if not given
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Settings in TOML, as for `serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// `postgres://user@host/name` or `sqlite:path` (`database.url`)
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where bundles lie (`models.directory`)
    #[arg(long, value_name = "DIR")]
    models: Option<String>,
}

/// Customers that are read, answered and written at a time.
const PAGE: usize = 1_000;

/// What was done.
#[derive(Default)]
struct Report {
    customers: usize,
    rows: usize,
    failed: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let flags = [("database.url", &arguments.database), ("models.directory", &arguments.models)];
    let flags: Vec<_> =
        flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    let mut config =
        Config::load(arguments.config.as_deref(), std::env::vars_os(), &flags).or_bad_input()?;
    config.models.checker = Some(own_program());
    let request = arguments.request()?;
    let customers = Customers::open(&arguments.customers)?;
    let report = block_on_all(arguments.write(&config, request, customers))??;
    let Report { customers, rows, failed } = report;
    println!("{}: {rows} articles for {customers} customers", arguments.out.display());
    if failed > 0 {
        bail!("{failed} customers have no list; the lines above say why");
    }
    Ok(())
}

impl Arguments {
    fn request(&self) -> anyhow::Result<Request> {
        let filter = serde_json::from_str(&self.filter)
            .context("`--filter` is no JSON object")
            .or_bad_input()?;
        let recipe = Recipe {
            model: self.model.clone(),
            filter: Filter::parse(&filter).or_bad_input()?,
            exclude: Exclude { purchased: self.exclude_purchased, ..Exclude::default() },
            ..Recipe::default()
        };
        let k = TopK::new(self.k).ok_or_else(|| anyhow!("`--k` must be 1 to {}", TopK::MAX));
        Ok(Request { recipe: Arc::new(recipe), ..Request::new(None, k.or_bad_input()?, now()) })
    }

    async fn write(
        &self,
        config: &Config,
        request: Request,
        mut customers: Customers,
    ) -> anyhow::Result<Report> {
        let service = serve::start(config).await?;
        let mut output = Output::create(&self.out)?;
        let mut report = Report::default();
        loop {
            let page = customers.next(&**service.store()).await?;
            if page.is_empty() {
                break;
            }
            let rows = rows(&service, &request, page, &mut report).await?;
            report.rows += rows.len();
            output.write(rows)?;
        }
        output.finish()?;
        Ok(report)
    }
}

async fn rows(
    service: &Arc<Service>,
    request: &Request,
    customers: Vec<CustomerId>,
    report: &mut Report,
) -> anyhow::Result<Vec<Row>> {
    let answers = service
        .recommend_batch("batch", request.clone(), customers.clone())
        .await
        .or_bad_input()?;
    let mut rows = Vec::with_capacity(customers.len() * request.k.get());
    for (customer, answer) in customers.iter().zip(answers) {
        match answer {
            Ok(answered) => {
                report.customers += 1;
                rows.extend(rows_of(customer, &answered));
            }
            Err(error) => {
                report.failed += 1;
                eprintln!("customer {customer}: {error}");
            }
        }
    }
    Ok(rows)
}

fn rows_of<'a>(customer: &'a CustomerId, answered: &'a Answered) -> impl Iterator<Item = Row> + 'a {
    let catalogue = answered.snapshot.catalogue();
    let id: Arc<str> = answered.recommendation_id.as_deref().unwrap_or_default().into();
    answered.answer.items.iter().enumerate().map(move |(i, item)| Row {
        customer_id: customer.as_str().to_owned(),
        rank: i32::try_from(i + 1).unwrap_or(i32::MAX),
        article_id: catalogue.id(item.row).to_owned(),
        score: item.score,
        source: item.source,
        strategy: answered.answer.strategy.name(),
        recommendation_id: id.clone(),
    })
}

/// Where the customers come from.
enum Customers {
    /// A line each.
    File { lines: std::io::Lines<BufReader<File>>, path: PathBuf, line: usize },
    /// All of the database, beyond the last one read.
    All { after: Option<CustomerId> },
}

impl Customers {
    fn open(name: &str) -> anyhow::Result<Self> {
        if name == "all" {
            return Ok(Self::All { after: None });
        }
        let path = Path::new(name).to_owned();
        let file = File::open(&path)
            .with_context(|| format!("cannot read {}", path.display()))
            .or_bad_input()?;
        Ok(Self::File { lines: BufReader::new(file).lines(), path, line: 0 })
    }

    /// The next customers, none at the end.
    async fn next(&mut self, store: &dyn Store) -> anyhow::Result<Vec<CustomerId>> {
        match self {
            Self::All { after } => {
                let page = store.customer_ids(after.as_ref(), PAGE as u32).await?;
                if let Some(last) = page.last() {
                    *after = Some(last.clone());
                }
                Ok(page)
            }
            Self::File { lines, path, line } => {
                let mut page = Vec::with_capacity(PAGE);
                while page.len() < PAGE {
                    let Some(text) = lines.next() else { break };
                    *line += 1;
                    let place = || format!("{}, line {line}", path.display());
                    let text = text.with_context(place).or_bad_input()?;
                    if !text.trim().is_empty() {
                        page.push(
                            CustomerId::parse(text.trim()).with_context(place).or_bad_input()?,
                        );
                    }
                }
                Ok(page)
            }
        }
    }
}
