//! `items.bin`: what is written is read, and any other bytes are refused.

use super::{ItemVectors, RetrievalError, write_items};
use proptest::prelude::*;
use std::fs;

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.bin");
    for dim in [1, 7, 16, 17, 4096] {
        let rows: Vec<f32> = (0..3 * dim).map(|i| i as f32 - 2.5).collect();
        write_items(&path, dim, &rows).unwrap();
        let items = ItemVectors::open(&path).unwrap();
        assert_eq!((items.len(), items.dim()), (3, dim));
        assert_eq!(items.rows().flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(items.row(2), &rows[2 * dim..]);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file may stay");
}

#[test]
fn unusable_vectors_are_refused() {
    let refused = |dim, rows: &[f32]| {
        matches!(ItemVectors::from_rows(dim, rows), Err(RetrievalError::Vectors(_)))
    };
    assert!(
        refused(0, &[1.0])
            && refused(4097, &[1.0; 4097])
            && refused(2, &[])
            && refused(2, &[1.0; 3])
    );
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e18] {
        assert!(refused(2, &[1.0, 2.0, bad, 0.0]), "{bad}");
    }
    let path = std::path::Path::new("/nonexistent/items.bin");
    assert!(ItemVectors::open(path).unwrap_err().to_string().contains("/nonexistent/items.bin"));
    assert!(write_items(path, 1, &[1.0]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        flips in prop::collection::vec((0usize..64 + 5 * 64, any::<u8>()), 0..4),
        cut in prop::option::of(0usize..400),
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("items.bin");
        write_items(&path, 3, &(0..15).map(|x| x as f32).collect::<Vec<_>>()).unwrap();
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        for (at, value) in flips {
            bytes[at] = value;
        }
        bytes.truncate(cut.unwrap_or(bytes.len()));
        bytes.extend(tail);
        fs::write(&path, &bytes).unwrap();
        match ItemVectors::open(&path) {
            Ok(items) => {
                prop_assert!(bytes.len() == sound.len() && bytes[..64] == sound[..64]);
                prop_assert!(items.rows().flatten().all(|x| x.is_finite()));
            }
            Err(error) => prop_assert!(bytes != sound, "{error}"),
        }
    }
}
