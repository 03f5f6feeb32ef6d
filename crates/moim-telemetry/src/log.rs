//! The process's log: one writer, to stderr, as text for people or JSON for collectors.
//! Not here: what is logged and at which level (the code that handles the event).

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured on a terminal unless `NO_COLOR` is set.
    Text,
    /// One JSON object a line, fields at the top level.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A word stands where a level should.
    #[error("{named:?} is not a level; the levels are {}", LEVELS.join(", "))]
    NoLevel {
        /// The word.
        named: String,
    },
    /// The levels are good, and what they are said of cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Another log was set up first.
    #[error("the log was set up twice")]
    Twice,
}

/// Starts the log of this process. Once: a second call is an error.
///
/// `level` is one of `off`, `error`, `warn`, `info`, `debug`, `trace`, with exceptions after commas:
/// `info,moim_gateway=debug`.
///
/// # Errors
/// When the level cannot be read, or a log runs already.
pub fn init(format: Format, level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => {
            let colour =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            registry.with(fmt::layer().with_writer(io::stderr).with_ansi(colour)).try_init()
        }
        Format::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(io::stderr))
            .try_init(),
    }
    .map_err(|_| LogError::Twice)
}

/// Tells what is wrong with a level, without starting a log.
///
/// # Errors
/// When [`init`] would refuse the level.
pub fn check_level(level: &str) -> Result<(), LogError> {
    filter(level).map(drop)
}

/// The levels there are.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    // EnvFilter takes any lone word for the name of a module, so "inof" would silence everything without a word.
    let parts: Vec<&str> = level.split(',').map(str::trim).collect();
    for part in &parts {
        let named = part.rsplit_once('=').map_or(*part, |(_, level)| level);
        if !LEVELS.contains(&named.to_ascii_lowercase().as_str()) {
            return Err(LogError::NoLevel { named: named.into() });
        }
    }
    EnvFilter::builder().parse(parts.join(",")).map_err(|error| LogError::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{Format, LogError, check_level, init};

    #[test]
    fn there_is_one_log() {
        init(Format::Json, "off").unwrap();
        assert!(matches!(init(Format::Text, "off"), Err(LogError::Twice)));
    }

    #[test]
    fn levels_with_exceptions_are_read() {
        for level in ["info", "off", "INFO", "info,moim_gateway=debug", "warn, moim_core=trace"] {
            check_level(level).unwrap();
        }
    }

    #[test]
    fn a_misspelt_level_is_refused_rather_than_taken_for_a_module() {
        for level in ["inof", "", "info,moim_gateway=debugg", "info,,debug"] {
            assert!(
                check_level(level).unwrap_err().to_string().contains("the levels are off, error"),
                "{level}"
            );
        }
    }
}
