//! The report of a drill as a page: `moim-loadtest page` draws it, here is what it shows.
//! Not here: the table on the terminal (`report`).

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::process::stream;
use crate::workspace::Workspace;

use super::faults;
use super::report::{Line, Report};
use super::stage::Programs;

/// Writes `NAME.json` and `NAME.html` beside the other reports, and says where.
pub(super) fn write(
    workspace: &Workspace,
    programs: &Programs,
    name: &str,
    result: &Value,
) -> Result<(), Fault> {
    let folder = workspace.kept("drill-report");
    fs::create_dir_all(&folder).map_err(Fault::io(format!("make {}", folder.display())))?;
    let (json, html) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.html")));
    fs::write(&json, format!("{result:#}\n")).map_err(Fault::io(format!("write {}", json.display())))?;
    let mut command = Command::new(&programs.loadtest);
    stream(command.arg("page").arg(&json).arg("--into").arg(&html))?;
    println!("report: {}", html.display());
    Ok(())
}

/// The table of all faults of a run.
pub(super) fn of_faults(report: &Report, seed: u64) -> Value {
    let lines: Vec<_> = report.lines.iter().map(line).collect();
    let not_tried: Vec<_> =
        report.not_tried.iter().map(|(fault, seed)| format!("{fault} ({seed})")).collect();
    json!({
        "scenario": "drill",
        "title": "cargo xtask drill",
        "about": "Each fault hits a cluster of three gateways under load; what members saw is held against the store.",
        "aboutKo": "게이트웨이 셋의 클러스터에 부하가 걸린 채로 결함을 하나씩 일으키고, 멤버들이 본 것을 저장소와 맞추어 봅니다.",
        "machine": { "cores": std::thread::available_parallelism().map_or(1, usize::from) },
        "figures": { "seed": seed, "lines": lines, "notTried": not_tried },
    })
}

fn line(line: &Line) -> Value {
    let about = faults::named(line.fault).map_or("", |fault| fault.about);
    let mut shown = json!({
        "fault": line.fault, "seed": line.seed, "about": about, "clean": line.is_clean(), "told": line.told(),
        "liveP99Ms": line.summary["liveMs"]["p99"], "unmet": line.unmet, "kinds": line.kinds(),
    });
    for key in [
        "sent",
        "acked",
        "stored",
        "lost",
        "repeated",
        "reordered",
        "holes",
        "countsWrong",
        "pagesWrong",
        "others",
        "secondsWithoutAck",
        "secondsWithoutLive",
    ] {
        shown[key] = line.verdict[key].clone();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_the_page_shows() {
        let verdict = json!({ "sent": 9, "lost": 1, "unrecovered": 1, "gaps": 2, "violations": [{ "kind": "not_given" }] });
        let summary = json!({ "liveMs": { "p99": 12.5 } });
        let line = Line {
            fault: "redis-kill",
            seed: 7,
            summary,
            verdict,
            unmet: vec!["late".into()],
            evidence: "x".into(),
        };
        let report = Report { lines: vec![line], not_tried: vec![("redis-oom", 7)] };
        let value = of_faults(&report, 7);
        let shown = &value["figures"]["lines"][0];
        assert_eq!((&shown["clean"], &shown["told"], &shown["lost"]), (&json!(false), &json!(3), &json!(1)));
        assert_eq!((&shown["liveP99Ms"], &shown["unmet"]), (&json!(12.5), &json!(["late"])));
        assert!(shown["about"].as_str().unwrap().contains("AOF"));
        assert_eq!(value["figures"]["notTried"], json!(["redis-oom (7)"]));
    }
}
