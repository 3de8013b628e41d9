//! What an import did: counts, and every row it could not use.

use super::{DatasetError, FileName, Reason, Reject};
use std::{
    fmt,
    fs::File,
    io::{self, BufWriter},
    mem::{Discriminant, discriminant},
    path::{Path, PathBuf},
};

/// The account of one import. Its `Display` is what the commands print.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// The kind of data: a preset's name, or the path of the `dataset.toml`.
    pub kind: String,
    pub files: Vec<FileReport>,
    pub articles: usize,
    pub customers: usize,
    pub purchases: usize,
    /// Entities without a row of their own, made because a purchase names them.
    pub added_articles: usize,
    pub added_customers: usize,
    /// Rejected rows by file, column and kind of fault, in the order of their first appearance.
    pub rejects: Vec<RejectGroup>,
    /// Where the rejected rows were written, if there were any and a place was given.
    pub reject_file: Option<PathBuf>,
    /// Things left out that are not rows, such as columns of an unsupported type.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct FileReport {
    pub file: FileName,
    /// Data rows, rejected ones included.
    pub rows: u64,
}

#[derive(Debug, Clone)]
pub struct RejectGroup {
    pub count: u64,
    /// The first reject of the group.
    pub first: Reject,
}

impl ImportReport {
    pub fn rejected(&self) -> u64 {
        self.rejects.iter().map(|group| group.count).sum()
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} data: {} articles, {} customers, {} purchases",
            self.kind, self.articles, self.customers, self.purchases
        )?;
        for (count, what) in [(self.added_articles, "articles"), (self.added_customers, "customers")] {
            if count > 0 {
                write!(f, "\n{count} {what} are known from purchases alone")?;
            }
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        if self.rejects.is_empty() {
            return Ok(());
        }
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        write!(f, "\n{} of {rows} rows cannot be used:", self.rejected())?;
        for RejectGroup { count, first } in &self.rejects {
            match count {
                1 => write!(f, "\n  {first}")?,
                _ => write!(f, "\n  {first} (and {} more of this kind)", count - 1)?,
            }
        }
        match &self.reject_file {
            Some(path) => write!(f, "\nthe rejected rows are in {}", path.display()),
            None => Ok(()),
        }
    }
}

/// Collects rejects: counts them, writes them to the reject file (created at the first one), or stops.
pub(super) struct RejectLog {
    strict: bool,
    path: Option<PathBuf>,
    writer: Option<csv::Writer<BufWriter<File>>>,
    groups: Vec<(Discriminant<Reason>, RejectGroup)>,
}

impl RejectLog {
    pub fn new(strict: bool, path: Option<&Path>) -> Self {
        Self { strict, path: path.map(Path::to_owned), writer: None, groups: Vec::new() }
    }

    /// # Errors
    /// The reject itself when strict; a reject file that cannot be written.
    pub fn add(&mut self, reject: Reject) -> Result<(), DatasetError> {
        if self.strict {
            return Err(DatasetError::Row(Box::new(reject)));
        }
        if let Some(path) = &self.path {
            write(&mut self.writer, path, &reject)
                .map_err(|source| DatasetError::RejectFile { path: path.clone(), source })?;
        }
        let kind = discriminant(&reject.reason);
        let same = |(k, group): &&mut (Discriminant<Reason>, RejectGroup)| {
            *k == kind && group.first.file == reject.file && group.first.column == reject.column
        };
        match self.groups.iter_mut().find(same) {
            Some((_, group)) => group.count += 1,
            None => self.groups.push((kind, RejectGroup { count: 1, first: reject })),
        }
        Ok(())
    }

    /// The first reject of a file, to explain why nothing of it was usable.
    pub fn first_of(&self, file: &FileName) -> Option<&Reject> {
        self.groups.iter().map(|(_, group)| &group.first).find(|reject| reject.file == *file)
    }

    /// Writes what is buffered and hands the groups and the reject file to the report.
    pub fn finish(self, report: &mut ImportReport) -> Result<(), DatasetError> {
        report.rejects = self.groups.into_iter().map(|(_, group)| group).collect();
        if let (Some(mut writer), Some(path)) = (self.writer, self.path) {
            writer.flush().map_err(|source| DatasetError::RejectFile { path: path.clone(), source })?;
            report.reject_file = Some(path);
        }
        Ok(())
    }
}

fn write(writer: &mut Option<csv::Writer<BufWriter<File>>>, path: &Path, reject: &Reject) -> io::Result<()> {
    let out = match writer {
        Some(out) => out,
        None => {
            let out = writer.insert(csv::Writer::from_writer(BufWriter::new(File::create(path)?)));
            out.write_record(["file", "line", "column", "reason", "row"])?;
            out
        }
    };
    let (file, number, reason) = (reject.file.to_string(), reject.number.to_string(), reject.reason.to_string());
    out.write_record([&file, &number, &reject.column, &reason, &reject.text])?;
    Ok(())
}
