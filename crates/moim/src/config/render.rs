//! The effective configuration as TOML that can be a file again: what each key means, and who set it.
//! Not here: reading it (`load`).

use super::{
    Loaded,
    catalogue::{Key, SECTIONS},
    value::without_password,
};

const HIDDEN: &str = "(hidden)";

/// The text that `moim config` prints.
pub(crate) fn render(loaded: &Loaded) -> String {
    let table = toml::Table::try_from(&loaded.config).unwrap_or_default();
    let mut text =
        String::from("# The effective configuration of moim. A value without \"from\" is the default.\n");
    for section in SECTIONS {
        text += &format!("\n# {}\n[{}]\n", section.about, section.name);
        let values = table.get(section.name).and_then(toml::Value::as_table);
        for key in section.keys {
            let value = values.and_then(|values| values.get(key.name));
            let origin = loaded.origins.get(&format!("{}.{}", section.name, key.name));
            text += &line(key, value, origin.map(String::as_str));
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

fn line(key: &Key, value: Option<&toml::Value>, origin: Option<&str>) -> String {
    let mut line = format!("# {}\n", key.about);
    let shown = match value {
        // Nothing set is no secret, and must be readable again.
        Some(value) if key.secret && value.as_str() != Some("") => {
            Some(toml::Value::from(HIDDEN).to_string())
        }
        value => value.map(shown),
    };
    line += &match shown {
        Some(shown) => format!("{} = {shown}", key.name),
        None => format!("# {} is not set; it can be {}", key.name, key.kind.expected()),
    };
    if let Some(origin) = origin {
        line += "  # from ";
        line += origin;
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::{Key, line};
    use crate::config::{
        Sources,
        catalogue::{Kind, keys},
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
        std::fs::write(&file, super::render(&first)).unwrap();
        let again = load(&Sources { file: Some((file, "--config")), ..Sources::default() }).unwrap();
        assert_eq!(first.config, again.config);
    }

    #[test]
    fn a_secret_is_hidden() {
        let key = Key { name: "token", kind: Kind::Text, secret: true, bounds: None, about: "A token." };
        let text = line(&key, Some(&toml::Value::from("hunter2")), Some("moim.toml:3"));
        assert_eq!(text, "# A token.\ntoken = \"(hidden)\"  # from moim.toml:3\n");
        assert_eq!(line(&key, Some(&toml::Value::from("")), None), "# A token.\ntoken = \"\"\n");
        assert!(keys().all(|(_, key)| key.secret
            == ["secret", "token", "password"].iter().any(|word| key.name.contains(word))));
    }
}
