//! The program `moim-bare-epoll`: the bare loop that fan-out is measured against.
//! Not here: anything but the call (`moim_loadtest::bare_epoll`).

fn main() -> std::process::ExitCode {
    moim_loadtest::bare_epoll()
}
