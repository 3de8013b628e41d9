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
    /// What became of the rows of each table.
    pub tables: Vec<TableReport>,
    pub articles: usize,
    pub customers: usize,
    pub purchases: usize,
    /// Entities without a row of their own, made because a purchase names them.
    pub added_articles: usize,
    pub added_customers: usize,
    /// Rejected rows by file, column and kind of fault, in the order of their first appearance.
    pub rejects: Vec<RejectGroup>,
    /// Cells that could not be read and count as missing, by file, column and kind of fault.
    pub unreadable: Vec<RejectGroup>,
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

/// What became of the rows of a table: `rows` is the sum of all the others.
#[derive(Debug, Clone, Default)]
pub struct TableReport {
    pub name: String,
    /// Rows read; a row that was split counts once for each of its items.
    pub rows: u64,
    /// Rows that are purchases, or have made an entity.
    pub used: u64,
    /// Rows that are right but do not count, by reason.
    pub not_counted: Vec<(&'static str, u64)>,
    pub rejected: u64,
}

impl TableReport {
    /// Adds rows that do not count.
    pub(super) fn not_counted(&mut self, reason: &'static str, rows: u64) {
        match self.not_counted.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += rows,
            None if rows > 0 => self.not_counted.push((reason, rows)),
            None => {}
        }
    }
}

impl fmt::Display for TableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {} = {} used", self.rows, self.name, self.used)?;
        for (reason, rows) in &self.not_counted {
            write!(f, " + {rows} {reason}")?;
        }
        write!(f, " + {} rejected", self.rejected)
    }
}

#[derive(Debug, Clone)]
pub struct RejectGroup {
    pub count: u64,
    /// The first reject of the group.
    pub first: Reject,
}

impl fmt::Display for RejectGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => self.first.fmt(f),
            count => write!(f, "{} (and {} more of this kind)", self.first, count - 1),
        }
    }
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
        for (count, what) in
            [(self.added_articles, "articles"), (self.added_customers, "customers")]
        {
            if count > 0 {
                write!(f, "\n{count} {what} are known from purchases alone")?;
            }
        }
        for table in self.tables.iter().filter(|table| table.used != table.rows) {
            write!(f, "\n{table}")?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        if !self.unreadable.is_empty() {
            let cells: u64 = self.unreadable.iter().map(|group| group.count).sum();
            write!(f, "\n{cells} cells cannot be read and count as missing:")?;
            self.unreadable.iter().try_for_each(|group| write!(f, "\n  {group}"))?;
        }
        if self.rejects.is_empty() {
            return Ok(());
        }
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        write!(f, "\n{} of {rows} rows cannot be used:", self.rejected())?;
        self.rejects.iter().try_for_each(|group| write!(f, "\n  {group}"))?;
        match &self.reject_file {
            Some(path) => write!(f, "\nthe rejected rows are in {}", path.display()),
            None => Ok(()),
        }
    }
}

/// Collects rejects: counts them, writes them to the reject file (created at the first one), or
/// stops.
pub(super) struct RejectLog {
    strict: bool,
    path: Option<PathBuf>,
    writer: Option<csv::Writer<BufWriter<File>>>,
    rejects: Groups,
    unreadable: Groups,
}

/// Rejects by file, column and kind of fault, in the order of their first appearance.
#[derive(Default)]
struct Groups(Vec<(Discriminant<Reason>, RejectGroup)>);

impl Groups {
    fn add(&mut self, reject: Reject, count: u64) {
        let kind = discriminant(&reject.reason);
        let same = |(k, group): &&mut (Discriminant<Reason>, RejectGroup)| {
            *k == kind && group.first.file == reject.file && group.first.column == reject.column
        };
        match self.0.iter_mut().find(same) {
            Some((_, group)) => group.count += count,
            None => self.0.push((kind, RejectGroup { count, first: reject })),
        }
    }

    fn into_groups(self) -> Vec<RejectGroup> {
        self.0.into_iter().map(|(_, group)| group).collect()
    }
}

impl RejectLog {
    pub fn new(strict: bool, path: Option<&Path>) -> Self {
        let (rejects, unreadable) = (Groups::default(), Groups::default());
        Self { strict, path: path.map(Path::to_owned), writer: None, rejects, unreadable }
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
        self.rejects.add(reject, 1);
        Ok(())
    }

    /// Adds cells of used rows that could not be read, of which `first` is the first.
    ///
    /// # Errors
    /// The first when strict.
    pub fn add_cells(&mut self, first: Reject, count: u64) -> Result<(), DatasetError> {
        if self.strict {
            return Err(DatasetError::Row(Box::new(first)));
        }
        self.unreadable.add(first, count);
        Ok(())
    }

    /// The first reject of a file, to explain why nothing of it was usable.
    pub fn first_of(&self, file: &FileName) -> Option<&Reject> {
        self.rejects.0.iter().map(|(_, group)| &group.first).find(|reject| reject.file == *file)
    }

    /// The most frequent kinds of reject and where all rejects are, a line each, for an error.
    pub fn examples(&self) -> String {
        let mut groups: Vec<&RejectGroup> = self.rejects.0.iter().map(|(_, group)| group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        let mut lines: Vec<String> =
            groups.iter().take(5).map(|group| format!("\n  {group}")).collect();
        let is_unknown = |reason: &Reason| match reason {
            Reason::UnknownArticle { .. } => Some("articles"),
            Reason::UnknownCustomer { .. } => Some("customers"),
            _ => None,
        };
        if let Some(section) = groups.first().and_then(|group| is_unknown(&group.first.reason)) {
            lines.push(format!(
                "\nto keep purchases of {section} without a row, write unknown = \"add\" in [{section}]"
            ));
        }
        lines.extend(
            self.path.iter().map(|path| format!("\nthe rejected rows are in {}", path.display())),
        );
        lines.concat()
    }

    /// Writes what is buffered and hands the groups and the reject file to the report.
    pub fn finish(self, report: &mut ImportReport) -> Result<(), DatasetError> {
        report.rejects = self.rejects.into_groups();
        report.unreadable = self.unreadable.into_groups();
        if let (Some(mut writer), Some(path)) = (self.writer, self.path) {
            writer
                .flush()
                .map_err(|source| DatasetError::RejectFile { path: path.clone(), source })?;
            report.reject_file = Some(path);
        }
        Ok(())
    }
}

fn write(
    writer: &mut Option<csv::Writer<BufWriter<File>>>,
    path: &Path,
    reject: &Reject,
) -> io::Result<()> {
    let out = match writer {
        Some(out) => out,
        None => {
            let out = writer.insert(csv::Writer::from_writer(BufWriter::new(File::create(path)?)));
            out.write_record(["file", "line", "column", "reason", "row"])?;
            out
        }
    };
    let (file, number, reason) =
        (reject.file.to_string(), reject.number.to_string(), reject.reason.to_string());
    out.write_record([&file, &number, &reject.column, &reason, &reject.text])?;
    Ok(())
}
