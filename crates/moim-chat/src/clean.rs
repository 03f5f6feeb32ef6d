//! What others wrote, made harmless for a terminal: nothing of it can move the cursor, colour, hide or turn text around.
//! Not here: how lines look (`lines`, `screen`).

use std::{borrow::Cow, fmt::Write};

/// One line: line breaks are shown as a sign too.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    replaced(text, is_harmful)
}

/// The lines of a text, each harmless. There is always one, and a last empty one is left out.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| inline(line.strip_suffix('\r').unwrap_or(line)))
}

/// JSON text with the same characters escaped as JSON escapes them; they occur only inside its strings.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_harmful(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            write!(out, "\\u{unit:04x}").ok();
        }
    }
    Cow::Owned(out)
}

fn replaced(text: &str, harmful: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            // Unicode has a picture of each.
            '\0'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => out.push('\u{2421}'),
            c if harmful(c) => {
                write!(out, "<U+{:04X}>", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Controls, and what is not seen itself but changes how the rest is seen. Joiners stay: emoji and scripts need them.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Turn text around.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Break lines where no line breaks.
            | '\u{2028}' | '\u{2029}'
            // Are nothing, or blank where a letter is meant.
            | '\u{00ad}' | '\u{034f}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{inline, is_harmful, json, lines};

    #[test]
    fn escape_sequences_are_seen_and_do_nothing() {
        assert_eq!(inline("\x1b[2J\x1b]0;owned\x07hi"), "␛[2J␛]0;owned␇hi");
        assert_eq!(inline("a\u{9b}31mb\u{7f}\r\n"), "a<U+009B>31mb␡␍␊");
        assert_eq!(inline("invoice\u{202e}fdp.exe\u{2066}"), "invoice<U+202E>fdp.exe<U+2066>");
        assert_eq!(inline("\u{feff}\u{200b}\u{3164}\u{e0041}"), "<U+FEFF><U+200B><U+3164><U+E0041>");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["안녕하세요 👋🏽", "👩‍👩‍👧‍👦 क्षि", "한글 (NFD) e\u{301}", "שלום", "a   b"]
        {
            assert_eq!(inline(text), text);
            assert_eq!(json(text), text);
        }
        assert_eq!(inline("a\tb"), "a    b");
    }

    #[test]
    fn lines_are_split_where_they_were_broken() {
        let of = |text| lines(text).map(String::from).collect::<Vec<_>>();
        assert_eq!(of("a\r\nb\n\nc\n"), ["a", "b", "", "c"]);
        assert_eq!(of(""), [""]);
        assert_eq!(of("a\rb"), ["a␍b"]);
    }

    #[test]
    fn json_stays_the_same_json() {
        let escaped = json("{\"content\":\"a\u{9b}b\u{202e}c\u{e0041}\"}").into_owned();
        assert_eq!(escaped, "{\"content\":\"a\\u009bb\\u202ec\\udb40\\udc41\"}");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            prop_assert!(!inline(&text).contains(is_harmful));
            prop_assert!(!json(&text).contains(is_harmful));
            prop_assert!(lines(&text).all(|line| !line.contains(is_harmful)));
        }
    }
}
