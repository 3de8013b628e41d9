//! Bundles written, opened, damaged and refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../onnx/fixture.rs"]
#[allow(dead_code, reason = "shared with the ONNX tests")]
mod fixture;
mod frequency;
#[path = "../onnx/reference.rs"]
mod reference;
mod sabotage;
mod shop;
mod verify;
mod writing;
