//! A Redis of a drill's own: started on a free port, asked in the plainest way, ended with its value.
//! Not here: moim's use of it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{fault::Fault, interrupt};

const START_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running redis-server that ends with this value.
pub(crate) struct Redis {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Redis {
    /// Configured as moim asks for it: an append-only file, and no eviction.
    pub(crate) fn start(program: &Path) -> Result<Self, Fault> {
        let folder = tempfile::Builder::new().prefix("moim-loadtest-redis-").tempdir();
        let folder = folder.map_err(Fault::io("cannot make a folder"))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(Fault::io("cannot find a free port"))?;
        let child = Command::new(program)
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--maxmemory-policy", "noeviction"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(Fault::io(format!(
                "cannot start {} (install redis-server, or name it with --redis-server)",
                program.display()
            )))?;
        let this = Self { child, address, _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            interrupt::check()?;
            if start.elapsed() > START_TIMEOUT {
                return Err(Fault::Start(format!("{} does not listen", program.display())));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(this)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn connect(&self) -> Result<Connection, Fault> {
        let stream = TcpStream::connect(self.address).map_err(Fault::io("connecting to redis"))?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(Fault::io("connecting to redis"))?;
        Ok(Connection(BufReader::new(stream)))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Its data goes too. An error means that it has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A connection for commands whose answers are short.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Sends a command and reads its answer: a status, a number, or one text.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Result<String, Fault> {
        self.send(words)?;
        let line = self.line()?;
        match line.split_at_checked(1) {
            Some(("+" | ":", rest)) => Ok(rest.to_owned()),
            Some(("$", length)) => {
                let mut bytes = vec![0; length.parse::<usize>().unwrap_or(0) + b"\r\n".len()];
                self.0.read_exact(&mut bytes).map_err(Fault::io("reading from redis"))?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Err(Fault::wrong(format!("redis answers {line} to {words:?}"))),
        }
    }

    /// Sends a command whose answer nobody reads here.
    pub(crate) fn send(&mut self, words: &[&str]) -> Result<(), Fault> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.get_mut().write_all(command.as_bytes()).map_err(Fault::io("asking redis"))
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut line = String::new();
        let count = self.0.read_line(&mut line).map_err(Fault::io("reading from redis"))?;
        if count == 0 {
            return Err(Fault::wrong("redis closed the connection"));
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }

    /// Calls of a command and the microseconds they took, scripts' own calls included.
    pub(crate) fn command_stats(&mut self, command: &str) -> Result<(f64, f64), Fault> {
        let text = self.ask(&["INFO", "commandstats"])?;
        Ok(stats_of(&text, command).unwrap_or_default())
    }

    /// One number of INFO.
    pub(crate) fn info(&mut self, section: &str, name: &str) -> Result<f64, Fault> {
        let text = self.ask(&["INFO", section])?;
        let found =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok());
        found.ok_or_else(|| Fault::wrong(format!("redis says nothing of {name}")))
    }

    /// Throws away whatever comes before a line.
    pub(crate) fn read_until(&mut self, last: &str) -> Result<(), Fault> {
        while self.line()? != last {}
        Ok(())
    }
}

fn stats_of(text: &str, command: &str) -> Option<(f64, f64)> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_")?.strip_prefix(command)?.strip_prefix(':'))?;
    let number = |name: &str| {
        line.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.trim().parse().ok())
    };
    Some((number("calls")?, number("usec")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_of_one_command_are_found() {
        let text = "# Commandstats\ncmdstat_evalsha_ro:calls=1,usec=2\ncmdstat_evalsha:calls=20,usec=640,usec_per_call=32.00\n";
        assert_eq!(stats_of(text, "evalsha"), Some((20.0, 640.0)));
        assert_eq!(stats_of(text, "publish"), None);
    }
}
