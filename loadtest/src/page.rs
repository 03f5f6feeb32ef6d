//! Results as one page that opens without a server: charts drawn here, no script to speak of, nothing fetched.
//! Not here: results (`report`), the table on a terminal.

mod chart;
mod drill;
mod run;
mod text;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;

use crate::fault::Fault;

use text::{Both, escape, number};

const STYLE: &str = include_str!("page/style.css");

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// What `--json` printed, `play --result` wrote, or `cargo xtask drill` left
    #[arg(required = true, value_name = "FILE")]
    results: Vec<PathBuf>,
    /// The page
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

pub(crate) fn run(args: &PageArgs) -> Result<(), Fault> {
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).map_err(Fault::io(format!("cannot read {}", path.display())))?;
        serde_json::from_str(&text).map_err(|error| Fault::Usage(format!("{}: {error}", path.display())))
    };
    let results = args.results.iter().map(read).collect::<Result<Vec<Value>, _>>()?;
    write(&results, &args.into)
}

/// Writes a page of these results.
pub(crate) fn write(results: &[Value], path: &Path) -> Result<(), Fault> {
    fs::write(path, render(results)).map_err(Fault::io(format!("cannot write {}", path.display())))
}

fn render(results: &[Value]) -> String {
    let titles: Vec<_> = results.iter().map(title).collect();
    let mut html = format!(
        r#"<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title><style>{STYLE}</style></head><body><main>
<div class="tongue"><label><input type="radio" name="tongue" id="en" checked> English</label><label><input type="radio" name="tongue" id="ko"> 한국어</label></div>
<script>if (navigator.language.startsWith('ko')) document.getElementById('ko').checked = true</script>
"#,
        escape(&format!("moim: {}", titles.join(", ")))
    );
    for (result, title) in results.iter().zip(&titles) {
        section(result, title, &mut html);
    }
    html + "</main></body></html>\n"
}

fn title(result: &Value) -> String {
    let named = result["title"].as_str().or_else(|| result["figures"]["name"].as_str());
    named.or_else(|| result["scenario"].as_str()).unwrap_or("result").to_owned()
}

fn section(result: &Value, title: &str, html: &mut String) {
    write!(html, "<h1>{}</h1>", escape(title)).ok();
    about(result, html);
    aims(result, html);
    let figures = &result["figures"];
    if figures["lines"].is_array() {
        drill::section(figures, html);
    } else if figures["timeline"].is_array() {
        run::section(figures, html);
    }
    rows(result, html);
}

fn about(result: &Value, html: &mut String) {
    let load = &result["figures"]["load"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (english, korean) = match result["about"].as_str() {
        Some(about) => (about.to_owned(), word(&result["aboutKo"])),
        None => (word(&load["about"]), word(&load["about_ko"])),
    };
    if !english.is_empty() {
        write!(html, "<p>{}</p>", Both(&english, &korean).html()).ok();
    }
    let mut facts = Vec::new();
    if let Some(seed) = result["figures"]["seed"].as_u64() {
        facts.push(Both(&format!("seed {seed}"), &format!("시드 {seed}")).html());
    }
    if let Some(cores) = result["machine"]["cores"].as_u64() {
        let (english, korean) =
            (format!("{cores} cores, shared with the load"), format!("부하와 함께 쓰는 코어 {cores}개"));
        facts.push(Both(&english, &korean).html());
    }
    if result["debugBuild"] == true {
        facts.push(Both("a debug build: times mean little", "디버그 빌드: 시간은 큰 뜻이 없습니다").html());
    }
    write!(html, "<p class=\"faint\">{}</p>", facts.join(" · ")).ok();
}

/// What had to hold, and whether it did.
fn aims(result: &Value, html: &mut String) {
    let aims = result["aims"].as_array().map_or(&[][..], Vec::as_slice);
    if aims.is_empty() {
        return;
    }
    html.push_str("<div class=\"wide\"><table><tr><th>");
    let heads = [("what must hold", "지켜야 할 것"), ("found", "결과"), ("at most", "한도"), ("", "")];
    let heads: Vec<_> = heads.iter().map(|(english, korean)| Both(english, korean).html()).collect();
    html.push_str(&heads.join("</th><th>"));
    html.push_str("</th></tr>");
    for aim in aims {
        let figure = |key: &str| number(aim[key].as_f64().unwrap_or(f64::NAN));
        let met = match aim["met"] == true {
            true => format!("<b class=\"good\">✓ {}</b>", Both("met", "지켜짐").html()),
            false => format!("<b class=\"bad\">✗ {}</b>", Both("missed", "어긋남").html()),
        };
        let word = |key: &str| aim[key].as_str().unwrap_or_default();
        let what = Both(word("what"), word("whatKo")).html();
        write!(
            html,
            "<tr><td class=\"words\">{what}</td><td>{}</td><td>{}</td><td>{met}</td></tr>",
            figure("figure"),
            figure("most")
        )
        .ok();
    }
    html.push_str("</table></div>");
}

/// What the terminal shows, below everything that is easier to read.
fn rows(result: &Value, html: &mut String) {
    let Some(rows) = result["rows"].as_array().filter(|rows| !rows.is_empty()) else { return };
    write!(
        html,
        "<details><summary>{}</summary><div class=\"wide\"><table>",
        Both("all figures", "모든 수치").html()
    )
    .ok();
    for row in rows {
        let word = |index: usize| escape(row[index].as_str().unwrap_or_default());
        write!(html, "<tr><td>{}</td><td class=\"words\">{}</td></tr>", word(0), word(1)).ok();
    }
    html.push_str("</table></div></details>");
}

/// The rows of a table of names and counts, the largest first.
fn tally(counts: &Value, title: Both<'_>, html: &mut String) {
    let Some(counts) = counts.as_object().filter(|counts| !counts.is_empty()) else { return };
    let mut counts: Vec<_> =
        counts.iter().map(|(name, count)| (name, count.as_f64().unwrap_or(0.0))).collect();
    counts.sort_by(|a, b| b.1.total_cmp(&a.1));
    write!(html, "<h3>{}</h3><div class=\"wide\"><table>", title.html()).ok();
    for (name, count) in counts {
        write!(html, "<tr><td class=\"words\">{}</td><td>{}</td></tr>", escape(name), number(count)).ok();
    }
    html.push_str("</table></div>");
}

/// One figure that is read first.
fn tile(name: Both<'_>, value: &str, class: &str, html: &mut String) {
    write!(
        html,
        "<div class=\"tile\"><small>{}</small><b class=\"{class}\">{}</b></div>",
        name.html(),
        escape(value)
    )
    .ok();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_fetches_nothing_and_trusts_no_text() {
        let run = json!({
            "scenario": "play", "rows": [["<x>", "<script>1"]],
            "aims": [{ "what": "<b>", "figure": 1.0, "most": 2.0, "met": true }],
            "figures": {
                "name": "<img>", "load": { "about": "<i>", "about_ko": "" },
                "timeline": [{ "at": 0, "sent": 1, "liveMs": { "p50": 1.0, "p99": 2.0, "max": 3.0 } }],
                "stretches": [{ "name": "<s>", "kind": "fault", "from": 0.0, "to": 1.0 }],
                "livePercentiles": [[0.5, 1.0]], "ends": { "<e>": 1 }, "evidence": ["<v>"], "wrong": 1,
            },
        });
        let drill =
            json!({ "scenario": "drill", "figures": { "lines": [{ "fault": "<f>", "unmet": ["<u>"] }] } });
        let html = render(&[run, drill, json!({})]);
        for inserted in ["<x>", "<script>1", "<img>", "<i>", "<s>", "<e>", "<v>", "<f>", "<u>"] {
            assert!(!html.contains(inserted), "{inserted}");
        }
        for fetching in ["http:", "https:", " src=", "url(", "@import", "<link"] {
            assert!(!html.contains(fetching), "{fetching}");
        }
    }
}
