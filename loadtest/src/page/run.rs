//! The part of a page that tells a run: what happened when, in charts, and by stretch, in a table.
//! Not here: how a chart is drawn (`chart`).

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    chart::{Band, Chart, Scale, Series, seconds},
    tally,
    text::{Both, escape, number},
    tile,
};

pub(super) fn section(figures: &Value, html: &mut String) {
    let course = Course::of(figures);
    tiles(figures, html);
    course.charts(figures, html);
    course.table(html);
    let evidence = figures["evidence"].as_array().map_or(&[][..], Vec::as_slice);
    if !evidence.is_empty() {
        write!(
            html,
            "<h3>{}</h3><ul>",
            Both("what must never be, and was", "있어서는 안 되는데 있었던 일").html()
        )
        .ok();
        for line in evidence {
            write!(html, "<li><code>{}</code></li>", escape(line.as_str().unwrap_or_default())).ok();
        }
        html.push_str("</ul>");
    }
    tally(&figures["ends"], Both("how connections ended", "연결이 끝난 까닭"), html);
    tally(&figures["errors"], Both("what members were told went wrong", "멤버가 들은 오류"), html);
}

fn tiles(figures: &Value, html: &mut String) {
    let figure = |value: &Value| number(value.as_f64().unwrap_or(f64::NAN));
    html.push_str("<div class=\"tiles\">");
    for (english, korean, key) in
        [("sent", "보냄", "sent"), ("acknowledged", "확인됨", "acked"), ("received", "받음", "received")]
    {
        tile(Both(english, korean), &figure(&figures[key]), "", html);
    }
    let live = &figures["liveMs"];
    let delay = format!("{} / {} ms", figure(&live["p50"]), figure(&live["p99"]));
    tile(Both("live, p50 / p99", "실시간 전달 p50 / p99"), &delay, "", html);
    if figures["silenceMs"].is_object() {
        let silence = format!("{} ms", figure(&figures["silenceMs"]["max"]));
        tile(Both("longest silence", "가장 긴 침묵"), &silence, "", html);
    }
    let wrong = figures["wrong"].as_f64().unwrap_or(f64::NAN);
    let class = if wrong == 0.0 { "good" } else { "bad" };
    tile(Both("promises broken", "깨진 약속"), &number(wrong), class, html);
    html.push_str("</div>");
}

struct Course<'a> {
    seconds: &'a [Value],
    stretches: &'a [Value],
    bands: Vec<Band>,
    end: f64,
}

impl<'a> Course<'a> {
    fn of(figures: &'a Value) -> Self {
        let list = |key: &str| figures[key].as_array().map_or(&[][..], Vec::as_slice);
        let (seconds, stretches) = (list("timeline"), list("stretches"));
        let bands = stretches.iter().enumerate().filter_map(|(index, stretch)| {
            let kind = match stretch["kind"].as_str()? {
                "fault" => "fault",
                "settling" => "settling",
                _ => return None,
            };
            Some(Band {
                from: stretch["from"].as_f64()?,
                to: stretch["to"].as_f64()?,
                kind,
                label: (index + 1).to_string(),
                name: stretch["name"].as_str()?.to_owned(),
            })
        });
        Self { seconds, stretches, bands: bands.collect(), end: (seconds.len() as f64).max(1.0) }
    }

    /// One figure of each second.
    fn points(&self, of: impl Fn(&Value) -> &Value) -> Vec<(f64, f64)> {
        let points = self.seconds.iter().zip(0u32..);
        points.map(|(second, at)| (f64::from(at), of(second).as_f64().unwrap_or(f64::NAN))).collect()
    }

    fn chart<'b>(&'b self, title: Both<'b>, unit: Both<'b>, scale: Scale, series: Vec<Series<'b>>) -> String {
        Chart { title, unit, scale, x: (0.0, self.end), marks: seconds(self.end), series, bands: &self.bands }
            .html()
    }

    fn charts(&self, figures: &Value, html: &mut String) {
        let live = |key: &'static str| self.points(move |second| &second["liveMs"][key]);
        let count = |key: &'static str| {
            let mut points = self.points(move |second| &second[key]);
            // The last second is cut short by the end.
            if points.len() > 1 {
                points.pop();
            }
            points
        };
        let series = |english, korean, class, points| Series { name: Both(english, korean), class, points };
        let from_intended =
            Both("ms from the intended send, by the second of that", "보내려던 때부터의 ms, 그 초마다");
        html.push_str(&self.chart(
            Both("Live delivery", "실시간 전달"),
            from_intended,
            Scale::Log,
            vec![
                series("p50", "p50", "a", live("p50")),
                series("p99", "p99", "b", live("p99")),
                series("longest", "가장 긴 것", "c", live("max")),
            ],
        ));
        html.push_str(&percentiles(figures));
        html.push_str(&self.chart(
            Both("Sent and acknowledged", "보냄과 확인"),
            Both("messages a second", "초당 메시지"),
            Scale::Linear,
            vec![
                series("sent", "보냄", "a", count("sent")),
                series("acknowledged", "확인됨", "d", count("acked")),
            ],
        ));
        html.push_str(&self.chart(
            Both("Received", "받음"),
            Both("messages a second, all members together", "초당 메시지, 모든 멤버"),
            Scale::Linear,
            vec![series("received", "받음", "a", count("received"))],
        ));
        html.push_str(&self.chart(
            Both("Members", "멤버"),
            Both("in their room; joins and lost connections a second", "방에 있는 수; 초당 입장과 끊긴 연결"),
            Scale::Linear,
            vec![
                series("present", "있음", "a", count("present")),
                series("joins", "입장", "d", count("joined")),
                series("lost", "끊김", "b", count("lost")),
            ],
        ));
    }

    /// A line for each stretch, numbered as in the charts.
    fn table(&self, html: &mut String) {
        if self.stretches.len() < 2 {
            return;
        }
        write!(
            html,
            "<h3>{}</h3><div class=\"wide\"><table><tr><th>#</th>",
            Both("By stretch", "구간별").html()
        )
        .ok();
        let heads = [
            ("stretch", "구간", "words"),
            ("from, s", "시작, 초", ""),
            ("seconds", "길이, 초", ""),
            ("received", "받음", ""),
            ("live p50, ms", "전달 p50, ms", ""),
            ("p99", "p99", ""),
            ("p99.9", "p99.9", ""),
            ("longest silence, ms", "가장 긴 침묵, ms", ""),
            ("joins", "입장", ""),
            ("join p99, ms", "입장 p99, ms", ""),
        ];
        for (english, korean, class) in heads {
            write!(html, "<th class=\"{class}\">{}</th>", Both(english, korean).html()).ok();
        }
        html.push_str("</tr>");
        for (index, stretch) in self.stretches.iter().enumerate() {
            let (from, to) = (stretch["from"].as_f64().unwrap_or(0.0), stretch["to"].as_f64().unwrap_or(0.0));
            let name = match stretch["name"].as_str() {
                Some(name) if !name.is_empty() => escape(name),
                _ => Both("undisturbed", "방해 없음").html(),
            };
            let kind = stretch["kind"].as_str().filter(|kind| *kind == "fault").unwrap_or_default();
            write!(html, "<tr class=\"{kind}\"><td>{}</td><td class=\"words\">{name}</td>", index + 1).ok();
            let live = |key: &str| &stretch["liveMs"][key];
            let heard = stretch["received"].as_f64().unwrap_or(0.0) > 0.0;
            let joined = stretch["joins"].as_f64().unwrap_or(0.0) > 0.0;
            let known = |value: &Value, is_known: bool| if is_known { value.as_f64() } else { None };
            let values = [
                Some(from),
                Some(to - from),
                stretch["received"].as_f64(),
                known(live("p50"), heard),
                known(live("p99"), heard),
                known(live("p999"), heard),
                stretch["longestSilenceMs"].as_f64(),
                stretch["joins"].as_f64(),
                known(&stretch["joinMs"]["p99"], joined),
            ];
            for value in values {
                write!(html, "<td>{}</td>", number(value.unwrap_or(f64::NAN))).ok();
            }
            html.push_str("</tr>");
        }
        html.push_str("</table></div>");
    }
}

/// The whole distribution: to the right ever fewer, ten times at each step.
fn percentiles(figures: &Value) -> String {
    let curve = figures["livePercentiles"].as_array().map_or(&[][..], Vec::as_slice);
    let points: Vec<_> = curve
        .iter()
        .filter_map(|pair| Some((-(1.0 - pair[0].as_f64()?).log10(), pair[1].as_f64()?)))
        .collect();
    let end = points.last().map_or(1.0, |(at, _)| at.max(1.0));
    let marks = [
        (0.0, "0 %"),
        (0.301, "50 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "99.999 %"),
    ];
    let marks =
        marks.into_iter().filter(|(at, _)| *at <= end + 0.01).map(|(at, label)| (at, label.to_owned()));
    Chart {
        title: Both("All deliveries", "모든 전달"),
        unit: Both("ms within which that share was seen", "그 비율이 보인 데 걸린 ms"),
        scale: Scale::Log,
        x: (0.0, end),
        marks: marks.collect(),
        series: vec![Series { name: Both("ms", "ms"), class: "a", points }],
        bands: &[],
    }
    .html()
}
