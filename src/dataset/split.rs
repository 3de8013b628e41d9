//! Splits of a dataset into training purchases and evaluation cases, always along time.

use super::{Dataset, Histories};
use crate::domain::Timestamp;

/// How purchases are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Protocol {
    /// The last `test_days` days are the test window, the `validation_days` before them the validation
    /// window; a case is a customer with purchases in the window. Bought articles may be recommended again.
    Temporal { test_days: u32, validation_days: u32 },
    /// Each customer's last purchase is the test case and the one before it the validation case (customers
    /// with fewer than 3 purchases only train). Articles the customer already has are not recommended.
    LeaveOneOut,
}

/// One evaluation query: what is known about a customer, and what was bought next.
#[derive(Debug, Clone)]
pub struct Case {
    pub customer: u32,
    /// The moment of the query.
    pub at: Timestamp,
    /// How many rows of the customer's [`Histories`] are known at that moment.
    pub known: u32,
    /// The articles bought then: unique, in order.
    pub relevant: Vec<u32>,
}

#[derive(Debug)]
pub struct Split {
    pub protocol: Protocol,
    /// Purchase rows to train on, ascending.
    pub train: Vec<u32>,
    pub validation: Vec<Case>,
    pub test: Vec<Case>,
}

#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    #[error("the data has no purchase left to train on once the {0} are held out; give more data or a shorter window")]
    NothingToTrain(String),
    #[error("the test split is empty: {0}")]
    NothingToTest(String),
    #[error("this data knows no dates, only an order: use `protocol = \"leave-one-out\"`")]
    NeedsDates,
}

impl Split {
    /// # Errors
    /// When a part would be empty, or a temporal split is asked of data without dates.
    pub fn new(_dataset: &Dataset, _histories: &Histories, _protocol: Protocol) -> Result<Self, SplitError> {
        unimplemented!()
    }
}
