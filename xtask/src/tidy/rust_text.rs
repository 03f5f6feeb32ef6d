//! A Rust file seen three ways (code, comments, strings) and which of its lines are tests. A scanner and not a parser:
//! it knows what begins and ends a comment or a string, and counts brackets; on code that compiles that is enough.
//! Not here: rules.

use std::ops::Range;

/// Each view is as long as the file, with everything else blanked, so that an offset means the same in all.
pub(crate) struct RustText {
    pub(crate) code: String,
    pub(crate) comments: String,
    pub(crate) strings: String,
    /// The items under `#[cfg(test)]`, attributes included, as offsets.
    tests: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    String,
}

impl RustText {
    pub(crate) fn new(text: &str) -> Self {
        let pieces = split(text);
        let code = view(text, &pieces, Kind::Code);
        let tests = test_items(&code);
        let (comments, strings) = (view(text, &pieces, Kind::Comment), view(text, &pieces, Kind::String));
        Self { code, comments, strings, tests }
    }

    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|test| test.contains(&offset))
    }

    /// Where a `#[cfg(test)] mod tests { … }` begins that nothing follows.
    pub(crate) fn trailing_tests(&self) -> Option<usize> {
        let last = self.tests.last()?;
        let ends_file = self.code[last.end..].trim().is_empty();
        let is_module = self.code[last.clone()].contains("mod ");
        (ends_file && is_module).then_some(last.start)
    }

    /// The names in `#[cfg(test)] mod name;`.
    pub(crate) fn test_modules(&self) -> Vec<&str> {
        let items = self.tests.iter().map(|test| &self.code[test.clone()]);
        items
            .filter_map(|item| {
                let (head, name) = item.strip_suffix(';')?.rsplit_once("mod ")?;
                head.trim_end().ends_with([']', ')', 'b']).then_some(name.trim())
            })
            .collect()
    }

    /// The offsets at which `word` stands in the code as a word of its own, tests left out.
    pub(crate) fn words<'s>(&'s self, word: &'s str) -> impl Iterator<Item = usize> + 's {
        words(&self.code, word).filter(|offset| !self.is_test(*offset))
    }
}

/// The offsets at which `word` stands in `text` with no letter, digit or `_` against its ends.
pub(crate) fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        let before = text[..*offset].chars().next_back().is_some_and(is_part);
        let after = text[offset + word.len()..].chars().next().is_some_and(is_part);
        !(before && word.starts_with(is_part) || after && word.ends_with(is_part))
    })
}

/// Where the item that begins at `start` ends: after its `;`, or after the bracket that closes its body.
pub(crate) fn item_end(code: &str, start: usize) -> usize {
    let body = code[start..].char_indices().scan(0_i32, |depth, (offset, c)| {
        match c {
            '(' | '[' => *depth += 1,
            ')' | ']' => *depth -= 1,
            _ => {}
        }
        Some((start + offset, c, *depth))
    });
    for (offset, c, depth) in body {
        match c {
            ';' if depth == 0 => return offset + 1,
            '{' if depth == 0 => return closing(code, offset),
            _ => {}
        }
    }
    code.len()
}

/// The offset after the `}` that closes the `{` at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let condition = &code[start + "#[cfg(".len()..];
        let is_test = condition.starts_with("test)") || condition.starts_with("all(test,");
        // One inside another is part of it.
        if is_test && items.last().is_none_or(|last| last.end <= start) {
            items.push(start..item_end(code, start));
        }
    }
    items
}

fn view(text: &str, pieces: &[(Range<usize>, Kind)], kind: Kind) -> String {
    let mut view = String::with_capacity(text.len());
    for (range, piece) in pieces {
        let piece_text = &text[range.clone()];
        if *piece == kind {
            view.push_str(piece_text);
        } else {
            // A blank for each byte, so that offsets hold; the ends of lines stay, so that lines do.
            view.extend(piece_text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
    }
    view
}

/// The file as pieces of one kind each, in order and without gaps.
fn split(text: &str) -> Vec<(Range<usize>, Kind)> {
    let mut pieces = Vec::new();
    let (mut at, mut code_from) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let (length, kind) = if let Some(length) = comment(rest) {
            (length, Kind::Comment)
        } else if let Some(length) = raw_string(text, at).or_else(|| string(rest)) {
            (length, Kind::String)
        } else if let Some(length) = character(rest) {
            (length, Kind::String)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        pieces.push((code_from..at, Kind::Code));
        pieces.push((at..at + length, kind));
        at += length;
        code_from = at;
    }
    pieces.push((code_from..text.len(), Kind::Code));
    pieces
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let pair = rest.as_bytes().get(at..at + 2);
        match pair {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    Some(rest.len())
}

fn string(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (offset, c) in inside.char_indices() {
        match c {
            '"' if !escaped => return Some(offset + 2),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Some(rest.len())
}

/// `r"…"`, `r#"…"#` and so on, also as the end of `br` and `cr`. The `r` must begin a word, but for those.
fn raw_string(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|byte| *byte == b'#').count();
    let before = text[..at].trim_end_matches(['b', 'c']).chars().next_back();
    if rest.as_bytes().get(1 + hashes) != Some(&b'"')
        || before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    Some(rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

/// `'c'` or `'\n'`, and not the lifetime `'a`.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        // The escaped character may itself be a quote.
        let skip = escape.chars().next()?.len_utf8();
        return Some(escape[skip..].find('\'')? + skip + 3);
    }
    let length = inside.chars().next()?.len_utf8();
    inside[length..].starts_with('\'').then_some(length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_share_out_the_file() {
        let text = "let a = \"x // y\"; // z\nlet b = '\"'; /* \" /* é */ */ f::<'b>(r#\"q\"\"#, b'\\'', br\"w\");\n";
        let views = RustText::new(text);
        let squeezed = |view: &str| view.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&views.code), "let a = ; let b = ; f::<'b>( , b , b );");
        assert_eq!(squeezed(&views.comments), "// z /* \" /* é */ */");
        assert_eq!(squeezed(&views.strings), "\"x // y\" '\"' r#\"q\"\"# '\\'' r\"w\"");
        assert!([&views.code, &views.comments, &views.strings].iter().all(|view| view.len() == text.len()));
    }

    #[test]
    fn items_under_cfg_test_are_tests() {
        let text = "fn a() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod b;\nfn c() {}\n#[cfg(test)]\nmod tests {\n fn d() {}\n}\n";
        let views = RustText::new(text);
        let is_test = |name: &str| views.is_test(text.find(name).unwrap());
        assert!(!is_test("fn a") && is_test("mod b") && !is_test("fn c") && is_test("fn d"));
        assert_eq!(views.trailing_tests(), text.rfind("#[cfg"));
        assert_eq!(views.test_modules(), ["b"]);
    }

    #[test]
    fn tests_in_the_middle_are_not_trailing() {
        assert_eq!(RustText::new("#[cfg(test)]\nmod tests {}\nfn a() {}\n").trailing_tests(), None);
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("eprintln!() println!()", "println!").collect::<Vec<_>>(), [12]);
        assert_eq!(words("task::spawn_blocking task::spawn(x)", "task::spawn").count(), 1);
    }

    #[test]
    fn a_semicolon_in_a_signature_ends_no_item() {
        let code = "fn a(x: [u8; 4]) -> [u8; 2] { b; } fn";
        assert_eq!(&code[..item_end(code, 0)], "fn a(x: [u8; 4]) -> [u8; 2] { b; }");
    }
}
