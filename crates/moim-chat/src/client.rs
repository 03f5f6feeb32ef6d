//! The client as a whole: what is asked for, heard and due, brought together until it ends.
//! Not here: each part (the other files).

use std::{
    io,
    time::{Duration, Instant},
};

use moim_protocol::{AckLevel, ClientFrame, HeardFrame, Language};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{
    backoff::random,
    conversation::{Conversation, Step, Told},
    error::{ChatError, Opening},
    front::{Asked, Front, Status},
    link::{OpenFault, Target},
    outbox::{Fate, Outbox, Settled},
    typing::Typing,
    wire::{News, Wire},
    words,
};

/// The clock on the screen turns at least so often.
const TICK: Duration = Duration::from_secs(1);
/// What was missed should be here by then; what is sent again after it is the same message still, or unknown.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
/// Who leaves waits so long for what is not acknowledged yet.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// How it behaves.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) history: usize,
    pub(crate) ack: Option<AckLevel>,
    /// How long a message may wait, if it is the client's task to deliver.
    pub(crate) patience: Option<Duration>,
    pub(crate) language: Language,
}

/// See the top of the file.
pub(crate) struct Client<F> {
    front: F,
    address: String,
    rules: Rules,
    wire: Wire,
    conversation: Conversation,
    outbox: Outbox,
    typing: Typing,
    /// Since when it is in the room.
    joined: Option<Instant>,
    ever_joined: bool,
    caught_up: bool,
    /// Nothing more will be asked for.
    ending: bool,
    acked: u64,
    /// When something waiting last came through, or began to wait.
    progress: Instant,
    fault: Option<Box<Opening>>,
    failed: Option<Settled>,
    /// Why nothing more can be read.
    broken: Option<io::Error>,
    said: String,
}

impl<F: Front> Client<F> {
    pub(crate) fn new(target: Target, session: String, rules: Rules, front: F) -> Self {
        Self {
            front,
            address: target.address.to_string(),
            conversation: Conversation::new(rules.history),
            outbox: Outbox::new(session, rules.ack),
            rules,
            wire: Wire::new(target),
            typing: Typing::default(),
            joined: None,
            ever_joined: false,
            caught_up: false,
            ending: false,
            acked: 0,
            progress: Instant::now(),
            fault: None,
            failed: None,
            broken: None,
            said: String::new(),
        }
    }

    /// Until it is over. A reader that has gone is no failure.
    pub(crate) async fn run(mut self) -> Result<(), ChatError> {
        let result = self.converse().await;
        // What was heard before the end is shown, also when there is an error to tell after it.
        let drawn = self.draw();
        self.wire.close().await;
        match result {
            Err(ChatError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Ok(()) => drawn.or_else(|error| match error {
                ChatError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                error => Err(error),
            }),
            failed => failed,
        }
    }

    async fn converse(&mut self) -> Result<(), ChatError> {
        let mut stop = Stop::listen();
        loop {
            self.send_due().await;
            self.draw()?;
            if self.ending && self.outbox.is_empty() {
                return self.broken.take().map_or(Ok(()), |error| Err(ChatError::Input(error)));
            }
            let pause = self.until_due();
            // Whoever shows a screen reads its keys also when no message can be taken.
            let listens = F::SHOWS || !(self.ending || self.outbox.is_full());
            tokio::select! {
                news = self.wire.next() => self.news(news).await?,
                asked = self.front.next(), if listens => self.asked(asked).await?,
                () = stop.asked() => self.leave()?,
                () = sleep(pause) => {}
            }
            self.tick().await?;
        }
    }

    fn draw(&mut self) -> Result<(), ChatError> {
        let retry_in =
            self.wire.tries_at().map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
        let status = Status {
            online: self.joined.is_some(),
            retry_in,
            user_count: self.conversation.user_count,
            typists: self.typing.others().map(str::to_owned).collect(),
        };
        self.front.draw(&status, self.outbox.waiting()).map_err(ChatError::Output)
    }

    fn until_due(&self) -> Duration {
        let now = Instant::now();
        let deadline = self.rules.patience.map(|patience| self.progress + patience);
        let due = [self.outbox.next_due(), deadline].into_iter().flatten().filter(|due| *due > now).min();
        due.map_or(TICK, |due| (due - now).min(TICK))
    }

    async fn asked(&mut self, asked: Asked) -> Result<(), ChatError> {
        match asked {
            Asked::Say(content) if self.outbox.is_full() => self.front.full(content),
            Asked::Say(content) => {
                if self.outbox.is_empty() {
                    self.progress = Instant::now();
                }
                self.outbox.add(content);
                let signal = self.typing.stopped();
                self.tell_typing(signal).await;
            }
            Asked::Key(has_text) => {
                let signal = self.typing.key(has_text, Instant::now());
                self.tell_typing(signal).await;
            }
            Asked::End => self.ending = true,
            Asked::Quit => self.leave()?,
            // What was read before it is still delivered.
            Asked::Failed(error) => (self.ending, self.broken) = (true, Some(error)),
        }
        Ok(())
    }

    /// The first time it waits for what is under way, a little; the second time it goes.
    fn leave(&mut self) -> Result<(), ChatError> {
        if std::mem::replace(&mut self.ending, true) && !self.outbox.is_empty() {
            return Err(self.unacknowledged());
        }
        self.rules.patience = Some(LEAVE_WITHIN);
        self.progress = Instant::now();
        Ok(())
    }

    async fn news(&mut self, news: News) -> Result<(), ChatError> {
        match news {
            News::Opened => {}
            News::NotOpened(fault) => {
                let opening = Box::new(Opening { address: self.address.clone(), fault });
                // Who delivers has patience with a server that may come; a person wants to know at once.
                let is_hopeless = matches!(opening.fault, OpenFault::NoSuchHost | OpenFault::NotMoim(_));
                if !self.ever_joined && (F::SHOWS || is_hopeless) {
                    return Err(ChatError::NotOpened(opening));
                }
                self.fault = Some(opening);
            }
            News::Heard(frame) => self.heard(frame).await,
            News::Lost => {
                if self.joined.is_some() {
                    self.front.note(words::lost(self.rules.language));
                }
                self.away();
            }
            News::Final(code, reason) => {
                let words = if self.said.is_empty() { reason } else { std::mem::take(&mut self.said) };
                if self.rules.patience.is_some() && !self.outbox.is_empty() {
                    self.said = format!("{words} ({code})");
                    return Err(self.unacknowledged());
                }
                return Err(ChatError::Closed { code, words });
            }
        }
        Ok(())
    }

    fn away(&mut self) {
        (self.joined, self.caught_up) = (None, false);
        self.conversation.disconnected();
        self.outbox.disconnected();
        self.typing.disconnected();
    }

    async fn heard(&mut self, frame: HeardFrame) {
        match &frame {
            HeardFrame::Joined { .. } if self.joined.is_none() => {
                if self.ever_joined {
                    self.front.note(words::back(self.rules.language));
                }
                (self.joined, self.ever_joined, self.fault) = (Some(Instant::now()), true, None);
            }
            HeardFrame::Ack { client_id, seq, epoch, level } => {
                let settled = self.outbox.acked(client_id, (epoch.clone(), *seq), *level);
                self.settle(settled);
            }
            HeardFrame::Error(error) => {
                self.said = format!("{} ({})", error.message, error.code);
                let settled = self.outbox.refused(error, Instant::now(), random());
                if error.client_id.is_none() && self.joined.is_some() {
                    self.front.note(&self.said);
                }
                self.settle(settled);
            }
            HeardFrame::Typing { username, is_typing } => {
                self.typing.heard(username, *is_typing, Instant::now());
            }
            HeardFrame::Reconnect { after_ms, .. } => {
                self.wire.come_back_in(Duration::from_millis(*after_ms))
            }
            _ => {}
        }
        let mut told = Vec::new();
        let step = self.conversation.hear(frame, &mut told);
        for told in told {
            self.show(told);
        }
        self.wire.cursor = self.conversation.cursor().cloned();
        match step {
            Step::None => {}
            Step::AskHistory(most) => {
                let limit = u64::try_from(most).ok();
                self.wire.send(&ClientFrame::History { room: None, before: None, limit }).await;
            }
            Step::CaughtUp { certain } => self.caught_up(certain),
        }
    }

    fn show(&mut self, told: Told) {
        let mut is_own = false;
        if let Told::Message(message) = &told {
            is_own = self.outbox.wrote(message.client_id.as_deref());
            if let Some(client_id) = message.client_id.as_deref().filter(|_| is_own) {
                self.outbox.seen(client_id);
            }
            self.typing.heard(&message.username, false, Instant::now());
        }
        self.front.told(told, is_own);
    }

    fn caught_up(&mut self, certain: bool) {
        if std::mem::replace(&mut self.caught_up, true) {
            return;
        }
        for settled in self.outbox.reconnected(Instant::now(), certain) {
            self.settle(Some(settled));
        }
    }

    fn settle(&mut self, settled: Option<Settled>) {
        let Some(settled) = settled else { return };
        self.progress = Instant::now();
        self.front.settled(&settled);
        let too_little =
            settled.fate == Fate::Acked(AckLevel::Wal) && self.rules.ack == Some(AckLevel::Stored);
        if matches!(settled.fate, Fate::Acked(_)) && !too_little {
            self.acked += 1;
        } else {
            self.failed.get_or_insert(settled);
        }
    }

    async fn send_due(&mut self) {
        if !self.caught_up {
            return;
        }
        while let Some(frame) = self.outbox.take_due(Instant::now()) {
            if !self.wire.send(&frame).await {
                break;
            }
        }
    }

    async fn tell_typing(&mut self, signal: Option<bool>) {
        if let Some(is_typing) = signal.filter(|_| self.joined.is_some()) {
            self.wire.send(&ClientFrame::Typing { room: None, is_typing }).await;
        }
    }

    async fn tick(&mut self) -> Result<(), ChatError> {
        let now = Instant::now();
        let signal = self.typing.tick(now);
        self.tell_typing(signal).await;
        let settled = self.outbox.give_up_waiting(now);
        self.settle(settled);
        if self.joined.is_some_and(|joined| now.saturating_duration_since(joined) >= CATCH_UP_WITHIN) {
            self.caught_up(false);
        }
        self.judge(now)
    }

    /// Whoever delivers ends at the first message that cannot be delivered.
    fn judge(&mut self, now: Instant) -> Result<(), ChatError> {
        let Some(patience) = self.rules.patience else {
            // It was shown, and the person is there to see it.
            self.failed = None;
            return Ok(());
        };
        if let Some(Settled { content, fate, .. }) = self.failed.take() {
            return Err(match fate {
                Fate::Refused(code, message) => {
                    let words = format!("{message} ({code})");
                    ChatError::Refused { acked: self.acked, line: content, words }
                }
                Fate::Acked(_) | Fate::Unknown | Fate::NoAnswer => self.not_acknowledged(1, content),
            });
        }
        let is_late = now.saturating_duration_since(self.progress) >= patience;
        if is_late && !self.outbox.is_empty() { Err(self.unacknowledged()) } else { Ok(()) }
    }

    fn unacknowledged(&mut self) -> ChatError {
        let first = self.outbox.waiting().next().map(|own| own.content.clone()).unwrap_or_default();
        self.not_acknowledged(0, first)
    }

    fn not_acknowledged(&mut self, gone: usize, first: String) -> ChatError {
        ChatError::Unacknowledged {
            acked: self.acked,
            waiting: self.outbox.waiting().len() + gone,
            first,
            why: self.fault.take(),
            said: std::mem::take(&mut self.said),
        }
    }
}

/// SIGTERM and Ctrl-C; never, where they cannot be heard.
struct Stop(Option<(Signal, Signal)>);

impl Stop {
    fn listen() -> Self {
        Self(signal(SignalKind::terminate()).and_then(|one| Ok((one, signal(SignalKind::interrupt())?))).ok())
    }

    /// Cancel safe, as `Signal::recv` is.
    async fn asked(&mut self) {
        match &mut self.0 {
            Some((terminate, interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            None => std::future::pending().await,
        }
    }
}
