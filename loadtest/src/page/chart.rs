//! A chart as a piece of SVG: lines over time, or over any other axis, with what happened behind them.
//! Not here: which charts there are (`sections`), colours (`style.css`).

use std::fmt::Write as _;

use super::text::{Both, escape, number};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 205.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;
/// More columns than this have no notes of their own: nobody can point at them.
const NOTES_MAX: usize = 400;

/// How values go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
}

pub(super) struct Series<'a> {
    pub(super) name: Both<'a>,
    /// Its class in the style sheet: `a` to `d`.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A time in which something was different.
pub(super) struct Band {
    pub(super) from: f64,
    pub(super) to: f64,
    /// `fault` or `settling`.
    pub(super) kind: &'static str,
    /// Its number, as in the table below; and its name.
    pub(super) label: String,
    pub(super) name: String,
}

pub(super) struct Chart<'a> {
    pub(super) title: Both<'a>,
    pub(super) unit: Both<'a>,
    pub(super) scale: Scale,
    /// The ends of the axis, and its marks.
    pub(super) x: (f64, f64),
    pub(super) marks: Vec<(f64, String)>,
    pub(super) series: Vec<Series<'a>>,
    pub(super) bands: &'a [Band],
}

impl Chart<'_> {
    pub(super) fn html(&self) -> String {
        let mut text =
            format!("<figure><figcaption><b>{}</b> <small>{}</small>", self.title.html(), self.unit.html());
        for Series { name, class, .. } in self.series.iter().filter(|_| self.series.len() > 1) {
            write!(text, r#"<span class="key {class}">{}</span>"#, name.html()).ok();
        }
        write!(text, "</figcaption>{}</figure>", self.svg()).ok();
        text
    }

    fn svg(&self) -> String {
        let axis =
            Axis::of(self.scale, self.series.iter().flat_map(|series| &series.points).map(|point| point.1));
        let mut svg = format!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            escape(self.title.0)
        );
        self.draw_bands(&mut svg);
        for (value, label) in &axis.ticks {
            let y = axis.y(*value);
            write!(
                svg,
                r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{}" y="{:.1}" text-anchor="end">{label}</text>"#,
                WIDTH - RIGHT,
                LEFT - 7.0,
                y + 4.0
            )
            .ok();
        }
        for (at, label) in &self.marks {
            write!(
                svg,
                r#"<text class="tick" x="{:.1}" y="{}" text-anchor="middle">{}</text>"#,
                self.x(*at),
                HEIGHT - 10.0,
                escape(label)
            )
            .ok();
        }
        for series in &self.series {
            self.draw(series, &axis, &mut svg);
        }
        self.draw_notes(&mut svg);
        svg + "</svg>"
    }

    fn x(&self, at: f64) -> f64 {
        let (from, to) = self.x;
        LEFT + (at - from) / (to - from).max(f64::MIN_POSITIVE) * (WIDTH - LEFT - RIGHT)
    }

    fn draw_bands(&self, svg: &mut String) {
        for Band { from, to, kind, label, name } in self.bands {
            let (left, right) = (self.x(*from), self.x(*to));
            write!(
                svg,
                r#"<rect class="band {kind}" x="{left:.1}" y="{TOP}" width="{:.1}" height="{}"><title>{}</title></rect>"#,
                (right - left).max(1.0),
                HEIGHT - TOP - BOTTOM,
                escape(name)
            )
            .ok();
            write!(
                svg,
                r#"<text class="mark {kind}" x="{:.1}" y="{}" text-anchor="middle">{}</text>"#,
                f64::midpoint(left, right),
                TOP - 7.0,
                escape(label)
            )
            .ok();
        }
    }

    /// A line that breaks where there is nothing to show.
    fn draw(&self, series: &Series<'_>, axis: &Axis, svg: &mut String) {
        let mut path = String::new();
        let mut pen_is_up = true;
        for (at, value) in &series.points {
            if !axis.shows(*value) {
                pen_is_up = true;
                continue;
            }
            let letter = if std::mem::take(&mut pen_is_up) { 'M' } else { 'L' };
            write!(path, "{letter}{:.1} {:.1}", self.x(*at), axis.y(*value)).ok();
        }
        write!(svg, r#"<path class="line {}" d="{path}"/>"#, series.class).ok();
        // One point alone would be no line.
        for (at, value) in series.points.iter().filter(|_| series.points.len() <= 40) {
            if axis.shows(*value) {
                let (x, y) = (self.x(*at), axis.y(*value));
                write!(svg, r#"<circle class="dot {}" cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#, series.class).ok();
            }
        }
    }

    /// What one reads when one points at a place.
    fn draw_notes(&self, svg: &mut String) {
        let Some(first) = self.series.first().filter(|series| series.points.len() <= NOTES_MAX) else {
            return;
        };
        let width = (WIDTH - LEFT - RIGHT) / first.points.len().max(1) as f64;
        for (index, (at, _)) in first.points.iter().enumerate() {
            let mut note = number(*at).to_string();
            for series in &self.series {
                let value = series.points.get(index).map_or(f64::NAN, |point| point.1);
                write!(note, "\n{} {}", series.name.0, number(value)).ok();
            }
            write!(
                svg,
                r#"<rect class="note" x="{:.1}" y="{TOP}" width="{width:.1}" height="{}"><title>{}</title></rect>"#,
                self.x(*at) - width / 2.0,
                HEIGHT - TOP - BOTTOM,
                escape(&note)
            )
            .ok();
        }
    }
}

/// The values' axis.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<_> = values.filter(|value| value.is_finite() && *value >= 0.0).collect();
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        match scale {
            Scale::Linear => Self::linear(most),
            Scale::Log => {
                let least = values.iter().copied().filter(|value| *value > 0.0).fold(most, f64::min);
                Self::log(least, most)
            }
        }
    }

    fn linear(most: f64) -> Self {
        let step = nice(most.max(1.0) / 4.0);
        let high = (most.max(1.0) / step).ceil() * step;
        let ticks = (0..).map(|index| f64::from(index) * step).take_while(|value| *value <= high * 1.001);
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high,
            ticks: ticks.map(|value| (value, number(value))).collect(),
        }
    }

    fn log(least: f64, most: f64) -> Self {
        let (low, high) = (least.max(1e-3).log10().floor(), most.max(1e-2).log10().ceil());
        let high = high.max(low + 1.0);
        // One or two decades alone would be hardly an axis.
        let factors: &[f64] = if high - low <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (low as i32..=high as i32).map(|power| 10f64.powi(power));
        let ticks = powers.flat_map(|power| factors.iter().map(move |factor| power * factor));
        let ticks = ticks.filter(|value| *value <= 10f64.powf(high) * 1.001);
        Self {
            scale: Scale::Log,
            low: 10f64.powf(low),
            high: 10f64.powf(high),
            ticks: ticks.map(|value| (value, number(value))).collect(),
        }
    }

    fn shows(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    fn y(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The next of 1, 2, 5, 10, 20, …
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|nice| *nice >= step).unwrap_or(step)
}

/// Marks of an axis of seconds.
pub(super) fn seconds(end: f64) -> Vec<(f64, String)> {
    let step = nice((end / 8.0).max(1.0));
    let marks = (0..).map(|index| f64::from(index) * step).take_while(|at| *at <= end);
    marks.map(|at| (at, format!("{} s", number(at)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_all_of_its_values() {
        for (scale, values) in
            [(Scale::Linear, [0.0, 7.0, 1234.0]), (Scale::Log, [0.2, 7.0, 9000.0]), (Scale::Log, [5.0; 3])]
        {
            let axis = Axis::of(scale, values.into_iter());
            let heights = values.map(|value| axis.y(value));
            assert!(heights.windows(2).all(|pair| pair[0] >= pair[1]), "{heights:?}");
            assert!(heights.iter().all(|y| (TOP..=HEIGHT - BOTTOM).contains(y)), "{heights:?}");
            assert!((2..=8).contains(&axis.ticks.len()), "{:?}", axis.ticks);
        }
    }

    #[test]
    fn a_line_breaks_where_nothing_is_known() {
        let chart = Chart {
            title: Both("<t>", "제목"),
            unit: Both("ms", "ms"),
            scale: Scale::Log,
            x: (0.0, 3.0),
            marks: seconds(3.0),
            series: vec![Series {
                name: Both("p99", "p99"),
                class: "a",
                points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 4.0)],
            }],
            bands: &[Band { from: 1.0, to: 2.0, kind: "fault", label: "1".into(), name: "<cut>".into() }],
        };
        let html = chart.html();
        let path = html.split("class=\"line a\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert!(!html.contains("<t>") && !html.contains("<cut>"));
    }
}
