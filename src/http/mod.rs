//! The REST surface: router, extractors, errors, one file a resource. Knows no training.
