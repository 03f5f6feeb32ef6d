//! The gateway: listeners, transports, tasks, drain. It drives the machines of `moim-core` over a bus and a store.
//! Not here: what a session or a room decides (`moim-core`), which bus and store (`moim`).

pub mod accept;
pub mod address;
mod budget;
mod config;
mod connection;
mod cut_off;
mod drain;
mod gateway;
pub mod handshake;
mod http;
mod http_stream;
mod hub;
mod listeners;
mod metrics;
mod pages;
mod publisher;
mod room_worker;
mod seeds;
mod session_task;
mod shared;
mod shim;
mod socket;
mod spawn;
mod writer;
mod writer_node;

pub use budget::Budget;
pub use config::{AuthConfig, AuthMode, DrainConfig, GatewayConfig, LimitsConfig, ListenConfig};
pub use connection::{Connection, Control};
pub use drain::DrainPhase;
pub use gateway::{Gateway, Parts, StartFault};
pub use seeds::StoreSeeds;
pub use socket::{Ending, Incoming, Socket, SocketOptions};
pub use spawn::Spawner;
pub use writer_node::{WriterNode, WriterParts};
