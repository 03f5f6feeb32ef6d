//! Orders to our own programs, a line over a port each: to the proxy, to members who play.
//! Not here: which orders there are (`moim-loadtest`).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::fault::Fault;

const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// The line that is answered.
pub(crate) fn ask(port: u16, order: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ORDER_TIMEOUT))?;
    stream.write_all(format!("{order}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// An order that must be carried out.
pub(crate) fn tell(port: u16, whom: &str, order: &str) -> Result<(), Fault> {
    let answer = ask(port, order).map_err(Fault::io(format!("tell {whom} `{order}`")))?;
    if answer == "ok" {
        return Ok(());
    }
    Err(Fault::plain(format!("{whom} answered `{order}` with {answer:?}")))
}
