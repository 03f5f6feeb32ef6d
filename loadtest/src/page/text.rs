//! Words of a page: escaped, and both languages side by side; the style sheet shows one of them.
//! Not here: sentences of a section (`sections`).

/// Text within markup or within an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// The same in English and in Korean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both<'a>(pub(super) &'a str, pub(super) &'a str);

impl Both<'_> {
    /// As markup. A text that has no Korean is shown as it is.
    pub(super) fn html(self) -> String {
        let Self(english, korean) = self;
        if korean.is_empty() || english == korean {
            return escape(english);
        }
        let (english, korean) = (escape(english), escape(korean));
        format!(r#"<span lang="en">{english}</span><span lang="ko">{korean}</span>"#)
    }
}

/// A number as people read it: groups of three, and no digits that mean nothing.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let text = match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        assert_eq!(escape(r#"<a href="x">&'"#), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert!(!Both("<b>", "<i>").html().contains("<b>"));
    }

    #[test]
    fn numbers_are_grouped_and_short() {
        let shown = [0.0, 0.126, 1.5, 10.0, 12.34, 999.4, 1_234_567.0, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.13", "1.5", "10", "12.3", "999", "1,234,567", "–"]);
    }

    #[test]
    fn one_language_is_enough_where_both_say_the_same() {
        assert_eq!(Both("p99", "p99").html(), "p99");
        assert_eq!(Both("sent", "보냄").html(), r#"<span lang="en">sent</span><span lang="ko">보냄</span>"#);
    }
}
