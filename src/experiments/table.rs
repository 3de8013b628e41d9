//! Tables for terminals and documents.

use std::fmt::Write;

/// Rows of text under a head; the first column reads from the left, the others are numbers.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { rows: vec![head.into_iter().map(Into::into).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Aligned with blanks; one line a row.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(width - cell.chars().count());
                let _ = if at == 0 {
                    write!(line, "{cell}{gap}")
                } else {
                    write!(line, "  {gap}{cell}")
                };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// As Markdown has it.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if at == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len().saturating_sub(1)));
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |at: usize| {
            self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max()
        };
        (0..columns).map(|at| width(at).unwrap_or(0)).collect()
    }
}

/// A number with four decimals, or a dash.
pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let mut table = Table::new(["run", "ndcg@10"]);
        table.row(["a|bü".to_owned(), number(Some(0.25))]);
        table.row(["c".to_owned(), number(None)]);
        assert_eq!(table.text(), "run   ndcg@10\na|bü   0.2500\nc           -\n");
        assert_eq!(
            table.markdown(),
            "| run | ndcg@10 |\n|---|---:|\n| a\\|bü | 0.2500 |\n| c | - |\n"
        );
    }
}
