//! The gateway: listeners, transports, tasks, drain. It drives the machines of `moim-core` over a bus and a store.
//! Not here: what a session or a room decides (`moim-core`), which bus and store (`moim`).

mod config;

pub use config::{
    AuthConfig, AuthMode, ConfigFault, DrainConfig, GatewayConfig, LimitsConfig, ListenConfig,
};
