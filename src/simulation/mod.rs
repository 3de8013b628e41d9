//! A simulated shop that visits running servers over HTTP, to find out what the loop of events and
//! retraining is worth.
//!
//! Customers have needs, tastes and limits that nobody but the simulation knows. They visit, see a
//! list, click, buy, search for the rest, and send things back. Servers and trainer see what a shop
//! would show them: articles with attributes, and events. docs/simulation.md describes the model.

mod arm;
mod assortment;
mod client;
mod customers;
mod error;
mod files;
mod history;
mod household;
mod market;
mod night;
mod page;
mod random;
mod record;
mod run;
mod server;
mod shop;
mod table;
mod visit;

#[cfg(test)]
mod calibration;

pub use arm::Chooser;
pub use error::SimulationError;
pub use page::page;
pub use record::{ArmRecord, DayRecord, Night, mean_and_margin};
pub use run::Plan;
pub use table::table;
