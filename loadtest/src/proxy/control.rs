//! Orders to the proxy: one a line, over TCP, each answered with `ok` or what is wrong with it.
//! Not here: what an order does to bytes (`link`).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::fault::Fault;

use super::link::{Deaf, Link, Mood};

const HELP: &str = "cut ROUTE | pause ROUTE up|down|both|subscribers | delay ROUTE MILLIS | drip ROUTE BYTES_A_SECOND | \
                    drop ROUTE | upstream ROUTE HOST:PORT drop|keep | heal ROUTE (ROUTE may end in *)";

/// What is ordered.
#[derive(Debug, PartialEq)]
enum Order {
    Mood(Mood),
    /// Ends the connections there are; new ones are welcome.
    Drop,
    Upstream(SocketAddr, Keep),
}

#[derive(Debug, PartialEq)]
enum Keep {
    Connections,
    Nothing,
}

pub(super) async fn serve(listener: TcpListener, links: Arc<Vec<Arc<Link>>>) -> Result<(), Fault> {
    loop {
        let (stream, _) = listener.accept().await.map_err(Fault::io("cannot take orders"))?;
        let links = links.clone();
        tokio::spawn(async move {
            if let Err(error) = obey(stream, &links).await {
                eprintln!("moim-loadtest: an order was cut off: {error}");
            }
        });
    }
}

async fn obey(mut stream: TcpStream, links: &[Arc<Link>]) -> io::Result<()> {
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match carry_out(&line, links) {
            Ok(()) => "ok\n".to_owned(),
            Err(why) => format!("{why}\n"),
        };
        writing.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn carry_out(line: &str, links: &[Arc<Link>]) -> Result<(), String> {
    let (route, order) = parse(line).ok_or_else(|| format!("not understood: {line}; {HELP}"))?;
    let is_meant = |name: &str| match route.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == route,
    };
    let mut meant = links.iter().filter(|link| is_meant(&link.name)).peekable();
    if meant.peek().is_none() {
        return Err(format!("no route is called {route}"));
    }
    for link in meant {
        match &order {
            Order::Mood(mood) => link.set_mood(mood.clone()),
            Order::Drop => link.drop_connections(),
            Order::Upstream(upstream, keep) => link.turn(*upstream, *keep == Keep::Connections),
        }
    }
    Ok(())
}

fn parse(line: &str) -> Option<(&str, Order)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| text.parse::<u64>().ok();
    let (route, order) = match *words.as_slice() {
        ["cut", route] => (route, Order::Mood(Mood::Cut)),
        ["heal", route] => (route, Order::Mood(Mood::Well)),
        ["drop", route] => (route, Order::Drop),
        ["pause", route, which] => {
            let deaf = match which {
                "up" => Deaf { up: true, ..Deaf::default() },
                "down" => Deaf { down: true, ..Deaf::default() },
                "both" => Deaf { up: true, down: true, ..Deaf::default() },
                "subscribers" => Deaf { down: true, subscribers_only: true, ..Deaf::default() },
                _ => return None,
            };
            (route, Order::Mood(Mood::Paused(deaf)))
        }
        ["delay", route, millis] => (route, Order::Mood(Mood::Slow(Duration::from_millis(number(millis)?)))),
        ["drip", route, bytes] => (route, Order::Mood(Mood::Drip(number(bytes)?.max(1)))),
        ["upstream", route, to, keep] => {
            let keep = match keep {
                "keep" => Keep::Connections,
                "drop" => Keep::Nothing,
                _ => return None,
            };
            (route, Order::Upstream(to.parse().ok()?, keep))
        }
        _ => return None,
    };
    Some((route, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood_or_refused() {
        assert_eq!(parse("cut redis-1"), Some(("redis-1", Order::Mood(Mood::Cut))));
        assert_eq!(parse("drip c 10"), Some(("c", Order::Mood(Mood::Drip(10)))));
        let slow = Order::Mood(Mood::Slow(Duration::from_millis(5)));
        assert_eq!(parse("delay c 5"), Some(("c", slow)));
        for wrong in ["", "cut", "pause x sideways", "upstream x nowhere keep", "heal a b"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_order_for_nobody_is_refused() {
        let link = Arc::new(Link::new("redis-1".into(), ([127, 0, 0, 1], 1).into()));
        assert_eq!(carry_out("cut redis-*", std::slice::from_ref(&link)), Ok(()));
        assert!(carry_out("cut cassandra-*", &[link]).is_err());
    }
}
