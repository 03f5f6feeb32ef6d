//! This program once more, as a process that is talked to over its stdin and stdout and ends with the value that started it.
//! Not here: what such a process does (`hold`, `play::parts`), servers (`server`).

use std::{
    io,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::fault::Fault;

pub(crate) struct Own {
    child: Child,
}

impl Own {
    /// With these words on its command line; its end of the pipes closes when this process ends.
    pub(crate) fn start(words: &[String]) -> Result<(Self, ChildStdin, ChildStdout), Fault> {
        let program = std::env::current_exe().map_err(Fault::io("cannot find this program"))?;
        let what = || format!("cannot start a process of members (`{}`)", words.join(" "));
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Fault::io(what()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let own = Self { child };
        let no_pipes = || Fault::io(what())(io::Error::other("it has no pipes"));
        let (stdin, stdout) = pipes.ok_or_else(no_pipes)?;
        Ok((own, stdin, stdout))
    }

    /// It ends now, and the kernel closes all that it has open.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended by itself.
        self.child.kill().ok();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
        self.child.wait().ok();
    }
}
