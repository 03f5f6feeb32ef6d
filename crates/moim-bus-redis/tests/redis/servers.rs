//! Where the test servers are.
//! Not here: starting them (`cargo xtask`).

/// The URLs in a variable.
///
/// # Panics
/// When it is not set: a test that cannot run has failed.
pub(crate) fn servers(variable: &str) -> Vec<String> {
    let Ok(urls) = std::env::var(variable) else {
        panic!(
            "{variable} is not set, so there is no Redis to test with. `cargo xtask test --only rust` starts one, and so \
             does `cargo xtask with-servers -- cargo test -p moim-bus-redis`"
        );
    };
    urls.split(',').map(str::to_owned).collect()
}
