//! Connections in a process of their own, so that they can all end in the same moment: when the process is killed.
//! Not here: who kills it (`scenario::disconnect_storm`).

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{ChildStdin, ChildStdout},
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use clap::Args;
use moim_protocol::Profile;

use crate::{
    fault::Fault,
    fleet::{Deaf, Fleet, open_all},
    handshake, interrupt,
    own::Own,
};

const AT_ONCE: usize = 64;
const TURN: Duration = Duration::from_millis(100);
const HELD: &str = "held";

#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    #[arg(long, value_name = "HOST:PORT")]
    address: SocketAddr,
    #[arg(long)]
    members: usize,
    /// Rooms they are spread over, `NAME-0` and on
    #[arg(long)]
    rooms: usize,
    #[arg(long)]
    room_prefix: String,
}

/// Opens them, says so, and holds them until it is killed, or until nobody holds its stdin any more.
pub(crate) fn run(args: &HoldArgs) -> Result<(), Fault> {
    interrupt::listen()?;
    let (ended, end) = sync_channel::<()>(1);
    thread::spawn(move || {
        io::stdin().read_to_end(&mut Vec::new()).ok();
        drop(ended);
    });
    let mut fleet = Fleet::new()?;
    let requests = (0..args.members).map(|member| {
        let room = format!("{}-{}", args.room_prefix, member % args.rooms);
        handshake::request(args.address, &room, &format!("h{member}"), Profile::V1)
    });
    open_all(&mut fleet, args.address, requests, AT_ONCE, &mut Deaf, |_| {})?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{HELD}")
        .and_then(|()| stdout.flush())
        .map_err(Fault::io("cannot say that they are open"))?;
    while end.try_recv() == Err(TryRecvError::Empty) {
        fleet.turn(TURN, &mut Deaf)?;
    }
    Ok(())
}

/// Such a process, from outside; killed with this value.
pub(crate) struct Holder {
    own: Own,
    /// Its end is the process's.
    _lifeline: ChildStdin,
    held: Receiver<String>,
}

impl Holder {
    pub(crate) fn start(
        address: SocketAddr,
        members: usize,
        rooms: usize,
        room_prefix: &str,
    ) -> Result<Self, Fault> {
        let (address, members, rooms) = (address.to_string(), members.to_string(), rooms.to_string());
        let place = ["hold", "--address", &address, "--room-prefix", room_prefix];
        let words = place.into_iter().chain(["--members", &members, "--rooms", &rooms]);
        let (own, lifeline, stdout) = Own::start(&words.map(str::to_owned).collect::<Vec<_>>())?;
        let (said, held) = sync_channel(1);
        thread::spawn(move || said.send(first_line(stdout)).ok());
        Ok(Self { own, _lifeline: lifeline, held })
    }

    /// Whether all are open; a fault if it ended instead.
    pub(crate) fn is_held(&self) -> Result<bool, Fault> {
        match self.held.try_recv() {
            Ok(line) if line == HELD => Ok(true),
            Ok(_) | Err(TryRecvError::Disconnected) => {
                Err(Fault::wrong("connections could not be held, see above"))
            }
            Err(TryRecvError::Empty) => Ok(false),
        }
    }

    /// All of its connections end now, by the kernel's hand.
    pub(crate) fn kill(&mut self) {
        self.own.kill();
    }
}

fn first_line(stdout: ChildStdout) -> String {
    let mut line = String::new();
    // What cannot be read was not said.
    BufReader::new(stdout).read_line(&mut line).ok();
    line.trim().to_owned()
}
