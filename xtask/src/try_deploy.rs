//! `cargo xtask try-compose` and `try-k8s`: the compose file and the local overlay, run for real where there is an engine or a
//! cluster.
//! Not here: what is checked without one (`steps/deploy`), what is done to them (`tests/deploy/python`).

use std::process::Command;

use clap::{Args, ValueEnum};

use crate::fault::Fault;
use crate::process::{stream, succeeds};
use crate::tools;
use crate::workspace::Workspace;

const SCRIPTS: &str = "tests/deploy/python";

#[derive(Args)]
pub(crate) struct ComposeArgs {
    /// Which docker-compose
    #[arg(long, value_enum, default_value = "v2")]
    compose: Version,
    /// Leave these out, where their images cannot be had
    #[arg(long, value_name = "SERVICE,…", value_delimiter = ',')]
    without: Vec<Monitor>,
    /// An image of moim that is there; else it is built
    #[arg(long)]
    image: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Version {
    V1,
    V2,
}

/// What chat can do without.
#[derive(Clone, Copy, ValueEnum)]
enum Monitor {
    Prometheus,
    Grafana,
}

#[derive(Args)]
pub(crate) struct K8sArgs {
    /// The cluster, as kubectl's configuration calls it: the namespace `moim` is made there, and deleted
    #[arg(long)]
    context: String,
    /// The kubectl that knows it; it has the image moim:local
    #[arg(long, default_value = "kubectl")]
    kubectl: String,
    /// Another image that it has, to upgrade to while people talk; else gateways are only restarted
    #[arg(long, value_name = "IMAGE")]
    update_to: Option<String>,
}

pub(crate) fn compose(workspace: &Workspace, args: &ComposeArgs) -> Result<(), Fault> {
    if !succeeds(Command::new("docker").arg("info")) {
        return Err(Fault::new(
            "no Docker engine answers `docker info`",
            "start one, or point DOCKER_HOST to it",
        ));
    }
    let tools = tools::deploy(workspace)?;
    let program = match args.compose {
        Version::V1 => tools.compose1.clone(),
        Version::V2 => tools.program("docker-compose"),
    };
    let without = args.without.iter().map(|monitor| match monitor {
        Monitor::Prometheus => "prometheus",
        Monitor::Grafana => "grafana",
    });
    let mut script = workspace.command(tools.program("python"));
    script.arg(format!("{SCRIPTS}/try_compose.py")).env("COMPOSE", program);
    script.args(["--without", &without.collect::<Vec<_>>().join(",")]);
    stream(script.args(args.image.iter().flat_map(|image| ["--image", image])))
}

pub(crate) fn k8s(workspace: &Workspace, args: &K8sArgs) -> Result<(), Fault> {
    let cluster = ["--context", &args.context, "version"];
    if !succeeds(Command::new(&args.kubectl).args(cluster)) {
        let what = format!("no cluster answers `{} --context {} version`", args.kubectl, args.context);
        return Err(Fault::new(what, "name one of `kubectl config get-contexts`"));
    }
    let mut script = workspace.command(tools::deploy(workspace)?.program("python"));
    script.arg(format!("{SCRIPTS}/try_k8s.py")).env("KUBECTL", &args.kubectl);
    script.args(["--context", &args.context]);
    stream(script.args(args.update_to.iter().flat_map(|image| ["--update-to", image])))
}
