//! What the cluster says when it is up: every address, and what to try.
//! Not here: what it says while it runs (`watch`).

use std::fmt::Write as _;

use super::Cluster;

/// All addresses of a cluster, as a person would type them.
pub(super) fn of(cluster: &Cluster) -> String {
    let mut text = String::from("\nmoim, a cluster on this machine\n\n");
    let mut row = |name: &str, value: &str| {
        writeln!(text, "  {name:<11}{value}").ok();
    };
    let port = cluster.haproxy.port;
    row("page", &format!("http://127.0.0.1:{port}/   through HAProxy"));
    for gateway in &cluster.gateways {
        let (name, public, ops) = (&gateway.server.name, gateway.public, gateway.ops);
        let operators = format!("http://127.0.0.1:{ops}/metrics, /livez, /readyz");
        row(name, &format!("http://127.0.0.1:{public}/   {operators}   pid {}", gateway.server.process.id()));
    }
    row(
        "haproxy",
        &format!("http://127.0.0.1:{}/   who is up, with how many connections", cluster.haproxy.stats),
    );
    row("redis", &format!("{}   pid {}", cluster.redis.url(), cluster.redis.server.process.id()));
    row(
        "cassandra",
        &format!("{}   pid {}", cluster.cassandra.address(), cluster.cassandra.server.process.id()),
    );
    row("logs", &cluster.place.path().display().to_string());
    let data =
        if cluster.keeps { "kept for the next start with --keep" } else { "thrown away at the end (--keep)" };
    row("data", data);
    let victim = cluster.gateways.first().map_or(0, |gateway| gateway.server.process.id());
    text += &format!(
        "\nTry next\n  \
         1. Open the page in two windows and talk.\n  \
         2. kill -9 {victim}: windows on gateway-1 come back through another one, and miss nothing.\n\n\
         From here on: what they log (of Cassandra only warnings). Ctrl-C stops everything.\n\n"
    );
    text
}
