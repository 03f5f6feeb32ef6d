//! The environment as a layer: variables `MOIM__SECTION__KEY`.
//! Not here: `MOIM_CONFIG`, which names the file (`Sources`).

use moim_protocol::bilingual;

use super::{
    catalogue::{self, Key, Section},
    fault::Fault,
    layer::Layer,
    value::Written,
};

/// How a variable is named.
pub(crate) const VARIABLE_FORM: &str = "MOIM__SECTION__KEY";

const PREFIX: &str = "MOIM__";

/// The variable that sets a key.
pub(crate) fn variable(section: &Section, key: &Key) -> String {
    format!("{PREFIX}{}__{}", section.name.to_uppercase(), key.name.to_uppercase())
}

/// Reads the variables, in the order of their names. An empty one counts as not set: compose files write
/// `MOIM__LOG__LEVEL=${LEVEL:-}`.
pub(crate) fn read(variables: &[(String, String)], faults: &mut Vec<Fault>) -> Layer {
    let mut layer = Layer::default();
    let mut variables: Vec<_> = variables.iter().filter(|(_, value)| !value.is_empty()).collect();
    variables.sort();
    for (name, value) in variables {
        if let Some(found) = catalogue::keys().find(|(section, key)| variable(section, key) == *name) {
            if value.contains(char::REPLACEMENT_CHARACTER) {
                let text = bilingual!("the value of {name} is not UTF-8", "{name}의 값이 UTF-8이 아닙니다");
                faults.push(Fault::elsewhere(None, text));
                continue;
            }
            layer.take(found, &Written::in_text(found.1.kind, value), name, faults);
        } else if let Some(meant) = meant_to_be_ours(name) {
            let (section, key) = meant.split_once("__").unwrap_or((&meant, ""));
            faults.push(Fault::unknown_variable(name, section, key));
        }
    }
    layer
}

// The rest after the prefix, in lower case. Other names are not ours to judge: for a Service called moim, Kubernetes sets
// MOIM_PORT and MOIM_SERVICE_HOST. But one that is ours but for its underscores or its case was meant for us.
fn meant_to_be_ours(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix(PREFIX) {
        return Some(rest.to_lowercase());
    }
    let words = |name: &str| {
        name.to_uppercase().split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
    };
    let (section, key) =
        catalogue::keys().find(|(section, key)| words(&variable(section, key)) == words(name))?;
    Some(format!("{}__{}", section.name, key.name))
}

#[cfg(test)]
mod tests {
    use super::read;

    fn faults(variables: &[(&str, &str)]) -> Vec<String> {
        let variables: Vec<_> = variables.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        let mut faults = Vec::new();
        read(&variables, &mut faults);
        faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.place.unwrap_or_default(), fault.text.english))
            .collect()
    }

    #[test]
    fn good_empty_and_foreign_variables_have_no_fault() {
        let told = faults(&[
            ("MOIM__LIMITS__CONNECTIONS_MAX", "5"),
            ("MOIM__LISTEN__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
            ("MOIM__AUTH__MODE", ""),
            ("MOIM_PORT_8765_TCP_ADDR", "10.0.0.1"),
            ("MOIM_SERVICE_HOST", "10.0.0.1"),
        ]);
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn misspelt_variables_are_told_with_the_nearest() {
        let not = "is not a variable that moim reads";
        let form = "the form is MOIM__SECTION__KEY, and `moim config` shows every section and key";
        assert_eq!(
            faults(&[
                ("MOIM_LISTEN__PUBLIC", "x"),
                ("MOIM_STORE_KIND", "x"),
                ("MOIM__LISTN__PUBLIC", "x"),
                ("MOIM__LOG", "x"),
                ("MOIM__TLS__CERTIFICATE", "x"),
                ("moim__log__level", "x"),
            ]),
            [
                format!(": MOIM_LISTEN__PUBLIC {not}; did you mean MOIM__LISTEN__PUBLIC?"),
                format!(": MOIM_STORE_KIND {not}; did you mean MOIM__STORE__KIND?"),
                format!(": MOIM__LISTN__PUBLIC {not}; did you mean MOIM__LISTEN__PUBLIC?"),
                format!(": MOIM__LOG {not}; {form}"),
                format!(": MOIM__TLS__CERTIFICATE {not}; {form}"),
                format!(": moim__log__level {not}; did you mean MOIM__LOG__LEVEL?"),
            ]
        );
    }

    #[test]
    fn a_value_that_was_not_utf_8_is_told() {
        assert_eq!(
            faults(&[("MOIM__EMBEDDED__PATH", "\u{fffd}")]),
            [": the value of MOIM__EMBEDDED__PATH is not UTF-8"]
        );
    }

    #[test]
    fn wrong_types_are_told_with_the_variable() {
        assert_eq!(
            faults(&[("MOIM__LIMITS__CONNECTIONS_MAX", "many")]),
            [
                "MOIM__LIMITS__CONNECTIONS_MAX: limits.connections_max is \"many\"; it must be a whole number, 0 or more"
            ]
        );
    }
}
