//! What an error of the driver means: the store is away, its tables are missing, or a row is at fault.
//! Not here: errors of a migration (`migrate`), when to try again (the caller, by `StoreError::retry`).

use moim_store::StoreError;
use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};

/// Beginnings of what servers say of a row that they will never take. A list of what is known, and not "whatever is called
/// invalid": guardrails, like a disk that is too full, are called invalid too, and would make dead letters of every message.
const ROW_FAULTS: [&str; 7] = [
    "Key length of",
    "Key may not be empty",
    "Key size too large",
    "Key cannot be empty",
    "Encountered an oversized mutation",
    "Rejected an oversized mutation",
    "Request is too big",
];

/// What servers say of a keyspace, table or column that is not there.
const SCHEMA_FAULTS: [&str; 7] = [
    "unconfigured table",
    "unconfigured columnfamily",
    "does not exist",
    "Undefined column name",
    "Unknown identifier",
    "Undefined name",
    "Unrecognized name",
];

/// A read, or a write that says nothing about a row, did not succeed.
pub(crate) fn away(error: &ExecutionError) -> StoreError {
    match db_error(error) {
        Some((_, text)) if is_about_schema(text) => StoreError::Unavailable(migrate(text)),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// A write of rows did not succeed.
pub(crate) fn of_rows(error: &ExecutionError) -> StoreError {
    match db_error(error) {
        Some((DbError::Invalid, text)) if ROW_FAULTS.iter().any(|fault| text.contains(fault)) => {
            StoreError::Refused(format!("Cassandra says: {text}"))
        }
        _ => away(error),
    }
}

/// A statement could not be prepared.
pub(crate) fn of_prepare(error: &PrepareError) -> String {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt: RequestAttemptError::DbError(_, text), .. }
            if is_about_schema(text) =>
        {
            migrate(text)
        }
        _ => error.to_string(),
    }
}

fn migrate(said: &str) -> String {
    format!("its tables are missing or older than this moim (Cassandra says: {said}); run `moim migrate`")
}

fn is_about_schema(text: &str) -> bool {
    SCHEMA_FAULTS.iter().any(|fault| text.contains(fault))
}

fn db_error(error: &ExecutionError) -> Option<(&DbError, &str)> {
    match error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, text))
        | ExecutionError::PrepareError(PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(error, text),
            ..
        }) => Some((error, text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use moim_store::Retry;
    use scylla::{errors::WriteType, frame::types::Consistency};

    use super::*;

    fn said(error: DbError, text: &str) -> ExecutionError {
        RequestAttemptError::DbError(error, text.to_owned()).into()
    }

    #[test]
    fn only_known_faults_of_a_row_make_it_a_dead_letter() {
        let refused = of_rows(&said(DbError::Invalid, "Key length of 70000 is longer than maximum of 65535"));
        assert_eq!(refused.retry(), Retry::OneByOne, "{refused}");
        let consistency = Consistency::LocalQuorum;
        let timeout =
            DbError::WriteTimeout { consistency, received: 1, required: 2, write_type: WriteType::Simple };
        let failures = [
            said(DbError::Invalid, "Write request failed because disk usage exceeds failure threshold"),
            said(DbError::Unauthorized, "User x has no MODIFY permission"),
            said(
                DbError::Unavailable { consistency, required: 2, alive: 1 },
                "Cannot achieve consistency level",
            ),
            said(DbError::Overloaded, "Request is too big for now"),
            said(timeout, "Operation timed out"),
            ExecutionError::RequestTimeout(Duration::from_secs(2)),
            ExecutionError::EmptyPlan,
        ];
        for error in failures {
            assert!(matches!(of_rows(&error), StoreError::Unavailable(_)), "{error}");
        }
    }

    #[test]
    fn missing_tables_name_the_cure() {
        for text in [
            "unconfigured table messages",
            "Keyspace 'moim' does not exist",
            "Undefined column name prev in table",
        ] {
            let error = of_rows(&said(DbError::Invalid, text));
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            assert!(error.to_string().contains("run `moim migrate`"), "{error}");
        }
    }
}
