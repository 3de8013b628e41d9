//! Sheets of an Excel workbook as blocks of cells.
//!
//! A sheet has at most about a million rows, so sheets are held in memory, but never more than
//! [`LARGEST`] bytes of text. Times come out as `2020-09-22 10:00:00`, whole numbers without a
//! point.

use super::block::{Block, BlockSource, Expected, Rows};
use super::cells::{CellColumn, Cells};
use super::error::{DatasetError, FileName};
use super::files::FileOptions;
use super::layout::{Layout, Names};
use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use std::{
    collections::VecDeque,
    fs::File,
    io::{BufReader, Write},
    sync::Arc,
};

/// Bytes of text that a sheet may have.
const LARGEST: usize = 1 << 30;
/// Columns that Excel knows.
const MOST_COLUMNS: usize = 16_384;
/// Rows of a block.
const BLOCK: usize = 16_384;
/// Up to where Excel's numbers are exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Sheets of a workbook, one behind the other.
pub(super) struct Workbook {
    /// That of the first sheet.
    layout: Arc<Layout>,
    blocks: VecDeque<Block>,
    rows: u64,
}

impl Workbook {
    pub fn open(
        file: File,
        name: FileName,
        options: &FileOptions,
        partition: &[(String, String)],
    ) -> Result<Self, DatasetError> {
        let mut book = open(file, &name)?;
        let sheets = sheets(&book.sheet_names(), &options.sheets, &name)?;
        let several = sheets.len() > 1;
        let (mut whole, mut size): (Option<Self>, usize) = (None, 0);
        for sheet in sheets {
            let file = if several { in_book(&name, &sheet) } else { name.clone() };
            let mut cells =
                book.worksheet_cells_reader(&sheet).map_err(|error| damaged(error, &name))?;
            let mut table = Table::new(options);
            while let Some(cell) = cells.next_cell().map_err(|error| damaged(error, &name))? {
                let (row, column) = cell.get_position();
                table.add(row as usize, column as usize, cell.get_value());
                if size + table.size > LARGEST {
                    let what = "the sheets hold more than 1 GiB of text; save them as CSV";
                    return Err(DatasetError::TooLarge { file, what });
                }
            }
            size += table.size;
            let next = table.finish(file, partition)?;
            match &mut whole {
                None => whole = Some(next),
                Some(whole) => whole.append(next)?,
            }
        }
        whole.ok_or_else(|| DatasetError::NoRows {
            file: name,
            detail: ": the workbook has no sheet".to_owned(),
        })
    }

    /// Adds the rows of a sheet with the same columns, in any order.
    fn append(&mut self, next: Self) -> Result<(), DatasetError> {
        let Self { layout, blocks, rows } = next;
        let width = self.layout.width();
        let place = |name: &String| layout.columns.iter().position(|other| other == name);
        let places: Option<Vec<usize>> = if layout.columns == self.layout.columns {
            Some((0..width).collect())
        } else {
            self.layout.columns[..width].iter().map(place).collect()
        };
        let Some(places) = places.filter(|places| {
            // Each column once; a name that stands twice tells no place.
            layout.width() == width && (0..width).all(|column| places.contains(&column))
        }) else {
            let detail = format!(
                "the columns are not those of {}, the first sheet; choose the sheets of one table with \
                 `sheet = [\"…\"]`",
                self.layout.file.last_part()
            );
            return Err(DatasetError::Unsupported { file: layout.file.clone(), detail });
        };
        let moved = |(column, exact): &(usize, f64)| {
            Some((places.iter().position(|place| place == column)?, *exact))
        };
        let mut same = Layout::new(layout.file.clone(), self.layout.columns.clone(), layout.names);
        same.constants.clone_from(&layout.constants);
        same.numbering = layout.numbering;
        same.inexact = layout.inexact.iter().filter_map(moved).collect();
        let same = Arc::new(same);
        for Block { rows, first, .. } in blocks {
            let rows = match rows {
                Rows::Cells(mut cells) => {
                    cells.columns =
                        places.iter().map(|&place| cells.columns[place].take()).collect();
                    Rows::Cells(cells)
                }
                other => other,
            };
            self.blocks.push_back(Block { rows, first, layout: same.clone() });
        }
        self.rows += rows;
        Ok(())
    }
}

fn open(file: File, name: &FileName) -> Result<Xlsx<BufReader<File>>, DatasetError> {
    Xlsx::new(BufReader::new(file)).map_err(|error| damaged(error, name))
}

fn damaged(error: calamine::XlsxError, name: &FileName) -> DatasetError {
    DatasetError::Damaged {
        file: name.clone(),
        detail: format!("{error}; save the workbook again, or as CSV"),
    }
}

/// What messages call a sheet of a workbook.
fn in_book(name: &FileName, sheet: &str) -> FileName {
    std::path::Path::new(&name.to_string()).join(sheet).as_path().into()
}

/// The sheets to read.
fn sheets(
    sheets: &[String],
    wanted: &[String],
    file: &FileName,
) -> Result<Vec<String>, DatasetError> {
    let missing = |what: &str| {
        let detail = format!("the workbook does not have {what}; it has {}", sheets.join(", "));
        DatasetError::Unsupported { file: file.clone(), detail }
    };
    if wanted.is_empty() {
        return sheets.first().map(|first| vec![first.clone()]).ok_or_else(|| missing("any sheet"));
    }
    match wanted.iter().find(|sheet| !sheets.contains(sheet)) {
        Some(sheet) => Err(missing(&format!("a sheet `{sheet}`"))),
        None => Ok(wanted.to_vec()),
    }
}

/// The first rows of a sheet that hold anything.
#[cfg(feature = "trainer")]
#[derive(Debug)]
pub(crate) struct SheetHead {
    pub name: String,
    /// The number of the row, counted from 0, and its cells.
    pub rows: Vec<(usize, Vec<String>)>,
}

/// The first rows of all sheets of a workbook.
#[cfg(feature = "trainer")]
pub(super) fn heads(file: File, name: FileName) -> Result<Vec<SheetHead>, DatasetError> {
    const ROWS: usize = 50;
    let mut book = open(file, &name)?;
    let mut heads = Vec::new();
    for sheet in book.sheet_names() {
        let mut cells =
            book.worksheet_cells_reader(&sheet).map_err(|error| damaged(error, &name))?;
        let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
        while let Some(cell) = cells.next_cell().map_err(|error| damaged(error, &name))? {
            let ((row, column), mut text) = (cell.get_position(), Vec::new());
            let (row, column) = (row as usize, column as usize);
            write(&mut text, cell.get_value());
            if text.is_empty() || column >= MOST_COLUMNS {
                continue;
            }
            if rows.last().is_none_or(|(last, _)| *last != row) {
                if rows.len() == ROWS {
                    break;
                }
                rows.push((row, Vec::new()));
            }
            let Some((_, cells)) = rows.last_mut() else { continue };
            cells.resize(cells.len().max(column + 1), String::new());
            cells[column] = String::from_utf8_lossy(&text).into_owned();
        }
        heads.push(SheetHead { name: sheet, rows });
    }
    Ok(heads)
}

/// A sheet under construction: cells come row by row, empty ones not at all.
struct Table<'a> {
    options: &'a FileOptions,
    /// `None` until the row with the names, or the first row of data, is complete.
    columns: Option<Vec<String>>,
    /// The row under way, counted from 0, and its cells.
    row: usize,
    cells: Vec<Vec<u8>>,
    blocks: VecDeque<(u64, Cells)>,
    inexact: Vec<(usize, f64)>,
    size: usize,
    rows: u64,
}

impl<'a> Table<'a> {
    fn new(options: &'a FileOptions) -> Self {
        Self {
            options,
            columns: None,
            row: 0,
            cells: Vec::new(),
            blocks: VecDeque::new(),
            inexact: Vec::new(),
            size: 0,
            rows: 0,
        }
    }

    fn add(&mut self, row: usize, column: usize, value: &DataRef) {
        if row < self.options.skip_lines || column >= MOST_COLUMNS {
            return;
        }
        if row != self.row {
            self.end_row();
            self.row = row;
        }
        let mut text = Vec::new();
        write(&mut text, value);
        if text.is_empty() {
            return;
        }
        if let DataRef::Float(number) = value
            && number.abs() > EXACT
            && self.inexact.iter().all(|(known, _)| *known != column)
        {
            self.inexact.push((column, EXACT));
        }
        if self.cells.len() <= column {
            self.cells.resize_with(column + 1, Vec::new);
        }
        self.size += text.len() + size_of::<usize>();
        self.cells[column] = text;
    }

    /// Takes the row under way for the names of the columns or as data.
    fn end_row(&mut self) {
        if self.cells.is_empty() {
            return;
        }
        let cells = std::mem::take(&mut self.cells);
        if self.columns.is_none() {
            let named = &self.options.columns;
            let names = match (self.options.header, named.is_empty()) {
                (true, _) => {
                    cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
                }
                (false, true) => (1..=cells.len()).map(|number| number.to_string()).collect(),
                (false, false) => named.clone(),
            };
            self.columns = Some(names);
            if self.options.header {
                return;
            }
        }
        let width = self.columns.as_ref().map_or(0, Vec::len);
        let number = self.row as u64 + 1;
        // Rows that are left out break the numbering, so they end a block.
        let goes_on = self.blocks.back().is_some_and(|(first, cells)| {
            *first + cells.rows as u64 == number && cells.rows < BLOCK
        });
        if !goes_on {
            let columns = (0..width).map(|_| Some(CellColumn::default())).collect();
            self.blocks.push_back((number, Cells { rows: 0, columns }));
        }
        let Some((_, block)) = self.blocks.back_mut() else { return };
        block.rows += 1;
        self.rows += 1;
        // What stands beside the table, under no name, is not part of it.
        for (i, column) in block.columns.iter_mut().enumerate() {
            let Some(column) = column else { continue };
            column.text.extend_from_slice(cells.get(i).map_or(b"", Vec::as_slice));
            column.end();
        }
    }

    fn finish(
        mut self,
        name: FileName,
        partition: &[(String, String)],
    ) -> Result<Workbook, DatasetError> {
        self.end_row();
        let Some(columns) = self.columns else {
            return Err(DatasetError::NoRows {
                file: name,
                detail: ": the sheet is empty".to_owned(),
            });
        };
        let names = if self.options.header { Names::Sheet } else { Names::Description };
        let mut layout = Layout::new(name, columns, names).with_partition(partition);
        layout.numbering = super::Numbering::Row;
        layout.inexact = self.inexact;
        let layout = Arc::new(layout);
        let block =
            |(first, cells)| Block { rows: Rows::Cells(cells), first, layout: layout.clone() };
        let blocks = self.blocks.into_iter().map(block).collect();
        Ok(Workbook { layout: layout.clone(), blocks, rows: self.rows })
    }
}

impl BlockSource for Workbook {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        Expected::Rows(self.rows)
    }

    fn next_block(&mut self) -> Result<Option<Block>, DatasetError> {
        Ok(self.blocks.pop_front())
    }
}

fn write(out: &mut Vec<u8>, value: &DataRef) {
    // Writing to memory cannot fail.
    let _ = match value {
        DataRef::Empty | DataRef::Error(_) => Ok(()),
        DataRef::Int(number) => write!(out, "{number}"),
        // Rust writes whole numbers without a point.
        DataRef::Float(number) => write!(out, "{number}"),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            out.write_all(text.as_bytes())
        }
        DataRef::SharedString(text) => out.write_all(text.as_bytes()),
        DataRef::Bool(value) => write!(out, "{value}"),
        DataRef::DateTime(moment) => write_moment(out, moment),
    };
}

fn write_moment(out: &mut Vec<u8>, moment: &ExcelDateTime) -> std::io::Result<()> {
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    if moment.as_f64() < 1.0 || moment.is_duration() {
        return write!(out, "{hour:02}:{minute:02}:{second:02}");
    }
    write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}
