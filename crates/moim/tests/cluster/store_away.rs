//! Gateways that are started before Cassandra, and Cassandra that goes away later: chat goes on, says so, and heals.
//! Not here: what the store itself does when it is slow (`moim-store-cassandra`).

use serde_json::{Value, json};

use crate::{
    door::Door,
    harness::{Client, get, until},
    nodes::{Cluster, OwnRedis, Place, server},
};

const ROOM: &str = "아직 없는 방";
const BEFORE: usize = 200;
/// What the alert on a backlog goes by.
const OLDEST: &str = "moim_writer_oldest_unstored_milliseconds";

async fn say(client: &mut Client, nth: usize) -> Value {
    let frame = json!({"type": "message", "content": format!("말 {nth}"), "clientId": format!("c{nth}")});
    client.send(frame).await;
    client.skip_to("ack").await
}

async fn newest(cluster: &Cluster, limit: usize) -> Value {
    let path = format!("/api/v1/rooms/{}/messages?limit={limit}", crate::harness::encode(ROOM));
    get(cluster.gateways[1].public, &path).await.json()
}

/// `stored` asked for by hand is refused, and is one message with one number when it is given in the end.
async fn stored_by_hand(client: &mut Client) -> Value {
    let frame = json!({"type": "message", "content": "꼭", "clientId": "must", "ack": "stored"});
    client.send(frame).await;
    client.skip_to("error").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_start_before_cassandra_and_everything_is_stored_when_it_comes() {
    let (redis, cassandra) = (OwnRedis::start().await, server("MOIM_TEST_CASSANDRA"));
    let mut door = Door::shut_before(&cassandra).await;
    let place = Place { redis: &redis.url, cassandra: &door.address.to_string(), is_migrated: false };
    let cluster = Cluster::start_at(&place, 2, &[]).await;
    assert_eq!(get(cluster.gateways[0].ops, "/readyz").await.status, 200);
    let mut min = Client::v1(&cluster.gateways[0], ROOM, "민").await;
    min.expect("joined").await;
    // A room that nobody has heard of may have a past that cannot be asked for now.
    let history = min.expect("history").await;
    assert_eq!((&history["complete"], &history["messages"]), (&json!(false), &json!([])));
    let mut sun = Client::v1_joined(&cluster.gateways[1], ROOM, "선").await;
    for nth in 0..BEFORE {
        let ack = say(&mut min, nth).await;
        assert_eq!(ack["level"], "wal", "{ack}");
        let heard = sun.skip_to("message").await;
        assert_eq!((&heard["seq"], &heard["clientId"]), (&ack["seq"], &ack["clientId"]));
    }
    let refused = stored_by_hand(&mut min).await;
    assert_eq!((&refused["code"], &refused["clientId"]), (&json!("store_unavailable"), &json!("must")));
    assert!(refused["retryAfterMs"].as_u64().is_some_and(|after| after > 0), "{refused}");
    let must = sun.skip_to("message").await;
    assert_eq!(must["clientId"], "must");
    let page = newest(&cluster, 100).await;
    assert_eq!(page["messages"].as_array().unwrap().last().unwrap()["clientId"], "must");

    let grows = "the age of what is not stored";
    until(grows, async || (cluster.sum(OLDEST).await > 0.0).then_some(())).await;

    // Cassandra is there, and empty; then somebody makes the tables.
    door.open().await;
    cluster.migrate(&cassandra).await;
    until("what was said before", async || (cluster.rows(ROOM).await.len() == BEFORE + 1).then_some(()))
        .await;
    let frame = json!({"type": "message", "content": "꼭", "clientId": "must", "ack": "stored"});
    let ack = until("the ack of what was asked for", async || {
        min.send(frame.clone()).await;
        loop {
            let answer = min.frame().await;
            match answer["type"].as_str().unwrap() {
                "ack" => return Some(answer),
                "error" => return None,
                _ => {}
            }
        }
    })
    .await;
    assert_eq!((&ack["seq"], &ack["epoch"], &ack["level"]), (&must["seq"], &must["epoch"], &json!("stored")));
    let mut nth = BEFORE;
    until("acks that say stored again", async || {
        let ack = say(&mut min, nth).await;
        nth += 1;
        (ack["level"] == "stored").then_some(())
    })
    .await;
    until("nothing that is not stored", async || (cluster.sum(OLDEST).await == 0.0).then_some(())).await;
    let page = newest(&cluster, 100).await;
    assert_eq!(page["complete"], true, "{page}");
    let rows = cluster.rows(ROOM).await;
    let mut said: Vec<_> = (0..nth).map(|nth| format!("c{nth}")).collect();
    said.insert(BEFORE, "must".to_owned());
    let stored: Vec<_> = rows.iter().map(|row| row.client_id.as_ref().unwrap().as_str()).collect();
    assert_eq!(stored, said);
    door.shut().await;
}
