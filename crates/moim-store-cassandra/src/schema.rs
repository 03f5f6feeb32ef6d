//! The tables, the steps that make them, and every statement that reads or writes them.
//! Not here: who runs the steps (`migrate`), which values go in (`row`).
//!
//! ```text
//! messages       ((room, bucket), seq desc)          one row per message; bucket = seq >> 13
//! room_heads     ((room), epoch_base desc, epoch)    one row per epoch: first, last and largest of its rows
//! partition_gen  ((part))                            the last generation of each bus partition
//! schema_version ((name), step)                      which steps were taken
//! ```
//!
//! The columns of a head row are registers that only ever rise (`last`, `row_bytes_max`) or fall (`first`), without any read
//! before the write: each is written `USING TIMESTAMP` of a number that follows from its own value, and the server keeps the
//! value with the highest timestamp. Those timestamps are negative, between -2^53 and -1, because Scylla refuses timestamps
//! that lie in the future, and the number of a room seeded from a clock (milliseconds times 1024) would.

/// Numbers in a bucket, as a power of two: 8,192 rows of 4 KB are 33 MB, a third of what a partition should have at most.
const BUCKET_BITS: u32 = 13;
/// Numbers that an epoch's jump skips at least, as a power of two: two epochs of a room never share this part of a number.
const EPOCH_BASE_BITS: u32 = 32;
/// All numbers are below this power of two, so that a JavaScript client reads them without loss.
const SEQ_BITS: u32 = 53;
/// The largest number that can be kept.
pub(crate) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

const _: () = assert!(SEQ_MAX == moim_protocol::Seq::MAX.0, "what the protocol allows can be kept");
const _: () = assert!(BUCKET_BITS < EPOCH_BASE_BITS, "a bucket never holds rows of two bases");

/// Rows of heads that one query brings: rooms have a handful of epochs, one more at each loss of the bus's data.
pub(crate) const HEADS_PER_READ: usize = 64;

/// A number as a bigint. Above [`SEQ_MAX`], which no row has, it stays the largest there is.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn bucket(seq: u64) -> u64 {
    seq >> BUCKET_BITS
}

/// The lowest number in the same bucket.
pub(crate) fn bucket_first(seq: u64) -> u64 {
    bucket(seq) << BUCKET_BITS
}

/// The highest number in the same bucket.
pub(crate) fn bucket_last(seq: u64) -> u64 {
    bucket_first(seq) | ((1 << BUCKET_BITS) - 1)
}

pub(crate) fn epoch_base(seq: u64) -> u64 {
    seq >> EPOCH_BASE_BITS << EPOCH_BASE_BITS
}

/// The timestamp of a register that rises: the larger value has the later one.
pub(crate) fn rising(value: u64) -> i64 {
    bigint(value.min(SEQ_MAX)) - (1 << SEQ_BITS)
}

/// The timestamp of a register that falls: the smaller value has the later one.
pub(crate) fn falling(value: u64) -> i64 {
    -1 - bigint(value.min(SEQ_MAX))
}

/// One numbered step. Steps are only ever added at the end, and add only: an older moim goes on beside a newer one.
pub(crate) struct Step {
    pub(crate) number: i32,
    pub(crate) what: &'static str,
    /// With `{keyspace}` for its name.
    pub(crate) cql: &'static str,
    /// Whether it is large enough to choose how it is compacted.
    pub(crate) compaction: Option<&'static str>,
}

/// Recommended by Cassandra 5 for nearly everything. A server that does not know it takes its own default.
pub(crate) const COMPACTION: &str =
    " AND compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T4'}";

/// Where the steps that were taken are written down; made before the first of them.
pub(crate) const SCHEMA_VERSION: &str = "CREATE TABLE IF NOT EXISTS {keyspace}.schema_version (name text, step int, what text, \
     applied_at bigint, PRIMARY KEY ((name), step))";
pub(crate) const SELECT_STEPS: &str = "SELECT step FROM {keyspace}.schema_version WHERE name = 'moim'";
pub(crate) const INSERT_STEP: &str =
    "INSERT INTO {keyspace}.schema_version (name, step, what, applied_at) VALUES ('moim', ?, ?, ?)";

/// All of them, in order.
pub(crate) const STEPS: &[Step] = &[
    Step {
        number: 1,
        what: "table messages",
        cql: "CREATE TABLE IF NOT EXISTS {keyspace}.messages (room text, bucket bigint, seq bigint, prev bigint, epoch text, \
              id text, client_id text, username text, content text, sent_at bigint, PRIMARY KEY ((room, bucket), seq)) \
              WITH CLUSTERING ORDER BY (seq DESC)",
        compaction: Some(COMPACTION),
    },
    Step {
        number: 2,
        what: "table room_heads",
        cql: "CREATE TABLE IF NOT EXISTS {keyspace}.room_heads (room text, epoch_base bigint, epoch text, first bigint, \
              last bigint, sent_at bigint, row_bytes_max bigint, PRIMARY KEY ((room), epoch_base, epoch)) \
              WITH CLUSTERING ORDER BY (epoch_base DESC, epoch DESC)",
        compaction: Some(COMPACTION),
    },
    Step {
        number: 3,
        what: "table partition_gen",
        cql: "CREATE TABLE IF NOT EXISTS {keyspace}.partition_gen (part bigint, epoch text, PRIMARY KEY ((part)))",
        compaction: None,
    },
];

/// The statement with its keyspace in it.
pub(crate) fn in_keyspace(cql: &str, keyspace: &str) -> String {
    cql.replace("{keyspace}", keyspace)
}

/// Columns by name, never `*`: a column that a newer moim adds must not change what this one reads.
pub(crate) const INSERT_ROW: &str = "INSERT INTO {keyspace}.messages (room, bucket, seq, prev, epoch, id, client_id, username, \
     content, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
pub(crate) const ROWS_DOWN: &str = "SELECT seq, prev, epoch, id, client_id, username, content, sent_at FROM \
     {keyspace}.messages WHERE room = ? AND bucket = ? AND seq >= ? AND seq <= ? LIMIT ?";
pub(crate) const ROWS_UP: &str = "SELECT seq, prev, epoch, id, client_id, username, content, sent_at FROM \
     {keyspace}.messages WHERE room = ? AND bucket = ? AND seq >= ? AND seq <= ? ORDER BY seq ASC LIMIT ?";

pub(crate) const SET_LAST: &str = "INSERT INTO {keyspace}.room_heads (room, epoch_base, epoch, last, sent_at) VALUES \
     (?, ?, ?, ?, ?) USING TIMESTAMP ?";
pub(crate) const SET_FIRST: &str = "INSERT INTO {keyspace}.room_heads (room, epoch_base, epoch, first) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
pub(crate) const SET_LARGEST: &str = "INSERT INTO {keyspace}.room_heads (room, epoch_base, epoch, row_bytes_max) VALUES \
     (?, ?, ?, ?) USING TIMESTAMP ?";
pub(crate) const HEADS_DOWN: &str = "SELECT epoch_base, epoch, first, last, sent_at, row_bytes_max FROM \
     {keyspace}.room_heads WHERE room = ? AND epoch_base <= ? LIMIT ?";
pub(crate) const HEADS_UP: &str = "SELECT epoch_base, epoch, first, last, sent_at, row_bytes_max FROM \
     {keyspace}.room_heads WHERE room = ? AND epoch_base >= ? ORDER BY epoch_base ASC LIMIT ?";

pub(crate) const GENERATION: &str =
    "SELECT epoch, WRITETIME(epoch) FROM {keyspace}.partition_gen WHERE part = ?";
pub(crate) const SET_GENERATION: &str =
    "INSERT INTO {keyspace}.partition_gen (part, epoch) VALUES (?, ?) USING TIMESTAMP ?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_from_numbers() {
        assert_eq!((bucket(8191), bucket(8192)), (0, 1));
        assert_eq!((bucket_first(8200), bucket_last(8200)), (8192, 16_383));
        assert_eq!(epoch_base((5 << 32) + 77), 5 << 32);
        assert_eq!(bigint(u64::MAX), i64::MAX);
    }

    #[test]
    fn registers_rise_and_fall_within_the_past() {
        for (low, high) in [(0, 1), (1, 1 << 32), (1 << 32, SEQ_MAX)] {
            assert!(rising(low) < rising(high), "{low} {high}");
            assert!(falling(low) > falling(high), "{low} {high}");
        }
        for value in [0, 1, SEQ_MAX, u64::MAX] {
            assert!(rising(value) < 0 && falling(value) < 0 && rising(value) > i64::MIN, "{value}");
        }
    }

    #[test]
    fn steps_are_numbered_without_a_gap_and_only_add() {
        for (number, step) in (1..).zip(STEPS) {
            assert_eq!(step.number, number);
            let adds =
                step.cql.starts_with("CREATE TABLE IF NOT EXISTS {keyspace}.") || step.cql.contains(" ADD ");
            assert!(adds, "{}", step.what);
        }
    }

    /// What only one of Cassandra and Scylla has, costs a consensus round, leaves tombstones, or reads without a bound.
    #[test]
    fn no_statement_uses_what_is_not_for_every_day() {
        let daily = [
            INSERT_ROW,
            ROWS_DOWN,
            ROWS_UP,
            SET_LAST,
            SET_FIRST,
            SET_LARGEST,
            HEADS_DOWN,
            HEADS_UP,
            GENERATION,
            SET_GENERATION,
        ];
        for cql in daily {
            for banned in [" IF ", "DELETE", "UPDATE", "ALLOW FILTERING", "*", "null", " IN "] {
                assert!(!cql.contains(banned), "{banned} in {cql}");
            }
            let is_bounded =
                !cql.starts_with("SELECT") || cql.contains("LIMIT ?") || cql.contains("part = ?");
            assert!(is_bounded, "{cql}");
        }
    }
}
