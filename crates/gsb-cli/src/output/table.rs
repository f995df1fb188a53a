//! Tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// Rows in columns, without lines between them: texts in the first columns, then numbers, which stand at the
/// right.
pub fn table<R>(rows: impl IntoIterator<Item = R>, texts: usize) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.add_rows(rows.into_iter().map(Vec::from_iter));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding(if index == 0 { (0, 0) } else { (2, 0) });
        if index >= texts {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_at_the_right() {
        let rows = [["class", "images"], ["蘭", "7"], ["", ""], ["rose", "1024"]];
        let text = table(rows.map(|row| row.map(String::from)), 1);
        assert_eq!(text, "class  images\n蘭          7\n\nrose     1024\n");
    }
}
