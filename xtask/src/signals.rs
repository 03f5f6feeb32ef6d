//! Ctrl-C and SIGTERM as something to look at, for commands that must stop others before they end.
//! Not here: what is stopped, and in which order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::fault::Fault;

/// Full: a person who has pressed Ctrl-C so often has been heard.
const ASKED_MAX: usize = 4;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A person at the terminal; everything in its foreground got the signal as well.
    Interrupt,
    /// Another program, or a terminal that went away.
    Terminate,
}

/// From its making to the end of the process these signals do nothing by themselves.
pub(crate) struct Signals {
    asked: Receiver<Asked>,
}

impl Signals {
    pub(crate) fn catch() -> Result<Self, Fault> {
        let (sender, asked) = sync_channel(ASKED_MAX);
        let (installed, is_installed) = sync_channel(1);
        thread::spawn(move || listen(&sender, &installed));
        let outcome = is_installed.recv().unwrap_or_else(|_| Err(std::io::Error::other("its thread ended")));
        outcome.map_err(Fault::io("catch signals"))?;
        Ok(Self { asked })
    }

    /// What was asked since the last look, once for each time.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked.try_recv().ok()
    }
}

fn listen(sender: &SyncSender<Asked>, installed: &SyncSender<std::io::Result<()>>) {
    let listening = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        drop(guard);
        Ok((runtime, interrupt?, terminate?, hangup?))
    };
    let (runtime, mut interrupt, mut terminate, mut hangup) = match listening() {
        Ok(parts) => parts,
        Err(error) => return installed.try_send(Err(error)).unwrap_or(()),
    };
    installed.try_send(Ok(())).unwrap_or(());
    runtime.block_on(async {
        loop {
            let asked = tokio::select! {
                _ = interrupt.recv() => Asked::Interrupt,
                _ = terminate.recv() => Asked::Terminate,
                _ = hangup.recv() => Asked::Terminate,
            };
            sender.try_send(asked).unwrap_or(());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};
    use std::time::{Duration, Instant};

    #[test]
    fn a_signal_is_seen_once_and_kills_nobody() {
        let signals = Signals::catch().unwrap();
        assert_eq!(signals.asked(), None);
        kill_process(getpid(), Signal::TERM).unwrap();
        let start = Instant::now();
        let asked = loop {
            if let Some(asked) = signals.asked() {
                break asked;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "the signal was not seen");
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(asked, Asked::Terminate);
        assert_eq!(signals.asked(), None);
    }
}
