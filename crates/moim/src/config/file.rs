//! The TOML file as a layer: every value with its line, every fault at once.
//! Not here: which file (`Sources`), what a key takes (`value`).

use std::{fs, io, path::Path};

use moim_protocol::{Bilingual, bilingual};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    catalogue::{self, Section},
    fault::Fault,
    layer::Layer,
    value::Written,
};

/// Reads the file; `named_by` is the flag or variable that named it.
pub(crate) fn read(path: &Path, named_by: &str, faults: &mut Vec<Fault>) -> Layer {
    match fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text, faults),
        Err(error) => {
            faults.push(Fault::elsewhere(Some(named_by.into()), unread(path, &error)));
            Layer::default()
        }
    }
}

fn unread(path: &Path, error: &io::Error) -> Bilingual {
    let file = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => bilingual!(
            "the configuration file {file} does not exist",
            "설정 파일 {file}이(가) 없습니다. 경로를 확인해 주세요"
        ),
        io::ErrorKind::IsADirectory => bilingual!(
            "the configuration file {file} is a folder; name the file in it",
            "설정 파일 {file}은(는) 폴더입니다. 그 안의 파일을 지정해 주세요"
        ),
        io::ErrorKind::PermissionDenied => bilingual!(
            "the configuration file {file} may not be read by this user",
            "설정 파일 {file}을(를) 읽을 권한이 이 사용자에게 없습니다"
        ),
        io::ErrorKind::InvalidData => bilingual!(
            "the configuration file {file} is not UTF-8",
            "설정 파일 {file}이(가) UTF-8이 아닙니다"
        ),
        _ => bilingual!(
            "the configuration file {file} cannot be read: {error}",
            "설정 파일 {file}을(를) 읽을 수 없습니다: {error}"
        ),
    }
}

fn parse(file: &str, text: &str, faults: &mut Vec<Fault>) -> Layer {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let mut reader = Reader { file, text, layer: Layer::default(), faults };
    if errors.is_empty() {
        reader.sections(table.get_ref());
    }
    // What was recovered around a syntax error is a guess; faults in a guess would only confuse.
    for error in errors {
        let place = reader.place(error.span().map_or(0, |span| span.start));
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let text = bilingual!("this is not TOML: {message}", "TOML 형식이 아닙니다: {message}");
        reader.faults.push(Fault::elsewhere(Some(place), text));
    }
    reader.layer
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    layer: Layer,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn sections(&mut self, table: &DeTable<'_>) {
        for (name, value) in in_file_order(table) {
            let place = self.place(name.span().start);
            let name = name.get_ref();
            match (catalogue::section(name), value.get_ref()) {
                (Some(section), DeValue::Table(keys)) => self.keys(section, keys),
                (Some(section), _) => {
                    let example = section.keys.first().map_or("", |key| key.name);
                    let text = bilingual!(
                        "{name} is a section; write [{name}], and below it {example} = …",
                        "{name}은(는) 섹션입니다. [{name}]을(를) 쓰고, 그 아래에 {example} = …처럼 써 주세요"
                    );
                    self.faults.push(Fault::elsewhere(Some(place), text));
                }
                (None, DeValue::Table(_)) => self.faults.push(Fault::unknown_section(place, name)),
                (None, _) => self.faults.push(Fault::outside_sections(place, name)),
            }
        }
    }

    fn keys(&mut self, section: &'static Section, table: &DeTable<'_>) {
        for (name, value) in in_file_order(table) {
            let place = self.place(name.span().start);
            match section.key(name.get_ref()) {
                Some(key) => {
                    let written = Written::in_file(value.get_ref());
                    self.layer.take((section, key), &written, &place, self.faults);
                }
                None => self.faults.push(Fault::unknown_key(place, section, name.get_ref())),
            }
        }
    }

    fn place(&self, offset: usize) -> String {
        let before = self.text.as_bytes().iter().take(offset);
        format!("{}:{}", self.file, 1 + before.filter(|byte| **byte == b'\n').count())
    }
}

type Entry<'t, 'i> = (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>);

fn in_file_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn faults(text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        parse("moim.toml", text, &mut faults);
        faults.into_iter().map(|fault| format!("{}: {}", fault.place.unwrap(), fault.text.english)).collect()
    }

    #[test]
    fn a_good_file_has_no_fault() {
        assert!(faults("limits.connections_max = 5\n[listen]\npublic = \"127.0.0.1:1\"\n").is_empty());
        assert!(faults("").is_empty());
    }

    #[test]
    fn names_that_do_not_exist_are_told_in_the_order_of_the_file() {
        assert_eq!(
            faults(
                "port = 80\n\n[listn]\nx = 1\n\n[limits]\nmax_connections = 5\ncolour = 1\n[store]\nkindd = 1\n"
            ),
            [
                "moim.toml:1: port stands in no section; every key stands in a section; `moim config` shows them all",
                "moim.toml:3: [listn] is not a section; did you mean [listen]?",
                "moim.toml:7: limits.max_connections is not a key; did you mean limits.connections_max?",
                "moim.toml:8: limits.colour is not a key; the keys of [limits] are message_bytes_max, connections_max, \
                 connections_per_address_max, rooms_per_connection_max, messages_per_second, room_name_chars_max, \
                 username_chars_max, outbox_bytes_max, stalled_reader_seconds, resume_messages_max",
                "moim.toml:10: store.kindd is not a key; did you mean store.kind?",
            ]
        );
    }

    #[test]
    fn a_section_is_no_value_and_a_value_no_section() {
        assert_eq!(
            faults("listen = \"127.0.0.1:80\"\nconnections_max = 5\n[log.format]\n"),
            [
                "moim.toml:1: listen is a section; write [listen], and below it public = …",
                "moim.toml:2: connections_max stands in no section; did you mean limits.connections_max?",
                "moim.toml:3: log.format is {…}, a table; it must be one of \"text\", \"json\"",
            ]
        );
    }

    #[test]
    fn broken_toml_is_told_with_its_lines() {
        let told = faults("[listen]\npublic = \n[limits\nx = 1\n");
        assert!(told.len() >= 2, "{told:?}");
        assert!(told[0].starts_with("moim.toml:2: this is not TOML: "), "{told:?}");
        assert!(told.iter().any(|fault| fault.starts_with("moim.toml:3: ")), "{told:?}");
        assert!(
            faults("[limits]\nx = 1\nx = 2\n")[0].starts_with("moim.toml:3: this is not TOML: duplicate key")
        );
    }
}
