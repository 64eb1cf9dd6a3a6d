//! Tables for people: a header, rows, two spaces between columns, nothing else.

use comfy_table::{Cell, CellAlignment, Table, presets};

/// A table as text: a line per row, no space at the end of a line.
pub(crate) fn table<const N: usize>(
    columns: [(&str, CellAlignment); N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    let aligned = |texts: [String; N]| {
        let cells = texts.into_iter().zip(columns);
        cells.map(|(text, (_, alignment))| Cell::new(text).set_alignment(alignment))
    };
    table.set_header(aligned(columns.map(|(name, _)| name.to_owned())));
    for row in rows {
        table.add_row(aligned(row));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}
