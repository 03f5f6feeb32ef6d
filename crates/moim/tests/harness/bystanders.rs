//! Two people who chat, message by message, while something else goes on; and the memory the server took meanwhile.
//! Not here: what else goes on.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::task::JoinHandle;

use super::{Client, Server, until};

/// Messages that still must go through when the worst is over.
const ROUNDS_AFTER: u64 = 3;

/// Two who chat on.
pub(crate) struct Bystanders {
    rounds: Arc<AtomicU64>,
    chatting: JoinHandle<()>,
    rounds_before: u64,
    memory_bytes_before: usize,
}

impl Bystanders {
    /// Lets them chat; each answers the other, so that a message that is lost, late or out of order ends it.
    pub(crate) async fn start(server: &Server) -> Self {
        let mut one = Client::v1_joined(server, "bystanders", "one").await;
        let mut other = Client::v1_joined(server, "bystanders", "other").await;
        let rounds = Arc::new(AtomicU64::new(0));
        let counted = rounds.clone();
        let chatting = tokio::spawn(async move {
            for round in 1.. {
                one.say(&format!("ping {round}")).await;
                for client in [&mut one, &mut other] {
                    assert_eq!(client.skip_to("message").await["content"], format!("ping {round}"));
                }
                other.say(&format!("pong {round}")).await;
                for client in [&mut one, &mut other] {
                    assert_eq!(client.skip_to("message").await["content"], format!("pong {round}"));
                }
                counted.store(round, Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        let mut this = Self { rounds, chatting, rounds_before: 0, memory_bytes_before: 0 };
        this.rounds_reach(ROUNDS_AFTER).await;
        this.rounds_before = this.rounds.load(Ordering::Relaxed);
        this.memory_bytes_before = server.memory_bytes();
        this
    }

    async fn rounds_reach(&self, least: u64) {
        until("the bystanders' next words", async || {
            assert!(!self.chatting.is_finished(), "the bystanders stopped chatting");
            (self.rounds.load(Ordering::Relaxed) >= least).then_some(())
        })
        .await;
    }

    /// Asserts that they chatted all through it and still do, and that the server never held more memory than this above
    /// what it held before.
    pub(crate) async fn chatted_on(self, server: &Server, bytes_max: usize) {
        let now = self.rounds.load(Ordering::Relaxed);
        self.rounds_reach(now + ROUNDS_AFTER).await;
        let grown = server.memory_bytes_peak().saturating_sub(self.memory_bytes_before);
        println!("grown by {} KiB, {} rounds", grown / 1024, now - self.rounds_before);
        assert!(grown <= bytes_max, "grown by {grown} bytes, and {bytes_max} is the bound");
        self.chatting.abort();
    }
}
