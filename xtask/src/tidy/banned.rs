//! Calls that are not made here, each with what to do instead.
//! Not here: what clippy can ban by path (`.clippy.toml`), which sees through imports and names no replacement by crate.

use super::finding::Finding;
use super::headers::is_ours;
use super::manifest::Manifests;
use super::rust_text::words;
use super::tree::{RustFile, Tree, line_of, member};

struct Ban {
    words: &'static [&'static str],
    /// What stands before and after the word, where the word alone does not tell.
    when: fn(&str, &str) -> bool,
    applies: fn(RustFile<'_>) -> bool,
    why: &'static str,
    instead: &'static str,
}

/// Test code is free of all of them.
const BANS: &[Ban] = &[
    Ban {
        words: &["unbounded_channel"],
        when: always,
        applies: everywhere,
        why: "a queue without a limit turns a slow reader into a full memory",
        instead: "`mpsc::channel(limits::…_MAX)`, with a comment that says what happens when it is full",
    },
    Ban {
        words: &["mpsc::channel"],
        when: is_std_channel,
        applies: everywhere,
        why: "the channel of std has no limit: a slow reader turns into a full memory",
        instead: "`std::sync::mpsc::sync_channel(…_MAX)`, with a comment that says what happens when it is full",
    },
    Ban {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        when: always,
        applies: is_library,
        why: "whoever runs a server reads its log: printed lines have no level, no time and no fields",
        instead: "`tracing::info!` and its like, lowercase, with values as fields",
    },
    Ban {
        words: &["tokio::spawn", "task::spawn"],
        when: always,
        applies: may_not_spawn,
        why: "a task that the gateway did not start is one that the drain does not wait for",
        instead: "return a driver future beside the handle, and let crates/moim-gateway spawn it",
    },
    Ban {
        words: &["Instant::now", "SystemTime::now"],
        when: always,
        applies: is_clockless,
        why: "code that reads a clock cannot be replayed from a seed",
        instead: "take `now` as an argument",
    },
    Ban {
        words: &["todo!", "unimplemented!", "dbg!"],
        when: always,
        applies: everywhere,
        why: "it ends the task of whoever gets here first, or prints what nobody asked for",
        instead: "write the branch, or return an error that says what is missing",
    },
];

/// Ways to turn text into markup without escaping it.
const MARKUP: [&str; 4] = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"];
const CLOCKLESS: [&str; 2] = ["crates/moim-core", "crates/moim-protocol"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let calls = tree.rust_files().filter(|file| is_ours(file.path) && !file.is_test).flat_map(banned_calls);
    calls.chain(markup(tree)).chain(promises(tree)).chain(async_runtime(tree)).collect()
}

fn always(_: &str, _: &str) -> bool {
    true
}

/// `std::sync::mpsc::channel` by its whole path, or by what only it has: no argument.
fn is_std_channel(before: &str, after: &str) -> bool {
    let arguments = match after.strip_prefix("::<") {
        Some(types) => types.split_once('(').map_or("", |(_, arguments)| arguments),
        None => after.strip_prefix('(').unwrap_or(""),
    };
    before.ends_with("std::sync::") || arguments.starts_with(')')
}

fn everywhere(_: RustFile<'_>) -> bool {
    true
}

fn is_library(file: RustFile<'_>) -> bool {
    file.path.starts_with("crates/") && member(file.path) != "crates/moim" && !file.is_example
}

fn may_not_spawn(file: RustFile<'_>) -> bool {
    let is_conformance = file.path.contains("/conformance");
    file.path.starts_with("crates/")
        && member(file.path) != "crates/moim-gateway"
        && !file.is_example
        && !is_conformance
}

fn is_clockless(file: RustFile<'_>) -> bool {
    CLOCKLESS.contains(&member(file.path))
}

fn banned_calls(file: RustFile<'_>) -> Vec<Finding> {
    let code = &file.views.code;
    let mut findings = Vec::new();
    for ban in BANS.iter().filter(|ban| (ban.applies)(file)) {
        for word in ban.words {
            let calls = file.views.words(word);
            let calls = calls.filter(|at| (ban.when)(&code[..*at], &code[at + word.len()..]));
            findings.extend(calls.map(|at| Finding {
                path: file.path.to_owned(),
                line: line_of(code, at),
                what: format!("`{word}` is not used here"),
                why: ban.why,
                instead: ban.instead.to_owned(),
            }));
        }
    }
    findings
}

fn markup(tree: &Tree) -> Vec<Finding> {
    let is_page =
        |path: &str| [".js", ".mjs", ".cjs", ".ts", ".html"].iter().any(|ending| path.ends_with(ending));
    let is_comment =
        |line: &str| ["//", "*", "/*", "<!--"].iter().any(|start| line.trim_start().starts_with(start));
    lines(tree, is_page)
        .filter(|(_, _, line)| !is_comment(line))
        .filter_map(|(path, number, line)| {
            let word = MARKUP.iter().find(|word| words(line, word).next().is_some())?;
            Some(Finding {
                path: path.to_owned(),
                line: number,
                what: format!("`{word}` in a page or script"),
                why: "what a user wrote could become markup, and run in another user's browser",
                instead: "`textContent`, or elements made with `document.createElement`".to_owned(),
            })
        })
        .collect()
}

/// A note that something is to be done, without an issue that holds it.
fn promises(tree: &Tree) -> Vec<Finding> {
    const ENDINGS: [&str; 13] = [
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".py",
        ".sh",
        ".lua",
        ".html",
        ".css",
        ".toml",
        ".yml",
        ".yaml",
        "Dockerfile",
    ];
    let is_source = |path: &str| ENDINGS.iter().any(|ending| path.ends_with(ending));
    let comments = tree.rust_files().flat_map(|file| {
        (1..).zip(file.views.comments.lines()).map(move |(number, line)| (file.path, number, line))
    });
    comments
        .chain(lines(tree, is_source))
        .filter_map(|(path, number, line)| {
            let word = ["TODO", "FIXME"].into_iter().find(|word| words(line, word).next().is_some())?;
            let has_issue =
                line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            (!has_issue).then(|| Finding {
                path: path.to_owned(),
                line: number,
                what: format!("`{word}` without an issue"),
                why: "nobody looks for work in comments",
                instead: format!("do it now, or file an issue and write `{word}(#123)`"),
            })
        })
        .collect()
}

fn async_runtime(tree: &Tree) -> Vec<Finding> {
    let members = Manifests::read(tree).members;
    let fenced = members.iter().filter(|member| CLOCKLESS.contains(&member.folder.as_str()));
    let uses = fenced.flat_map(|member| {
        let uses = member.dependencies.iter().filter(|dependency| dependency.package.starts_with("tokio"));
        uses.map(|dependency| Finding {
            path: member.manifest(),
            line: dependency.line,
            what: format!("`{}` depends on `{}`", member.package, dependency.package),
            why: "what a session and a room do is decided without IO, so that a test can replay it",
            instead: "hand in what happened and poll what to do: the gateway owns sockets, tasks and timers"
                .to_owned(),
        })
    });
    uses.collect()
}

fn lines(tree: &Tree, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (&str, usize, &str)> {
    let files = tree.files().iter().filter(move |file| wanted(&file.path));
    files.flat_map(|file| {
        (1..).zip(file.text.lines()).map(|(number, line)| (file.path.as_str(), number, line))
    })
}

#[cfg(test)]
mod tests;
