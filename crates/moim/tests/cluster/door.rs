//! A door in front of a server: shut, nobody listens there, as when the server is not started.
//! Not here: slow, deaf and dripping links (`cargo xtask drill`).

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A place that leads to a server when it is open.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    upstream: String,
    passing: JoinSet<()>,
}

impl Door {
    /// Shut.
    pub(crate) async fn shut_before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, upstream: upstream.to_owned(), passing: JoinSet::new() }
    }

    pub(crate) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let upstream = self.upstream.clone();
        self.passing.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let upstream = upstream.clone();
                all.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
                    // Either side may hang up in the middle of anything.
                    drop(copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
    }

    /// Whoever is in it is cut off.
    pub(crate) async fn shut(&mut self) {
        self.passing.shutdown().await;
    }
}
