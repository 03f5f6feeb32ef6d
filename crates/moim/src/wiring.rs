//! From a configuration to a running node: store, bus, gateway, banner, signals, drain.
//! Not here: the parts themselves (their crates), reading the configuration (`config`).

use std::{fs, net::TcpListener};

use crate::{
    banner::Banner,
    config::{Config, StoreKind},
    say,
    start_error::{Listener, StartError},
};

/// Runs a node until it is told to stop.
///
/// STUB, to be replaced whole: it opens the folder and both addresses, says the banner, and gives up.
pub(crate) async fn run(config: Config) -> Result<(), StartError> {
    if config.store.kind == StoreKind::Embedded {
        let path = &config.embedded.path;
        fs::create_dir_all(path).map_err(|error| StartError::data(path, &error))?;
    }
    let open = |listener, address| {
        let socket =
            TcpListener::bind(address).map_err(|error| StartError::bind(listener, address, error))?;
        socket
            .local_addr()
            .map(|bound| (socket, bound))
            .map_err(|error| StartError::bind(listener, address, error))
    };
    let (_public, public) = open(Listener::Public, config.listen.public)?;
    let (_ops, ops) = open(Listener::Ops, config.listen.ops)?;
    say(&Banner::of(&config, public, ops).render());
    Err(StartError::Failed { what: "the gateway", problem: "this build has no wiring yet".into() })
}
