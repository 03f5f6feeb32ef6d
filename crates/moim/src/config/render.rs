//! The effective configuration as TOML that can be a file again: what each key means, and who set it.
//! Not here: reading it (`load`).

use moim_protocol::Language;

use super::{
    Loaded,
    catalogue::{Key, SECTIONS},
    value::without_password,
};

const HIDDEN: &str = "(hidden)";

/// The text that `moim config` prints.
pub(crate) fn render(loaded: &Loaded, language: Language) -> String {
    let table = toml::Table::try_from(&loaded.config).unwrap_or_default();
    let mut text = String::from(match language {
        Language::English => {
            "# The effective configuration of moim. A value without \"from\" is the default.\n"
        }
        Language::Korean => "# moim이 쓰게 될 설정입니다. \"from\"이 없는 값은 기본값입니다.\n",
    });
    for section in SECTIONS {
        text += &format!("\n# {}\n[{}]\n", section.about.of(language), section.name);
        let values = table.get(section.name).and_then(toml::Value::as_table);
        for key in section.keys {
            let value = values.and_then(|values| values.get(key.name));
            let origin = loaded.origins.get(&format!("{}.{}", section.name, key.name));
            text += &line(key, value, origin.map(String::as_str), language);
        }
    }
    text
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::Array(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        toml::Value::String(text) => toml::Value::from(without_password(text)).to_string(),
        other => other.to_string(),
    }
}

fn line(key: &Key, value: Option<&toml::Value>, origin: Option<&str>, language: Language) -> String {
    let mut line = format!("# {}\n", key.about.of(language));
    let shown = match value {
        // Nothing set is no secret, and must be readable again.
        Some(value) if key.secret && value.as_str() != Some("") => {
            Some(toml::Value::from(HIDDEN).to_string())
        }
        value => value.map(shown),
    };
    line += &match shown {
        Some(shown) => format!("{} = {shown}", key.name),
        None => not_set(key, language),
    };
    if let Some(origin) = origin {
        line += "  # from ";
        line += origin;
    }
    line + "\n"
}

fn not_set(key: &Key, language: Language) -> String {
    let (name, expected) = (key.name, key.kind.expected(language));
    match language {
        Language::English => format!("# {name} is not set; it can be {expected}"),
        Language::Korean => format!("# {name} 값을 정하지 않았습니다. {expected}만 쓸 수 있습니다"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Language, line};
    use crate::config::{
        Sources,
        catalogue::{About, Kind, keys},
        load,
    };

    #[test]
    fn what_is_printed_is_read_as_the_same_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("moim.toml");
        let set = |name: &str, value: &str| (name.to_string(), value.to_string());
        let variables = vec![
            set("MOIM__LISTEN__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
            set("MOIM__AUTH__MODE", "anonymous"),
            set("MOIM__EMBEDDED__PATH", "a \"quoted\" path"),
        ];
        let first = load(&Sources { variables, ..Sources::default() }).unwrap();
        for language in [Language::English, Language::Korean] {
            std::fs::write(&file, super::render(&first, language)).unwrap();
            let file = Some((file.clone(), "--config"));
            let again = load(&Sources { file, ..Sources::default() }).unwrap();
            assert_eq!(first.config, again.config, "{language:?}");
        }
    }

    #[test]
    fn a_secret_is_hidden() {
        let about = About { english: "A token.", korean: "토큰." };
        let key = Key { name: "token", kind: Kind::Text, secret: true, bounds: None, about };
        let line = |value, origin| line(&key, Some(&toml::Value::from(value)), origin, Language::English);
        let text = line("hunter2", Some("moim.toml:3"));
        assert_eq!(text, "# A token.\ntoken = \"(hidden)\"  # from moim.toml:3\n");
        assert_eq!(line("", None), "# A token.\ntoken = \"\"\n");
        assert!(keys().all(|(_, key)| key.secret
            == ["secret", "token", "password"].iter().any(|word| key.name.contains(word))));
    }
}
