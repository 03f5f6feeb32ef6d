//! What the tests of a running server share: the server itself, WebSocket clients, plain HTTP.
//! Not here: tests.

// Every test file is a program of its own and uses its own part of this.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of the harness")]

mod bystanders;
mod client;
mod http;
mod server;

use std::time::Duration;

pub(crate) use bystanders::Bystanders;
pub(crate) use client::{Client, Heard, encode};
pub(crate) use http::{Answer, get, get_with, post, raw, send_raw};
pub(crate) use server::Server;

/// How long anything may take that is expected to happen. Only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that is expected to happen, and says what did not.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Asks again and again until there is an answer; for what a server tells only when asked.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
