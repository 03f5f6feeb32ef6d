//! The outcome of a drill: a table for people, JSON for machines.
//! Not here: arithmetic (`stats`).

use serde_json::{Value, json};

use crate::aim::Aim;

/// Everything a drill found.
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    /// Names and values for people.
    pub(crate) rows: Vec<(String, String)>,
    /// The same for machines.
    pub(crate) figures: Value,
    pub(crate) aims: Vec<Aim>,
    /// What must never be and was, where that does not end a run at once.
    pub(crate) broken: Option<String>,
}

impl Report {
    pub(crate) fn aims_met(&self) -> bool {
        self.aims.iter().all(|aim| aim.met)
    }

    pub(crate) fn json(&self) -> String {
        format!("{:#}\n", self.value())
    }

    /// The same, to be drawn.
    pub(crate) fn value(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "rows": self.rows,
            "figures": self.figures,
            "broken": self.broken,
            "aims": self.aims,
            "aimsMet": self.aims_met(),
            "machine": { "cores": std::thread::available_parallelism().map_or(1, usize::from) },
            "debugBuild": cfg!(debug_assertions),
        })
    }

    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{}\n", self.scenario);
        for (name, value) in &self.rows {
            text += &format!("  {name:<width$}  {value}\n");
        }
        for Aim { what, figure, most, met, .. } in &self.aims {
            let word = if *met { "met" } else { "MISSED" };
            text += &format!("  aim {word}: {what} {figure:.2}, at most {most}\n");
        }
        if cfg!(debug_assertions) {
            text += "  a debug build of the drill: its figures mean little\n";
        }
        text
    }
}

/// Bytes in the unit that people read.
pub(crate) fn bytes(bytes: f64) -> String {
    match bytes.abs() {
        size if size >= 1024.0 * 1024.0 => format!("{:.1} MiB", bytes / 1024.0 / 1024.0),
        size if size >= 1024.0 => format!("{:.2} KiB", bytes / 1024.0),
        _ => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_aim_shows_in_both_forms() {
        let report = Report {
            scenario: "x",
            rows: vec![("name".into(), "1".into()), ("longer name".into(), "2".into())],
            figures: json!({ "a": 1 }),
            aims: vec![Aim::at_most(("ratio", "비율"), 1.5, 1.3)],
            broken: None,
        };
        assert!(report.table().contains("  name         1\n"));
        assert!(report.table().contains("aim MISSED: ratio 1.50, at most 1.3"));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["aimsMet"], &json["figures"]["a"]), (&json!(false), &json!(1)));
    }

    #[test]
    fn bytes_have_fitting_units() {
        assert_eq!(bytes(100.0), "100 B");
        assert_eq!(bytes(8192.0), "8.00 KiB");
        assert_eq!(bytes(-3.0 * 1024.0 * 1024.0), "-3.0 MiB");
    }
}
