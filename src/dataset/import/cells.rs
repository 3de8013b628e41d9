//! The cells of rows, in the forms that sources find handy: one record after the other, or column
//! by column.

/// The cells of one record.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub text: Vec<u8>,
    /// Where each cell lies in `text`.
    spans: Vec<(usize, usize)>,
}

impl Fields {
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }

    /// Starts a record of `width` empty cells.
    pub fn reset(&mut self, width: usize) {
        self.text.clear();
        self.spans.clear();
        self.spans.resize(width, (0, 0));
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn get(&self, column: usize) -> &[u8] {
        let (start, end) = self.spans[column];
        &self.text[start..end]
    }

    /// Where the next cell begins; what is added to `text` until [`Self::end`] or [`Self::set`] is
    /// its content.
    pub fn begin(&self) -> usize {
        self.text.len()
    }

    /// Ends a cell that comes behind the others.
    pub fn end(&mut self, begin: usize) {
        self.spans.push((begin, self.text.len()));
    }

    /// Ends a cell of a column.
    pub fn set(&mut self, column: usize, begin: usize) {
        self.spans[column] = (begin, self.text.len());
    }
}

/// The cells of several rows, column by column.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub rows: usize,
    /// By column of the file; `None` for one that is not wanted, whose cells are empty.
    pub columns: Vec<Option<CellColumn>>,
}

impl Cells {
    pub fn get(&self, column: usize, row: usize) -> &[u8] {
        self.columns[column].as_ref().map_or(b"", |cells| cells.get(row))
    }

    /// Bytes of text.
    pub fn size(&self) -> usize {
        self.columns.iter().flatten().map(|column| column.text.len()).sum()
    }

    /// A row as CSV, for messages.
    pub fn csv(&self, row: usize) -> Vec<u8> {
        let mut out = csv::WriterBuilder::new().from_writer(Vec::new());
        let cells = (0..self.columns.len()).map(|column| self.get(column, row));
        // Writing to memory cannot fail.
        let _ = out.write_record(cells);
        out.into_inner().unwrap_or_default()
    }
}

/// The cells of one column.
#[derive(Debug, Default)]
pub(super) struct CellColumn {
    pub text: Vec<u8>,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
}

impl CellColumn {
    /// Room for so many cells of the length that ids and numbers usually have.
    pub fn with_capacity(rows: usize) -> Self {
        Self { text: Vec::with_capacity(rows * 8), ends: Vec::with_capacity(rows) }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Ends a cell: what was added to `text` since the last call is its content.
    pub fn end(&mut self) {
        self.ends.push(self.text.len());
    }

    fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[row]]
    }
}
