//! A session with the cluster: how it is made from the settings, in which data centre it reads and writes, its statements.
//! Not here: when it is made and made again (`driver`), what is asked of it (`page`, `append`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use scylla::{
    client::{
        execution_profile::{ExecutionProfile, ExecutionProfileHandle},
        session::{Session, TlsContext},
        session_builder::SessionBuilder,
    },
    frame::types::Consistency,
    policies::{
        load_balancing::{DefaultPolicy, LoadBalancingPolicy},
        speculative_execution::SimpleSpeculativeExecutionPolicy,
    },
    statement::prepared::PreparedStatement,
};

use crate::{CassandraConfig, failure, schema, tls};

/// How often an idle connection is asked for a sign of life, and how long that may take: a node that is gone without a word
/// is noticed within the sum.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// The longest a whole try to connect may take, however many nodes there are to ask.
const CONNECT_ALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A session and what it has prepared.
pub(crate) struct Link {
    pub(crate) session: Session,
    pub(crate) writes: ExecutionProfileHandle,
    pub(crate) statements: Statements,
}

/// Every statement, prepared once. A server that has forgotten one is told it again by the driver.
pub(crate) struct Statements {
    pub(crate) insert_row: PreparedStatement,
    pub(crate) rows_down: PreparedStatement,
    pub(crate) rows_up: PreparedStatement,
    pub(crate) set_last: PreparedStatement,
    pub(crate) set_first: PreparedStatement,
    pub(crate) set_largest: PreparedStatement,
    pub(crate) heads_down: PreparedStatement,
    pub(crate) heads_up: PreparedStatement,
    pub(crate) generation: PreparedStatement,
    pub(crate) set_generation: PreparedStatement,
}

/// Connects, without looking at any table.
///
/// # Errors
/// In words for an operator.
pub(crate) async fn connect(config: &CassandraConfig) -> Result<Session, String> {
    let tls = tls::client(config)?.map(TlsContext::Rustls023);
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(config.write_timeout()))
        .load_balancing_policy(balancing(&config.datacenter))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.contact_points)
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(config.connect_timeout())
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        .keyspaces_to_fetch([&config.keyspace])
        .tls_context(tls);
    if !config.username.is_empty() {
        builder = builder.user(&config.username, &config.password);
    }
    match tokio::time::timeout(CONNECT_ALL_TIMEOUT, builder.build()).await {
        Ok(session) => session.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT_ALL_TIMEOUT.as_secs())),
    }
}

/// The data centre that is read and written: the one in the settings, or the only one there is.
///
/// # Errors
/// When it is not there, or is one of several and the settings do not say which: LOCAL_QUORUM would mean one place for a
/// write and another for the read after it.
pub(crate) fn datacenter(config: &CassandraConfig, session: &Session) -> Result<String, String> {
    let state = session.get_cluster_state();
    let known = state.get_nodes_info().iter().filter_map(|node| node.datacenter.clone());
    choose_datacenter(&config.datacenter, &known.collect())
}

fn choose_datacenter(wanted: &str, known: &BTreeSet<String>) -> Result<String, String> {
    let list = || known.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match known.first() {
        None => Err("no node has told yet which data centre it is in".to_owned()),
        Some(_) if known.contains(wanted) => Ok(wanted.to_owned()),
        Some(only) if wanted.is_empty() && known.len() == 1 => Ok(only.clone()),
        Some(_) if wanted.is_empty() => Err(format!(
            "the cluster has the data centres {}; set cassandra.datacenter to one of them",
            list()
        )),
        Some(_) => Err(format!("cassandra.datacenter is {wanted:?}, but the cluster has {}", list())),
    }
}

/// Makes everything ready that reads and writes need.
///
/// # Errors
/// In words for an operator: tables that are missing name `moim migrate`.
pub(crate) async fn prepare(config: &CassandraConfig, session: Session) -> Result<Link, (Session, String)> {
    match statements(config, &session).await {
        Ok((statements, writes)) => Ok(Link { session, writes, statements }),
        Err(why) => Err((session, why)),
    }
}

async fn statements(
    config: &CassandraConfig,
    session: &Session,
) -> Result<(Statements, ExecutionProfileHandle), String> {
    let datacenter = datacenter(config, session)?;
    let writes = pinned(session.get_default_execution_profile_handle(), &datacenter);
    let reads = reads(config, &writes);
    let ready = async |cql: &str, profile: &ExecutionProfileHandle| {
        let cql = schema::in_keyspace(cql, &config.keyspace);
        let mut statement = session.prepare(cql).await.map_err(|error| failure::of_prepare(&error))?;
        // Each may be sent again, to another node too, without harm; the driver does so only when it is told.
        statement.set_is_idempotent(true);
        statement.set_execution_profile_handle(Some(profile.clone()));
        Ok::<_, String>(statement)
    };
    let statements = Statements {
        insert_row: ready(schema::INSERT_ROW, &writes).await?,
        rows_down: ready(schema::ROWS_DOWN, &reads).await?,
        rows_up: ready(schema::ROWS_UP, &reads).await?,
        set_last: ready(schema::SET_LAST, &writes).await?,
        set_first: ready(schema::SET_FIRST, &writes).await?,
        set_largest: ready(schema::SET_LARGEST, &writes).await?,
        heads_down: ready(schema::HEADS_DOWN, &reads).await?,
        heads_up: ready(schema::HEADS_UP, &reads).await?,
        generation: ready(schema::GENERATION, &reads).await?,
        set_generation: ready(schema::SET_GENERATION, &writes).await?,
    };
    Ok((statements, writes))
}

/// From now on in that data centre, whatever others the cluster gets: where the settings name none, a second one would have a
/// part of the writes, with a quorum of its own, and a page would miss them and call itself complete.
fn pinned(profile: &ExecutionProfileHandle, datacenter: &str) -> ExecutionProfileHandle {
    profile.pointee_to_builder().load_balancing_policy(balancing(datacenter)).build().into_handle()
}

fn reads(config: &CassandraConfig, writes: &ExecutionProfileHandle) -> ExecutionProfileHandle {
    let mut profile = writes.pointee_to_builder().request_timeout(Some(config.read_timeout()));
    if config.speculative_after_millis > 0 {
        let policy = SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: Duration::from_millis(config.speculative_after_millis),
        };
        profile = profile.speculative_execution_policy(Some(Arc::new(policy)));
    }
    profile.build().into_handle()
}

/// To the replicas of the row first, and never to another data centre: its LOCAL_QUORUM would not be ours. Without a name only to
/// find out where that is.
fn balancing(datacenter: &str) -> Arc<dyn LoadBalancingPolicy> {
    let policy = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    if datacenter.is_empty() {
        policy.build()
    } else {
        policy.prefer_datacenter(datacenter.to_owned()).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_centre_is_the_only_one_or_the_named_one() {
        let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(choose_datacenter("", &known(&["seoul"])).unwrap(), "seoul");
        assert_eq!(choose_datacenter("busan", &known(&["busan", "seoul"])).unwrap(), "busan");
        let several = choose_datacenter("", &known(&["busan", "seoul"])).unwrap_err();
        assert!(several.contains("\"busan\", \"seoul\"; set cassandra.datacenter"), "{several}");
        let other = choose_datacenter("jeju", &known(&["seoul"])).unwrap_err();
        assert!(other.contains("is \"jeju\", but the cluster has \"seoul\""), "{other}");
        assert!(choose_datacenter("", &known(&[])).is_err());
    }

    #[test]
    fn the_data_centre_that_was_found_is_the_only_one_asked_from_then_on() {
        let config = CassandraConfig::default();
        assert!(config.datacenter.is_empty());
        let found = ExecutionProfile::builder().load_balancing_policy(balancing(&config.datacenter));
        let writes = pinned(&found.build().into_handle(), "seoul");
        for profile in [writes.to_profile(), reads(&config, &writes).to_profile()] {
            let policy = format!("{:?}", profile.get_load_balancing_policy());
            assert!(policy.contains("Datacenter(\"seoul\")"), "{policy}");
            assert!(policy.contains("permit_dc_failover: false"), "{policy}");
        }
    }
}
