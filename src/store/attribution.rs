//! What came of recommendations: sums over the rows of events, so that they can be computed again
//! at any time.
//!
//! *Direct*: the event itself names the answer that it comes from. *Assisted*: a purchase that
//! names none, by somebody who clicked a recommended article within the seven days before; the last
//! click has it. Returns count with the purchase of the same order and article.

use crate::domain::Timestamp;

/// What a report covers.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributionQuery {
    /// Events at this moment or later.
    pub from: Timestamp,
    /// And before this one.
    pub until: Timestamp,
    /// What the rows tell apart, each once.
    pub by: Vec<Dimension>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// A placement, or the path of a route.
    Placement,
    Model,
    Version,
    Source,
    Position,
    /// Of the event, in UTC.
    Day,
    Currency,
}

impl Dimension {
    pub const ALL: [Self; 7] = [
        Self::Placement,
        Self::Model,
        Self::Version,
        Self::Source,
        Self::Position,
        Self::Day,
        Self::Currency,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Model => "model",
            Self::Version => "version",
            Self::Source => "source",
            Self::Position => "position",
            Self::Day => "day",
            Self::Currency => "currency",
        }
    }
}

/// The sums of one group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttributionRow {
    /// The values of the dimensions, in the order of the query; `None`: the events have none.
    pub key: Vec<Option<String>>,
    pub impressions: i64,
    pub clicks: i64,
    pub carts: i64,
    /// Orders with at least one direct purchase; an event without an order is one.
    pub orders: i64,
    /// Pieces of direct purchases, less those that came back.
    pub units: f64,
    /// Prices of direct purchases, less returns.
    pub revenue: f64,
    /// What came back of `revenue`.
    pub returned: f64,
    pub assisted_orders: i64,
    /// Less returns.
    pub assisted_revenue: f64,
}

/// The sums over `touched`, which both databases make in their own way: its columns are those of a
/// dimension each, and `type`, `assisted`, `ordered`, `quantity`, `price` and `back`.
pub(super) fn sums(by: &[Dimension]) -> String {
    let columns: String =
        by.iter().map(|dimension| format!("CAST({} AS text), ", dimension.name())).collect();
    let group: String = match by.is_empty() {
        true => String::new(),
        false => {
            let numbers: Vec<String> = (1..=by.len()).map(|number| number.to_string()).collect();
            format!("GROUP BY {numbers} ORDER BY {numbers}", numbers = numbers.join(", "))
        }
    };
    format!(
        "SELECT {columns}
            count(CASE WHEN type = 'impression' THEN 1 END),
            count(CASE WHEN type = 'click' THEN 1 END),
            count(CASE WHEN type = 'cart_add' THEN 1 END),
            count(DISTINCT CASE WHEN type = 'purchase' AND NOT assisted THEN ordered END),
            coalesce(sum(CASE WHEN type = 'purchase' AND NOT assisted THEN quantity - back END), 0.0),
            coalesce(sum(CASE WHEN type = 'purchase' AND NOT assisted THEN price * (quantity - back) END), 0.0),
            coalesce(sum(CASE WHEN type = 'purchase' AND NOT assisted THEN price * back END), 0.0),
            count(DISTINCT CASE WHEN type = 'purchase' AND assisted THEN ordered END),
            coalesce(sum(CASE WHEN type = 'purchase' AND assisted THEN price * (quantity - back) END), 0.0)
        FROM touched {group}"
    )
}

/// Reads a row of [`sums`].
macro_rules! read_sums {
    ($row:expr, $dimensions:expr) => {{
        let (row, n) = ($row, $dimensions);
        let key = (0..n).map(|at| row.try_get(at)).collect::<Result<_, sqlx::Error>>()?;
        AttributionRow {
            key,
            impressions: row.try_get(n)?,
            clicks: row.try_get(n + 1)?,
            carts: row.try_get(n + 2)?,
            orders: row.try_get(n + 3)?,
            units: row.try_get(n + 4)?,
            revenue: row.try_get(n + 5)?,
            returned: row.try_get(n + 6)?,
            assisted_orders: row.try_get(n + 7)?,
            assisted_revenue: row.try_get(n + 8)?,
        }
    }};
}
pub(super) use read_sums;
