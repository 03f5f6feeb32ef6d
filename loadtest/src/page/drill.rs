//! The part of a page that tells a drill: a line for each fault, with what was found and what did not hold.
//! Not here: faults and how they are judged (`cargo xtask drill`, `checker`).

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    text::{Both, escape, number},
    tile,
};

/// Columns of counts: the key, its names, and whether anything but none is a broken promise.
const COLUMNS: [(&str, &str, &str, bool); 11] = [
    ("sent", "sent", "보냄", false),
    ("acked", "acked", "확인됨", false),
    ("stored", "stored", "저장됨", false),
    ("lost", "lost", "잃음", true),
    ("repeated", "repeated", "중복", true),
    ("reordered", "reordered", "순서", true),
    ("holes", "holes", "구멍", true),
    ("countsWrong", "counts", "인원", true),
    ("pagesWrong", "pages", "페이지", true),
    ("others", "other", "기타", true),
    ("told", "told", "알림", false),
];

pub(super) fn section(figures: &Value, html: &mut String) {
    let lines = figures["lines"].as_array().map_or(&[][..], Vec::as_slice);
    let clean = lines.iter().filter(|line| line["clean"] == true).count();
    let total = |key: &str| number(lines.iter().filter_map(|line| line[key].as_f64()).sum());
    html.push_str("<div class=\"tiles\">");
    let class = if clean == lines.len() { "good" } else { "bad" };
    tile(
        Both("faults, every promise kept", "결함, 모든 약속이 지켜짐"),
        &format!("{clean} / {}", lines.len()),
        class,
        html,
    );
    tile(Both("acknowledged", "확인됨"), &total("acked"), "", html);
    tile(Both("of those lost", "그 가운데 잃음"), &total("lost"), class, html);
    html.push_str("</div><div class=\"wide\"><table><tr><th class=\"words\">");
    html.push_str(&Both("fault", "결함").html());
    html.push_str("</th><th></th>");
    for (_, english, korean, _) in COLUMNS {
        write!(html, "<th>{}</th>", Both(english, korean).html()).ok();
    }
    let more =
        [("no ack, s", "확인 없음, 초"), ("no live, s", "전달 없음, 초"), ("live p99, ms", "전달 p99, ms")];
    for (english, korean) in more {
        write!(html, "<th class=\"words\">{}</th>", Both(english, korean).html()).ok();
    }
    html.push_str("</tr>");
    let longest =
        |key: &str| lines.iter().filter_map(|line| line[key].as_f64()).fold(f64::MIN_POSITIVE, f64::max);
    let most = ["secondsWithoutAck", "secondsWithoutLive", "liveP99Ms"].map(|key| (key, longest(key)));
    for line in lines {
        row(line, &most, html);
    }
    html.push_str("</table></div>");
    let not_tried = figures["notTried"].as_array().map_or(&[][..], Vec::as_slice);
    if !not_tried.is_empty() {
        let names: Vec<_> = not_tried.iter().filter_map(Value::as_str).collect();
        let title = Both("not tried to its end: ", "끝까지 해 보지 못함: ").html();
        write!(html, "<p class=\"bad\">{title}{}</p>", escape(&names.join(", "))).ok();
    }
}

fn row(line: &Value, most: &[(&str, f64)], html: &mut String) {
    let is_clean = line["clean"] == true;
    let (class, mark) =
        if is_clean { ("", "<b class=\"good\">✓</b>") } else { ("broken", "<b class=\"bad\">✗</b>") };
    let word = |key: &str| escape(line[key].as_str().unwrap_or_default());
    write!(
        html,
        "<tr class=\"{class}\"><td class=\"words\"><b>{}</b> <small>({})</small><br><small>{}</small></td><td>{mark}</td>",
        word("fault"),
        number(line["seed"].as_f64().unwrap_or(f64::NAN)),
        word("about")
    )
    .ok();
    for (key, _, _, is_violation) in COLUMNS {
        let value = line[key].as_f64().unwrap_or(f64::NAN);
        let class = if is_violation && value != 0.0 { "bad" } else { "" };
        write!(html, "<td class=\"{class}\">{}</td>", number(value)).ok();
    }
    for (key, most) in most {
        let value = line[*key].as_f64().unwrap_or(f64::NAN);
        let width = (value / most * 60.0).clamp(0.0, 60.0);
        let width = if width.is_finite() { width } else { 0.0 };
        write!(
            html,
            "<td class=\"words\"><span class=\"bar\" style=\"width:{width:.0}px\"></span>{}</td>",
            number(value)
        )
        .ok();
    }
    html.push_str("</tr>");
    let unmet = line["unmet"].as_array().map_or(&[][..], Vec::as_slice);
    for unmet in unmet.iter().filter_map(Value::as_str) {
        write!(html, "<tr class=\"broken\"><td class=\"words\" colspan=\"16\">{}</td></tr>", escape(unmet))
            .ok();
    }
}
