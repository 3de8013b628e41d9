//! Snapshots, hot swap, customer cache. Knows no axum.
