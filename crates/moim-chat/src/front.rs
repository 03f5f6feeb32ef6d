//! The side of the client that a person or a program sees: what it asks for, what it is shown.
//! Not here: the three of them (`screen`, `lines`, `pipe`).

use std::{io, time::Duration};

use crate::{
    conversation::Told,
    outbox::{Own, Settled},
};

/// What the person or the pipe wants.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Say this.
    Say(String),
    /// A key was pressed; whether there is text now.
    Key(bool),
    /// There is nothing more to say: end when everything is answered.
    End,
    /// End.
    Quit,
    /// The keyboard or the pipe failed.
    Failed(io::Error),
}

/// How it stands, as of now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// In the room.
    pub(crate) online: bool,
    /// Until the next try, while there is no connection and none is tried.
    pub(crate) retry_in: Option<Duration>,
    /// Connections in the room.
    pub(crate) user_count: Option<u64>,
    /// Others who type.
    pub(crate) typists: Vec<String>,
}

/// See the top of the file.
pub(crate) trait Front {
    /// Whether it takes part in the conversation, or only delivers.
    const SHOWS: bool;

    /// Waits for what is wanted next. Cancel safe.
    async fn next(&mut self) -> Asked;

    /// Something of the room.
    fn told(&mut self, told: Told, is_own: bool);

    /// The end of an own message's wait.
    fn settled(&mut self, settled: &Settled);

    /// Something the person should know of, in words.
    fn note(&mut self, words: &str);

    /// A message that cannot be taken now is given back.
    fn full(&mut self, content: String);

    /// Puts out what has gathered, and how it stands.
    fn draw<'a>(
        &mut self,
        status: &Status,
        waiting: impl ExactSizeIterator<Item = &'a Own>,
    ) -> io::Result<()>;
}
