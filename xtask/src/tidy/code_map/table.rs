//! Reads the table of the code map from markdown.
//! Not here: whether what it says is true (`code_map`).

use crate::tidy::manifest::{Manifests, Member};

pub(crate) const HEADING: &str = "## Code map";
pub(crate) const COLUMNS: [&str; 4] = ["crate", "owns", "may use of ours", "vendor allowed only here"];

pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) member: String,
    pub(crate) ours: Cell,
    pub(crate) vendors: Cell,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Cell {
    All,
    /// `-` has none.
    Names(Vec<String>),
}

impl Table {
    pub(crate) fn allows(&self, member: &Member, vendor: &str, manifests: &Manifests) -> bool {
        let is_of = |row: &&Row| {
            manifests.position(&row.member).is_some_and(|at| manifests.members[at].folder == member.folder)
        };
        self.rows.iter().filter(is_of).any(|row| match &row.vendors {
            Cell::All => false,
            Cell::Names(names) => names.iter().any(|name| name == vendor),
        })
    }
}

/// The first table under the heading, or the line at which it cannot be read and why.
pub(crate) fn read(text: &str) -> Result<Table, (usize, String)> {
    let mut lines = (1..).zip(text.lines().map(str::trim));
    let Some((heading, _)) = lines.find(|(_, line)| *line == HEADING) else {
        return Err((1, format!("there is no heading `{HEADING}`")));
    };
    let section = lines.take_while(|(_, line)| !line.starts_with("## "));
    let mut table =
        section.skip_while(|(_, line)| !line.starts_with('|')).take_while(|(_, line)| line.starts_with('|'));
    let Some((line, head)) = table.next() else {
        return Err((heading, format!("there is no table under `{HEADING}`")));
    };
    if cells(head) != COLUMNS {
        return Err((line, "the code map has other columns".to_owned()));
    }
    // The line under the head is dashes.
    let rows = table.skip(1).map(|(line, text)| row(line, text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table { rows })
}

fn row(line: usize, text: &str) -> Result<Row, (usize, String)> {
    let fault = |what: String| (line, what);
    let cells = cells(text);
    let &[member, _, ours, vendors] = cells.as_slice() else {
        return Err(fault(format!("a row with {} cells", cells.len())));
    };
    let Some(Cell::Names(mut names)) =
        names(member).filter(|cell| matches!(cell, Cell::Names(n) if n.len() == 1))
    else {
        return Err(fault(format!("the first cell is `{member}` and not one name in backticks")));
    };
    let read = |cell: &str| names_or(cell).map_err(fault);
    Ok(Row { line, member: names.remove(0), ours: read(ours)?, vendors: read(vendors)? })
}

fn names_or(cell: &str) -> Result<Cell, String> {
    names(cell).ok_or_else(|| format!("a cell with neither names in backticks nor `-` nor `all`: {cell}"))
}

/// The words in backticks; what stands between them is for people.
fn names(cell: &str) -> Option<Cell> {
    let names: Vec<_> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    match cell {
        "all" => Some(Cell::All),
        "-" => Some(Cell::Names(names)),
        _ if names.is_empty() || cell.matches('`').count() % 2 == 1 => None,
        _ => Some(Cell::Names(names)),
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &str) -> String {
        format!(
            "# A\n## Code map\nProse.\n| {} |\n|---|---|---|---|\n{rows}\n## Next\n| x |\n",
            COLUMNS.join(" | ")
        )
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let table =
            read(&map("| `b` | words | `a`, `c` | - |\n| `d` | the binary | all | `clap` |")).unwrap();
        let [b, d] = table.rows.as_slice() else { panic!("{} rows", table.rows.len()) };
        assert_eq!((b.line, b.member.as_str()), (6, "b"));
        assert_eq!(b.ours, Cell::Names(vec!["a".to_owned(), "c".to_owned()]));
        assert_eq!(b.vendors, Cell::Names(Vec::new()));
        assert_eq!((d.line, &d.ours), (7, &Cell::All));
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_with_its_line() {
        let fault = |text: &str| read(text).err().unwrap();
        assert_eq!(fault("# A\n").0, 1);
        assert_eq!(fault("# A\n## Code map\n"), (2, "there is no table under `## Code map`".to_owned()));
        assert_eq!(fault("## Code map\n| crate | owns |\n").0, 2);
        assert_eq!(fault(&map("| `b` | x | a | - |")).0, 6);
        assert_eq!(fault(&map("| b | x | - | - |")).0, 6);
        assert_eq!(fault(&map("| `b` | x | - |")), (6, "a row with 3 cells".to_owned()));
    }
}
