//! The drills, one file each.
//! Not here: what they share (the other modules).

mod disconnect_storm;
mod fanout;
mod idle;
mod join_storm;
mod relay;
mod rooms;

pub(crate) use disconnect_storm::{DisconnectStormArgs, run as disconnect_storm};
pub(crate) use fanout::{FanoutArgs, run as fanout};
pub(crate) use idle::{IdleArgs, run as idle};
pub(crate) use join_storm::{JoinStormArgs, run as join_storm};
pub(crate) use relay::{RelayArgs, run as relay};
pub(crate) use rooms::{RoomsArgs, run as rooms};
