//! Why the client ended before all was done: what, where, why, and what to do, in both languages.
//! Not here: what does not end it (`words`).

use std::io;

use moim_protocol::Language;

use crate::{clean, link::OpenFault, words::either};

/// Why it ended.
#[derive(Debug)]
pub enum ChatError {
    /// There is no connection, and nothing was done yet.
    NotOpened(Box<Opening>),
    /// The server closed the connection for good.
    Closed {
        /// The close code.
        code: u16,
        /// The server's words.
        words: String,
    },
    /// Lines were not acknowledged in time.
    Unacknowledged {
        /// How many were.
        acked: u64,
        /// How many were not, and wait.
        waiting: usize,
        /// The first of them.
        first: String,
        /// What is known of the reason.
        why: Option<Box<Opening>>,
        /// What the server said last about it.
        said: String,
    },
    /// A line was refused for good.
    Refused {
        /// How many were acknowledged before it.
        acked: u64,
        /// The line.
        line: String,
        /// The server's words.
        words: String,
    },
    /// The terminal does not let itself be used.
    Terminal(io::Error),
    /// What is to be sent cannot be read.
    Input(io::Error),
    /// What is heard cannot be written.
    Output(io::Error),
}

/// A connection that was not opened: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub(crate) address: String,
    pub(crate) fault: OpenFault,
}

impl Opening {
    fn tell(&self, language: Language) -> String {
        let Self { address, fault } = self;
        match (language, fault) {
            (Language::Korean, OpenFault::Refused) => format!(
                "{address}에서 기다리는 서버가 없습니다. `moim`으로 서버를 켜거나, --url 또는 MOIM_URL로 주소를 알려 주세요"
            ),
            (Language::English, OpenFault::Refused) => format!(
                "nothing listens at {address}; start a server with `moim`, or say where it is with --url or MOIM_URL"
            ),
            (Language::Korean, OpenFault::NoSuchHost) => {
                format!("{address}의 호스트를 찾을 수 없습니다. --url 또는 MOIM_URL의 주소를 확인해 주세요")
            }
            (Language::English, OpenFault::NoSuchHost) => {
                format!("the host of {address} is not known; check the address in --url or MOIM_URL")
            }
            (Language::Korean, OpenFault::Silent) => {
                format!(
                    "{address}가 10초 안에 답하지 않았습니다. 주소와 방화벽을 확인하거나 나중에 다시 해 보세요"
                )
            }
            (Language::English, OpenFault::Silent) => {
                format!(
                    "no answer from {address} within 10 seconds; check the address and firewalls, or try later"
                )
            }
            (Language::Korean, OpenFault::NotMoim(status)) => format!(
                "{address}에 있는 것은 moim이 아닌 것 같습니다 (HTTP {status}). --url에는 페이지의 주소를 쓰고, 경로는 빼 주세요"
            ),
            (Language::English, OpenFault::NotMoim(status)) => format!(
                "what answers at {address} does not seem to be moim (HTTP {status}); --url is the page's address, without a room"
            ),
            (Language::Korean, OpenFault::Turned(error)) => format!(
                "{address}의 서버가 들여보내지 않았습니다: {} ({})",
                clean::inline(&error.message),
                clean::inline(&error.code)
            ),
            (Language::English, OpenFault::Turned(error)) => format!(
                "the server at {address} does not let us in: {} ({})",
                clean::inline(&error.message),
                clean::inline(&error.code)
            ),
            (Language::Korean, OpenFault::Other(why)) => {
                format!(
                    "{address}에 연결할 수 없습니다: {}. --url 또는 MOIM_URL의 주소를 확인해 주세요",
                    clean::inline(why)
                )
            }
            (Language::English, OpenFault::Other(why)) => {
                format!(
                    "cannot connect to {address}: {}; check the address in --url or MOIM_URL",
                    clean::inline(why)
                )
            }
        }
    }
}

impl ChatError {
    /// The sentence for a person.
    #[must_use]
    pub fn tell(&self, language: Language) -> String {
        match self {
            Self::NotOpened(opening) => opening.tell(language),
            Self::Closed { code, words } => {
                let words = clean::inline(words);
                match language {
                    Language::Korean => format!("서버가 연결을 닫았습니다: {words} (코드 {code})"),
                    Language::English => format!("the server closed the connection: {words} (code {code})"),
                }
            }
            Self::Unacknowledged { acked, waiting, first, why, said } => {
                unacknowledged(language, (*acked, *waiting, first), why.as_deref(), said)
            }
            Self::Refused { acked, line, words } => {
                let (line, words) = (quoted(line), clean::inline(words));
                match language {
                    Language::Korean => format!(
                        "{line} 줄이 거절되었습니다: {words}. 그 앞의 {acked}줄은 보냈고, 그 뒤는 보내지 않았습니다"
                    ),
                    Language::English => format!(
                        "the line {line} was refused: {words}. {acked} before it were acknowledged, none after it was sent"
                    ),
                }
            }
            Self::Terminal(error) => {
                let what = either(
                    language,
                    "이 터미널에서는 편집기를 쓸 수 없습니다. `moim chat --tail`로 읽거나 파이프로 보내 주세요",
                    "the editor cannot use this terminal; read with `moim chat --tail`, or send through a pipe",
                );
                format!("{what}: {error}")
            }
            Self::Input(error) => {
                let what = either(language, "보낼 줄을 읽을 수 없습니다", "the lines to send cannot be read");
                format!("{what}: {error}")
            }
            Self::Output(error) => {
                let what = either(language, "받은 것을 쓸 수 없습니다", "what was heard cannot be written");
                format!("{what}: {error}")
            }
        }
    }
}

fn unacknowledged(
    language: Language,
    (acked, waiting, first): (u64, usize, &str),
    why: Option<&Opening>,
    said: &str,
) -> String {
    let first = quoted(first);
    let reason = match why {
        Some(opening) => opening.tell(language),
        None if !said.is_empty() => clean::inline(said).into_owned(),
        None => either(language, "서버가 답하지 않습니다", "the server does not answer").into(),
    };
    let mut text = match (language, waiting) {
        (Language::Korean, 1) => format!("{first} 줄이 확인 응답(ack)을 받지 못했습니다: {reason}"),
        (Language::Korean, n) => {
            format!("{n}줄이 확인 응답(ack)을 받지 못했고, 첫 줄은 {first}입니다: {reason}")
        }
        (Language::English, 1) => format!("the line {first} was not acknowledged: {reason}"),
        (Language::English, n) => {
            format!("{n} lines were not acknowledged, the first is {first}: {reason}")
        }
    };
    text += &match (language, acked) {
        (_, 0) => String::new(),
        (Language::Korean, n) => format!(". 그 앞의 {n}줄은 확인되었습니다"),
        (Language::English, n) => format!(". {n} before it were acknowledged"),
    };
    // Without a connection it cannot have arrived.
    let may_have_arrived = either(
        language,
        ". 그 줄은 전달되었을 수도 있어, 새로 보내면 두 번 보일 수 있습니다",
        ". It may have arrived all the same: sent anew it could be there twice",
    );
    if why.is_none() {
        text += may_have_arrived;
    }
    text
}

fn quoted(line: &str) -> String {
    const SHOWN: usize = 60;
    let short: String = line.chars().take(SHOWN).collect();
    let more = if short.len() < line.len() { "..." } else { "" };
    format!("\"{}{more}\"", clean::inline(&short))
}

#[cfg(test)]
mod tests {
    use moim_protocol::{HeardError, Language};

    use super::{ChatError, Opening};
    use crate::link::OpenFault;

    #[test]
    fn what_a_server_says_cannot_write_on_the_terminal() {
        let evil = "\x1b[2J\u{202e}".to_owned();
        let told =
            HeardError { code: evil.clone(), message: evil.clone(), client_id: None, retry_after_ms: None };
        let opening = Opening { address: "http://h/".into(), fault: OpenFault::Turned(told) };
        let (acked, waiting, said, first) = (1, 2, evil.clone(), evil.clone());
        for error in [
            ChatError::NotOpened(Box::new(opening)),
            ChatError::Closed { code: 1008, words: evil.clone() },
            ChatError::Unacknowledged { acked, waiting, first, why: None, said },
            ChatError::Refused { acked, line: evil.clone(), words: evil.clone() },
        ] {
            for language in [Language::Korean, Language::English] {
                let told = error.tell(language);
                assert!(told.contains("␛[2J<U+202E>") && !told.contains('\x1b'), "{told}");
            }
        }
    }
}
