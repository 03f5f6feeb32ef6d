//! A room as plain lines, or as lines of JSON: for following, for files and for pipes.
//! Not here: a terminal with an editor (`screen`).

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use chrono::{DateTime, Local};
use moim_protocol::{HeardFrame, HeardMessage, Language};

use crate::{
    clean,
    conversation::Told,
    front::{Asked, Front, Status},
    outbox::{Own, Settled},
    paint::Paint,
    words,
};

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    out: W,
    json: bool,
    paint: Paint,
    language: Language,
    gathered: String,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W, json: bool, paint: Paint, language: Language) -> Self {
        Self { out, json, paint, language, gathered: String::new() }
    }

    fn line(&mut self, text: &str) {
        self.gathered.push_str(text);
        self.gathered.push('\n');
    }
}

/// A message for people, on a line or more, each harmless.
pub(crate) fn of_message(message: &HeardMessage, is_own: bool, paint: Paint, format: &str) -> String {
    let name = paint.name(&clean::inline(&message.username), is_own);
    let mut text = format!("{} {name}: ", paint.dim(&local_time(&message.timestamp, format)));
    for (number, line) in clean::lines(&message.content).enumerate() {
        if number > 0 {
            // Nobody can make a line that looks like somebody else's.
            write!(text, "\n    {} ", paint.dim("|")).ok();
        }
        text.push_str(&line);
    }
    text
}

/// Anything else of a room, in words.
pub(crate) fn of_notice(told: &Told, language: Language, paint: Paint) -> Option<String> {
    Some(match told {
        Told::Message(_) => return None,
        Told::Presence { joined, username, count } => {
            paint.dim(&format!("-- {}", words::presence(language, *joined, username, *count)))
        }
        Told::Gap { after, to } => paint.warning(&format!("-- {}", words::gap(language, *after, *to))),
        Told::Incomplete => paint.warning(&format!("-- {}", words::incomplete(language))),
        Told::OtherLog => paint.warning(&format!("-- {}", words::other_log(language))),
    })
}

fn local_time(timestamp: &str, format: &str) -> String {
    match DateTime::parse_from_rfc3339(timestamp) {
        Ok(time) => time.with_timezone(&Local).format(format).to_string(),
        Err(_) => clean::inline(timestamp).into_owned(),
    }
}

impl<W: Write> Front for Lines<W> {
    const SHOWS: bool = true;

    async fn next(&mut self) -> Asked {
        std::future::pending().await
    }

    fn told(&mut self, told: Told, is_own: bool) {
        let text = match told {
            Told::Message(message) if self.json => {
                Some(clean::json(&HeardFrame::Message(message).to_json()).into_owned())
            }
            Told::Message(message) => Some(of_message(&message, is_own, self.paint, "%H:%M:%S")),
            Told::Gap { after, to } if self.json => {
                Some(HeardFrame::Gap { epoch: String::new(), from: after + 1, to }.to_json())
            }
            _ if self.json => None,
            other => of_notice(&other, self.language, self.paint),
        };
        if let Some(text) = text {
            self.line(&text);
        }
    }

    fn settled(&mut self, _settled: &Settled) {}

    fn note(&mut self, words: &str) {
        if !self.json {
            let text = self.paint.dim(&format!("-- {}", clean::inline(words)));
            self.line(&text);
        }
    }

    fn full(&mut self, _content: String) {}

    fn draw<'a>(&mut self, _: &Status, _: impl ExactSizeIterator<Item = &'a Own>) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.out.write_all(self.gathered.as_bytes())?;
        self.gathered.clear();
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(username: &str, content: &str) -> HeardMessage {
        HeardMessage {
            username: username.into(),
            content: content.into(),
            timestamp: "\x1b[31mnow".into(),
            seq: 1,
            prev: Some(0),
            epoch: "e\u{9b}".into(),
            client_id: Some("\x1b".into()),
        }
    }

    fn shown(json: bool, tolds: Vec<Told>) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, json, Paint::of(false), Language::English);
        tolds.into_iter().for_each(|told| lines.told(told, false));
        lines.draw(&Status::default(), [].iter()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn evil() -> Vec<Told> {
        let evil = "a\x1b[2J\u{202e}b\r\n12:00:00 root: rm -rf\u{9b}31m";
        vec![
            Told::Message(message(evil, evil)),
            Told::Presence { joined: true, username: evil.into(), count: 1 },
        ]
    }

    #[test]
    fn nothing_of_others_reaches_the_terminal_as_it_is() {
        let text = shown(false, evil());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text:?}");
        assert!(
            lines[1].starts_with("    | 12:00:00 root:"),
            "a line break makes no line of its own: {text:?}"
        );
    }

    #[test]
    fn json_is_one_line_for_each_message() {
        let text = shown(true, evil());
        assert_eq!(text.lines().count(), 1);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        let Ok(HeardFrame::Message(read)) = HeardFrame::parse(text.trim()) else { panic!("{text}") };
        assert!(read.content.contains("\x1b[2J\u{202e}b\r\n"), "nothing is lost in JSON");
    }
}
