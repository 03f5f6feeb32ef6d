//! One written value against what its key takes: the value as the layers hold it, or the words for what is wrong.
//! Not here: ranges and combinations (each section's `validate`).

use std::net::SocketAddr;

use ::config::{Value, ValueKind};
use ipnet::IpNet;
use toml::de::DeValue;

use super::{catalogue::Kind, nearest};

/// A value as it was written, before anybody asked what its key takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Written {
    Whole(i64),
    YesNo(bool),
    Text(String),
    List(Vec<Written>),
    /// What no key takes: its type in words, and how it looks.
    Other(&'static str, String),
}

impl Written {
    /// A value of a TOML file.
    pub(crate) fn in_file(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Self::Other("a number too large", number.to_string()), Self::Whole),
            DeValue::Float(number) => Self::Other("a fraction", number.to_string()),
            DeValue::Boolean(yes) => Self::YesNo(*yes),
            DeValue::Datetime(time) => Self::Other("a date", time.to_string()),
            DeValue::Array(items) => {
                Self::List(items.iter().map(|item| Self::in_file(item.get_ref())).collect())
            }
            DeValue::Table(_) => Self::Other("a table", "{…}".into()),
        }
    }

    /// A value of a variable or a flag, which are all text: lists are separated by commas.
    pub(crate) fn in_text(kind: Kind, text: &str) -> Self {
        match kind {
            // As in TOML, underscores may part the digits.
            Kind::Whole(_) => {
                text.trim().replace('_', "").parse().map_or_else(|_| Self::Text(text.into()), Self::Whole)
            }
            Kind::Texts | Kind::Networks => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Self::List(items.map(|item| Self::Text(item.into())).collect())
            }
            Kind::YesNo => text.trim().parse().map_or_else(|_| Self::Text(text.into()), Self::YesNo),
            Kind::Address | Kind::Choice(_) => Self::Text(text.trim().into()),
            Kind::Text => Self::Text(text.into()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::YesNo(yes) => format!("{yes}, a yes or no"),
            Self::Text(text) => format!("{:?}", without_password(text)),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(", "))
            }
            Self::Other(kind, text) => format!("{text}, {kind}"),
        }
    }
}

/// The value for the layers, with its origin; or what is wrong, to follow the key: `is "many"; it must be …`.
pub(crate) fn checked(kind: Kind, secret: bool, written: &Written, origin: &str) -> Result<Value, String> {
    let value = |kind: ValueKind| Value::new(Some(&origin.to_string()), kind);
    let wrong = |hint: String| match secret {
        true => format!("is of the wrong form; it must be {}", kind.expected()),
        false => format!("is {}; it must be {}{hint}", written.shown(), kind.expected()),
    };
    match (kind, written) {
        (Kind::Whole(max), Written::Whole(number)) => match u64::try_from(*number) {
            Ok(number) if number <= max => Ok(value(ValueKind::U64(number))),
            _ => Err(wrong(String::new())),
        },
        (Kind::Whole(_), Written::Text(text)) if text.parse::<u64>().is_ok() => {
            Err(wrong(", without quotes".into()))
        }
        (Kind::YesNo, Written::YesNo(yes)) => Ok(value(ValueKind::Boolean(*yes))),
        (Kind::Text, Written::Text(text)) => Ok(value(ValueKind::String(text.clone()))),
        (Kind::Address, Written::Text(text)) => match text.parse::<SocketAddr>() {
            Ok(_) => Ok(value(ValueKind::String(text.clone()))),
            Err(_) => Err(wrong(address_hint(text))),
        },
        (Kind::Choice(words), Written::Text(text)) if words.contains(&text.as_str()) => {
            Ok(value(ValueKind::String(text.clone())))
        }
        (Kind::Choice(words), Written::Text(text)) => {
            let meant = nearest::word(text, words.iter().copied()).filter(|_| words.len() > 1);
            Err(wrong(meant.map_or_else(String::new, |word| format!("; did you mean {word:?}?"))))
        }
        (Kind::Texts | Kind::Networks, Written::List(items)) => {
            let texts = items.iter().map(|item| match item {
                Written::Text(text) if kind == Kind::Networks => network(text),
                Written::Text(text) => Ok(text.clone()),
                other => Err(format!("; {} is not a text", other.shown())),
            });
            let texts = texts.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
            let origin = origin.to_string();
            Ok(value(ValueKind::Array(
                texts.into_iter().map(|text| Value::new(Some(&origin), text)).collect(),
            )))
        }
        (Kind::Texts | Kind::Networks, Written::Text(_)) => {
            Err(wrong(format!(", in brackets: [{}]", written.shown())))
        }
        _ => Err(wrong(String::new())),
    }
}

/// A URL as it may be shown; any other text as it is.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    let Some((login, place)) = rest.rsplit_once('@') else { return text.into() };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:(hidden)@{place}"),
        None => text.into(),
    }
}

fn address_hint(text: &str) -> String {
    if let Some(port) = text.strip_prefix("localhost:") {
        return format!("; names are not looked up, write 127.0.0.1:{port}");
    }
    match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => format!("; the address is missing, write 127.0.0.1:{port} for this machine only"),
        Err(_) => String::new(),
    }
}

fn network(text: &str) -> Result<String, String> {
    match text.parse::<IpNet>() {
        Ok(network) => Ok(network.to_string()),
        Err(_) => Err(match text.parse::<std::net::IpAddr>() {
            Ok(address) => format!("; {text:?} is an address, write {}", IpNet::from(address)),
            Err(_) => format!("; {text:?} is not a network"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use ::config::Value;

    use super::{Kind, Written, checked};

    const WORDS: Kind = Kind::Choice(&["embedded", "memory"]);

    fn in_file(kind: Kind, toml: &str) -> Result<Value, String> {
        let value = toml::de::DeValue::parse(toml).unwrap();
        checked(kind, false, &Written::in_file(value.get_ref()), "here")
    }

    fn in_text(kind: Kind, text: &str) -> Result<Value, String> {
        checked(kind, false, &Written::in_text(kind, text), "here")
    }

    #[test]
    fn good_values_pass_and_keep_their_origin() {
        let value = in_file(Kind::Whole(9), "9").unwrap();
        assert_eq!(value.origin(), Some("here"));
        assert_eq!(value.into_uint().unwrap(), 9);
        assert_eq!(in_file(Kind::Whole(255), "0xff").unwrap().into_uint().unwrap(), 255);
        assert_eq!(in_text(Kind::Whole(20_000), "10_000").unwrap().into_uint().unwrap(), 10_000);
        assert_eq!(in_text(WORDS, "memory").unwrap().into_string().unwrap(), "memory");
        assert!(!in_file(Kind::YesNo, "false").unwrap().into_bool().unwrap());
        assert!(in_text(Kind::YesNo, " true").unwrap().into_bool().unwrap());
        let list: Vec<String> =
            in_text(Kind::Networks, "10.0.0.0/8, ::1/128,").unwrap().try_deserialize().unwrap();
        assert_eq!(list, ["10.0.0.0/8", "::1/128"]);
    }

    #[test]
    fn wrong_values_are_told_with_what_to_write() {
        let whole = Kind::Whole(i64::MAX as u64);
        for (fault, told) in [
            (in_file(whole, "\"many\""), "is \"many\"; it must be a whole number, 0 or more"),
            (in_file(whole, "\"10\""), "is \"10\"; it must be a whole number, 0 or more, without quotes"),
            (in_file(whole, "1.5"), "is 1.5, a fraction; it must be a whole number, 0 or more"),
            (
                in_file(whole, "99999999999999999999"),
                "is 99999999999999999999, a number too large; it must be a whole number, 0 or more",
            ),
            (in_text(whole, "-1"), "is -1; it must be a whole number, 0 or more"),
            (in_text(Kind::Whole(9), "10"), "is 10; it must be a whole number from 0 to 9"),
            (in_file(Kind::YesNo, "\"yes\""), "is \"yes\"; it must be true or false"),
            (in_text(Kind::YesNo, "1"), "is \"1\"; it must be true or false"),
            (in_file(Kind::Text, "true"), "is true, a yes or no; it must be a text"),
            (
                in_file(WORDS, "\"memroy\""),
                "is \"memroy\"; it must be one of \"embedded\", \"memory\"; did you mean \"memory\"?",
            ),
            (in_file(WORDS, "{ a = 1 }"), "is {…}, a table; it must be one of \"embedded\", \"memory\""),
            (in_file(Kind::Choice(&["in-process"]), "\"redis\""), "is \"redis\"; it must be \"in-process\""),
            (in_file(Kind::Texts, "\"a\""), "is \"a\"; it must be a list of texts, in brackets: [\"a\"]"),
            (in_file(Kind::Texts, "[1]"), "is [1]; it must be a list of texts; 1 is not a text"),
        ] {
            assert_eq!(fault.unwrap_err(), told);
        }
    }

    #[test]
    fn addresses_and_networks_come_with_a_hint() {
        for (fault, hint) in [
            (in_text(Kind::Address, "localhost:80"), "; names are not looked up, write 127.0.0.1:80"),
            (
                in_text(Kind::Address, ":80"),
                "; the address is missing, write 127.0.0.1:80 for this machine only",
            ),
            (
                in_text(Kind::Address, "80"),
                "; the address is missing, write 127.0.0.1:80 for this machine only",
            ),
            (in_text(Kind::Address, "127.0.0.1"), "like 127.0.0.1:8765 or [::1]:8765"),
            (in_text(Kind::Networks, "10.0.0.1"), "; \"10.0.0.1\" is an address, write 10.0.0.1/32"),
            (in_text(Kind::Networks, "lan"), "; \"lan\" is not a network"),
        ] {
            let told = fault.unwrap_err();
            assert!(told.ends_with(hint), "{told}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let told = in_file(Kind::Texts, "\"redis://me:hunter2@h:1\"").unwrap_err();
        assert_eq!(
            told,
            "is \"redis://me:(hidden)@h:1\"; it must be a list of texts, in brackets: [\"redis://me:(hidden)@h:1\"]"
        );
        for unchanged in ["redis://h:1", "redis://me@h:1", "a:b@c"] {
            assert_eq!(super::without_password(unchanged), unchanged);
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let told = checked(Kind::Texts, true, &Written::Text("hunter2".into()), "here").unwrap_err();
        assert_eq!(told, "is of the wrong form; it must be a list of texts");
    }
}
