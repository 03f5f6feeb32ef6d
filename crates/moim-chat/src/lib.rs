//! A room in a terminal: the client of the v1 profile that loses nothing and lets nobody else write on the terminal.
//! Not here: the command line (`moim`), the words of the wire (`moim-protocol`).

mod address;
mod backoff;
mod clean;
mod client;
mod conversation;
mod editor;
mod error;
mod front;
mod lines;
mod link;
mod outbox;
mod paint;
mod pipe;
mod screen;
mod typing;
mod wire;
mod words;

use std::{io::IsTerminal, time::Duration};

use moim_protocol::{AckLevel, Language};

pub use address::{Address, AddressFault};
pub use error::{ChatError, Opening};

use crate::{
    backoff::random,
    client::{Client, Rules},
    lines::Lines,
    link::Target,
    paint::Paint,
    pipe::Pipe,
    screen::Screen,
};

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub address: Address,
    /// The room.
    pub room: String,
    /// Under what name.
    pub name: String,
    /// Follow the room, as lines, and send nothing.
    pub tail: bool,
    /// Lines of JSON instead of lines for people.
    pub json: bool,
    /// Messages from before to show first, at most a hundred.
    pub history: usize,
    /// The durability to wait for; without it what the server is set to.
    pub ack: Option<AckLevel>,
    /// How long a line from a pipe may stay without an acknowledgement.
    pub patience: Duration,
    /// The language of our words.
    pub language: Language,
}

/// Chats until the person, the pipe or the server ends it. A terminal gets an editor; lines that are piped in are sent, each
/// acknowledged before it returns; where neither is, or `tail` says so, the room is followed.
///
/// # Errors
/// When not all that was to be done was done.
pub async fn chat(options: Options) -> Result<(), ChatError> {
    let (typed, seen) = (std::io::stdin().is_terminal(), std::io::stdout().is_terminal());
    let Options { address, room, name, language, patience, .. } = options.clone();
    let target = Target { address, room, username: name, language };
    let session = format!("{:016x}{:016x}", random(), random());
    let rules = Rules { history: options.history, ack: options.ack, patience: None, language };
    if !options.tail && !typed {
        let rules = Rules { history: 0, patience: Some(patience), ..rules };
        return Client::new(target, session, rules, Pipe::of_stdin(options.json)).run().await;
    }
    let paint = Paint::wanted(seen);
    if options.tail || options.json || !seen {
        let lines = Lines::new(std::io::stdout(), options.json, paint, language);
        return Client::new(target, session, rules, lines).run().await;
    }
    let screen = Screen::open(&target, paint, language).map_err(ChatError::Terminal)?;
    Client::new(target, session, rules, screen).run().await
}
