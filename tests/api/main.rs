//! The HTTP surface, through the routers; the files mirror the URLs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../onnx/fixture.rs"]
#[allow(dead_code, reason = "shared with the ONNX tests")]
mod fixture;
#[path = "../support/python.rs"]
mod python;
#[path = "../onnx/reference.rs"]
mod reference;
#[path = "../bundle/shop.rs"]
#[allow(dead_code, reason = "shared with the bundle tests")]
mod shop;
#[path = "../support/mod.rs"]
mod support;

mod admin_articles;
mod admin_keys;
mod admin_models;
mod articles;
mod batch;
mod clients;
mod command_line;
mod contract;
mod crafted;
mod customers;
mod errors;
mod events;
mod harness;
mod health;
mod metrics;
mod models_served;
mod openapi;
mod outage;
mod placements;
mod popular;
mod recommendations;
mod reload;
mod snippet;
mod socket;
mod traces;
