//! Every metric that an alert, a dashboard or a runbook names is one that the code has.
//! Not here: whether the query around the name makes sense (promtool).

use std::collections::BTreeSet;

use super::finding::Finding;
use super::manifest::Manifests;
use super::tree::Tree;

const PREFIX: &str = "moim_";
/// What Prometheus appends to the name of a histogram.
const SERIES: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.rust_files().filter(|file| {
        file.path.starts_with("crates/") && file.path.split('/').nth(2) == Some("src") && !file.is_test
    });
    let known: BTreeSet<&str> = sources.flat_map(|file| names(&file.views.strings)).collect();
    // Crates go by such names, too: in log filters.
    let crates: BTreeSet<String> =
        Manifests::read(tree).members.iter().map(|member| member.package.replace('-', "_")).collect();
    let is_known = |name: &str| {
        let histogram = SERIES.iter().find_map(|series| name.strip_suffix(series));
        known.contains(name) || crates.contains(name) || histogram.is_some_and(|name| known.contains(name))
    };
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| quotes_metrics(&file.path)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            findings.extend(names(line).filter(|name| !is_known(name)).map(|name| Finding {
                path: file.path.clone(),
                line: number,
                what: format!("no metric is called `{name}`"),
                why: "an alert on a metric that does not exist never fires, and a panel stays empty",
                instead: format!("a name that stands as \"{PREFIX}…\" in crates/*/src"),
            }));
        }
    }
    findings
}

/// Monitoring files and prose; a proxy's configuration may call its own things what it likes.
fn quotes_metrics(path: &str) -> bool {
    let is_place = path.starts_with("deploy/") || path.starts_with("k8s/");
    is_place && [".yml", ".yaml", ".json", ".rules", ".md"].iter().any(|ending| path.ends_with(ending))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    // A name that ends in `_` is the beginning of one: `moim_*` in prose, or a regular expression.
    words.filter(|word| word.starts_with(PREFIX) && !word.ends_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    const CODE: (&str, &str) = (
        "crates/moim-telemetry/src/rooms.rs",
        "counter(\"moim_messages_total\");\nhistogram(\"moim_publish_duration_seconds\");\n// moim_ghosts\nlet moim_local = 1;\n\
         #[cfg(test)]\nmod tests {}\n",
    );

    fn found(path: &str, text: &str) -> Vec<String> {
        let root = ("Cargo.toml", "[workspace]\nmembers = [\"crates/moim-core\"]\n");
        let member = ("crates/moim-core/Cargo.toml", "[package]\nname = \"moim-core\"\n");
        brief(&check(&Tree::of(&[CODE, root, member, (path, text)])))
    }

    #[test]
    fn a_metric_that_does_not_exist_is_found() {
        let text =
            "expr: rate(moim_messages_total[5m]) > 0\nexpr: moim_mesages_total{a=\"b\"} / moim_ghosts\n";
        assert_eq!(
            found("deploy/prometheus/alerts.yml", text),
            [
                "deploy/prometheus/alerts.yml:2: no metric is called `moim_mesages_total`",
                "deploy/prometheus/alerts.yml:2: no metric is called `moim_ghosts`",
            ]
        );
    }

    #[test]
    fn the_series_of_a_histogram_are_known() {
        let text = "histogram_quantile(0.9, moim_publish_duration_seconds_bucket)";
        assert_eq!(found("deploy/grafana/a.json", text), [""; 0]);
        assert_eq!(found("deploy/grafana/a.json", "moim_messages_total_bucket_x").len(), 1);
    }

    #[test]
    fn names_of_crates_and_other_files_are_left_alone() {
        assert_eq!(found("deploy/compose.yml", "RUST_LOG: moim_core=debug # moim_*"), [""; 0]);
        assert_eq!(found("deploy/haproxy.cfg", "backend moim_nodes"), [""; 0]);
    }
}
