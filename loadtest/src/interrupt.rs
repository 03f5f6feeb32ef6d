//! SIGINT and SIGTERM, as a flag that every loop looks at: the server must be ended before the tool is.
//! Not here: ending the server (`server`, when it is dropped).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::fault::Fault;

/// A signal has no owner but the process, and so has this flag.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Starts to listen. A second signal changes nothing: the loops end within a fraction of a second.
pub(crate) fn listen() -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(Fault::io("cannot listen to signals"))?;
    thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut terminate), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                now();
            }
        });
    });
    Ok(())
}

/// As a signal would.
pub(crate) fn now() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

pub(crate) fn check() -> Result<(), Fault> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Fault::Interrupted) } else { Ok(()) }
}
