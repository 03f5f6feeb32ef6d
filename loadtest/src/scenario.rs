//! The drills, one file each.
//! Not here: what they share (the other modules).

mod fanout;
mod idle;
mod join_storm;

pub(crate) use fanout::{FanoutArgs, run as fanout};
pub(crate) use idle::{IdleArgs, run as idle};
pub(crate) use join_storm::{JoinStormArgs, run as join_storm};
