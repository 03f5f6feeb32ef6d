//! `moim-loadtest proxy`: TCP links that can be cut, made deaf, slowed and turned elsewhere while they are in use.
//! Not here: who says when (`cargo xtask drill`), and anything about what goes through but one word (`link`).

mod control;
mod link;

use std::{net::SocketAddr, str::FromStr, sync::Arc};

use clap::Args;
use tokio::net::TcpListener;

use crate::fault::Fault;

use link::Link;

/// Listens for each route, and for orders at the control address, until it is killed.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// A route: its name, where it listens, where it leads
    #[arg(long = "route", value_name = "NAME=LISTEN=UPSTREAM", required = true)]
    routes: Vec<Route>,
    /// Where orders are taken, a line each; `help` names them
    #[arg(long, value_name = "HOST:PORT")]
    control: SocketAddr,
}

#[derive(Debug, Clone)]
struct Route {
    name: String,
    listen: SocketAddr,
    upstream: SocketAddr,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('=');
        let (Some(name), Some(listen), Some(upstream), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("write NAME=HOST:PORT=HOST:PORT".into());
        };
        let address = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
        Ok(Self { name: name.to_owned(), listen: address(listen)?, upstream: address(upstream)? })
    }
}

/// Serves until the process ends.
pub(crate) fn run(args: &ProxyArgs) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::io("cannot start a runtime"))?;
    runtime.block_on(async {
        let mut links = Vec::new();
        for Route { name, listen, upstream } in &args.routes {
            let listener = listen_at(*listen).await?;
            let link = Arc::new(Link::new(name.clone(), *upstream));
            tokio::spawn(link::accept(link.clone(), listener));
            links.push(link);
        }
        let control = listen_at(args.control).await?;
        control::serve(control, Arc::new(links)).await
    })
}

async fn listen_at(address: SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).await.map_err(Fault::io(format!("cannot listen at {address}")))
}
