//! What is known of a file of purchases before its rows are read.

use crate::{
    dataset::{
        TimeUnit,
        import::{
            block::{Block, ReadAhead},
            entities::sample,
            error::{DatasetError, FileName, shown},
            ids::{IdStyle, WholeIds},
            layout::Layout,
            moment::{TimeFormat, TimePlan, TimeReader, detect},
            plan::PurchasePlan,
            rows::{Above, Rows},
            session::Session,
        },
    },
    domain::Timestamp,
};
use std::iter::Peekable;

/// Where the columns are in one file.
pub(super) struct PurchaseColumns {
    pub article: usize,
    pub customer: usize,
    pub time: Vec<usize>,
    pub price: Option<usize>,
    pub channel: Option<usize>,
    pub event: Option<usize>,
    pub quantity: Option<usize>,
    pub weight: Option<usize>,
    pub rating: Option<usize>,
}

impl PurchaseColumns {
    pub fn find(plan: &PurchasePlan, rows: &Rows) -> Result<Self, DatasetError> {
        let optional = |name: Option<&String>| name.map(|name| rows.column(name)).transpose();
        let split = plan.table.split.as_ref().filter(|split| split.quantity.is_some());
        let split_quantity = split.map(|split| split.quantity_column());
        Ok(Self {
            article: rows.column(&plan.article)?,
            customer: rows.column(&plan.customer)?,
            time: plan
                .time
                .iter()
                .flat_map(|time| &time.columns)
                .map(|name| rows.column(name))
                .collect::<Result<_, _>>()?,
            price: optional(plan.price.as_ref())?,
            channel: optional(plan.channel.as_ref())?,
            event: optional(plan.event.as_ref().map(|event| &event.column))?,
            quantity: optional(plan.quantity.as_ref().or(split_quantity.as_ref()))?,
            weight: optional(plan.weight.as_ref())?,
            rating: optional(plan.rating.as_ref().map(|(column, _)| column))?,
        })
    }

    pub fn indices(&self) -> Vec<usize> {
        let optional =
            [self.price, self.channel, self.event, self.quantity, self.weight, self.rating];
        let required = [self.article, self.customer].into_iter().chain(self.time.iter().copied());
        required.chain(optional.into_iter().flatten()).collect()
    }
}

/// One file of purchases and how its rows are read.
pub(super) struct PurchaseFile<'p> {
    pub plan: &'p PurchasePlan,
    pub rows: Rows<'p>,
    pub columns: PurchaseColumns,
    pub time: Option<TimeReader>,
    pub time_unit: Option<TimeUnit>,
    pub article_style: IdStyle,
    pub customer_style: IdStyle,
    /// Times after this one are in the future.
    pub latest: Timestamp,
    pub is_weighted: bool,
}

impl<'p> PurchaseFile<'p> {
    /// Looks at the first rows for the notation of times and ids.
    ///
    /// # Errors
    /// Times in no notation or in another unit than the description says.
    pub fn look_at(
        blocks: &mut Peekable<ReadAhead>,
        layout: &Layout,
        rows: Rows<'p>,
        columns: PurchaseColumns,
        plan: &'p PurchasePlan,
        session: &Session,
    ) -> Result<Self, DatasetError> {
        let (now, whole) = (session.now, session.whole_ids);
        let style = |ids: &[Vec<String>], at: usize| IdStyle::of(ids.iter().map(|row| &*row[at]));
        let (ids, times) = match blocks.peek() {
            Some(Ok(block)) => (
                sample(&rows, block, &[columns.article, columns.customer]),
                sample(&rows, block, &columns.time),
            ),
            _ => Default::default(),
        };
        let time = plan
            .time
            .as_ref()
            .map(|time| resolve_time(time, &times, plan, now, &layout.file))
            .transpose()?;
        let is_calendar = plan.time.as_ref().is_some_and(|time| time.formats[0].is_calendar());
        Ok(Self {
            latest: match plan.allow_future || !is_calendar {
                true => Timestamp(u32::MAX),
                false => Timestamp(now.0.saturating_add(detect::SLACK)),
            },
            time_unit: time.as_ref().map(TimePlan::unit),
            time: time.map(|time| time.reader()),
            article_style: WholeIds::style(whole.articles, style(&ids, 0)),
            customer_style: WholeIds::style(whole.customers, style(&ids, 1)),
            is_weighted: plan.is_weighted(),
            plan,
            rows,
            columns,
        })
    }

    /// The next blocks to parse at once, each with what its first row finds above it.
    pub fn next_round(
        &self,
        blocks: &mut Peekable<ReadAhead>,
        above: &mut Above,
    ) -> Result<Vec<(Block, Above)>, DatasetError> {
        let mut round = Vec::new();
        for block in blocks.take(rayon::current_num_threads()) {
            let block = block?;
            let before = above.clone();
            self.rows.pass(&block, above);
            round.push((block, before));
        }
        Ok(round)
    }
}

/// The time of a plan once the first rows have shown its notation.
pub(super) fn resolve_time(
    plan: &TimePlan,
    sample: &[Vec<String>],
    purchases: &PurchasePlan,
    now: Timestamp,
    file: &FileName,
) -> Result<TimePlan, DatasetError> {
    let missing = &purchases.table.cells.missing;
    let rows = sample.iter().filter(|row| !row.iter().any(|cell| missing.holds(cell)));
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.iter().map(|cell| cell.trim()).collect()).collect();
    let column = plan.columns.join("`, `");
    let mut plan = plan.clone();
    if plan.formats[0] == TimeFormat::Auto && !rows.is_empty() {
        let found = detect::notation(&rows, now).map_err(|why| DatasetError::TimeFormat {
            file: file.clone(),
            column: column.clone(),
            detail: match why {
                detect::Undetected::None => format!(
                    "no notation reads every time of the first rows, such as `{}`; \
                     name it with time_format, such as \"date-time\" or \"%m/%d/%Y %H:%M\"",
                    shown(&rows[0].join(" "))
                ),
                detect::Undetected::Several(names) => format!(
                    "times such as `{}` can be read in several ways; write time_format = \"{}\"",
                    shown(&rows[0].join(" ")),
                    names.join("\" or \"")
                ),
            },
        })?;
        plan.formats[0] = found;
    }
    let texts: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    match detect::mistaken_unit(&plan.formats[0], &texts, now) {
        Some(found) => Err(DatasetError::WrongUnit {
            file: file.clone(),
            column,
            declared: plan.formats[0].name().to_owned(),
            found: found.name().to_owned(),
        }),
        None => Ok(plan),
    }
}
