//! The pure pipeline: snapshot + customer + request → ranked items with provenance. No clock, no I/O.
