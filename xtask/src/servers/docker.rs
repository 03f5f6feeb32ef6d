//! What is asked of a Docker engine: whether it is there, and whether it has an image or can get it.
//! Not here: what is run in it (`cassandra`).

use std::env;
use std::process::Command;
use std::time::Duration;

use crate::guarded::{Farewell, Guarded, Output};
use crate::tools::on_path;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PULL_TIMEOUT: Duration = Duration::from_secs(180);

/// Whether a container of this image can be started here; the error says why not, to stand in a sentence. Each try
/// is bounded: an engine without a network must not cost more than the other way round.
pub(super) fn has(image: &str) -> Result<(), &'static str> {
    if on_path("docker").is_none() {
        return Err("no docker on PATH");
    }
    // Its ports would be those of the other machine.
    if env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty() && !host.starts_with("unix://")) {
        return Err("DOCKER_HOST is another machine");
    }
    if !quiet(&["info"], ANSWER_TIMEOUT) {
        return Err("no engine answers `docker info`");
    }
    if quiet(&["image", "inspect", image], ANSWER_TIMEOUT) {
        return Ok(());
    }
    println!("pulling {image}, for {} s at most", PULL_TIMEOUT.as_secs());
    if quiet(&["pull", "--quiet", image], PULL_TIMEOUT) { Ok(()) } else { Err("the image cannot be pulled") }
}

/// The command that ends a container, whatever it does.
pub(super) fn removal(container: &str) -> String {
    format!("docker rm --force --volumes {container}")
}

fn quiet(arguments: &[&str], limit: Duration) -> bool {
    let mut docker = Command::new("docker");
    docker.args(arguments);
    let nowhere = std::path::Path::new("/dev/null");
    let running = Guarded::start(&docker, &Farewell::None, &Output::File(nowhere));
    running.ok().and_then(|mut docker| docker.wait_within(limit)).is_some_and(|status| status.success())
}
