//! Lists as files, so that other rankers can learn from the same.

use super::lists::Lists;
use crate::{
    recommend::RankerSpec,
    training::{Trainer, TrainingError},
};
use serde_json::json;
use std::path::Path;

impl Trainer<'_> {
    /// Writes `lists/<set>.rows` (little-endian f32, a row of features a candidate), `<set>.bought`
    /// (a byte a candidate), `<set>.starts` (little-endian u64, where each list begins, and the
    /// end), `<set>.relevant` (u32, how much was bought by list, found or not) and
    /// `lists/features.json` (their names) into the run's folder.
    pub(super) fn write_lists(
        &self,
        spec: &RankerSpec,
        sets: &[(&str, &Lists)],
    ) -> Result<(), TrainingError> {
        let folder = self.directory.join("lists");
        let write = |path: &Path, bytes: &[u8]| {
            std::fs::write(path, bytes)
                .map_err(|source| TrainingError::Io { path: path.to_owned(), source })
        };
        std::fs::create_dir_all(&folder)
            .map_err(|source| TrainingError::Io { path: folder.clone(), source })?;
        for (name, lists) in sets {
            let rows: Vec<u8> = lists.rows.iter().flat_map(|x| x.to_le_bytes()).collect();
            let bought: Vec<u8> = lists.bought.iter().map(|&bought| u8::from(bought)).collect();
            let starts: Vec<u8> =
                lists.starts.iter().flat_map(|&start| (start as u64).to_le_bytes()).collect();
            write(&folder.join(format!("{name}.rows")), &rows)?;
            write(&folder.join(format!("{name}.bought")), &bought)?;
            write(&folder.join(format!("{name}.starts")), &starts)?;
            let relevant: Vec<u8> =
                lists.relevant.iter().flat_map(|count| count.to_le_bytes()).collect();
            write(&folder.join(format!("{name}.relevant")), &relevant)?;
        }
        let names = json!(spec.features.names()).to_string();
        write(&folder.join("features.json"), names.as_bytes())
    }
}
