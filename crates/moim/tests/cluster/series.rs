//! What a node of a cluster exports is as much with a thousand rooms and people as with one of each.
//! Not here: one node, and the form of what is exported (`ops` beside this folder).

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use crate::{
    harness::{Client, Server},
    nodes::Cluster,
};

const EACH: usize = 1_000;
/// Handshakes at the same time.
const AT_ONCE: usize = 50;

async fn series(server: &Server) -> BTreeSet<String> {
    let text = server.metrics().await;
    let names = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// In a room of its own, under a name of its own, and heard there.
async fn somebody(cluster: &Cluster, nth: usize) -> Client {
    let gateway = &cluster.gateways[nth % cluster.gateways.len()];
    let mut client = Client::v1_joined(gateway, &format!("방 {nth}"), &format!("사람 {nth}")).await;
    client.say_as("c", "말").await;
    client.skip_to("ack").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_rooms_and_people_are_no_more_series_than_one() {
    let cluster = Cluster::start(2, &[("limits.connections_per_address_max", "10000")]).await;
    let mut clients = vec![somebody(&cluster, 0).await];
    let one = series(&cluster.gateways[0]).await;
    let others = stream::iter(1..EACH).map(|nth| somebody(&cluster, nth)).buffer_unordered(AT_ONCE);
    clients.extend(others.collect::<Vec<_>>().await);
    for what in ["moim_rooms", "moim_connections_v1"] {
        assert_eq!(cluster.sum(what).await, EACH as f64, "{what}");
    }
    assert_eq!(series(&cluster.gateways[0]).await, one);
}
