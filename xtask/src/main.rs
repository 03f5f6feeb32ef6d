//! `cargo xtask …`: everything a person or CI runs on this repository, one command each.
//! Not here: any rule (`tidy/`), any test of a crate (its own `tests/`), anything the product needs to run.

mod autobahn;
mod cluster;
mod deny;
mod docs;
mod drill;
mod fault;
mod guarded;
mod process;
mod runner;
mod servers;
mod signals;
mod steps;
mod tidy;
mod tools;
mod try_deploy;
mod with_servers;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use fault::Fault;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a person or CI runs on this repository.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the rules of this repository that no compiler knows (also run by `cargo test`)
    Tidy,
    /// Run every test there is, in order, and stop at the first failure
    Test(TestArgs),
    /// Run a command beside real servers, told where they are as the tests are
    WithServers(with_servers::WithServersArgs),
    /// Run a whole cluster on this machine: Redis, Cassandra, gateways, HAProxy in front
    Cluster(cluster::ClusterArgs),
    /// Break a cluster under load, one fault at a time, and hold what members saw against the promises
    Drill(drill::DrillArgs),
    /// Play the Autobahn WebSocket testsuite against the gateway
    Autobahn(autobahn::AutobahnArgs),
    /// Take pictures of the page in every state, language, light and size, and the one of README.md
    Screenshots(ScreenshotsArgs),
    /// Write docs/protocol.md and docs/configuration.md anew, from the code's own tables
    Docs,
    /// Check licences, duplicate crates and sources with cargo-deny
    Deny,
    /// Run docker-compose.yml for real, and break it while people talk
    TryCompose(try_deploy::ComposeArgs),
    /// Run the local overlay for real in a Kubernetes cluster, and break it while people talk
    TryK8s(try_deploy::K8sArgs),
}

#[derive(Args)]
struct TestArgs {
    /// Run only these steps, in the order of the table
    #[arg(long, value_name = "STEP,…", value_delimiter = ',', conflicts_with = "from")]
    only: Vec<String>,
    /// Begin at this step
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// Name the steps and stop
    #[arg(long)]
    list: bool,
}

#[derive(Args)]
struct ScreenshotsArgs {
    /// The folder they are put into
    #[arg(default_value = "target/screenshots")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let outcome = Workspace::find().and_then(|workspace| match command {
        Command::Tidy => tidy::run(&workspace.root),
        Command::Test(args) => test(&workspace, &args),
        Command::WithServers(args) => with_servers::run(&workspace, &args),
        Command::Cluster(args) => cluster::run(&workspace, &args),
        Command::Drill(args) => drill::run(&workspace, &args),
        Command::Autobahn(args) => autobahn::run(&workspace, &args),
        Command::Screenshots(args) => screenshots(&workspace, &args),
        Command::Docs => docs::run(&workspace),
        Command::Deny => deny::run(&workspace),
        Command::TryCompose(args) => try_deploy::compose(&workspace, &args),
        Command::TryK8s(args) => try_deploy::k8s(&workspace, &args),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn test(workspace: &Workspace, args: &TestArgs) -> Result<(), Fault> {
    let chosen = runner::select(steps::STEPS, &args.only, args.from.as_deref())?;
    if args.list {
        print!("{}", runner::list(&chosen));
        return Ok(());
    }
    runner::run(workspace, &chosen, &mut std::io::stdout())
}

fn screenshots(workspace: &Workspace, args: &ScreenshotsArgs) -> Result<(), Fault> {
    let folder = workspace.root.join(&args.folder);
    process::stream(steps::in_browsers(workspace, "screenshots")?.arg(&folder))?;
    println!("they are in {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn steps_are_given_with_commas() {
        let cli = Cli::try_parse_from(["xtask", "test", "--only", "fmt,clippy"]).unwrap();
        let Command::Test(args) = cli.command else { panic!("not the test command") };
        assert_eq!(args.only, ["fmt", "clippy"]);
    }
}
