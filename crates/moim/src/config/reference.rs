//! The configuration's reference page: every key, from the catalogue and the defaults themselves.
//! Not here: the configuration in force (`render`).

use std::fmt::Write;

use moim_protocol::Language;

use super::{
    Config,
    catalogue::{Key, Kind, SECTIONS, Section},
    environment,
};

const HEAD: &str = "\
# Configuration

<!-- Made by `cargo xtask docs` from the catalogue in crates/moim/src/config; edit that. -->

A setting is a key in a section. It is written in the file (`moim --config moim.toml`, or `MOIM_CONFIG`), in the environment, or for four \
keys as a flag; the environment wins over the file, a flag over both. In the environment a list has commas between, and an empty variable \
counts as not set. `moim config` prints the configuration in force as a file with all of these words, `moim check-config` tells every fault \
of yours at once.

```toml
[listen]
public = \"0.0.0.0:8765\"       # MOIM__LISTEN__PUBLIC=0.0.0.0:8765, or --listen 0.0.0.0:8765

[auth]
mode = \"anonymous\"
```

| flag | key |
|---|---|
| `--listen` | `listen.public` |
| `--ops-listen` | `listen.ops` |
| `--data` | `embedded.path` |
| `--log-format` | `log.format` |

Variables that are no keys: `MOIM_CONFIG` names the file; `MOIM_LANG` (`ko` or `en`) chooses the language of help, banner and errors, which \
else is that of `LANG`; `MOIM_URL` and `MOIM_NAME` are for `moim chat`; `NO_COLOR` takes the colours away.

A page opened from a file (`file://`) has the origin `null`, and is refused unless `auth.allowed_origins` has `\"null\"`. Set that only to \
try something on your own machine: sandboxed frames of any site have the same origin.
";

/// The page, as Markdown.
pub(crate) fn markdown() -> String {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut page = String::from(HEAD);
    for section in SECTIONS {
        // Writing to a String cannot fail.
        write!(page, "\n## [{}]\n\n{}\n\n", section.name, cell(section.about.english)).ok();
        page.push_str("| key | default | may be | what it does |\n|---|---|---|---|\n");
        for key in section.keys {
            let default = defaults.get(section.name).and_then(|table| table.get(key.name));
            page.push_str(&row(section, key, default));
        }
    }
    page
}

fn row(section: &Section, key: &Key, default: Option<&toml::Value>) -> String {
    let default = default.map_or_else(|| "not set".into(), |value| format!("`{value}`"));
    format!(
        "| `{}`<br>`{}` | {default} | {} | {} |\n",
        key.name,
        environment::variable(section, key),
        cell(&allowed(key)),
        cell(key.about.english)
    )
}

fn allowed(key: &Key) -> String {
    match (key.bounds, key.kind) {
        (Some((low, high)), Kind::Whole(most)) if high >= most => format!("{low} or more"),
        (Some((low, high)), _) => format!("{low} to {high}"),
        (None, Kind::Choice(words)) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        (None, kind) => kind.expected(Language::English),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
