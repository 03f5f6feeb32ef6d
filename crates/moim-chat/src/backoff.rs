//! How long to wait before trying again: full jitter, so that a thousand clients do not come back at once.
//! Not here: when to try again at all (`wire`, `outbox`).

use std::time::Duration;

const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(30);

/// Anything from zero to the doubled base, never more than the cap. `random` is uniform over all of u64.
pub(crate) fn full_jitter(attempt: u32, random: u64) -> Duration {
    let bound = BASE.saturating_mul(1 << attempt.min(16)).min(CAP);
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random % (micros + 1))
}

/// A number from the system, or zero where it has none: then the client does not wait, which only costs the server.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{BASE, CAP, full_jitter};

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_zero_is_possible() {
        assert!(full_jitter(0, u64::MAX) <= BASE);
        assert!((0..1000).any(|n| full_jitter(3, n * 7_919_777) > BASE * 4));
        for attempt in [0, 5, 40, u32::MAX] {
            assert_eq!(full_jitter(attempt, 0).as_micros(), 0);
            assert!((0..1000).all(|n| full_jitter(attempt, n * 7_919_777_777) <= CAP));
        }
    }
}
