//! Load drills against a real server, as any client would put it under load; each is one command.
//! Not here: the server (`moim`), correctness drills of single features (their crates' tests).

mod aim;
mod bare;
mod checker;
mod cli;
mod crowd;
mod fault;
mod fleet;
mod frame;
mod handshake;
mod hold;
mod http;
mod interrupt;
mod judge;
mod ledger;
mod own;
mod page;
mod play;
mod process;
mod progress;
mod proxy;
mod random;
mod record;
mod redis;
mod report;
mod rows;
mod scenario;
mod server;
mod stats;

pub use bare::run as bare_epoll;
pub use cli::run;
