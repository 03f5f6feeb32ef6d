//! The program `moim-loadtest`.
//! Not here: anything but the call (`moim_loadtest::run`).

fn main() -> std::process::ExitCode {
    moim_loadtest::run()
}
