//! Reads the cells of one row of purchases after the other.

use super::{PurchaseReader, Side, events::EventCounts, file::PurchaseFile};
use crate::{
    dataset::import::{
        error::{Fault, Reason, shown},
        ids::{IdStyle, similar},
        moment::{Moment, TimeFormat},
        rows::{NotCounted, Row, Unused},
        values::CellRules,
    },
    domain::ArticleId,
};

/// A known entity's row, or a valid id that is new.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Known(u32),
    New(&'a str),
}

/// Reads the cells of one row after the other.
pub(super) struct RowReader<'a> {
    pub reader: &'a PurchaseReader,
    pub file: &'a PurchaseFile<'a>,
    pub last: Last,
}

/// Cells of the row before: times and customers often repeat from row to row.
#[derive(Default)]
pub(super) struct Last {
    pub time: (Vec<u8>, Moment),
    pub customer: (Vec<u8>, u32),
}

impl RowReader<'_> {
    /// How much the event of a row counts.
    pub fn event(&self, row: &Row, counts: &mut EventCounts) -> Result<f32, Unused> {
        let (Some(column), Some(plan)) = (self.file.columns.event, &self.file.plan.event) else {
            return Ok(1.0);
        };
        let event = row.text(column)?.trim();
        counts.count(event, 1);
        plan.weights.get(event).copied().ok_or(Unused::NotCounted(NotCounted::Event))
    }

    pub fn customer<'r>(&mut self, row: &'r Row) -> Result<Found<'r>, Unused> {
        let column = self.file.columns.customer;
        let bytes = row.bytes(column);
        if !bytes.is_empty() && bytes == self.last.customer.0 {
            return Ok(Found::Known(self.last.customer.1));
        }
        let found = match self.find(row, column, self.file.customer_style, &self.reader.customers) {
            Err(Unused::Rejected(Fault { reason: Reason::NoId(_), .. })) => {
                return Err(Unused::NotCounted(NotCounted::NoCustomer));
            }
            found => found?,
        };
        if let Found::Known(row) = found {
            bytes.clone_into(&mut self.last.customer.0);
            self.last.customer.1 = row;
        }
        Ok(found)
    }

    pub fn article<'r>(&self, row: &'r Row) -> Result<Found<'r>, Unused> {
        self.find(row, self.file.columns.article, self.file.article_style, &self.reader.articles)
    }

    pub fn find<'r>(
        &self,
        row: &'r Row,
        column: usize,
        style: IdStyle,
        side: &Side,
    ) -> Result<Found<'r>, Unused> {
        let id = style.clean(row.id(column)?);
        if let Some(row) = side.table.ids.find(id) {
            return Ok(Found::Known(row));
        }
        if self.file.plan.table.cells.missing.holds(id) {
            return Err(Unused::at(column, Reason::NoId(shown(id))));
        }
        // Floats that begin behind the first rows: `7.0` where only `7` is known.
        let whole = IdStyle::Floats.clean(id);
        if !side.open
            && whole.len() < id.len()
            && let Some(row) = side.table.ids.find(whole)
        {
            return Ok(Found::Known(row));
        }
        ArticleId::parse(id).map_err(|fault| Unused::at(column, Reason::Id(fault)))?;
        if side.open {
            return Ok(Found::New(id));
        }
        Err(Unused::at(column, (side.unknown)(shown(id), similar(id, &side.table.ids))))
    }

    pub fn check_rating(&self, row: &Row, unreadable: &mut Vec<Fault>) -> Result<(), Unused> {
        let (Some(column), Some((_, lowest))) = (self.file.columns.rating, &self.file.plan.rating)
        else {
            return Ok(());
        };
        let rating = self.number(row, column, unreadable);
        if rating.is_some_and(|rating| rating >= *lowest) {
            Ok(())
        } else {
            Err(Unused::NotCounted(NotCounted::BelowRating))
        }
    }

    /// How many pieces were bought: 1 where the file does not say.
    pub fn quantity(&self, row: &Row, unreadable: &mut Vec<Fault>) -> f32 {
        let quantity = self
            .file
            .columns
            .quantity
            .and_then(|column| self.read_first(row, column, unreadable, CellRules::quantity));
        quantity.unwrap_or(1.0)
    }

    pub fn weight(&self, row: &Row, unreadable: &mut Vec<Fault>) -> Result<f32, Unused> {
        let weight = self
            .file
            .columns
            .weight
            .and_then(|column| self.number(row, column, unreadable))
            .unwrap_or(1.0);
        if weight > 0.0 { Ok(weight) } else { Err(Unused::NotCounted(NotCounted::Weightless)) }
    }

    pub fn number(&self, row: &Row, column: usize, unreadable: &mut Vec<Fault>) -> Option<f32> {
        self.read_first(row, column, unreadable, CellRules::number)
    }

    /// A number that decides whether a row counts: read before its spelling is compared with those
    /// of missing values, so that a 0 stays one.
    fn read_first(
        &self,
        row: &Row,
        column: usize,
        unreadable: &mut Vec<Fault>,
        read: impl Fn(&CellRules, &str) -> Result<f32, Reason>,
    ) -> Option<f32> {
        let cells = &self.file.plan.table.cells;
        let number = row.text(column).ok().and_then(|text| read(cells, text).ok());
        number.or_else(|| cells.optional(row, column, unreadable, |text| read(cells, text)))
    }

    pub fn time(&mut self, row: &Row) -> Result<Option<Moment>, Unused> {
        let Some(time) = &self.file.time else { return Ok(None) };
        let columns = &self.file.columns.time;
        let moment = match columns[..] {
            [column] => {
                let bytes = row.bytes(column);
                if !bytes.is_empty() && bytes == self.last.time.0 {
                    return Ok(Some(self.last.time.1));
                }
                let moment =
                    time.read(&[row.text(column)?]).map_err(|fault| self.time_fault(row, fault))?;
                bytes.clone_into(&mut self.last.time.0);
                moment
            }
            _ => {
                let cells: Vec<&str> =
                    columns.iter().map(|&column| row.text(column)).collect::<Result<_, _>>()?;
                time.read(&cells).map_err(|fault| self.time_fault(row, fault))?
            }
        };
        if moment.time > self.file.latest {
            // Not to be found as the time of the row before.
            self.last.time.0.clear();
            return Err(Unused::at(columns[0], Reason::Future(moment.time.to_string())));
        }
        self.last.time.1 = moment;
        Ok(Some(moment))
    }

    pub fn time_fault(&self, row: &Row, (cell, format): (usize, &TimeFormat)) -> Unused {
        let column = self.file.columns.time[cell];
        let text = row.text(column).unwrap_or_default();
        Unused::at(column, Reason::Time { text: shown(text), expected: format.expected() })
    }
}
