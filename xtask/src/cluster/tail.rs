//! The end of a log file that grows, line by line.
//! Not here: how lines are shown (`watch`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// In one look at one file: a flood is shown late, and the other files are looked at in between.
const READ_BYTES_MAX: u64 = 64 * 1024;
/// A longer line is shown in pieces.
const LINE_BYTES_MAX: usize = 8 * 1024;

pub(super) struct Tail {
    file: File,
    /// The beginning of a line whose end is not written yet; shorter than `LINE_BYTES_MAX`.
    begun: Vec<u8>,
}

impl Tail {
    /// What is written to the file from now on.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, begun: Vec::new() })
    }

    /// The lines that were finished since the last look.
    pub(super) fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut bytes = std::mem::take(&mut self.begun);
        (&self.file).take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        let mut lines = Vec::new();
        let mut rest = bytes.as_slice();
        loop {
            let end = rest.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n');
            let (line, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None if rest.len() >= LINE_BYTES_MAX => rest.split_at(LINE_BYTES_MAX),
                None => break,
            };
            lines.push(String::from_utf8_lossy(line).into_owned());
            rest = after;
        }
        self.begun = rest.to_vec();
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn only_whole_lines_come_and_each_once() {
        let path = std::env::temp_dir().join(format!("xtask-tail-{}", std::process::id()));
        fs::write(&path, "before\n").unwrap();
        let mut tail = Tail::open(&path).unwrap();
        let mut log = File::options().append(true).open(&path).unwrap();
        let none: [&str; 0] = [];
        assert_eq!(tail.lines().unwrap(), none);
        write!(log, "one\ntw").unwrap();
        assert_eq!(tail.lines().unwrap(), ["one"]);
        write!(log, "o\n\nthree").unwrap();
        assert_eq!(tail.lines().unwrap(), ["two", ""]);
        assert_eq!(tail.lines().unwrap(), none);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_line_without_an_end_is_shown_in_pieces() {
        let path = std::env::temp_dir().join(format!("xtask-tail-long-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let mut tail = Tail::open(&path).unwrap();
        fs::write(&path, "x".repeat(LINE_BYTES_MAX + 5)).unwrap();
        assert_eq!(tail.lines().unwrap(), ["x".repeat(LINE_BYTES_MAX)]);
        assert_eq!(tail.begun.len(), 5);
        fs::remove_file(&path).unwrap();
    }
}
