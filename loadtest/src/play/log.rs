//! The log of each room when a run is over, as a gateway serves it or as the store has it.
//! Not here: what it must hold (`crowd::books`).

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    crowd::{Crowd, number_in, number_of},
    fault::Fault,
    http, interrupt, progress, rows,
};

const PAGE: usize = 100;
const TRY_AGAIN: Duration = Duration::from_millis(300);
const TRIES_WITHIN: Duration = Duration::from_secs(60);

/// Reads all of them, and holds them against what was acknowledged.
pub(super) fn check(
    crowd: &mut Crowd,
    gateway: SocketAddr,
    store: Option<(&str, &str)>,
) -> Result<(), Fault> {
    let bar = progress::bar("rooms read", crowd.shape().rooms);
    let stored = store.map(|(address, keyspace)| Stored::open(address, keyspace)).transpose()?;
    for room in 0..crowd.shape().rooms {
        interrupt::check()?;
        let name = format!("{}-{room}", crowd.shape().room_prefix);
        let served = served(gateway, &name)?;
        crowd.books.check_log(room as u32, &served);
        if let Some(stored) = &stored {
            crowd.books.check_log(room as u32, &stored.room(&name)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Numbers of messages with their numbers in the log, oldest first.
fn served(gateway: SocketAddr, room: &str) -> Result<Vec<(u64, u64)>, Fault> {
    let mut log: Vec<(u64, u64)> = Vec::new();
    loop {
        let after = log.last().map_or(0, |(_, seq)| *seq);
        let page = page(gateway, &format!("/api/v1/rooms/{room}/messages?after={after}&limit={PAGE}"))?;
        let rows = page["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let row = |row: &Value| Some((number_in(row["content"].as_str()?)?, row["seq"].as_u64()?));
        log.extend(rows.iter().filter_map(row));
        if rows.len() < PAGE {
            return Ok(log);
        }
    }
}

/// A page that says it is complete.
fn page(gateway: SocketAddr, path: &str) -> Result<Value, Fault> {
    let start = Instant::now();
    loop {
        interrupt::check()?;
        let answer = http::get(gateway, path).map(|body| serde_json::from_str(&body).unwrap_or(Value::Null));
        match answer {
            Ok(page) if page["complete"] == true => return Ok(page),
            Ok(page) if start.elapsed() > TRIES_WITHIN => {
                return Err(Fault::wrong(format!("{path} is not complete after a minute: {page}")));
            }
            Err(fault) if start.elapsed() > TRIES_WITHIN => return Err(fault),
            _ => thread::sleep(TRY_AGAIN),
        }
    }
}

/// The store, past every gateway.
struct Stored {
    runtime: tokio::runtime::Runtime,
    reader: rows::Reader,
}

impl Stored {
    fn open(address: &str, keyspace: &str) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Fault::io("cannot start a runtime"))?;
        let reader = {
            let _entered = runtime.enter();
            rows::Reader::open(address, keyspace)?
        };
        Ok(Self { runtime, reader })
    }

    fn room(&self, room: &str) -> Result<Vec<(u64, u64)>, Fault> {
        let rows = self.runtime.block_on(self.reader.room(room))?;
        let row =
            |row: &crate::checker::Row| Some((number_of(row.seen.client_id.as_deref()?)?, row.seen.seq));
        Ok(rows.iter().filter_map(row).collect())
    }
}
