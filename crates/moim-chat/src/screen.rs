//! The terminal: what was said scrolls by, and below it stand what waits, how it stands, and the line being written.
//! Not here: the line's keys (`editor`), how a message looks (`lines`).

use std::io::{self, Write};

use crossterm::{
    cursor, event,
    event::{Event, EventStream, KeyEventKind},
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType},
};
use futures_util::StreamExt;
use moim_protocol::{AckLevel, Language};

use crate::{
    clean,
    conversation::Told,
    editor::{Edited, Editor, fitting},
    front::{Asked, Front, Status},
    lines::{of_message, of_notice},
    link::Target,
    outbox::{Fate, Own, Settled, State},
    paint::Paint,
    words,
};

/// Own messages without an answer that are shown; of more the number is.
const WAITING_SHOWN: usize = 3;
const PROMPT: &str = "> ";
const COLUMNS_WITHOUT_TERMINAL: u16 = 80;

/// See the top of the file. What is drawn below is one row each, so that it can be drawn anew.
pub(crate) struct Screen {
    keys: EventStream,
    editor: Editor,
    paint: Paint,
    language: Language,
    room: String,
    gathered: String,
    rows_below: u16,
    level: Option<AckLevel>,
    _raw: Raw,
}

/// A terminal that hands over each key. Dropped: as it was.
struct Raw;

impl Raw {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let raw = Self;
        execute!(io::stdout(), event::EnableBracketedPaste)?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs no tidying.
        drop(execute!(io::stdout(), event::DisableBracketedPaste));
        drop(terminal::disable_raw_mode());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // What was said stays; what stood below it goes. A terminal that has gone needs no tidying.
        let mut out = io::stdout();
        if self.rows_below > 0 {
            drop(queue!(out, cursor::MoveUp(self.rows_below)));
        }
        drop(execute!(out, Print('\r'), Clear(ClearType::FromCursorDown)));
    }
}

impl Screen {
    pub(crate) fn open(target: &Target, paint: Paint, language: Language) -> io::Result<Self> {
        let (name, room) = (clean::inline(&target.username), clean::inline(&target.room));
        let hint = words::either(
            language,
            "Enter 보내기, Alt-Enter 줄바꿈, Ctrl-C 나가기",
            "Enter sends, Alt-Enter breaks the line, Ctrl-C leaves",
        );
        let welcome = format!("{room} ({name}, {}): {hint}\n", target.address);
        Ok(Self {
            keys: EventStream::new(),
            editor: Editor::default(),
            paint,
            language,
            room: room.into_owned(),
            gathered: paint.dim(&welcome),
            rows_below: 0,
            level: None,
            _raw: Raw::enter()?,
        })
    }

    fn line(&mut self, text: &str) {
        self.gathered.push_str(text);
        self.gathered.push('\n');
    }

    /// The rows below what was said, without the line being written.
    fn below<'a>(
        &self,
        status: &Status,
        waiting: impl ExactSizeIterator<Item = &'a Own>,
        columns: usize,
    ) -> Vec<String> {
        let more = waiting.len().saturating_sub(WAITING_SHOWN);
        let mut rows: Vec<String> = waiting
            .take(WAITING_SHOWN)
            .map(|own| {
                let state = match own.state {
                    State::Pending => words::either(self.language, "보내는 중", "sending"),
                    State::Logged => words::either(self.language, "보냄, 저장 중", "sent, being stored"),
                };
                self.paint.dim(&fitting(&format!("  ({state}) {}", own.content), columns))
            })
            .collect();
        if more > 0 {
            rows.push(self.paint.dim(&format!("  (+{more})")));
        }
        let mut parts = vec![self.room.clone()];
        match status.user_count {
            Some(count) if status.online => parts.push(words::here(self.language, count)),
            _ => parts.push(words::away(self.language, status.retry_in)),
        }
        parts.extend(Some(words::typists(self.language, &status.typists)).filter(|text| !text.is_empty()));
        let row = fitting(&format!("-- {}", parts.join(" - ")), columns);
        rows.push(if status.online { self.paint.dim(&row) } else { self.paint.warning(&row) });
        rows
    }

    fn event(&mut self, event: Event) -> Option<Asked> {
        let edited = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.editor.key(key),
            Event::Paste(text) => {
                self.editor.insert(&text.replace("\r\n", "\n").replace('\r', "\n"));
                Edited::Changed
            }
            // Drawn anew by whoever waits for this.
            Event::Resize(..) => Edited::Changed,
            _ => Edited::Nothing,
        };
        match edited {
            Edited::Nothing => None,
            Edited::Changed => Some(Asked::Key(self.editor.has_text())),
            Edited::Line(line) => Some(Asked::Say(line)),
            Edited::Quit => Some(Asked::Quit),
        }
    }
}

impl Front for Screen {
    const SHOWS: bool = true;

    async fn next(&mut self) -> Asked {
        loop {
            let asked = match self.keys.next().await {
                Some(Ok(event)) => self.event(event),
                Some(Err(error)) => Some(Asked::Failed(error)),
                None => Some(Asked::Quit),
            };
            if let Some(asked) = asked {
                return asked;
            }
        }
    }

    fn told(&mut self, told: Told, is_own: bool) {
        let text = match &told {
            Told::Message(message) => Some(of_message(message, is_own, self.paint, "%H:%M")),
            other => of_notice(other, self.language, self.paint),
        };
        if let Some(text) = text {
            self.line(&text);
        }
    }

    fn settled(&mut self, settled: &Settled) {
        if let Some(text) = words::fate(self.language, &settled.content, &settled.fate) {
            self.line(&self.paint.warning(&format!("-- {text}")));
        }
        // Said when it changes; of each message it would only be noise.
        let Fate::Acked(level) = settled.fate else { return };
        if self.level.unwrap_or(AckLevel::Stored) != level {
            self.line(&self.paint.dim(&format!("-- {}", words::level(self.language, level))));
        }
        self.level = Some(level);
    }

    fn note(&mut self, words: &str) {
        self.line(&self.paint.warning(&format!("-- {}", clean::inline(words))));
    }

    fn full(&mut self, content: String) {
        self.editor.insert(&content);
        let full = "기다리는 메시지가 너무 많습니다. 답이 온 다음에 보내 주세요";
        self.note(words::either(
            self.language,
            full,
            "too many messages wait; send it when some are answered",
        ));
    }

    fn draw<'a>(
        &mut self,
        status: &Status,
        waiting: impl ExactSizeIterator<Item = &'a Own>,
    ) -> io::Result<()> {
        let columns =
            usize::from(terminal::size().map_or(COLUMNS_WITHOUT_TERMINAL, |(columns, _)| columns)).max(8);
        let mut out = Vec::new();
        queue!(out, Print('\r'))?;
        if self.rows_below > 0 {
            queue!(out, cursor::MoveUp(self.rows_below))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        // In a raw terminal a line feed only goes down.
        queue!(out, Print(std::mem::take(&mut self.gathered).replace('\n', "\r\n")))?;
        let rows = self.below(status, waiting, columns - 1);
        for row in &rows {
            queue!(out, Print(row), Print("\r\n"))?;
        }
        let (before, after) = self.editor.view(columns - PROMPT.len());
        // The terminal itself remembers where the cursor belongs: it knows best how wide it draws.
        queue!(
            out,
            Print(PROMPT),
            Print(before),
            cursor::SavePosition,
            Print(after),
            cursor::RestorePosition
        )?;
        self.rows_below = u16::try_from(rows.len()).unwrap_or(0);
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }
}
