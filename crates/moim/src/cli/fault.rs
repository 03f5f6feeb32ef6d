//! A command line that is not understood: what is wrong, what may have been meant, how it is written.
//! Not here: values that are settings (`config`).

use std::error::Error as _;

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};
use moim_protocol::Language;

const NOT_UNDERSTOOD: i32 = 2;

/// Prints help, a version or a fault where each belongs, and ends the process.
pub(super) fn exit(error: &Error, language: Language) -> ! {
    match in_korean(error).filter(|_| language == Language::Korean) {
        Some(text) => {
            eprint!("{text}");
            std::process::exit(NOT_UNDERSTOOD)
        }
        None => error.exit(),
    }
}

/// The faults that people make; clap itself tells the others, in English.
fn in_korean(error: &Error) -> Option<String> {
    let context = |kind| error.get(kind).map(words);
    let argument = context(ContextKind::InvalidArg);
    let what = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("'{}'은(는) 명령이 아닙니다", context(ContextKind::InvalidSubcommand)?)
        }
        ErrorKind::UnknownArgument => format!("'{}'은(는) 여기에 쓸 수 없습니다", argument?),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => match context(ContextKind::InvalidValue) {
            Some(value) if !value.is_empty() => {
                format!("'{}'에 '{value}'은(는) 쓸 수 없습니다", argument?)
            }
            _ => format!("'{}'에 값이 없습니다", argument?),
        },
        ErrorKind::MissingRequiredArgument => format!("빠진 것이 있습니다: {}", argument?),
        _ => return None,
    };
    let mut text = format!("오류: {what}\n");
    let meant = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    if let Some(meant) = meant.into_iter().find_map(context) {
        text += &format!("\n  혹시 '{meant}'인가요?\n");
    }
    if let Some(values) = context(ContextKind::ValidValue).filter(|values| !values.is_empty()) {
        text += &format!("\n  쓸 수 있는 값: {values}\n");
    }
    if let Some(why) = error.source() {
        text += &format!("\n  이유: {why}\n");
    }
    if let Some(usage) = context(ContextKind::Usage) {
        text += &format!("\n{}\n", usage.replace("Usage:", "사용법:").trim_end());
    }
    Some(text + "\n자세한 것은 `moim --help`를 보세요.\n")
}

fn words(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::Number(number) => number.to_string(),
        ContextValue::StyledStr(text) => text.to_string(),
        _ => String::new(),
    }
}
