//! Makes the keyspace and the tables: one runner, which may run again, and beside another.
//! Not here: the tables themselves (`schema`), when it runs (`moim migrate`).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use moim_protocol::ConfigFault;
use scylla::{
    client::session::Session,
    errors::{DbError, ExecutionError, RequestAttemptError},
    policies::load_balancing::{LoadBalancingPolicy, NodeIdentifier, SingleTargetLoadBalancingPolicy},
    response::query_result::QueryResult,
    serialize::row::SerializeRow,
    statement::unprepared::Statement,
};

use crate::{CassandraConfig, schema, schema::Step, session};

/// The longest one change may take: servers make a table in a second or two, more when they are busy.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a migration has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the tables are.
    pub keyspace: String,
    /// The data centre that is read and written.
    pub datacenter: String,
    /// The step that they are at now.
    pub step: i32,
    /// What was changed, a line each, in order; empty when all was there.
    pub changes: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        let Self { keyspace, datacenter, step, .. } = self;
        let before = if self.changes.is_empty() { "nothing to do: " } else { "" };
        write!(f, "{before}keyspace {keyspace} in data centre {datacenter} is at step {step}")
    }
}

/// Why it was not done. The text is for an operator to read.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The settings are not usable.
    #[error("cannot migrate with these settings: {0}")]
    Config(String),
    /// No node answers.
    #[error(
        "cannot connect to Cassandra at {nodes}: {problem}. Check cassandra.contact_points and that the nodes are up"
    )]
    Connect {
        /// Those that were asked.
        nodes: String,
        /// What they said.
        problem: String,
    },
    /// It is not clear where to keep the messages.
    #[error("cannot migrate: {0}")]
    Datacenter(String),
    /// The keyspace could be made, but never written.
    #[error(
        "cannot make keyspace {keyspace}: data centre {datacenter} has {nodes} nodes, and cassandra.replication_factor is \
         {wanted}. Add nodes, or set it to {nodes}; with 1, a lost disk is lost history"
    )]
    TooFewNodes {
        /// The keyspace.
        keyspace: String,
        /// Where it would be.
        datacenter: String,
        /// Nodes there.
        nodes: usize,
        /// Copies wanted.
        wanted: u32,
    },
    /// The cluster did not do it. Running it again goes on where it stopped.
    #[error(
        "cannot migrate keyspace {keyspace}, at {what}: {problem}. Run `moim migrate` again; it goes on from there"
    )]
    Step {
        /// The keyspace.
        keyspace: String,
        /// Which step.
        what: String,
        /// What the cluster said.
        problem: String,
    },
}

/// Makes what is missing of the keyspace and its tables, and changes nothing that is there. May run again at any time, also
/// twice at once, and while moim runs.
///
/// # Errors
/// Says what is wrong, where, and what to do.
///
/// # Cancel safety
/// Dropped, it may have taken any of its steps; the next run takes the others.
pub async fn migrate(config: &CassandraConfig) -> Result<Report, MigrateError> {
    if let Some(faults) = ConfigFault::joined(&config.validate()) {
        return Err(MigrateError::Config(faults));
    }
    let session = session::connect(config)
        .await
        .map_err(|problem| MigrateError::Connect { nodes: config.nodes(), problem })?;
    let datacenter = session::datacenter(config, &session).map_err(MigrateError::Datacenter)?;
    let runner = Runner { config, coordinator: coordinator(&session, &datacenter), session: &session };
    let mut report = Report { keyspace: config.keyspace.clone(), datacenter, step: 0, changes: Vec::new() };
    runner.make_keyspace(&mut report).await?;
    runner.take_steps(&mut report).await?;
    Ok(report)
}

struct Runner<'a> {
    config: &'a CassandraConfig,
    session: &'a Session,
    coordinator: Arc<dyn LoadBalancingPolicy>,
}

/// Two migrations at once choose the same node, which makes one change after the other. Sent to two nodes, `IF NOT EXISTS`
/// may be true on both, and the table is made twice under different ids.
fn coordinator(session: &Session, datacenter: &str) -> Arc<dyn LoadBalancingPolicy> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter();
    let near = nodes.filter(|node| node.datacenter.as_deref() == Some(datacenter) && node.is_connected());
    match near.min_by_key(|node| node.host_id) {
        Some(node) => SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(node.clone()), None),
        None => {
            session.get_default_execution_profile_handle().to_profile().get_load_balancing_policy().clone()
        }
    }
}

impl Runner<'_> {
    async fn make_keyspace(&self, report: &mut Report) -> Result<(), MigrateError> {
        let (keyspace, datacenter) = (&self.config.keyspace, &report.datacenter);
        let what = format!("keyspace {keyspace}");
        let known = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let found = self.run(known, (keyspace,)).await.map_err(|error| self.failed(&what, &error))?;
        if found.into_rows_result().is_ok_and(|rows| rows.rows_num() > 0) {
            return Ok(());
        }
        let state = self.session.get_cluster_state();
        let nodes = state.get_nodes_info().iter();
        let nodes = nodes.filter(|node| node.datacenter.as_deref() == Some(datacenter)).count();
        let wanted = self.config.replication_factor;
        if nodes < wanted as usize {
            let (keyspace, datacenter) = (keyspace.clone(), datacenter.clone());
            return Err(MigrateError::TooFewNodes { keyspace, datacenter, nodes, wanted });
        }
        let make = format!(
            "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
             {{'class': 'NetworkTopologyStrategy', '{datacenter}': {wanted}}}"
        );
        self.change(&what, &make).await?;
        report
            .changes
            .push(format!("made keyspace {keyspace} with {wanted} copies in data centre {datacenter}"));
        Ok(())
    }

    async fn take_steps(&self, report: &mut Report) -> Result<(), MigrateError> {
        self.change("table schema_version", schema::SCHEMA_VERSION).await?;
        let taken = self.steps_taken().await?;
        report.step = taken.iter().copied().max().unwrap_or(0);
        for step in schema::STEPS.iter().filter(|step| !taken.contains(&step.number)) {
            let how = self.take(step).await?;
            let values = (step.number, step.what, now_micros());
            self.run(schema::INSERT_STEP, values).await.map_err(|error| self.failed(step.what, &error))?;
            report.changes.push(format!("step {}: made {}{how}", step.number, step.what));
            report.step = report.step.max(step.number);
        }
        Ok(())
    }

    async fn steps_taken(&self) -> Result<Vec<i32>, MigrateError> {
        let what = "table schema_version";
        let found = self.run(schema::SELECT_STEPS, ()).await.map_err(|error| self.failed(what, &error))?;
        let unreadable = |error: &dyn fmt::Display| self.fault(what, error.to_string());
        let rows = found.into_rows_result().map_err(|error| unreadable(&error))?;
        let rows = rows.rows::<(i32,)>().map_err(|error| unreadable(&error))?;
        rows.map(|row| row.map(|(step,)| step).map_err(|error| unreadable(&error))).collect()
    }

    /// With the compaction that suits it where the server knows it, else with the server's own.
    async fn take(&self, step: &Step) -> Result<&'static str, MigrateError> {
        let Some(compaction) = step.compaction else {
            return self.change(step.what, step.cql).await.map(|()| "");
        };
        let chosen = format!("{}{compaction}", step.cql);
        match self.run(&chosen, ()).await {
            Ok(_) => self.agree(step.what).await.map(|()| ""),
            Err(error) if is_about_compaction(&error) => {
                let own = ", with the server's own compaction: it does not know UnifiedCompactionStrategy";
                self.change(step.what, step.cql).await.map(|()| own)
            }
            Err(error) => Err(self.failed(step.what, &error)),
        }
    }

    async fn change(&self, what: &str, cql: &str) -> Result<(), MigrateError> {
        self.run(cql, ()).await.map_err(|error| self.failed(what, &error))?;
        self.agree(what).await
    }

    /// All nodes have the same tables, also when it was another migration that made them.
    async fn agree(&self, what: &str) -> Result<(), MigrateError> {
        let agreed = self.session.await_schema_agreement().await;
        agreed.map(drop).map_err(|error| self.fault(what, error.to_string()))
    }

    async fn run(&self, cql: &str, values: impl SerializeRow) -> Result<QueryResult, ExecutionError> {
        let mut statement = Statement::new(schema::in_keyspace(cql, &self.config.keyspace));
        statement.set_is_idempotent(true);
        statement.set_request_timeout(Some(CHANGE_TIMEOUT));
        statement.set_load_balancing_policy(Some(self.coordinator.clone()));
        self.session.query_unpaged(statement, values).await
    }

    fn failed(&self, what: &str, error: &ExecutionError) -> MigrateError {
        self.fault(what, error.to_string())
    }

    fn fault(&self, what: &str, problem: String) -> MigrateError {
        MigrateError::Step { keyspace: self.config.keyspace.clone(), what: what.to_owned(), problem }
    }
}

fn is_about_compaction(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::ConfigError | DbError::Invalid, text))
            if text.contains("ompaction")
    )
}

fn now_micros() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unknown_compaction_is_left_to_the_server() {
        let said = |error, text: &str| RequestAttemptError::DbError(error, text.to_owned()).into();
        let unknown = "Unable to find compaction strategy class 'org.apache.cassandra.db.compaction.X'";
        assert!(is_about_compaction(&said(DbError::ConfigError, unknown)));
        assert!(!is_about_compaction(&said(DbError::Invalid, "Keyspace 'moim' does not exist")));
        assert!(!is_about_compaction(&said(DbError::Overloaded, unknown)));
    }
}
