//! One written value against what its key takes: the value as the layers hold it, or the words for what is wrong.
//! Not here: ranges and combinations (each section's `validate`).

use std::net::SocketAddr;

use ::config::{Value, ValueKind};
use ipnet::IpNet;
use moim_protocol::{Bilingual, Language};
use toml::de::DeValue;

use super::{catalogue::Kind, hint::Hint, nearest};

/// A value as it was written, before anybody asked what its key takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Written {
    Whole(i64),
    YesNo(bool),
    Text(String),
    List(Vec<Written>),
    /// What no key takes, and how it looks.
    Other(Strange, String),
}

/// What TOML knows and no key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strange {
    LargeNumber,
    Fraction,
    Date,
    Table,
}

impl Written {
    /// A value of a TOML file.
    pub(crate) fn in_file(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Self::Other(Strange::LargeNumber, number.to_string()), Self::Whole),
            DeValue::Float(number) => Self::Other(Strange::Fraction, number.to_string()),
            DeValue::Boolean(yes) => Self::YesNo(*yes),
            DeValue::Datetime(time) => Self::Other(Strange::Date, time.to_string()),
            DeValue::Array(items) => {
                Self::List(items.iter().map(|item| Self::in_file(item.get_ref())).collect())
            }
            DeValue::Table(_) => Self::Other(Strange::Table, "{…}".into()),
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

    /// As people may see it: without a password, and with its type where that is what is wrong.
    pub(super) fn shown(&self, language: Language) -> String {
        let typed = |text: &str, kind: &str| match language {
            Language::English => format!("{text}, {kind}"),
            Language::Korean => format!("{text}({kind})"),
        };
        match (self, language) {
            (Self::Whole(number), _) => number.to_string(),
            (Self::YesNo(yes), Language::English) => typed(&yes.to_string(), "a yes or no"),
            (Self::YesNo(yes), Language::Korean) => typed(&yes.to_string(), "참 또는 거짓"),
            (Self::Text(text), _) => format!("{:?}", without_password(text)),
            (Self::List(items), _) => {
                let items = items.iter().map(|item| item.shown(language));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            (Self::Other(strange, text), _) => typed(text, strange.name(language)),
        }
    }
}

impl Strange {
    fn name(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::LargeNumber, Language::English) => "a number too large",
            (Self::LargeNumber, Language::Korean) => "너무 큰 수",
            (Self::Fraction, Language::English) => "a fraction",
            (Self::Fraction, Language::Korean) => "소수",
            (Self::Date, Language::English) => "a date",
            (Self::Date, Language::Korean) => "날짜",
            (Self::Table, Language::English) => "a table",
            (Self::Table, Language::Korean) => "테이블",
        }
    }
}

/// The value for the layers, with its origin; or what is wrong, to follow the key: `is "many"; it must be …`.
pub(crate) fn checked(kind: Kind, secret: bool, written: &Written, origin: &str) -> Result<Value, Bilingual> {
    let value = |kind: ValueKind| Value::new(Some(&origin.to_string()), kind);
    let taken = taken(kind, written).map_err(|hint| match secret {
        true => of_secret(kind),
        false => of_value(kind, written, hint.as_ref()),
    })?;
    Ok(match taken {
        ValueKind::Array(items) => {
            value(ValueKind::Array(items.into_iter().map(|item| value(item.kind)).collect()))
        }
        kind => value(kind),
    })
}

/// As the key takes it; or, where it does not, perhaps what to write instead.
fn taken(kind: Kind, written: &Written) -> Result<ValueKind, Option<Hint>> {
    match (kind, written) {
        (Kind::Whole(max), Written::Whole(number)) => match u64::try_from(*number) {
            Ok(number) if number <= max => Ok(ValueKind::U64(number)),
            _ => Err(None),
        },
        (Kind::Whole(_), Written::Text(text)) if text.parse::<u64>().is_ok() => Err(Some(Hint::NoQuotes)),
        (Kind::YesNo, Written::YesNo(yes)) => Ok(ValueKind::Boolean(*yes)),
        (Kind::Text, Written::Text(text)) => Ok(ValueKind::String(text.clone())),
        (Kind::Address, Written::Text(text)) => match text.parse::<SocketAddr>() {
            Ok(_) => Ok(ValueKind::String(text.clone())),
            Err(_) => Err(Hint::for_address(text)),
        },
        (Kind::Choice(words), Written::Text(text)) if words.contains(&text.as_str()) => {
            Ok(ValueKind::String(text.clone()))
        }
        (Kind::Choice(words), Written::Text(text)) => {
            let meant = nearest::word(text, words.iter().copied()).filter(|_| words.len() > 1);
            Err(meant.map(Hint::Meant))
        }
        (Kind::Texts | Kind::Networks, Written::List(items)) => {
            let texts = items.iter().map(|item| match item {
                Written::Text(text) if kind == Kind::Networks => match text.parse::<IpNet>() {
                    Ok(network) => Ok(Value::from(network.to_string())),
                    Err(_) => Err(Some(Hint::for_network(text))),
                },
                Written::Text(text) => Ok(Value::from(text.clone())),
                other => Err(Some(Hint::NoText(other.clone()))),
            });
            texts.collect::<Result<_, _>>().map(ValueKind::Array)
        }
        (Kind::Texts | Kind::Networks, Written::Text(_)) => Err(Some(Hint::Brackets(written.clone()))),
        _ => Err(None),
    }
}

fn of_value(kind: Kind, written: &Written, hint: Option<&Hint>) -> Bilingual {
    Bilingual::made(|language| {
        let (shown, expected) = (written.shown(language), kind.expected(language));
        let hint = hint.map_or_else(String::new, |hint| hint.tell(language));
        match language {
            Language::English => format!("is {shown}; it must be {expected}{hint}"),
            Language::Korean => format!("값이 {shown}입니다. {expected}만 쓸 수 있습니다{hint}"),
        }
    })
}

// Without the value.
fn of_secret(kind: Kind) -> Bilingual {
    Bilingual::made(|language| {
        let expected = kind.expected(language);
        match language {
            Language::English => format!("is of the wrong form; it must be {expected}"),
            Language::Korean => format!("값의 형식이 맞지 않습니다. {expected}만 쓸 수 있습니다"),
        }
    })
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

#[cfg(test)]
mod tests {
    use ::config::Value;

    use super::{Bilingual, Kind, Written, checked};

    const WORDS: Kind = Kind::Choice(&["embedded", "memory"]);

    fn in_file(kind: Kind, toml: &str) -> Result<Value, Bilingual> {
        let value = toml::de::DeValue::parse(toml).unwrap();
        checked(kind, false, &Written::in_file(value.get_ref()), "here")
    }

    fn in_text(kind: Kind, text: &str) -> Result<Value, Bilingual> {
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
            assert_eq!(fault.unwrap_err().english, told);
        }
    }

    #[test]
    fn wrong_values_are_told_in_korean() {
        let whole = Kind::Whole(i64::MAX as u64);
        for (fault, told) in [
            (
                in_file(whole, "\"10\""),
                "값이 \"10\"입니다. 0 이상의 정수만 쓸 수 있습니다. 따옴표 없이 써 주세요",
            ),
            (in_file(whole, "1.5"), "값이 1.5(소수)입니다. 0 이상의 정수만 쓸 수 있습니다"),
            (in_text(Kind::Whole(9), "10"), "값이 10입니다. 0부터 9까지의 정수만 쓸 수 있습니다"),
            (in_file(Kind::Text, "true"), "값이 true(참 또는 거짓)입니다. 텍스트만 쓸 수 있습니다"),
            (
                in_file(WORDS, "\"memroy\""),
                "값이 \"memroy\"입니다. \"embedded\", \"memory\" 가운데 하나만 쓸 수 있습니다. 혹시 \"memory\"인가요?",
            ),
            (
                in_file(Kind::Texts, "[1]"),
                "값이 [1]입니다. 텍스트의 목록만 쓸 수 있습니다. 1은(는) 텍스트가 아닙니다",
            ),
            (
                in_text(Kind::Networks, "10.0.0.1"),
                "값이 [\"10.0.0.1\"]입니다. 10.0.0.0/8 같은 네트워크의 목록만 쓸 수 있습니다. \"10.0.0.1\"은(는) 주소입니다. \
                 10.0.0.1/32처럼 써 주세요",
            ),
        ] {
            assert_eq!(fault.unwrap_err().korean, told);
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
            let told = fault.unwrap_err().english;
            assert!(told.ends_with(hint), "{told}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let told = in_file(Kind::Texts, "\"redis://me:hunter2@h:1\"").unwrap_err();
        assert!(!told.korean.contains("hunter2"), "{told:?}");
        assert_eq!(
            told.english,
            "is \"redis://me:(hidden)@h:1\"; it must be a list of texts, in brackets: [\"redis://me:(hidden)@h:1\"]"
        );
        for unchanged in ["redis://h:1", "redis://me@h:1", "a:b@c"] {
            assert_eq!(super::without_password(unchanged), unchanged);
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let told = checked(Kind::Texts, true, &Written::Text("hunter2".into()), "here").unwrap_err();
        assert_eq!(told.english, "is of the wrong form; it must be a list of texts");
        assert_eq!(told.korean, "값의 형식이 맞지 않습니다. 텍스트의 목록만 쓸 수 있습니다");
    }
}
