//! What figures are held against.
//! Not here: results that are wrong at any speed (`fault`).

/// A figure and the most it should be.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Aim {
    pub(crate) what: &'static str,
    pub(crate) what_ko: &'static str,
    pub(crate) figure: f64,
    pub(crate) most: f64,
    pub(crate) met: bool,
}

impl Aim {
    /// `what`: in English and in Korean.
    pub(crate) fn at_most((what, what_ko): (&'static str, &'static str), figure: f64, most: f64) -> Self {
        // A figure that is no number meets nothing.
        Self { what, what_ko, figure, most, met: figure <= most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_itself_is_met_and_no_number_is_not() {
        assert!(Aim::at_most(("x", "가"), 1.3, 1.3).met);
        assert!(!Aim::at_most(("x", "가"), 1.31, 1.3).met);
        assert!(!Aim::at_most(("x", "가"), f64::NAN, 1.3).met);
    }
}
