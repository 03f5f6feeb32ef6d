//! What the client says to a person, in both languages.
//! Not here: what others say, errors that end it (`error`).

use std::time::Duration;

use moim_protocol::{AckLevel, Language};

use crate::{clean, outbox::Fate};

/// `ko` or `en`, by language.
pub(crate) fn either<'a>(language: Language, korean: &'a str, english: &'a str) -> &'a str {
    match language {
        Language::Korean => korean,
        Language::English => english,
    }
}

pub(crate) fn presence(language: Language, joined: bool, username: &str, count: u64) -> String {
    let (name, others) = (clean::inline(username), count.saturating_sub(1));
    match (language, joined, others) {
        (Language::Korean, true, 0) => format!("{name}님이 입장했습니다"),
        (Language::Korean, false, 0) => format!("{name}님이 퇴장했습니다"),
        (Language::Korean, true, n) => format!("{name}님 외 {n}명이 입장했습니다"),
        (Language::Korean, false, n) => format!("{name}님 외 {n}명이 퇴장했습니다"),
        (Language::English, true, 0) => format!("{name} joined"),
        (Language::English, false, 0) => format!("{name} left"),
        (Language::English, true, n) => format!("{name} and {n} more joined"),
        (Language::English, false, n) => format!("{name} and {n} more left"),
    }
}

pub(crate) fn gap(language: Language, after: u64, to: u64) -> String {
    let from = after + 1;
    match language {
        Language::Korean => format!(
            "{from}번부터 {to}번까지의 메시지는 여기에 표시되지 않았습니다 (GET …/messages?after={after})"
        ),
        Language::English => {
            format!("messages {from} to {to} were not shown here (GET …/messages?after={after})")
        }
    }
}

pub(crate) fn incomplete(language: Language) -> &'static str {
    either(
        language,
        "저장소를 쓸 수 없어 이전 메시지를 모두 보여 드리지 못했습니다",
        "the store is away: not all messages from before could be shown",
    )
}

pub(crate) fn other_log(language: Language) -> &'static str {
    either(
        language,
        "서버의 기록이 더 이전 것으로 바뀌었습니다. 아래부터는 그 기록입니다",
        "the server's log was replaced by an older one; what follows is from that",
    )
}

pub(crate) fn fate(language: Language, content: &str, fate: &Fate) -> Option<String> {
    let text = clean::inline(content);
    Some(match (language, fate) {
        (_, Fate::Acked(_)) => return None,
        (Language::Korean, Fate::Refused(code, message)) => {
            format!("보내지 못함: {text} ({}, {})", clean::inline(message), clean::inline(code))
        }
        (Language::English, Fate::Refused(code, message)) => {
            format!("not sent: {text} ({}, {})", clean::inline(message), clean::inline(code))
        }
        (Language::Korean, Fate::Unknown) => {
            format!("전달되었는지 알 수 없음: {text} (다시 보내면 두 번 보일 수 있습니다)")
        }
        (Language::English, Fate::Unknown) => {
            format!("it may or may not have arrived: {text} (sent again it could be there twice)")
        }
        (Language::Korean, Fate::NoAnswer) => format!("서버가 답하지 않음: {text}"),
        (Language::English, Fate::NoAnswer) => format!("the server does not answer: {text}"),
    })
}

pub(crate) fn level(language: Language, level: AckLevel) -> &'static str {
    match level {
        AckLevel::Wal => either(
            language,
            "이제부터 ack는 wal입니다: 메시지는 로그에 있고, 저장소에는 아직 없습니다",
            "acks now say wal: messages are in the log, and not yet in the store",
        ),
        AckLevel::Stored => either(
            language,
            "이제부터 ack는 stored입니다: 메시지가 저장소에 있습니다",
            "acks now say stored: messages are in the store",
        ),
    }
}

pub(crate) fn lost(language: Language) -> &'static str {
    either(language, "연결이 끊겼습니다. 다시 연결합니다", "the connection is lost; trying again")
}

pub(crate) fn back(language: Language) -> &'static str {
    either(language, "다시 연결되었습니다", "connected again")
}

pub(crate) fn here(language: Language, count: u64) -> String {
    match language {
        Language::Korean => format!("{count}명 접속 중"),
        Language::English => format!("{count} here"),
    }
}

pub(crate) fn away(language: Language, retry_in: Option<Duration>) -> String {
    match (language, retry_in.map(|pause| pause.as_secs() + 1)) {
        (Language::Korean, None) => "연결하는 중...".into(),
        (Language::English, None) => "connecting...".into(),
        (Language::Korean, Some(seconds)) => format!("연결이 끊김, {seconds}초 안에 다시 연결"),
        (Language::English, Some(seconds)) => format!("connection lost, again within {seconds} s"),
    }
}

pub(crate) fn typists(language: Language, names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(3).map(|name| clean::inline(name).into_owned()).collect();
    let (list, more) = (shown.join(", "), names.len() - shown.len());
    match (language, names.len(), more) {
        (_, 0, _) => String::new(),
        (Language::Korean, _, 0) => format!("{list}님이 입력 중..."),
        (Language::Korean, _, more) => format!("{list}님 외 {more}명이 입력 중..."),
        (Language::English, 1, _) => format!("{list} is typing..."),
        (Language::English, _, 0) => format!("{list} are typing..."),
        (Language::English, _, more) => format!("{list} and {more} more are typing..."),
    }
}
