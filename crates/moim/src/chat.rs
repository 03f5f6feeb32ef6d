//! `moim chat`: from the command line to the client in a terminal.
//! Not here: the client (`moim-chat`).

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use moim_chat::{Address, Options};
use moim_protocol::{AckLevel, Language};

use crate::{
    FAILED, NOT_UNDERSTOOD,
    cli::{Ack, Chat},
    complain, reach, words,
};

/// Chats. `local`: where the moim of this machine's configuration listens, for whoever names no server.
pub(crate) fn run(wanted: &Chat, local: Option<SocketAddr>, language: Language) -> ExitCode {
    let of_this_machine = || local.map(|listener| format!("http://{}", reach::from_this_machine(listener)));
    let url = wanted.url().or_else(of_this_machine).unwrap_or_default();
    let address = match Address::parse(&url) {
        Ok(address) => address,
        Err(why) => return complain(&words::no_address(language, &url, why.tell(language)), NOT_UNDERSTOOD),
    };
    let options = Options {
        address,
        room: wanted.room.clone(),
        name: wanted.name(),
        tail: wanted.tail,
        json: wanted.json,
        history: wanted.history.into(),
        ack: wanted.ack.map(|ack| match ack {
            Ack::Wal => AckLevel::Wal,
            Ack::Stored => AckLevel::Stored,
        }),
        patience: Duration::from_secs(wanted.timeout),
        language,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&crate::StartError::Runtime(error).tell(language), FAILED),
    };
    let result = runtime.block_on(moim_chat::chat(options));
    // A read of stdin cannot be called off, and is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.tell(language), FAILED),
    }
}
