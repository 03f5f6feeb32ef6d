//! The line being written: keys in, text out, and the part of it that fits on a line of the terminal.
//! Not here: the terminal (`screen`). A terminal's input method composes Hangul by itself and hands over whole syllables.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::clean;

/// Lines that the arrow up brings back. Full: the oldest is forgotten.
const PAST_MAX: usize = 100;

/// What a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edited {
    /// Nothing.
    Nothing,
    /// The text or the place in it is another.
    Changed,
    /// The line is done.
    Line(String),
    /// Enough.
    Quit,
}

/// See the top of the file. What people take for a character, a grapheme cluster, is never cut.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// Where the cursor is, as a byte offset on the edge of a cluster.
    at: usize,
    past: Vec<String>,
    /// Which past line is shown, and what was being written before.
    browsing: Option<(usize, String)>,
}

impl Editor {
    pub(crate) fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Edited {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c') if control => return Edited::Quit,
            KeyCode::Char('d') if control && self.text.is_empty() => return Edited::Quit,
            KeyCode::Enter if alt => self.insert("\n"),
            KeyCode::Enter => return self.enter(),
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.text.len(),
            KeyCode::Char('u') if control => self.remove(0, self.at),
            KeyCode::Char('k') if control => self.remove(self.at, self.text.len()),
            KeyCode::Char('w') if control => self.remove(self.word_before(), self.at),
            KeyCode::Char('h') if control => self.remove(self.before(), self.at),
            KeyCode::Char('d') if control => self.remove(self.at, self.after()),
            KeyCode::Char(_) if control || alt => return Edited::Nothing,
            KeyCode::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Tab => self.insert("\t"),
            KeyCode::Backspace if alt => self.remove(self.word_before(), self.at),
            KeyCode::Backspace => self.remove(self.before(), self.at),
            KeyCode::Delete => self.remove(self.at, self.after()),
            KeyCode::Left => self.at = self.before(),
            KeyCode::Right => self.at = self.after(),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            KeyCode::Up => return self.browse(true),
            KeyCode::Down => return self.browse(false),
            _ => return Edited::Nothing,
        }
        Edited::Changed
    }

    /// Text at once, as a paste is; its line breaks stay part of one message.
    pub(crate) fn insert(&mut self, text: &str) {
        self.browsing = None;
        self.text.insert_str(self.at, text);
        self.at += text.len();
        // What was put in may have joined with what follows, as a vowel joins a consonant.
        if !self.is_edge(self.at) {
            self.at = self.after();
        }
    }

    /// What fits into so many columns, in two parts: before the cursor and after it.
    pub(crate) fn view(&self, columns: usize) -> (String, String) {
        let (before, after) = self.text.split_at(self.at);
        // What follows keeps a third of the line, if there is so much.
        let kept = after.width_cjk().min(columns / 3);
        let mut left = columns.saturating_sub(1 + kept);
        let mut shown: Vec<String> = Vec::new();
        // The cursor stays in sight: what is before it is shown from its end, and what is after it gets the rest.
        for cluster in before.graphemes(true).rev() {
            let cluster = clean::inline(cluster).into_owned();
            let Some(rest) = left.checked_sub(cluster.width_cjk()) else { break };
            left = rest;
            shown.push(cluster);
        }
        shown.reverse();
        (shown.concat(), fitting(after, left + kept))
    }

    fn enter(&mut self) -> Edited {
        let line = std::mem::take(&mut self.text);
        (self.at, self.browsing) = (0, None);
        if line.trim().is_empty() {
            return Edited::Changed;
        }
        if self.past.last() != Some(&line) {
            self.past.push(line.clone());
        }
        if self.past.len() > PAST_MAX {
            self.past.remove(0);
        }
        Edited::Line(line)
    }

    fn browse(&mut self, up: bool) -> Edited {
        let now = self.browsing.as_ref().map_or(self.past.len(), |(at, _)| *at);
        let to = if up { now.checked_sub(1) } else { Some(now + 1) };
        let Some(to) = to.filter(|to| *to <= self.past.len()) else { return Edited::Nothing };
        let draft = match self.browsing.take() {
            Some((_, draft)) => draft,
            None => std::mem::take(&mut self.text),
        };
        if let Some(line) = self.past.get(to) {
            self.text.clone_from(line);
            self.browsing = Some((to, draft));
        } else {
            self.text = draft;
        }
        self.at = self.text.len();
        Edited::Changed
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.browsing = None;
        self.text.replace_range(from..to, "");
        self.at = from;
        if !self.is_edge(self.at) {
            self.at = self.after();
        }
    }

    fn is_edge(&self, at: usize) -> bool {
        at == self.text.len() || self.text.grapheme_indices(true).any(|(edge, _)| edge == at)
    }

    fn before(&self) -> usize {
        self.text[..self.at].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        let edges = self.text.grapheme_indices(true).map(|(at, _)| at);
        edges.chain([self.text.len()]).find(|at| *at > self.at).unwrap_or(self.at)
    }

    fn word_before(&self) -> usize {
        let words = self.text[..self.at].split_word_bound_indices();
        words.rev().find(|(_, word)| !word.trim().is_empty()).map_or(0, |(at, _)| at)
    }
}

/// As much of a text as fits into so many columns, harmless. Signs that some terminals draw wide count as wide.
pub(crate) fn fitting(text: &str, columns: usize) -> String {
    let (mut out, mut left) = (String::new(), columns);
    for cluster in text.graphemes(true) {
        let cluster = clean::inline(cluster);
        let Some(rest) = left.checked_sub(cluster.width_cjk()) else { break };
        left = rest;
        out.push_str(&cluster);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn press(editor: &mut Editor, keys: &[KeyCode]) -> Edited {
        let mut last = Edited::Nothing;
        for key in keys {
            last = editor.key(KeyEvent::new(*key, KeyModifiers::NONE));
        }
        last
    }

    fn write(editor: &mut Editor, text: &str) {
        text.chars().for_each(|c| drop(press(editor, &[KeyCode::Char(c)])));
    }

    fn control(editor: &mut Editor, c: char) -> Edited {
        editor.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
    }

    fn seen(editor: &Editor) -> String {
        let (before, after) = editor.view(40);
        format!("{before}|{after}")
    }

    #[test]
    fn hangul_is_edited_by_syllables() {
        let mut editor = Editor::default();
        write(&mut editor, "안녕하세요");
        press(&mut editor, &[KeyCode::Left, KeyCode::Left, KeyCode::Backspace]);
        assert_eq!(seen(&editor), "안녕|세요");
        press(&mut editor, &[KeyCode::Delete, KeyCode::Home]);
        write(&mut editor, "네 ");
        assert_eq!(seen(&editor), "네 |안녕요");
        assert_eq!(press(&mut editor, &[KeyCode::Enter]), Edited::Line("네 안녕요".into()));
        assert_eq!(seen(&editor), "|");
    }

    #[test]
    fn what_looks_like_one_is_one() {
        let mut editor = Editor::default();
        // Three jamo of one syllable, and an emoji of several parts.
        write(&mut editor, "\u{1112}\u{1161}\u{11ab}👩‍👩‍👧");
        press(&mut editor, &[KeyCode::Backspace]);
        assert_eq!(seen(&editor), "\u{1112}\u{1161}\u{11ab}|");
        press(&mut editor, &[KeyCode::Backspace]);
        assert_eq!(seen(&editor), "|");
    }

    #[test]
    fn wide_characters_stay_within_the_line() {
        let mut editor = Editor::default();
        write(&mut editor, &"가".repeat(50));
        let (before, after) = editor.view(20);
        assert_eq!((before.width(), after.as_str()), (18, ""));
        press(&mut editor, &[KeyCode::Left, KeyCode::Left]);
        let (before, after) = editor.view(20);
        assert_eq!((before.width(), after.as_str()), (14, "가가"), "what follows is in sight");
        press(&mut editor, &[KeyCode::Home]);
        let (before, after) = editor.view(20);
        assert_eq!((before.as_str(), after.width()), ("", 18));
        assert_eq!(fitting("ab가", 3), "ab");
    }

    #[test]
    fn the_keys_of_a_shell_do_what_they_do_there() {
        let mut editor = Editor::default();
        write(&mut editor, "하나 둘 three");
        control(&mut editor, 'w');
        assert_eq!(seen(&editor), "하나 둘 |");
        control(&mut editor, 'a');
        control(&mut editor, 'k');
        assert_eq!(seen(&editor), "|");
        assert_eq!(control(&mut editor, 'd'), Edited::Quit);
        assert_eq!(control(&mut editor, 'c'), Edited::Quit);
    }

    #[test]
    fn past_lines_come_back_and_the_draft_too() {
        let mut editor = Editor::default();
        for line in ["하나", "둘"] {
            write(&mut editor, line);
            press(&mut editor, &[KeyCode::Enter]);
        }
        write(&mut editor, "초안");
        press(&mut editor, &[KeyCode::Up, KeyCode::Up, KeyCode::Up]);
        assert_eq!(seen(&editor), "하나|");
        press(&mut editor, &[KeyCode::Down, KeyCode::Down]);
        assert_eq!(seen(&editor), "초안|");
        assert_eq!(press(&mut editor, &[KeyCode::Down]), Edited::Nothing);
    }

    #[test]
    fn a_paste_is_one_message_and_harmless_on_the_line() {
        let mut editor = Editor::default();
        editor.insert("a\nb\x1b[2J");
        assert_eq!(seen(&editor), "a␊b␛[2J|");
        assert_eq!(press(&mut editor, &[KeyCode::Enter]), Edited::Line("a\nb\x1b[2J".into()));
        assert_eq!(press(&mut editor, &[KeyCode::Char(' '), KeyCode::Enter]), Edited::Changed);
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_on_an_edge(script in proptest::collection::vec((0_u8..9, any::<char>()), 0..60)) {
            let mut editor = Editor::default();
            for (what, c) in script {
                let key = match what {
                    0..=3 => KeyCode::Char(c),
                    4 => KeyCode::Left,
                    5 => KeyCode::Right,
                    6 => KeyCode::Backspace,
                    7 => KeyCode::Delete,
                    _ => KeyCode::Home,
                };
                press(&mut editor, &[key]);
                prop_assert!(editor.is_edge(editor.at));
                let (before, after) = editor.view(10);
                prop_assert!(before.width() + after.width() <= 10);
            }
        }
    }
}
