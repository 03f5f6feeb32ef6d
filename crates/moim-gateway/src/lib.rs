//! The gateway: listeners, transports, tasks, drain. It drives the machines of `moim-core` over a bus and a store.
//! Not here: what a session or a room decides (`moim-core`), which bus and store (`moim`).

pub mod accept;
pub mod address;
mod budget;
mod config;
mod connection;
mod drain;
mod gateway;
pub mod handshake;
mod http;
mod http_stream;
mod hub;
mod metrics;
mod pages;
mod publisher;
mod room_worker;
mod session_task;
mod shared;
mod shim;
mod socket;
mod spawn;
mod writer;

pub use budget::Budget;
pub use config::{AuthConfig, AuthMode, ConfigFault, DrainConfig, GatewayConfig, LimitsConfig, ListenConfig};
pub use connection::{Connection, Control};
pub use drain::DrainPhase;
pub use gateway::{Gateway, Parts, StartFault};
pub use pages::StoreSeeds;
pub use socket::{Ending, Incoming, Socket, SocketOptions};
pub use spawn::Spawner;
